//! What subscribers are told of lists: one shape for every operation (spec 1.4, "List Property Subscriptions"), so that
//! whoever applies them in their order has the same list.
//!
//! | operation | says beside `list` and `length` |
//! |---|---|
//! | `append`, `insert` | `item`, `index` |
//! | `extend` | `items` |
//! | `update` | `item`, `index` where it is known, `old_item` where it was named by it |
//! | `delete` | `index` |
//! | `remove` | `item`: of equal ones the first |
//! | `clear`, `delete_all` | nothing: the list is empty; the list is gone |
//! | `metadata` | `description`, `explanation` |
//!
//! A move is a `delete` and an `insert`.

use actingweb_protocol::Name;
use actingweb_protocol::subscription::Change;
use actingweb_store::ListRecord;
use serde_json::{Map, Value, json};

/// An operation on a list that leaves it with this length.
fn operation<const N: usize>(name: &Name, operation: &str, length: u64, more: [(&str, Value); N]) -> Change {
    let mut data = Map::new();
    data.insert("list".to_owned(), json!(name));
    data.insert("operation".to_owned(), json!(operation));
    data.insert("length".to_owned(), json!(length));
    data.extend(more.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    Change::list(name.as_str(), Value::Object(data))
}

pub(crate) fn appended(name: &Name, length: u64, item: &Value) -> Change {
    let index = length.saturating_sub(1);
    operation(name, "append", length, [("item", item.clone()), ("index", json!(index))])
}

pub(crate) fn extended(name: &Name, length: u64, items: Vec<Value>) -> Change {
    operation(name, "extend", length, [("items", Value::Array(items))])
}

pub(crate) fn inserted(name: &Name, length: u64, index: u64, item: &Value) -> Change {
    operation(name, "insert", length, [("item", item.clone()), ("index", json!(index))])
}

/// `old` is what the item was named by, or all that is known of where it stands.
pub(crate) fn updated(name: &Name, length: u64, index: Option<u64>, item: &Value, old: Option<&Value>) -> Change {
    let old = old.cloned().unwrap_or_default();
    operation(name, "update", length, [("item", item.clone()), ("index", json!(index)), ("old_item", old)])
}

pub(crate) fn removed(name: &Name, length: u64, index: u64) -> Change {
    operation(name, "delete", length, [("index", json!(index))])
}

/// An item of which no position is known.
pub(crate) fn removed_item(name: &Name, length: u64, item: &Value) -> Change {
    operation(name, "remove", length, [("item", item.clone())])
}

pub(crate) fn cleared(name: &Name) -> Change {
    operation(name, "clear", 0, [])
}

pub(crate) fn deleted(name: &Name) -> Change {
    operation(name, "delete_all", 0, [])
}

pub(crate) fn described(list: &ListRecord) -> Change {
    let more = [("description", json!(list.description)), ("explanation", json!(list.explanation))];
    operation(&list.name, "metadata", list.length, more)
}
