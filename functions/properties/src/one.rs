//! `/{actor}/properties/{name}[/{key}...]`: one property, or a part of it.

use actingweb_actor::Change;
use actingweb_hooks::Op;
use actingweb_protocol::{PropertyPath, nested};
use actingweb_web::{AppState, Incoming, Problem, Reply, json, no_content, text};
use http::StatusCode;
use serde_json::Value;

use crate::hooks::{filter, filter_write};

/// The value: a string as bare text unless the client asks for JSON, anything else as JSON.
pub(crate) async fn get_property(state: &AppState, incoming: &Incoming, path: &PropertyPath) -> Reply {
    let mut visit = incoming.visit_as_owner(state, &[&path.name]).await?;
    let missing = || Problem::not_found(format!("there is no property `{path}`"));
    let stored = visit.properties.remove(&path.name).ok_or_else(missing)?;
    let invocation = incoming.invocation(&visit);
    let at = (&path.name, path.below.as_slice());
    let value = filter(state, incoming, &invocation, Op::Get, at, stored.value).await?.ok_or_else(missing)?;
    match nested::get(&value, &path.below).ok_or_else(missing)? {
        Value::String(bare) if !incoming.accepts_json() => Ok(text(bare)),
        value => Ok(json(StatusCode::OK, value)),
    }
}

/// Sets the value, or merges a value into what is there at a path below the property. An empty body deletes.
pub(crate) async fn put_property(state: &AppState, incoming: &Incoming, path: PropertyPath) -> Reply {
    if incoming.payload.bytes.is_empty() {
        return delete_property(state, incoming, path).await;
    }
    let new = incoming.payload.json_or_text();
    let mut visit = incoming.visit_as_owner(state, &[&path.name]).await?;
    let new = new?;
    if new.is_null() {
        return Err(Problem::bad_request(format!("property `{path}` cannot be null: delete it instead")));
    }
    let invocation = incoming.invocation(&visit);
    let at = (&path.name, path.below.as_slice());
    if path.below.is_empty() {
        let value = filter_write(state, incoming, &invocation, Op::Put, at, new).await?;
        visit.actor.write_property(&path.name, &value).await?;
        return Ok(no_content());
    }
    let current = visit.properties.remove(&path.name);
    let merge = |current: Option<Value>| {
        let merged = nested::put(current, &path.below, new.clone());
        let invocation = &invocation;
        async move {
            let merged = merged.map_err(|error| Problem::conflict(format!("property `{}`: {error}", path_name(at))))?;
            Ok::<_, Problem>(Change::Put(filter_write(state, incoming, invocation, Op::Put, at, merged).await?))
        }
    };
    visit.actor.decide_property(&path.name, current, merge).await??;
    Ok(no_content())
}

/// Deletes the property, which need not exist; below a property there must be something to delete.
pub(crate) async fn delete_property(state: &AppState, incoming: &Incoming, path: PropertyPath) -> Reply {
    let mut visit = incoming.visit_as_owner(state, &[&path.name]).await?;
    let Some(stored) = visit.properties.remove(&path.name) else {
        return if path.below.is_empty() { Ok(no_content()) } else { Err(missing(&path)) };
    };
    let invocation = incoming.invocation(&visit);
    let at = (&path.name, path.below.as_slice());
    if path.below.is_empty() {
        filter_write(state, incoming, &invocation, Op::Delete, at, stored.value).await?;
        visit.actor.delete_property(path.name.as_str()).await?;
        return Ok(no_content());
    }
    let remove = |current: Option<Value>| {
        let mut rest = current.unwrap_or_default();
        let before = rest.clone();
        let found = nested::remove(&mut rest, &path.below);
        let (invocation, path) = (&invocation, &path);
        async move {
            if !found {
                return Err(missing(path));
            }
            filter_write(state, incoming, invocation, Op::Delete, at, before).await?;
            Ok(Change::Put(rest))
        }
    };
    visit.actor.decide_property(&path.name, Some(stored), remove).await??;
    Ok(no_content())
}

fn missing(path: &PropertyPath) -> Problem {
    Problem::not_found(format!("there is no property `{path}`"))
}

fn path_name((name, below): (&actingweb_protocol::Name, &[String])) -> String {
    PropertyPath { name: name.clone(), below: below.to_vec() }.to_string()
}
