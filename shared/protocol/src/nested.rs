//! Reading and changing a property's value at a path of object keys (option tag `nestedproperties`).

use serde_json::{Map, Value};

/// The path ends in, or passes, an array: arrays are replaced as a whole, never addressed by path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is an array, which a path cannot enter: replace the array as a whole")]
pub struct ArrayInPath(pub String);

/// The value at `path`; `None` when a key is missing or the path leads into something that is not an object.
#[must_use]
pub fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(key))
}

/// Puts `new` at `path` in `value` and returns the whole result. Missing objects are created, a scalar on the way is
/// replaced by an object, and an object put onto an object is merged into it key by key.
///
/// # Errors
/// [`ArrayInPath`] when an array stands on the way; it names the path up to the array.
pub fn put(value: Option<Value>, path: &[String], new: Value) -> Result<Value, ArrayInPath> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(match value {
            Some(old) => merge(old, new),
            None => new,
        });
    };
    let mut members = match value {
        Some(Value::Object(members)) => members,
        Some(Value::Array(_)) => return Err(ArrayInPath(String::new())),
        _ => Map::new(),
    };
    let old = members.get_mut(key).map(Value::take);
    let changed = put(old, rest, new).map_err(|ArrayInPath(below)| {
        ArrayInPath(if below.is_empty() { key.clone() } else { format!("{key}/{below}") })
    })?;
    members.insert(key.clone(), changed);
    Ok(Value::Object(members))
}

/// Two objects are merged key by key, at every depth; anything else is replaced by `new`.
#[must_use]
pub fn merge(old: Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(mut old), Value::Object(new)) => {
            for (key, value) in new {
                let merged = match old.get_mut(&key).map(Value::take) {
                    Some(before) => merge(before, value),
                    None => value,
                };
                old.insert(key, merged);
            }
            Value::Object(old)
        }
        (_, new) => new,
    }
}

/// Removes what is at `path`, which must not be empty; empty parents stay. Returns whether there was anything.
pub fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    parents
        .iter()
        .try_fold(value, |value, key| value.as_object_mut()?.get_mut(key))
        .and_then(Value::as_object_mut)
        .is_some_and(|members| members.shift_remove(last).is_some())
}

/// Whether two values are the same but for what is at `path`, which one of them may lack. A value that is not there
/// counts as an empty object.
#[must_use]
pub fn differs_only_at(old: Option<&Value>, new: &Value, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return true };
    let empty = Value::Object(Map::new());
    let (Some(old), Some(new)) = (old.unwrap_or(&empty).as_object(), new.as_object()) else { return false };
    let others = |members: &Map<String, Value>| members.len() - usize::from(members.contains_key(key));
    if others(old) != others(new) || old.iter().any(|(name, value)| name != key && new.get(name) != Some(value)) {
        return false;
    }
    match (old.get(key), new.get(key)) {
        (old, Some(new)) => differs_only_at(old, new, rest),
        // It was removed with all that was in it.
        (_, None) => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_put_creates_merges_and_replaces() {
        let put = |value: Option<Value>, at: &str, new: Value| put(value, &path(at), new);
        assert_eq!(put(None, "a/b", json!(1)), Ok(json!({"a": {"b": 1}})));
        assert_eq!(put(Some(json!({"a": {"x": 1}})), "a", json!({"y": 2})), Ok(json!({"a": {"x": 1, "y": 2}})));
        assert_eq!(put(Some(json!({"a": 1})), "a", json!({"y": 2})), Ok(json!({"a": {"y": 2}})));
        assert_eq!(put(Some(json!("text")), "a", json!(2)), Ok(json!({"a": 2})));
        assert_eq!(put(Some(json!({"a": {"l": [1]}})), "a/l/0", json!(2)), Err(ArrayInPath("a/l".into())));
        assert_eq!(put(Some(json!([1])), "a", json!(2)), Err(ArrayInPath(String::new())));
    }

    #[test]
    fn a_remove_says_whether_anything_was_there() {
        let mut value = json!({"a": {"b": 1, "c": 2}});
        assert!(remove(&mut value, &path("a/b")));
        assert!(!remove(&mut value, &path("a/b")));
        assert!(!remove(&mut value, &path("a/c/d")));
        assert!(!remove(&mut value, &[]));
        assert_eq!(value, json!({"a": {"c": 2}}));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,3}".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-c]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_put_is_read_back(old in any_json(), keys in proptest::collection::vec("[a-c]", 1..4), scalar in any::<u32>()) {
            match put(Some(old.clone()), &keys, json!(scalar)) {
                Ok(value) => prop_assert_eq!(get(&value, &keys), Some(&json!(scalar))),
                Err(ArrayInPath(at)) => {
                    let at = if at.is_empty() { Vec::new() } else { path(&at) };
                    prop_assert!(get(&old, &at).is_some_and(Value::is_array));
                }
            }
        }

        #[test]
        fn a_merge_repeated_changes_nothing(old in any_json(), new in any_json()) {
            let once = merge(old, new.clone());
            prop_assert_eq!(merge(once.clone(), new), once);
        }

        #[test]
        fn a_remove_touches_nothing_else(old in any_json(), keys in proptest::collection::vec("[a-c]", 1..4)) {
            let mut after = old.clone();
            let removed = remove(&mut after, &keys);
            prop_assert_eq!(removed, get(&old, &keys).is_some());
            prop_assert_eq!(get(&after, &keys), None);
            if !removed { prop_assert_eq!(after, old); }
        }
    }

    #[test]
    fn a_change_of_a_part_alone_is_told_from_others() {
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let old = json!({ "a": { "x": 1, "y": 2 }, "b": 3 });
        let only = |new: Value, at: &str| differs_only_at(Some(&old), &new, &path(at));
        assert!(only(json!({ "a": { "x": 9, "y": 2 }, "b": 3 }), "a/x"));
        assert!(only(json!({ "a": { "y": 2 }, "b": 3 }), "a/x"), "removed");
        assert!(only(json!({ "a": { "x": 1, "y": 2, "z": 0 }, "b": 3 }), "a/z"), "added");
        assert!(!only(json!({ "a": { "x": 9, "y": 2 }, "b": 4 }), "a/x"));
        assert!(!only(json!({ "a": { "x": 9 }, "b": 3 }), "a/x"));
        assert!(!only(json!({ "b": 3 }), "a/x"), "the parent went with it");
        assert!(!differs_only_at(Some(&json!(1)), &json!({ "a": 1 }), &path("a")));
        assert!(differs_only_at(None, &json!({ "a": { "b": 1 } }), &path("a/b")));
    }
}
