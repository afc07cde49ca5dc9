//! `/{actor}/callbacks/subscriptions/{peer}/{subscription}`: a change at a peer, or the end of a subscription.

use std::time::Duration;

use actingweb_actor::feeds::{Callback, Delivered, Feeds};
use actingweb_actor::{FeedError, TrustRecord};
use actingweb_hooks::{Event, EventKind, Invocation, SubscriptionEvent};
use actingweb_protocol::PeerId;
use actingweb_web::feeds::{tell_changes, tell_ended};
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, no_content, not_allowed};
use http::StatusCode;
use serde_json::json;

use crate::{allow, body, own_trust};

/// When a peer may send again what there is no room for: as long as a missing diff is waited for.
const NO_ROOM: Duration = Duration::from_secs(5);

/// When a peer may call back again about a subscription whose making is under way.
const SUBSCRIBING: Duration = Duration::from_secs(1);

pub(crate) async fn callback(state: &AppState, incoming: Incoming, peer: &str, subscription: &str) -> Reply {
    allow(&incoming, &[Verb::Put, Verb::Post, Verb::Delete], "PUT, POST, DELETE")?;
    let Ok(id) = PeerId::parse(peer) else {
        incoming.admit(state, &[]).await?;
        return Err(not_allowed());
    };
    // What is no id names nothing, and is not looked up.
    let mut admission = match PeerId::parse(subscription) {
        Ok(_) => incoming.admit_to_feed(state, &id, subscription).await?,
        Err(_) => {
            own_trust(&mut incoming.admit_about(state, Some(&id)).await?, peer)?;
            return if incoming.verb == Verb::Delete { Ok(no_content()) } else { Err(unknown()) };
        }
    };
    let trust = own_trust(&mut admission, peer)?;
    let invocation = incoming.invocation(&admission);
    match incoming.verb {
        Verb::Delete => end(state, admission, &invocation, &id, subscription).await,
        // Boxed, as all that a callback may set off makes a large future.
        _ => Box::pin(receive(state, incoming, admission, &trust, &invocation)).await,
    }
}

async fn receive(
    state: &AppState,
    mut incoming: Incoming,
    mut admission: Admission,
    trust: &TrustRecord,
    invocation: &Invocation,
) -> Reply {
    let Some(feed) = admission.feed.take() else {
        return Err(match admission.subscribing {
            true => Problem::unavailable("the subscription is being made: call again", SUBSCRIBING),
            false => unknown(),
        });
    };
    let context = incoming.context.clone();
    let callback =
        Callback::parse(&body(&mut incoming)?, trust.peer.as_str(), &feed.id).map_err(Problem::bad_request)?;
    let feeds = Feeds::new(&state.trusts).for_request(&context.id, context.deadline);
    let before = feed.clone();
    let delivered = feeds.receive(&admission.actor, trust, feed, callback).await.map_err(unreadable)?;
    let tell = async {
        match delivered {
            Delivered::Applied(taken, feed) => {
                let changes = taken.into_iter().map(|taken| (taken.sequence, Some(taken.data)));
                tell_changes(state, invocation, &feed, changes).await;
            }
            Delivered::Rebuilt(feed) => {
                tell_changes(state, invocation, &feed, [(feed.queue.last(), None)]).await;
            }
            Delivered::Duplicate(Some(again)) => {
                tell_changes(state, invocation, &before, [(again.sequence, Some(again.data))]).await;
            }
            Delivered::Duplicate(None) | Delivered::Pending => {}
            Delivered::Full => {
                let detail = "too many diffs wait for one that is missing: send this one again later";
                return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(NO_ROOM));
            }
            Delivered::Ended => return Err(unknown()),
        }
        Ok(no_content())
    };
    context.in_hook("subscription", &before.scope.target, tell).await
}

/// The peer ends a subscription: the actor's to it, or, as the Python library words it, its own to the actor.
async fn end(
    state: &AppState,
    mut admission: Admission,
    invocation: &Invocation,
    peer: &PeerId,
    subscription: &str,
) -> Reply {
    if let Some(feed) = admission.feed.take() {
        let feeds = Feeds::new(&state.trusts);
        if feeds.ended_by_peer(&admission.actor, &feed).await? {
            tell_ended(state, invocation, &feed, true).await;
        }
        return Ok(no_content());
    }
    let Some(own) = admission.actor.subscription(peer, subscription).await? else { return Ok(no_content()) };
    if admission.actor.unsubscribe(&own, None).await? && state.hooks.has_lifecycle_hooks(EventKind::SubscriptionDeleted)
    {
        let ended = SubscriptionEvent {
            peer: own.peer.to_string(),
            subscription: own.id,
            target: own.scope.target,
            subtarget: own.scope.subtarget,
            resource: own.scope.resource,
            to_peer: false,
            initiated_by_peer: true,
        };
        state.hooks.fire(invocation, Event::with_data(EventKind::SubscriptionDeleted, json!(ended))).await;
    }
    Ok(no_content())
}

fn unknown() -> Problem {
    Problem::not_found("there is no such subscription")
}

/// What the peer told of could not be fetched: it does not count, so the peer is to tell it again.
fn unreadable(error: FeedError) -> Problem {
    match error {
        FeedError::Peer { .. } => {
            tracing::warn!(%error, "a change at a peer could not be fetched");
            let wait = error.retry_after().unwrap_or(NO_ROOM);
            Problem::unavailable("what changed could not be fetched: call again", wait)
        }
        error => error.into(),
    }
}
