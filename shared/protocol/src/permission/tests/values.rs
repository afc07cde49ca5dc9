use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{PropertyPath, nested};

/// Every leaf with its path.
fn leaves(path: &str, value: &Value) -> BTreeMap<String, Value> {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().flat_map(|(key, member)| leaves(&format!("{path}/{key}"), member)).collect()
        }
        leaf => BTreeMap::from([(path.to_owned(), leaf.clone())]),
    }
}

fn path(text: &str) -> PropertyPath {
    PropertyPath::parse(text.split('/')).unwrap()
}

fn may(access: &Access, leaf: &str, operation: Operation) -> bool {
    access.check(Category::Properties, leaf, operation).is_ok()
}

/// The leaves that are in one of the two and not, or other, in the other. What becomes of an empty object is no loss.
fn differing(name: &str, before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let of = |value: Option<&Value>| value.map(|value| leaves(name, value)).unwrap_or_default();
    let (before, after) = (of(before), of(after));
    let lost = before.iter().filter(|(path, value)| after.get(*path) != Some(value) && **value != json!({}));
    let new = after.iter().filter(|(path, value)| before.get(*path) != Some(value) && **value != json!({}));
    lost.chain(new).map(|(path, _)| path.clone()).collect()
}

#[test]
fn excluding_a_container_protects_every_leaf_through_its_parents() {
    let friend = built_in("friend");
    let value = json!({ "key": 1, "deep": { "er": 2 } });
    assert_eq!(friend.filter_readable("private", value.clone()), None);
    assert_eq!(friend.filter_readable("private/deep", json!({ "er": 2 })), None);
    assert_eq!(friend.filter_readable("private", json!("a text")), None);
    assert_eq!(friend.filter_readable("private", json!([1])), None);
    assert_eq!(friend.filter_readable("privately", json!(1)), Some(json!(1)));
    for verb in Verb::ALL {
        for at in ["properties/private", "properties/private/key", "properties/private/deep/er"] {
            assert!(friend.authorize(at, verb).is_err(), "{verb} {at}");
        }
    }
    for operation in [Operation::Read, Operation::Write, Operation::Delete] {
        assert!(friend.check_list("private", operation).is_err());
        assert_eq!(friend.subtree("private", operation), Subtree::None);
    }
    assert!(friend.check_writable(&path("private"), None, &json!(1), WriteMode::Replace).is_err());
    assert!(friend.check_writable(&path("private/new"), Some(&value), &json!(1), WriteMode::Merge).is_err());
}

#[test]
fn hidden_leaves_are_pruned_and_empty_parents_with_them() {
    let access = peer_with(Rules::patterns(&["*"], &[Operation::Read]).except(&["p/secret", "p/q/*", "*token"]));
    let value = json!({ "secret": { "a": 1 }, "q": { "x": 1 }, "open": 1, "none": {}, "in": { "token": 1 } });
    assert_eq!(access.filter_readable("p", value), Some(json!({ "open": 1, "none": {} })));
    assert_eq!(access.filter_readable("p", json!({ "secret": 1 })), None);
    assert_eq!(access.filter_readable("p/q", json!({ "x": 1 })), None);
    assert_eq!(access.filter_readable("p", json!({})), Some(json!({})));
}

#[test]
fn a_grant_of_a_name_includes_what_is_below_but_not_the_other_way() {
    let access = peer_with(Rules::patterns(&["address", "public/*"], &[Operation::Read]));
    assert_eq!(access.filter_readable("address", json!({ "city": "x" })), Some(json!({ "city": "x" })));
    assert!(may(&access, "address/city", Operation::Read));
    assert_eq!(access.filter_readable("public", json!("a text")), None);
    assert_eq!(access.filter_readable("public", json!({ "a": 1 })), Some(json!({ "a": 1 })));
    assert!(access.check_list("public", Operation::Read).is_ok());
    assert!(access.check_list("address", Operation::Read).is_ok());
    assert!(access.check_list("publicly", Operation::Read).is_err());
}

#[test]
fn a_list_is_denied_where_an_item_could_be() {
    let list = |excluded: &[&str]| {
        peer_with(Rules::patterns(&["*"], &[Operation::Read]).except(excluded)).check_list("notes", Operation::Read)
    };
    assert_eq!(list(&["*secret*", "notes2/*", "*_token"]), Ok(()));
    for excluded in ["notes", "notes/*", "notes/3", "n*/1?", "*"] {
        assert!(list(&[excluded]).is_err(), "{excluded}");
    }
}

