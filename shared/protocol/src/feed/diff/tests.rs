use proptest::prelude::*;
use serde_json::json;

use super::*;

fn remote(value: Value) -> Remote {
    baseline(&[], value)
}

/// What is kept after a diff, as one object, and the names that are doubtful.
fn after(before: Value, path: &[&str], data: Value) -> (Value, Vec<String>) {
    let mut kept = remote(before);
    let applied = apply(&mut kept, path, &data);
    let values = kept.into_iter().map(|(name, kept)| match kept {
        Kept::Value(value) => (name, value),
        Kept::TooLarge => (name, json!("too large")),
    });
    (Value::Object(values.collect()), applied.doubtful.into_iter().collect())
}

fn sure(before: Value, path: &[&str], data: Value) -> Value {
    let (after, doubtful) = after(before, path, data.clone());
    assert!(doubtful.is_empty(), "{data} left doubts about {doubtful:?}");
    after
}

#[test]
fn values_are_set_replaced_and_deleted_by_name() {
    let before = json!({ "a": 1, "b": 2 });
    assert_eq!(
        sure(before.clone(), &[], json!({ "b": [3], "c": { "x": 1 } })),
        json!({ "a": 1, "b": [3], "c": { "x": 1 } })
    );
    assert_eq!(sure(before.clone(), &[], json!({ "a": "", "b": null })), json!({}));
    assert_eq!(sure(before, &[], json!("")), json!({}), "all of it was deleted");
}

#[test]
fn what_a_part_is_told_is_kept_at_its_place() {
    assert_eq!(sure(json!({}), &["cfg"], json!({ "x": 1 })), json!({ "cfg": { "x": 1 } }));
    assert_eq!(sure(json!({}), &["cfg", "x", "y"], json!(1)), json!({ "cfg": { "x": { "y": 1 } } }));
    assert_eq!(sure(json!({ "cfg": { "x": { "y": 1 } } }), &["cfg", "x", "y"], json!("")), json!({}));
    assert_eq!(sure(json!({ "cfg": { "x": 1 } }), &["cfg"], json!("")), json!({}));
}

#[test]
fn an_object_that_may_be_a_part_or_the_whole_is_merged_and_doubtful() {
    let before = json!({ "cfg": { "x": 1, "y": { "z": 2 } } });
    let doubtful = vec!["cfg".to_owned()];
    let merged = json!({ "cfg": { "x": 3, "y": { "z": 2 } } });
    assert_eq!(after(before.clone(), &[], json!({ "cfg": { "x": 3 } })), (merged, doubtful.clone()));
    let removed = json!({ "cfg": { "x": 1, "y": {} } });
    assert_eq!(after(before.clone(), &["cfg"], json!({ "y": { "z": "" } })), (removed, doubtful.clone()));
    assert_eq!(after(json!({}), &[], json!({ "cfg": { "x": "" } })), (json!({ "cfg": {} }), doubtful));
    let whole = json!({ "cfg": { "x": 3, "y": { "z": 4, "w": 5 } } });
    assert_eq!(sure(before, &[], whole.clone()), whole, "nothing is missing");
}

