//! What a diff does to the data that is kept of a peer (spec 1.4, "Subscriptions").
//!
//! Data is kept by the names right below the target (the properties of a peer, say), each with its value; a list is an
//! array. The diffs of a subscription to a part only are kept at the place of that part.
//!
//! A diff does not say whether `{"cfg": {"x": 1}}` is all of `cfg` now or what changed in it, nor whether
//! `{"cfg": {"x": ""}}` is a deletion or an empty text. What can be read both ways is merged, and reported as doubtful:
//! the subscriber then asks the peer for the value itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::subscription::is_list_change;

/// The data kept of a peer, by name.
pub type Remote = BTreeMap<String, Kept>;

/// What is kept under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// The value; a list is an array.
    Value(Value),
    /// Too large to be kept: to be read at the peer.
    TooLarge,
}

/// Which names a diff concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// These.
    Names(BTreeSet<String>),
    /// All there are: everything was deleted.
    All,
}

/// What applying a diff came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Names whose value may not be what the peer has.
    pub doubtful: BTreeSet<String>,
}

/// Which names a diff of a subscription to `path` (below the target; empty for all of it) concerns.
#[must_use]
pub fn touched(path: &[&str], data: &Value) -> Touched {
    match (path.first(), data) {
        (Some(name), _) => Touched::Names(BTreeSet::from([(*name).to_owned()])),
        (None, Value::Object(members)) => Touched::Names(members.keys().map(|key| name_of(key).to_owned()).collect()),
        (None, data) if is_deletion(data) => Touched::All,
        (None, _) => Touched::Names(BTreeSet::from([String::new()])),
    }
}

/// Applies a diff of a subscription to `path`. `remote` must hold what is kept under the names it touches. Data of a
/// whole target that is no object is kept under the empty name.
pub fn apply(remote: &mut Remote, path: &[&str], data: &Value) -> Applied {
    let mut applied = Applied::default();
    match (path, data) {
        ([], Value::Object(members)) => {
            for (key, data) in members {
                change_name(remote, name_of(key), &[], data, &mut applied);
            }
        }
        ([], data) if is_deletion(data) => remote.clear(),
        ([], data) => change_name(remote, "", &[], data, &mut applied),
        ([name, below @ ..], data) => {
            let last = below.last().unwrap_or(name);
            change_name(remote, name, below, unwrapped(last, data), &mut applied);
        }
    }
    applied
}

/// What is kept when `value` is all there is at `path`. Members that only announce a list (`{"_list": true, "count": 3}`)
/// are left out: [`announced_lists`] names them, and their items are read one by one.
#[must_use]
pub fn baseline(path: &[&str], value: Value) -> Remote {
    match (path, value) {
        ([], Value::Object(members)) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            members.filter_map(|(name, value)| Some((name, Kept::Value(expanded(value)?)))).collect()
        }
        ([], Value::Null) => Remote::new(),
        ([], value) => Remote::from([(String::new(), Kept::Value(value))]),
        ([name, below @ ..], value) => {
            let Some(value) = expanded(value) else { return Remote::new() };
            let nest = |value, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), value)]));
            Remote::from([((*name).to_owned(), Kept::Value(below.iter().rev().fold(value, nest)))])
        }
    }
}

/// The names under which a whole target only announces lists.
#[must_use]
pub fn announced_lists(value: &Value) -> Vec<String> {
    let members = value.as_object().into_iter().flatten();
    members.filter(|(_, value)| is_announcement(value)).map(|(name, _)| name.clone()).collect()
}

/// `{"_list": true, ...}` without its items.
fn is_announcement(value: &Value) -> bool {
    value.get("_list") == Some(&Value::Bool(true)) && !value.get("items").is_some_and(Value::is_array)
}

/// The value, with the items of a list in place of its description; `None` for a list without items.
fn expanded(value: Value) -> Option<Value> {
    if is_announcement(&value) {
        return None;
    }
    match value {
        Value::Object(mut members) if members.get("_list") == Some(&Value::Bool(true)) => members.remove("items"),
        value => Some(value),
    }
}

/// An earlier form of the reference names lists `list:notes`.
fn name_of(key: &str) -> &str {
    key.strip_prefix("list:").unwrap_or(key)
}