#[test]
fn a_write_may_not_take_away_what_is_hidden() {
    let access = peer_with(Rules::patterns(&["*"], &[Operation::Read, Operation::Write]).except(&["p/secret"]));
    let old = json!({ "secret": 1, "open": 2 });
    let write = |at: &str, new: Value, how| access.check_writable(&path(at), Some(&old), &new, how);
    let refused = write("p", json!({ "open": 3 }), WriteMode::Replace).unwrap_err();
    assert_eq!(refused.target, "properties/p/secret");
    assert_eq!(refused.reason, Reason::ExcludedBy("p/secret".to_owned()));
    assert!(write("p", json!("gone"), WriteMode::Replace).is_err());
    assert!(write("p", json!("gone"), WriteMode::Merge).is_err());
    assert_eq!(write("p", json!({ "open": 3 }), WriteMode::Merge), Ok(()));
    // Writing the value it has would tell whether the guess was right.
    assert!(write("p", json!({ "secret": 1 }), WriteMode::Merge).is_err());
    assert_eq!(write("p/open", json!(3), WriteMode::Merge), Ok(()));
    // `p/secret` would have to become an object.
    assert!(write("p/secret/x", json!(3), WriteMode::Merge).is_err());
    assert_eq!(access.check_writable(&path("p/open"), Some(&json!([1])), &json!(3), WriteMode::Merge), Ok(()));
}

#[test]
fn a_plain_value_on_the_way_counts_as_overwritten() {
    let access = peer_with(Rules::patterns(&["p/a/*"], &[Operation::Write]));
    let write = |old: Value| access.check_writable(&path("p/a/b"), Some(&old), &json!(1), WriteMode::Merge);
    assert_eq!(write(json!({ "a": { "c": 1 } })), Ok(()));
    assert_eq!(write(json!({})), Ok(()));
    assert_eq!(write(json!("text")).unwrap_err().target, "properties/p");
    assert_eq!(write(json!({ "a": 1 })).unwrap_err().target, "properties/p/a");
}

#[test]
fn a_delete_needs_every_leaf() {
    let access = peer_with(Rules::patterns(&["p/*"], &[Operation::Delete]).except(&["p/keep"]));
    let delete = |at: &str, old: Option<Value>| access.check_deletable(&path(at), old.as_ref());
    assert_eq!(delete("p", Some(json!({ "a": 1 }))), Ok(()));
    assert_eq!(delete("p", Some(json!({ "a": 1, "keep": 2 }))).unwrap_err().target, "properties/p/keep");
    assert_eq!(delete("p/a", Some(json!({ "a": 1, "keep": 2 }))), Ok(()));
    assert_eq!(delete("p", None), Ok(()));
    assert!(delete("p/keep", None).is_err() && delete("q", None).is_err());
    assert!(built_in("friend").check_deletable(&path("x"), Some(&json!(1))).is_err());
    assert_eq!(built_in("admin").check_deletable(&path("x"), Some(&json!(1))), Ok(()));
}

#[test]
fn a_key_with_a_slash_counts_as_nested() {
    let access = peer_with(Rules::patterns(&["*"], &[Operation::Read]).except(&["p/private/*"]));
    assert_eq!(access.filter_readable("p", json!({ "private/x": 1, "": 2 })), Some(json!({ "": 2 })));
}

