//! `/{actor}/devtest/...`: internal attributes and calls to peers over HTTP, for tests of applications. Served only where `ACTINGWEB_DEVTEST`
//! asks for it, and to the actor's creator alone.

use std::collections::BTreeMap;

use actingweb_actor::{Actor, StoredAttribute};
use actingweb_protocol::Name;
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json, no_content};
use axum::extract::State;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{proxy, views};

pub(crate) async fn devtest(State(state): State<AppState>, incoming: Incoming) -> Reply {
    if !state.devtest {
        return Err(Problem::not_found("there is nothing at this path"));
    }
    let admission = incoming.admit(&state, &[]).await?;
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    match path.as_slice() {
        ["ping"] => match incoming.verb {
            Verb::Get | Verb::Put | Verb::Delete => Ok(no_content()),
            _ => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
        },
        ["attribute" | "attributes"] => on_all(&incoming, &admission.actor).await,
        ["attribute" | "attributes", bucket] => on_bucket(&incoming, &admission.actor, bucket).await,
        ["attribute" | "attributes", bucket, name] => on_attribute(&incoming, &admission.actor, bucket, name).await,
        ["proxy", peer, path @ ..] => proxy::proxy(&state, &incoming, &admission, peer, path).await,
        _ => Err(Problem::not_found("devtest has ping, attribute[/{bucket}[/{name}]] and proxy/{peer}[/{path}]")),
    }
}

async fn on_all(incoming: &Incoming, actor: &Actor) -> Reply {
    match incoming.verb {
        Verb::Get => {
            let mut buckets: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
            for (bucket, attribute) in actor.all_stored_attributes().await? {
                buckets.entry(bucket).or_default().insert(attribute.name().to_owned(), shown(attribute));
            }
            if buckets.is_empty() {
                return Err(Problem::not_found("no bucket holds anything"));
            }
            Ok(json(StatusCode::OK, &buckets))
        }
        Verb::Delete => {
            actor.delete_all_attributes().await?;
            Ok(no_content())
        }
        _ => Err(Problem::method_not_allowed("GET, DELETE")),
    }
}

async fn on_bucket(incoming: &Incoming, actor: &Actor, bucket: &str) -> Reply {
    match incoming.verb {
        Verb::Get => {
            if let Some(shown) = views::bucket(actor, bucket).await? {
                return Ok(json(StatusCode::OK, &shown));
            }
            let all = actor.stored_attributes(bucket).await?;
            if all.is_empty() {
                return Err(Problem::not_found(format!("bucket `{bucket}` holds nothing")));
            }
            let all = all.into_iter().map(|attribute| (attribute.name().to_owned(), shown(attribute)));
            Ok(json(StatusCode::OK, &all.collect::<Map<_, _>>()))
        }
        Verb::Post => {
            let values = incoming.payload.object()?;
            let names: Result<Vec<_>, _> = values.keys().map(|name| Name::parse(name)).collect();
            names?;
            for (name, value) in &values {
                actor.set_attribute(bucket, name, value.clone(), None).await?;
            }
            Ok(json(StatusCode::OK, &values))
        }
        Verb::Delete => {
            actor.delete_attributes(bucket).await?;
            Ok(no_content())
        }
        _ => Err(Problem::method_not_allowed("GET, POST, DELETE")),
    }
}

async fn on_attribute(incoming: &Incoming, actor: &Actor, bucket: &str, name: &str) -> Reply {
    match incoming.verb {
        Verb::Get => match actor.stored_attribute(bucket, name).await? {
            Some(StoredAttribute::List(list)) => {
                let items: Vec<_> = actor.items_of(&list).await?.into_iter().map(|item| item.value).collect();
                Ok(json(StatusCode::OK, &json!({ "data": items })))
            }
            Some(attribute) => Ok(json(StatusCode::OK, &shown(attribute))),
            None => match views::attribute(actor, bucket, name).await? {
                Some(shown) => Ok(json(StatusCode::OK, &shown)),
                None => Err(Problem::not_found(format!("bucket `{bucket}` holds no `{name}`"))),
            },
        },
        Verb::Put => {
            actor.set_attribute(bucket, name, incoming.payload.json_or_text()?, None).await?;
            Ok(no_content())
        }
        Verb::Delete => {
            actor.delete_attribute(bucket, name).await?;
            Ok(no_content())
        }
        _ => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
    }
}

/// `{"data": …, "timestamp": "YYYY-MM-DD HH:MM:SS"}`, in UTC. A list is shown by its length, and has no time.
fn shown(attribute: StoredAttribute) -> Value {
    match attribute {
        StoredAttribute::Value(attribute) => {
            let written: String = attribute.written_at.to_string().chars().take(19).collect();
            json!({ "data": attribute.value, "timestamp": written.replace('T', " ") })
        }
        StoredAttribute::List(list) => json!({ "data": { "_list": true, "count": list.length } }),
    }
}
