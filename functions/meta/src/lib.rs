//! `/{actor}/meta`: what an actor says of itself, to anybody.

pub mod openapi;

use actingweb_actor::Actor;
use actingweb_hooks::AppInfo;
use actingweb_protocol::options::{FLAT_VERSION, FORMATS, PROTOCOL_VERSION, SUPPORTED};
use actingweb_protocol::trust_types::TrustType;
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json, serve, subtree, text};
use axum::Router;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("meta", meta)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("meta"))
}

async fn meta(State(state): State<AppState>, incoming: Incoming) -> Reply {
    if incoming.verb != Verb::Get {
        return Err(Problem::method_not_allowed("GET"));
    }
    let actor = incoming.find(&state).await?;
    let (app, types) = (state.hooks.app(), state.hooks.policy().trust_types());
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    Ok(match path.as_slice() {
        [] => json(StatusCode::OK, &document(&actor, app, types, &supported(&state))),
        ["id"] => text(actor.id().as_str()),
        ["type"] => text(app.actor_type.as_str()),
        ["version"] => text(app.version.as_str()),
        ["desc"] => text(format!("{} {}", app.description, actor.id())),
        ["info"] => text(app.info_url.as_str()),
        ["trustee_root"] => text(actor.trustee_root().unwrap_or_default()),
        ["specification"] => text(""),
        ["actingweb", "version"] => text(PROTOCOL_VERSION),
        ["actingweb", "supported"] => text(supported(&state)),
        ["actingweb", "formats"] => text(FORMATS.join(",")),
        ["actingweb", "trust_types"] => json(StatusCode::OK, &types),
        ["trusttypes"] => json(StatusCode::OK, &trust_types(types, &app.default_relationship)),
        _ => return Err(Problem::not_found("there is nothing at this path of /meta")),
    })
}

/// The option tags, with `mcp` where the application offers AI clients anything.
fn supported(state: &AppState) -> String {
    let mut tags = SUPPORTED.to_vec();
    if !state.hooks.mcp().is_empty() {
        tags.push("mcp");
        tags.sort_unstable();
    }
    tags.join(",")
}

/// The nested `actingweb` object is the specification's; the flat keys are what deployed clients read.
fn document(actor: &Actor, app: &AppInfo, types: &[TrustType], supported: &str) -> Value {
    json!({
        "id": actor.id(),
        "type": app.actor_type.as_str(),
        "version": app.version.as_str(),
        "desc": app.description,
        "info": app.info_url.as_str(),
        "trustee_root": actor.trustee_root().unwrap_or_default(),
        "specification": "",
        "actingweb": {
            "version": PROTOCOL_VERSION,
            "supported": supported,
            "formats": FORMATS.join(","),
        },
        "aw_version": FLAT_VERSION,
        "aw_supported": supported,
        "aw_formats": FORMATS.join(","),
        "aw_trust_types": types.iter().map(|kind| kind.name).collect::<Vec<_>>(),
    })
}

fn trust_types(types: &[TrustType], default: &str) -> Value {
    let types = types.iter().map(|kind| {
        (kind.name.to_owned(), json!({ "display_name": kind.display_name, "description": kind.description }))
    });
    json!({
        "trust_types": types.collect::<serde_json::Map<String, Value>>(),
        "default_trust_type": default,
    })
}
