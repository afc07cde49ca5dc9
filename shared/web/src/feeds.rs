//! Telling hooks of what peers told.

use actingweb_actor::FeedRecord;
use actingweb_actor::feeds::Synced;
use actingweb_hooks::{Event, EventKind, Invocation, PeerChange, SubscriptionEvent};
use serde_json::{Value, json};

use crate::AppState;

/// Tells the hooks of changes of one subscription, one after the other, and notes how far they were told. What failed is
/// logged by the engine, and changes nothing.
///
/// Where no hook wants to know, nothing is done.
pub async fn tell_changes(
    state: &AppState,
    invocation: &Invocation,
    feed: &FeedRecord,
    changes: impl IntoIterator<Item = (u64, Option<Value>)>,
) {
    if !state.hooks.has_subscription_hooks(&feed.scope.target) {
        return;
    }
    let mut told = None;
    for (sequence, data) in changes {
        state.hooks.tell_change(invocation, change(feed, sequence, data)).await;
        told = told.max(Some(sequence));
    }
    if let (Some(told), Some(actor)) = (told, &invocation.actor)
        && let Err(error) = actor.note_told(feed, told).await
    {
        tracing::warn!(%error, peer = %feed.peer, "hooks may be told of a change once more");
    }
}

/// [`tell_changes`] of what bringing a subscription up to date came to.
pub async fn tell_synced(state: &AppState, invocation: &Invocation, synced: Synced) {
    let Some(feed) = synced.feed else { return };
    let rebuilt = synced.rebuilt.then(|| (feed.queue.last(), None));
    let applied = synced.applied.into_iter().map(|taken| (taken.sequence, Some(taken.data)));
    tell_changes(state, invocation, &feed, applied.chain(rebuilt)).await;
}

/// Tells the hooks that a subscription of the actor to a peer ended.
pub async fn tell_ended(state: &AppState, invocation: &Invocation, feed: &FeedRecord, initiated_by_peer: bool) {
    let kind = EventKind::SubscriptionDeleted;
    if !state.hooks.has_lifecycle_hooks(kind) {
        return;
    }
    let ended = SubscriptionEvent {
        peer: feed.peer.to_string(),
        subscription: feed.id.clone(),
        target: feed.scope.target.clone(),
        subtarget: feed.scope.subtarget.clone(),
        resource: feed.scope.resource.clone(),
        to_peer: true,
        initiated_by_peer,
    };
    state.hooks.fire(invocation, Event::with_data(kind, json!(ended))).await;
}

fn change(feed: &FeedRecord, sequence: u64, data: Option<Value>) -> PeerChange {
    PeerChange {
        peer: feed.peer.to_string(),
        subscription: feed.id.clone(),
        target: feed.scope.target.clone(),
        subtarget: feed.scope.subtarget.clone(),
        resource: feed.scope.resource.clone(),
        sequence,
        data,
    }
}
