//! `/{actor}/properties`: all of them.

use actingweb_hooks::Op;
use actingweb_protocol::Name;
use actingweb_web::{AppState, Incoming, Problem, Reply, json, no_content};
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::hooks::{filter, filter_write};

/// An object of all properties that the hooks let be seen; `{}` when there are none.
pub(crate) async fn get_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let visit = incoming.visit_as_owner(state, &[]).await?;
    let invocation = incoming.invocation(&visit);
    let shown = visit.actor.stored_properties().await?.into_iter().map(|property| {
        let (name, value, invocation) = (property.name, property.value, &invocation);
        async move {
            let shown = filter(state, incoming, invocation, Op::Get, (&name, &[]), value).await?;
            Ok::<_, Problem>(shown.map(|value| (name.to_string(), value)))
        }
    });
    let body: Map<String, Value> = try_join_all(shown).await?.into_iter().flatten().collect();
    Ok(json(StatusCode::OK, &body))
}

/// Sets several properties, all or none. 201 with what was stored.
pub(crate) async fn post_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let visit = incoming.visit_as_owner(state, &[]).await?;
    let values = match incoming.form() {
        Some(fields) => fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
        None => incoming.payload.object()?,
    };
    if values.is_empty() {
        return Err(Problem::bad_request("the body names no property"));
    }
    let invocation = incoming.invocation(&visit);
    let accepted = values.into_iter().map(|(name, value)| {
        let invocation = &invocation;
        async move {
            let name =
                Name::parse(&name).map_err(|error| Problem::bad_request(format!("property `{name}`: {error}")))?;
            check(&name, &value)?;
            let value = filter_write(state, incoming, invocation, Op::Post, (&name, &[]), value).await?;
            Ok::<_, Problem>((name, value))
        }
    });
    let accepted = try_join_all(accepted).await?;
    visit.actor.write_properties(&accepted).await?;
    let body: Map<String, Value> = accepted.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    Ok(json(StatusCode::CREATED, &body))
}

fn check(name: &Name, value: &Value) -> Result<(), Problem> {
    if value.is_null() {
        return Err(Problem::bad_request(format!("property `{name}` cannot be null: delete it instead")));
    }
    // Stored as a plain value it would turn into something else once lists are served.
    if value.get("_type").is_some_and(|kind| kind == "list") {
        return Err(Problem::bad_request(format!("property `{name}`: list properties are not served")));
    }
    Ok(())
}

/// Deletes every property. The hooks are asked before the first one goes; one refusal keeps them all.
pub(crate) async fn delete_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let visit = incoming.visit_as_owner(state, &[]).await?;
    if state.hooks.guards_properties() {
        let invocation = incoming.invocation(&visit);
        let asked =
            visit.actor.stored_properties().await?.into_iter().map(|property| {
                let invocation = &invocation;
                async move {
                    filter_write(state, incoming, invocation, Op::Delete, (&property.name, &[]), property.value).await
                }
            });
        try_join_all(asked).await?;
    }
    visit.actor.delete_properties().await?;
    Ok(no_content())
}
