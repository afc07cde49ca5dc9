//! `POST /{actor}/properties`: several properties at once, all or none.

use std::collections::{HashMap, HashSet};

use actingweb_actor::limits::MAX_PROPERTIES_AT_ONCE;
use actingweb_actor::{Actor, BulkItems, BulkWrite, ListError, ListRecord, Stored};
use actingweb_hooks::Op;
use actingweb_protocol::permission::{Operation, WriteMode};
use actingweb_protocol::{Name, PropertyPath};
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, json};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::hooks::Guard;

/// 201 with what was stored; lists and their items are answered with a sentence, as deployed clients expect.
pub(crate) async fn post_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let named = match incoming.form() {
        Some(fields) => from_form(fields),
        None => incoming.payload.object(),
    };
    let names = named.as_ref().map(names).unwrap_or_else(|_| Ok(Vec::new()));
    let known: Vec<&Name> = names.iter().flatten().collect();
    let admission = incoming.admit(state, &known).await?;
    let (named, names) = (named?, names?);
    if names.is_empty() {
        return Err(Problem::bad_request("the body names no property"));
    }
    let invocation = incoming.invocation(&admission);
    let guard = Guard { state, incoming, access: &admission.access, invocation: &invocation };
    let seen = &admission.properties;
    let admission = &admission;
    let writes = names.into_iter().zip(named).map(|(name, (_, value))| async move {
        let write = decide(guard, &admission.actor, seen, &name, value).await?;
        Ok::<_, Problem>((name, write))
    });
    let writes = try_join_all(writes).await?;
    let deleted = write(admission, &writes).await?;
    let said = writes.into_iter().map(|(name, write)| {
        let deleted = deleted.get(&name).copied().unwrap_or_default();
        (name.to_string(), say(write, deleted))
    });
    Ok(json(StatusCode::CREATED, &said.collect::<Map<_, _>>()))
}

fn names(named: &Map<String, Value>) -> Result<Vec<Name>, Problem> {
    if named.len() > MAX_PROPERTIES_AT_ONCE {
        let reason = format!("at most {MAX_PROPERTIES_AT_ONCE} properties are written at once, not {}", named.len());
        return Err(Problem::bad_request(reason));
    }
    let parse =
        |name: &String| Name::parse(name).map_err(|error| Problem::bad_request(format!("property `{name}`: {error}")));
    named.keys().map(parse).collect()
}

/// A form sets a property for each field. One with a field `property` is about that property alone, which
/// `property_type=list` makes a list.
fn from_form(fields: Vec<(String, String)>) -> Result<Map<String, Value>, Problem> {
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let Some(property) = field("property") else {
        return Ok(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect());
    };
    let value = match field("property_type").as_deref() {
        Some("list") => {
            let mut list = Map::from_iter([("_type".to_owned(), Value::from("list"))]);
            for text in ["description", "explanation"] {
                list.extend(field(text).map(|value| (text.to_owned(), Value::String(value))));
            }
            Value::Object(list)
        }
        None | Some("simple") => match field("value").filter(|value| !value.is_empty()) {
            Some(value) => Value::String(value),
            None => return Err(Problem::bad_request("the form has no `value`")),
        },
        Some(_) => return Err(Problem::bad_request("property_type must be list or simple")),
    };
    Ok(Map::from_iter([(property, value)]))
}

/// Asks the hooks of a list, if it has any, before items go.
async fn guard_deletions(guard: Guard<'_>, actor: &Actor, list: &ListRecord, items: &BulkItems) -> Result<(), Problem> {
    if !guard.state.hooks.has_property_hooks(list.name.as_str()) {
        return Ok(());
    }
    for (index, item) in (0u64..).zip(actor.items_of(list).await?) {
        if items.deletes.contains(&index) {
            guard.write_list(Op::Delete, &list.name, &[index.to_string()], item.value).await?;
        }
    }
    Ok(())
}

