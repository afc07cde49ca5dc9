//! `/{actor}/callbacks/permissions/{grantor}`: what the actor may do at a peer, as the peer says.

use actingweb_actor::feeds::{Feeds, GrantChange, Granted};
use actingweb_hooks::{CallOutcome, Op};
use actingweb_protocol::PeerId;
use actingweb_web::calls::{Callable, call};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, no_content, not_allowed};
use serde_json::{Value, json};

use crate::{allow, body, own_trust};

/// The name of the callback hooks that are told.
const HOOK: &str = "permissions";

pub(crate) async fn callback(state: &AppState, mut incoming: Incoming, grantor: &str) -> Reply {
    allow(&incoming, &[Verb::Post], "POST")?;
    let Ok(peer) = PeerId::parse(grantor) else {
        incoming.admit(state, &[]).await?;
        return Err(not_allowed());
    };
    let mut admission = incoming.admit_about(state, Some(&peer)).await?;
    own_trust(&mut admission, grantor)?;
    let context = incoming.context.clone();
    let feeds = Feeds::new(&state.trusts).for_request(&context.id, context.deadline);
    let granted = Granted::parse(&body(&mut incoming)?, grantor).map_err(Problem::bad_request)?;
    if let GrantChange::Stored { .. } = feeds.take_grant(&admission.actor, &peer, &granted).await? {
        let changes = Value::Object(granted.permissions);
        let data = json!({ "granting_actor_id": grantor, "permission_changes": changes });
        let outcome = call(state, &incoming, &admission, (Callable::Callback, HOOK), Op::Post, data).await;
        if let CallOutcome::Failed(failure) = outcome {
            tracing::warn!(status = failure.status, "a hook of changed rights failed");
        }
    }
    Ok(no_content())
}