#[test]
fn operations_on_lists_are_applied_as_told() {
    let notes = |operation: Value| json!({ "notes": operation });
    for (operation, expected) in [
        (json!({ "operation": "append", "length": 4, "item": "d" }), json!(["a", "b", "c", "d"])),
        (json!({ "operation": "insert", "length": 4, "index": 1, "item": "x" }), json!(["a", "x", "b", "c"])),
        (json!({ "operation": "update", "length": 3, "index": 0, "item": "x" }), json!(["x", "b", "c"])),
        (json!({ "operation": "update", "index": 0, "item": "x", "old_item": "c" }), json!(["a", "b", "x"])),
        (json!({ "operation": "extend", "length": 5, "items": [1, 2] }), json!(["a", "b", "c", 1, 2])),
        (json!({ "operation": "delete", "length": 2, "index": 1 }), json!(["a", "c"])),
        (json!({ "operation": "delete", "length": 2, "index": -1 }), json!(["a", "b"])),
        (json!({ "operation": "pop", "length": 2 }), json!(["a", "b"])),
        (json!({ "operation": "pop", "length": 2, "index": 0 }), json!(["b", "c"])),
        (json!({ "operation": "remove", "length": 2, "item": "b" }), json!(["a", "c"])),
        (json!({ "operation": "clear", "length": 0 }), json!([])),
        (json!({ "operation": "metadata", "length": 3 }), json!(["a", "b", "c"])),
    ] {
        let mut operation = operation;
        operation["list"] = json!("notes");
        let before = json!({ "notes": ["a", "b", "c"], "other": 1 });
        let expected = json!({ "notes": expected, "other": 1 });
        let kept = sure(before.clone(), &[], notes(operation.clone()));
        assert_eq!(kept, expected, "{operation}");
        let only = json!({ "notes": ["a", "b", "c"] });
        let expected = json!({ "notes": expected["notes"] });
        assert_eq!(sure(only.clone(), &["notes"], operation.clone()), expected, "unwrapped: {operation}");
        assert_eq!(sure(only, &["notes"], notes(operation.clone())), expected, "wrapped: {operation}");
    }
    let gone = json!({ "list": "notes", "operation": "delete_all", "length": 0 });
    assert_eq!(sure(json!({ "notes": [1] }), &[], notes(gone)), json!({}));
    let first = json!({ "list": "notes", "operation": "append", "length": 1, "item": 1 });
    assert_eq!(sure(json!({}), &[], notes(first.clone())), json!({ "notes": [1] }));
    assert_eq!(sure(json!({}), &[], json!({ "list:notes": first })), json!({ "notes": [1] }));
}

#[test]
fn a_list_that_does_not_agree_with_what_is_told_is_doubtful() {
    let before = json!({ "notes": ["a", "b"] });
    let doubtful = vec!["notes".to_owned()];
    for (operation, expected) in [
        (json!({ "operation": "append", "length": 2, "item": "b" }), json!(["a", "b"])),
        (json!({ "operation": "append", "length": 9, "item": "c" }), json!(["a", "b", "c"])),
        (json!({ "operation": "delete", "length": 1, "index": 7 }), json!(["a", "b"])),
        (json!({ "operation": "shuffle" }), json!(["a", "b"])),
        (json!({ "operation": "extend" }), json!(["a", "b"])),
    ] {
        let mut operation = operation;
        operation["list"] = json!("notes");
        let (kept, doubts) = after(before.clone(), &[], json!({ "notes": operation }));
        assert_eq!((kept, doubts), (json!({ "notes": expected }), doubtful.clone()), "{operation}");
    }
    let appended = json!({ "list": "x", "operation": "append", "length": 1, "item": 1 });
    assert_eq!(
        after(json!({ "x": "text" }), &[], json!({ "x": appended })),
        (json!({ "x": [1] }), vec!["x".to_owned()])
    );
}

#[test]
fn the_shapes_of_the_reference_are_understood_on_lists_only() {
    let before = json!({ "notes": ["a", "b"] });
    for (data, expected) in [
        (json!({ "action": "add", "index": 2, "value": "c" }), json!(["a", "b", "c"])),
        (json!({ "action": "add", "index": 0, "value": "c" }), json!(["c", "a", "b"])),
        (json!({ "action": "update", "index": 1, "value": "x" }), json!(["a", "x"])),
        (json!({ "action": "delete", "index": 0 }), json!(["b"])),
        (json!({ "action": "metadata_update", "description": "d" }), json!(["a", "b"])),
        (json!({ "index": 0, "value": "x" }), json!(["x", "b"])),
        (json!({ "index": 2, "value": "x" }), json!(["a", "b", "x"])),
    ] {
        assert_eq!(sure(before.clone(), &["notes"], data.clone()), json!({ "notes": expected }), "{data}");
    }
    let object = json!({ "index": 0, "value": "x" });
    assert_eq!(sure(json!({ "notes": 1 }), &[], json!({ "notes": object })), json!({ "notes": object }));
}

