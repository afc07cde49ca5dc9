//! `/{actor}/identities`: the identities that sign in to an actor, which its owner sees and takes away.
//!
//! More are connected in a browser, at `/oauth/login/{provider}?link=1`, as a provider has to say who somebody is.

use actingweb_actor::{IdentityRecord, UnlinkOutcome};
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, json, no_content, subtree};
use axum::Router;
use axum::extract::State;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::manage::admit;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    subtree("identities", identities)
}

async fn identities(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    let allow = match path.as_slice() {
        [] => "GET",
        [_] => "DELETE",
        _ => "",
    };
    let (actor, _) = admit(&state, &incoming, allow).await?;
    match path.as_slice() {
        [] => {
            let connected = actor.identities().await?;
            let shown: Vec<Value> = connected.iter().map(|identity| show(&state, identity)).collect();
            Ok(json(StatusCode::OK, &json!({ "identities": shown })))
        }
        // Nobody need know the passphrase of an actor that a sign-in made: whoever presents it does, and has it as a way in.
        [id] => match actor.unlink(id, presents_passphrase(&incoming), |other| is_available(&state, other)).await? {
            UnlinkOutcome::Removed => Ok(no_content()),
            UnlinkOutcome::Unknown => Err(Problem::not_found("no such identity signs in to this actor")),
            UnlinkOutcome::Last => Err(Problem::conflict(
                "this is the last identity that signs in to this actor, of providers that there are here: connect another \
                 one first, or present the actor's passphrase",
            )),
        },
        _ => Err(Problem::not_found("there is nothing at this path of /identities")),
    }
}

/// Whether the creator, who was let in, came with its passphrase rather than with a session.
fn presents_passphrase(incoming: &Incoming) -> bool {
    let scheme = incoming.header(&header::AUTHORIZATION).and_then(|value| value.trim().split(' ').next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// Whether this deployment has the provider of an identity still: with another nobody signs in by it.
fn is_available(state: &AppState, identity: &IdentityRecord) -> bool {
    state.providers.find(&identity.provider).is_some()
}

fn show(state: &AppState, identity: &IdentityRecord) -> Value {
    json!({
        "id": identity.digest,
        "provider": identity.provider,
        "issuer": identity.issuer,
        "subject": identity.subject,
        "email": identity.email,
        "name": identity.name,
        "linked_at": identity.linked_at.to_string(),
        "available": is_available(state, identity),
    })
}

/// The schema of an identity.
pub(crate) fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    json!({
        "type": "object",
        "required": ["id", "provider", "issuer", "subject", "email", "name", "linked_at", "available"],
        "properties": {
            "id": text(),
            "provider": { "type": "string", "description": "The provider's name here." },
            "issuer": { "type": "string", "description": "Who says who this is." },
            "subject": { "type": "string", "description": "The issuer's name of the person." },
            "email": { "type": ["string", "null"], "description": "A verified address, when it was connected." },
            "name": maybe(),
            "linked_at": { "type": "string", "format": "date-time" },
            "available": { "type": "boolean", "description": "Whether this deployment has that provider still." },
        },
    })
}

/// Describes the listing.
pub(crate) fn describe_all(identity: &Value) -> Operation {
    let listing = json!({
        "type": "object", "required": ["identities"],
        "properties": { "identities": { "type": "array", "items": identity } },
    });
    Operation::get("get_identities", "The identities that sign in to the actor").authorized().reply(
        200,
        "Identities, the one that was connected first before the others.",
        [Content::json(listing)],
    )
}

/// Describes the end of one.
pub(crate) fn describe_end() -> Operation {
    Operation::delete("delete_identity", "Lets an identity sign in no longer")
        .about(
            "Sessions that it began go on: end them below `/grants`. The last identity is taken away from whoever presents \
             the passphrase alone.",
        )
        .authorized()
        .reply(204, "It signs in no longer.", [])
        .problems(&[409])
}