fn is_deletion(data: &Value) -> bool {
    data.is_null() || data.as_str() == Some("")
}

/// The operation in `{"notes": {"list": "notes", ...}}`, which some send to subscribers of `notes` itself.
fn unwrapped<'a>(name: &str, data: &'a Value) -> &'a Value {
    match data.as_object() {
        Some(members) if members.len() == 1 => members.get(name).filter(|inner| is_list_change(inner)).unwrap_or(data),
        _ => data,
    }
}

/// Changes what is at the keys `below` a name.
fn change_name(remote: &mut Remote, name: &str, below: &[&str], data: &Value, applied: &mut Applied) {
    let old = remote.remove(name);
    let (new, doubtful) = match old {
        Some(Kept::TooLarge) if !below.is_empty() => (Some(Kept::TooLarge), true),
        Some(Kept::TooLarge) => change_unknown(data),
        Some(Kept::Value(old)) => kept(change_below(Some(old), below, data)),
        None => kept(change_below(None, below, data)),
    };
    if let Some(new) = new {
        remote.insert(name.to_owned(), new);
    }
    if doubtful {
        applied.doubtful.insert(name.to_owned());
    }
}

fn kept((value, doubtful): (Option<Value>, bool)) -> (Option<Kept>, bool) {
    (value.map(Kept::Value), doubtful)
}

/// Changes a value that is not at hand.
fn change_unknown(data: &Value) -> (Option<Kept>, bool) {
    match data {
        data if is_deletion(data) => (None, false),
        Value::Object(_) => (Some(Kept::TooLarge), true),
        data => (Some(Kept::Value(data.clone())), false),
    }
}