async fn decide(
    guard: Guard<'_>,
    actor: &Actor,
    seen: &HashMap<Name, Stored>,
    name: &Name,
    value: Value,
) -> Result<BulkWrite, Problem> {
    if value.is_null() {
        return Err(Problem::bad_request(format!("property `{name}` cannot be null: delete it instead")));
    }
    if value.get("_type").is_some_and(|kind| kind == "list") {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let list = BulkWrite::List { description: text("description"), explanation: text("explanation") };
        guard.write_list(Op::Post, name, &[], value).await?;
        return Ok(list);
    }
    let is_list = matches!(seen.get(name), Some(Stored::List(_)));
    match value.get("items") {
        Some(entries) if is_list || positions(entries) => {
            let mut items = items(name, entries)?;
            if !is_list {
                return Err(Problem::bad_request(format!("property `{name}` is no list: create it first")));
            }
            for (index, value) in &mut items.sets {
                *value = guard.write_list(Op::Post, name, &[index.to_string()], value.take()).await?;
            }
            guard.access.check_list(name.as_str(), Operation::Write)?;
            if let (Some(Stored::List(list)), false) = (seen.get(name), items.deletes.is_empty()) {
                guard_deletions(guard, actor, list, &items).await?;
            }
            Ok(BulkWrite::Items(items))
        }
        _ => {
            let path = PropertyPath { name: name.clone(), below: Vec::new() };
            let old = match seen.get(name) {
                Some(Stored::Value(property)) => Some(&property.value),
                _ => None,
            };
            guard.access.check_writable(&path, old, &value, WriteMode::Replace)?;
            Ok(BulkWrite::Value(guard.write(Op::Post, name, &[], value).await?))
        }
    }
}

/// Whether this is meant as items of a list: an array of objects that all say where they stand.
fn positions(entries: &Value) -> bool {
    let entries = entries.as_array();
    entries.is_some_and(|entries| !entries.is_empty() && entries.iter().all(|entry| entry.get("index").is_some()))
}

/// `[{"index": 0, …}]`: an entry with nothing but its index deletes the item, any other sets it to the rest.
fn items(name: &Name, entries: &Value) -> Result<BulkItems, Problem> {
    let wrong = |what: &str| Problem::bad_request(format!("items of `{name}`: {what}"));
    let entries = entries.as_array().ok_or_else(|| wrong("an array is due"))?;
    let mut items = BulkItems::default();
    for entry in entries {
        let mut entry = entry.as_object().cloned().ok_or_else(|| wrong("every entry must be an object"))?;
        let index = entry.shift_remove("index").as_ref().and_then(Value::as_u64);
        let index = index.ok_or_else(|| wrong("every entry needs an `index`, a number from 0"))?;
        if entry.is_empty() {
            items.deletes.insert(index);
        } else {
            items.sets.insert(index, Value::Object(entry));
        }
    }
    Ok(items)
}

async fn write(admission: &Admission, writes: &[(Name, BulkWrite)]) -> Result<HashMap<Name, usize>, Problem> {
    let wanted: HashSet<&Name> = writes.iter().map(|(name, _)| name).collect();
    let seen = admission.properties.iter().filter(|(name, _)| wanted.contains(name));
    let seen = seen.map(|(name, stored)| (name.clone(), stored.clone())).collect();
    match admission.actor.write_all(&admission.access, writes, seen).await {
        Ok(deleted) => Ok(deleted),
        // Here a position is part of the body.
        Err(error @ (ListError::OutOfRange { .. } | ListError::Missing(_))) => {
            Err(Problem::bad_request(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn say(write: BulkWrite, deleted: usize) -> Value {
    match write {
        BulkWrite::Value(value) => value,
        BulkWrite::List { .. } => Value::from("[Empty list property created]"),
        BulkWrite::Items(items) if items.sets.is_empty() && items.deletes.is_empty() => {
            Value::from("[No items to update]")
        }
        BulkWrite::Items(items) => {
            Value::from(format!("[Bulk update: {} items updated, {deleted} items deleted]", items.sets.len()))
        }
    }
}