proptest! {
    #[test]
    fn what_is_read_is_exactly_the_allowed_leaves(rules in generous_rules(), at in any_target(), value in any_value()) {
        let access = peer_with(rules);
        let mut expected = leaves(&at, &value);
        expected.retain(|leaf, _| may(&access, leaf, Operation::Read));
        match access.filter_readable(&at, value) {
            Some(seen) => prop_assert_eq!(leaves(&at, &seen), expected),
            None => prop_assert!(expected.is_empty()),
        }
    }

    #[test]
    fn a_replacement_needs_every_leaf_of_both(rules in generous_rules(), name in "[ab]{1,2}", old in any_value(), new in any_value()) {
        let access = peer_with(rules);
        let lost = leaves(&name, &old).into_iter().filter(|(leaf, value)| *leaf != name || *value != json!({}));
        let expected = lost.chain(leaves(&name, &new)).all(|(leaf, _)| may(&access, &leaf, Operation::Write));
        prop_assert_eq!(access.check_writable(&path(&name), Some(&old), &new, WriteMode::Replace).is_ok(), expected);
        let expected = leaves(&name, &new).keys().all(|leaf| may(&access, leaf, Operation::Write));
        prop_assert_eq!(access.check_writable(&path(&name), None, &new, WriteMode::Replace).is_ok(), expected);
    }

    #[test]
    fn an_allowed_write_changes_only_what_may_be_written(
        rules in generous_rules(), at in any_target(), old in proptest::option::of(any_value()), new in any_value(),
    ) {
        let (access, at) = (peer_with(rules), path(&at));
        let Ok(after) = nested::put(old.clone(), &at.below, new.clone()) else { return Ok(()) };
        if access.check_writable(&at, old.as_ref(), &new, WriteMode::Merge).is_ok() {
            for leaf in differing(at.name.as_str(), old.as_ref(), Some(&after)) {
                prop_assert!(may(&access, &leaf, Operation::Write), "{}", leaf);
            }
        }
    }

    #[test]
    fn an_allowed_delete_removes_only_what_may_be_deleted(rules in generous_rules(), at in any_target(), old in any_value()) {
        let (access, at) = (peer_with(rules), path(&at));
        let mut after = old.clone();
        let removed = if at.below.is_empty() { after.take(); true } else { nested::remove(&mut after, &at.below) };
        let gone = removed.then(|| nested::get(&old, &at.below).unwrap());
        let expected = gone.is_none_or(|gone| {
            leaves(&at.to_string(), gone).keys().all(|leaf| may(&access, leaf, Operation::Delete))
        });
        let decided = access.check_deletable(&at, Some(&old));
        prop_assert!(decided.is_err() || expected);
        prop_assert!(decided.is_ok() || !expected || gone.is_none());
    }

    #[test]
    fn a_subtree_says_what_holds_for_every_path_in_it(
        rules in generous_rules(), at in any_target(), below in any_target(), operation in any_operation(),
    ) {
        let access = peer_with(rules);
        let subtree = access.subtree(&at, operation);
        for leaf in [at.clone(), format!("{at}/{below}")] {
            match subtree {
                Subtree::All => prop_assert!(may(&access, &leaf, operation)),
                Subtree::None => prop_assert!(!may(&access, &leaf, operation)),
                Subtree::Some => {}
            }
        }
    }

    #[test]
    fn a_list_that_is_allowed_has_no_denied_item(rules in generous_rules(), name in "[ab]{1,2}", index in 0_u32..200) {
        let access = peer_with(rules);
        if access.check_list(&name, Operation::Read).is_ok() {
            let item = format!("{name}/{index}");
            prop_assert!(may(&access, &item, Operation::Read));
        }
    }

    #[test]
    fn a_denial_more_never_widens(
        rules in any_rules(), pattern in any_pattern(), exclude in any::<bool>(), target in any_target(),
        operation in any_operation(), value in any_value(), category in proptest::sample::select(Category::ALL.to_vec()),
    ) {
        let more = if exclude { rules.clone().except(&[&pattern]) } else { rules.clone().deny(&[&pattern]) };
        prop_assert!(more.judge(category, &target, operation).is_err() || rules.judge(category, &target, operation).is_ok());
        if Glob::new(pattern.as_str()).matches(&target) {
            prop_assert!(more.judge(category, &target, operation).is_err(), "deny comes first");
        }
        let (before, after) = (peer_with(rules), peer_with(more));
        prop_assert!(after.check_list(&target, operation).is_err() || before.check_list(&target, operation).is_ok());
        prop_assert!(after.check_any(category, operation).is_err() || before.check_any(category, operation).is_ok());
        let seen = |access: &Access| access.filter_readable(&target, value.clone()).map(|value| leaves(&target, &value));
        let (before, after) = (seen(&before).unwrap_or_default(), seen(&after).unwrap_or_default());
        prop_assert!(after.iter().all(|(leaf, value)| before.get(leaf) == Some(value)));
    }

    #[test]
    fn the_creator_may_do_everything(at in any_target(), value in any_value(), operation in any_operation()) {
        let policy = Policy::builder().path_rule("", &at, "", "r").path_rule("any", "properties", "", "r").build().unwrap();
        let creator = policy.access(Caller::Creator, None);
        for category in Category::ALL {
            prop_assert_eq!(creator.check(category, &at, operation), Ok(()));
            prop_assert_eq!(creator.check_any(category, operation), Ok(()));
        }
        for verb in Verb::ALL {
            prop_assert_eq!(creator.authorize(&at, verb), Ok(()));
        }
        prop_assert_eq!(creator.check_list(&at, operation), Ok(()));
        prop_assert_eq!(creator.check_writable(&path(&at), Some(&value), &value, WriteMode::Replace), Ok(()));
        prop_assert_eq!(creator.check_deletable(&path(&at), Some(&value)), Ok(()));
        prop_assert_eq!(creator.filter_readable(&at, value.clone()), Some(value));
    }
}