fn change_below(old: Option<Value>, below: &[&str], data: &Value) -> (Option<Value>, bool) {
    let Some((key, deeper)) = below.split_first() else { return change(old, data) };
    let mut members = match old {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let (new, doubtful) = change_below(members.shift_remove(*key), deeper, data);
    if let Some(new) = new {
        members.insert((*key).to_owned(), new);
    }
    ((!members.is_empty()).then_some(Value::Object(members)), doubtful)
}

/// The value after a change, and whether it is doubtful.
fn change(old: Option<Value>, data: &Value) -> (Option<Value>, bool) {
    if is_deletion(data) {
        return (None, false);
    }
    let Value::Object(members) = data else { return (Some(data.clone()), false) };
    if is_list_change(data) {
        return change_list(old, members);
    }
    if is_announcement(data) {
        let unknown = !matches!(old, Some(Value::Array(_)));
        return (old.or_else(|| Some(Value::Array(Vec::new()))), unknown);
    }
    if members.get("_list") == Some(&Value::Bool(true)) {
        return (members.get("items").cloned(), false);
    }
    match old {
        Some(Value::Array(items)) if is_rest_change(members) => change_by_rest(items, members),
        Some(Value::Object(old)) if !replaces(&old, members) => (Some(Value::Object(merged(old, members))), true),
        None if has_deletions(members) => (Some(Value::Object(merged(Map::new(), members))), true),
        _ => (Some(data.clone()), false),
    }
}

/// Whether `new` is the same taken as a whole and as a change of `old`.
fn replaces(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let covered = |(key, old): (&String, &Value)| match (old, new.get(key)) {
        (_, None) => false,
        (Value::Object(old), Some(Value::Object(new))) => replaces(old, new),
        _ => true,
    };
    !has_deletions(new) && old.iter().all(covered)
}

fn has_deletions(members: &Map<String, Value>) -> bool {
    members.values().any(|value| match value {
        Value::Object(members) => has_deletions(members),
        value => value.as_str() == Some(""),
    })
}

fn merged(mut old: Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in new {
        match (value, old.get_mut(key)) {
            (value, _) if value.as_str() == Some("") => {
                old.shift_remove(key);
            }
            (Value::Object(new), Some(Value::Object(inner))) => *inner = merged(std::mem::take(inner), new),
            (Value::Object(new), _) => {
                old.insert(key.clone(), Value::Object(merged(Map::new(), new)));
            }
            (value, _) => {
                old.insert(key.clone(), value.clone());
            }
        }
    }
    old
}

/// An operation in the shape of the specification: `{"list": "notes", "operation": "append", "length": 3, "item": …}`.
fn change_list(old: Option<Value>, change: &Map<String, Value>) -> (Option<Value>, bool) {
    let (mut items, mut doubtful) = match old {
        Some(Value::Array(items)) => (items, false),
        old => (Vec::new(), old.is_some()),
    };
    let operation = change.get("operation").and_then(Value::as_str).unwrap_or_default();
    let told = change.get("length").and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    let grows = matches!(operation, "append" | "insert" | "extend");
    if grows && told == Some(items.len()) && told != Some(0) {
        // What was read anew had it already.
        return (Some(Value::Array(items)), true);
    }
    let item = change.get("item").or_else(|| change.get("value"));
    let position = |items: &[Value]| position(change.get("index"), items.len());
    let done = match (operation, item) {
        ("append", Some(item)) => {
            items.push(item.clone());
            true
        }
        ("insert", Some(item)) => {
            let at = position(&items).unwrap_or(items.len()).min(items.len());
            items.insert(at, item.clone());
            true
        }
        ("update", Some(item)) => {
            let by_value = change.get("old_item").and_then(|old| only(&items, old));
            let at = by_value.or_else(|| position(&items));
            at.and_then(|at| items.get_mut(at)).map(|place| *place = item.clone()).is_some()
        }
        ("extend", _) => {
            let more = change.get("items").and_then(Value::as_array);
            more.map(|more| items.extend(more.iter().cloned())).is_some()
        }
        ("delete", _) => {
            let by_value = change.get("old_item").or(item).and_then(|old| only(&items, old));
            by_value.or_else(|| position(&items)).is_some_and(|at| remove(&mut items, at))
        }
        ("pop", _) => {
            let at = position(&items).or_else(|| items.len().checked_sub(1));
            at.is_some_and(|at| remove(&mut items, at))
        }
        ("remove", Some(item)) => {
            let at = items.iter().position(|held| held == item).or_else(|| position(&items));
            at.is_some_and(|at| remove(&mut items, at))
        }
        ("clear", _) => {
            items.clear();
            true
        }
        ("delete_all", _) => return (None, false),
        ("metadata", _) => true,
        _ => false,
    };
    doubtful |= !done || told.is_some_and(|told| told != items.len());
    (Some(Value::Array(items)), doubtful)
}

/// `{"action": "add", "index": 0, "value": …}`, or without `action` what a PUT of an item is told as.
fn is_rest_change(members: &Map<String, Value>) -> bool {
    members.get("action").is_some_and(Value::is_string)
        || (members.len() == 2 && members.contains_key("value") && members.get("index").is_some_and(Value::is_number))
}

fn change_by_rest(mut items: Vec<Value>, members: &Map<String, Value>) -> (Option<Value>, bool) {
    let at = position(members.get("index"), items.len());
    let action = members.get("action").and_then(Value::as_str);
    let done = match (action, members.get("value"), at) {
        (Some("add"), Some(value), at) => {
            let at = at.unwrap_or(items.len()).min(items.len());
            items.insert(at, value.clone());
            true
        }
        (None, Some(value), Some(at)) if at == items.len() => {
            items.push(value.clone());
            true
        }
        (Some("update") | None, Some(value), Some(at)) => {
            items.get_mut(at).map(|place| *place = value.clone()).is_some()
        }
        (Some("delete"), _, Some(at)) => remove(&mut items, at),
        (Some("metadata_update"), ..) => true,
        _ => false,
    };
    // This shape tells no length, so nothing shows whether positions still agree.
    (Some(Value::Array(items)), !done)
}

/// A position; negative ones count from the end.
fn position(index: Option<&Value>, length: usize) -> Option<usize> {
    let index = index?.as_i64()?;
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// Where this value is, if it is at one place only.
fn only(items: &[Value], value: &Value) -> Option<usize> {
    let mut places = items.iter().enumerate().filter(|(_, item)| *item == value).map(|(at, _)| at);
    places.next().filter(|_| places.next().is_none())
}

fn remove(items: &mut Vec<Value>, at: usize) -> bool {
    let there = at < items.len();
    if there {
        items.remove(at);
    }
    there
}

#[cfg(test)]
mod tests;
