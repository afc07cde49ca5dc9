//! Subscriptions to peers: what is missing, and acknowledgements.

use actingweb_actor::{Actor, ActorError, Caller, FeedError, Feeds, Wanted};
use actingweb_hooks::Invocation;
use actingweb_protocol::{ActorId, Deadline, PeerId, random_hex};
use actingweb_web::AppState;
use actingweb_web::feeds::tell_synced;

/// Brings a subscription up to date, and tells the hooks what changed.
pub(crate) async fn resync(
    state: &AppState,
    actor: &ActorId,
    peer: &PeerId,
    subscription: &str,
    deadline: Deadline,
) -> Result<(), ActorError> {
    let Some(actor) = find(state, actor, deadline).await? else { return Ok(()) };
    let request_id = random_hex(&*state.entropy, 16);
    let feeds = Feeds::new(&state.trusts).for_request(&request_id, deadline);
    let synced = feeds.resync_due(&actor, peer, subscription).await.map_err(of_storage)?;
    let caller = Caller::Peer { id: peer.to_string(), relationship: String::new() };
    let invocation = Invocation { actor: Some(actor), caller, request_id, deadline, mcp: None };
    tell_synced(state, &invocation, synced).await;
    Ok(())
}

/// Tells a peer how far its diffs have been received.
pub(crate) async fn acknowledge(
    state: &AppState,
    actor: &ActorId,
    peer: &PeerId,
    subscription: &str,
    deadline: Deadline,
) -> Result<(), ActorError> {
    let Some(actor) = find(state, actor, deadline).await? else { return Ok(()) };
    let request_id = random_hex(&*state.entropy, 16);
    let feeds = Feeds::new(&state.trusts).for_request(&request_id, deadline);
    feeds.acknowledge_due(&actor, peer, subscription).await.map_err(of_storage)
}

async fn find(state: &AppState, id: &ActorId, deadline: Deadline) -> Result<Option<Actor>, ActorError> {
    let store = state.actors.store().with_deadline(deadline);
    let found = store.load(id, Wanted::default()).await?;
    Ok(found.actor.map(|record| Actor::new(record, store)))
}

/// What became of the peer was written down, and what it takes to try again; only storage fails a job.
fn of_storage(error: FeedError) -> ActorError {
    match error {
        FeedError::Actor(error) => error,
        error => ActorError::Invalid(error.to_string()),
    }
}