#[test]
fn lists_in_what_is_read_at_once_are_expanded_or_named() {
    let value =
        json!({ "a": { "_list": true, "count": 2 }, "b": { "_list": true, "items": [1] }, "c": "x", "d": null });
    assert_eq!(announced_lists(&value), ["a"]);
    let kept = baseline(&[], value);
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(kept.get("b"), Some(&Kept::Value(json!([1]))));
    assert_eq!(baseline(&["cfg", "x"], json!(1)).get("cfg"), Some(&Kept::Value(json!({ "x": 1 }))));
    assert!(baseline(&[], Value::Null).is_empty());
    let created = after(json!({}), &[], json!({ "notes": { "_list": true, "count": 0 } }));
    assert_eq!(created, (json!({ "notes": [] }), vec!["notes".to_owned()]));
}

#[test]
fn what_is_too_large_stays_so_until_it_is_replaced_or_deleted() {
    let large = || Remote::from([("a".to_owned(), Kept::TooLarge)]);
    let item = json!({ "list": "a", "operation": "append", "length": 9, "item": 1 });
    for (data, expected, doubts) in [
        (json!({ "a": item }), Some(Kept::TooLarge), 1),
        (json!({ "a": { "x": 1 } }), Some(Kept::TooLarge), 1),
        (json!({ "a": 1 }), Some(Kept::Value(json!(1))), 0),
        (json!({ "a": "" }), None, 0),
    ] {
        let mut kept = large();
        let applied = apply(&mut kept, &[], &data);
        assert_eq!((kept.get("a"), applied.doubtful.len()), (expected.as_ref(), doubts), "{data}");
    }
}

#[test]
fn a_diff_says_which_names_it_touches() {
    let names = |names: &[&str]| Touched::Names(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(touched(&[], &json!({ "a": 1, "list:b": 2 })), names(&["a", "b"]));
    assert_eq!(touched(&["cfg", "x"], &json!("")), names(&["cfg"]));
    assert_eq!(touched(&[], &json!("")), Touched::All);
    assert_eq!(touched(&[], &json!("text")), names(&[""]));
}

proptest! {
    /// Whoever applies the diffs of list operations ends with the publisher's list.
    #[test]
    fn a_list_followed_by_its_diffs_stays_the_same(operations in prop::collection::vec((0u8..6, 0usize..8, 0u8..3), 0..40)) {
        let mut source: Vec<Value> = Vec::new();
        let mut kept = Remote::new();
        for (kind, index, item) in operations {
            let item = json!(item);
            let mut diff = json!({ "list": "n", "index": index });
            match kind {
                0 => {
                    source.push(item.clone());
                    diff["operation"] = json!("append");
                    diff["item"] = item;
                }
                1 => {
                    source.insert(index.min(source.len()), item.clone());
                    diff["operation"] = json!("insert");
                    diff["item"] = item;
                }
                2 if index < source.len() => {
                    let old = std::mem::replace(&mut source[index], item.clone());
                    diff["operation"] = json!("update");
                    diff["item"] = item;
                    // The old item decides only when it is there once.
                    diff["old_item"] = old;
                }
                3 if index < source.len() => {
                    source.remove(index);
                    diff["operation"] = json!("delete");
                }
                4 if index < source.len() => {
                    source.remove(index);
                    diff["operation"] = json!("pop");
                }
                5 => {
                    source.extend([item.clone(), item.clone()]);
                    diff["operation"] = json!("extend");
                    diff["items"] = json!([item, item]);
                }
                _ => continue,
            }
            diff["length"] = json!(source.len());
            let applied = apply(&mut kept, &[], &json!({ "n": diff }));
            prop_assert_eq!(applied, Applied::default());
            prop_assert_eq!(kept.get("n"), Some(&Kept::Value(json!(source))));
        }
    }

    /// A diff of another path than the one subscribed to never reaches another name.
    #[test]
    fn a_diff_changes_no_name_but_those_it_touches(name in "[ab]", value in 0u8..3, path in prop::option::of("[ab]")) {
        let before = remote(json!({ "a": { "x": 1 }, "b": [1] }));
        let mut kept = before.clone();
        let path: Vec<&str> = path.as_deref().into_iter().collect();
        let data = json!({ name: value });
        let Touched::Names(names) = touched(&path, &data) else { return Ok(()) };
        apply(&mut kept, &path, &data);
        for name in ["a", "b"].into_iter().filter(|name| !names.contains(*name)) {
            prop_assert_eq!(kept.get(name), before.get(name));
        }
    }
}
