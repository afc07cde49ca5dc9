//! Changes, called back to those who subscribed.

use std::collections::HashMap;
use std::sync::Arc;

use actingweb_actor::{Actor, ActorError, Caller, access_of};
use actingweb_hooks::Invocation;
use actingweb_peer::PeerAddress;
use actingweb_protocol::permission::Access;
use actingweb_protocol::subscription::Granularity;
use actingweb_protocol::{PeerId, Timestamp};
use actingweb_store::{DELIVERY_LEASE, Diff, Miss, Settled, StoreError, SubscriptionRecord, Told, TrustRecord, Wanted};
use actingweb_web::Telling;
use futures_util::{StreamExt as _, stream};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::attempt::{Attempt, reason};
use crate::door::Door;
use crate::options;
use crate::payload::{COMPRESSED_ABOVE, MAX_BYTES, Payload};
use crate::rules::{is_hopeless, retry_at};
use crate::run::{Count, Run};

/// How many subscriptions are delivered at once.
const CONCURRENT: usize = 64;

/// How many diffs of a subscription are read at once. Each may have 300 KB, for each subscription under way.
const PAGE: usize = 4;

/// How many relationships are read in one call.
const TRUSTS_AT_ONCE: usize = 100;

/// A peer that may be told something.
struct Peer {
    trust: TrustRecord,
    address: PeerAddress,
    access: Access,
    door: Door,
    /// Whether it takes compressed callbacks.
    takes_gzip: OnceCell<bool>,
}

/// How a callback ended.
enum Called {
    Taken,
    /// Not now.
    Held {
        retry_at: Timestamp,
        miss: Miss,
        reason: String,
    },
    /// There was no time left.
    Later,
}

/// Numbers what changed and calls it back: all subscriptions at the same time, each in order.
pub(crate) async fn deliver(run: &Run<'_>) -> Result<(), ActorError> {
    let Some(record) = run.store.load(run.actor, Wanted::default()).await?.actor else { return Ok(()) };
    let actor = Actor::new(record, run.store.clone());
    let outstanding = actor.number_changes(run.state.publishing(), true).await?;
    let (leased, others): (Vec<_>, Vec<_>) = outstanding.into_iter().partition(|outstanding| outstanding.leased);
    let now = run.now();
    // Whoever has one may die: then its lease ends.
    let leases =
        others.iter().filter_map(|other| match (other.subscription.leased_until, other.subscription.retry_at) {
            (Some(until), _) if until > now => Some(until),
            (_, Some(at)) if at > now => None,
            _ => Some(now.plus(DELIVERY_LEASE)),
        });
    if let Some(first) = leases.min() {
        run.store.deliver_later(run.actor, first).await?;
    }
    let subscriptions: Vec<_> = leased.into_iter().map(|outstanding| outstanding.subscription).collect();
    let peers = peers(run, &subscriptions).await?;
    let mut work = Vec::with_capacity(subscriptions.len());
    for subscription in subscriptions {
        let peer = peers.get(&subscription.peer).map(|peer| &**peer);
        work.push(Delivery { run, actor: &actor, peer }.deliver(subscription));
    }
    let results: Vec<_> = stream::iter(work).buffer_unordered(CONCURRENT).collect().await;
    results.into_iter().collect()
}

/// The peers of these subscriptions that may be told something now.
async fn peers(run: &Run<'_>, subscriptions: &[SubscriptionRecord]) -> Result<HashMap<PeerId, Arc<Peer>>, ActorError> {
    let mut wanted: Vec<&PeerId> = subscriptions.iter().map(|subscription| &subscription.peer).collect();
    wanted.sort();
    wanted.dedup();
    let mut peers = HashMap::new();
    for some in wanted.chunks(TRUSTS_AT_ONCE) {
        for trust in run.store.trusts_with(run.actor, some).await?.into_iter().filter(TrustRecord::is_reachable) {
            let Some(access) = access_of(run.state.hooks.policy(), &trust) else { continue };
            // One whose secret cannot be opened is no reason to keep the others waiting.
            let address = match run.state.trusts.address(run.actor, &trust) {
                Ok(address) => address,
                Err(error) => {
                    tracing::error!(actor = %run.actor, peer = %trust.peer, %error, "peer cannot be called");
                    continue;
                }
            };
            let door = Door::new(&trust, run.now());
            let id = trust.peer.clone();
            peers.insert(id, Arc::new(Peer { trust, address, access, door, takes_gzip: OnceCell::new() }));
        }
    }
    Ok(peers)
}

/// The delivery of one subscription.
struct Delivery<'a> {
    run: &'a Run<'a>,
    actor: &'a Actor,
    /// `None` when the subscriber may not be told anything: there is no relationship, or it is not approved.
    peer: Option<&'a Peer>,
}

impl Delivery<'_> {
    /// Delivers what is outstanding of a subscription that was taken for it, and gives it back.
    async fn deliver(self, mut held: SubscriptionRecord) -> Result<(), ActorError> {
        let Run { store, actor, .. } = self.run;
        let Some(peer) = self.peer else {
            // What is numbered can be polled, or is delivered once there is a relationship again.
            store.settle_subscription(actor, &held, held.delivered, Settled::Released).await?;
            return Ok(());
        };
        loop {
            let mut delivered = held.delivered;
            let called = self.call_all(peer, &held, &mut delivered).await?;
            let settled = match called {
                Called::Taken => store.settle_subscription(actor, &held, delivered, Settled::Taken).await?,
                Called::Later => {
                    store.settle_subscription(actor, &held, delivered, Settled::Released).await?;
                    return Ok(());
                }
                Called::Held { retry_at, miss, reason } => {
                    return Ok(self.hold(&held, delivered, (retry_at, miss, &reason)).await?);
                }
            };
            // More was numbered meanwhile, by somebody who left it to whoever has the lease.
            let Some(now) = settled.filter(|now| now.sequence > delivered) else { return Ok(()) };
            match store.lease_subscription(actor, &now).await? {
                Some(leased) => held = leased,
                None => return Ok(()),
            }
        }
    }

    /// Calls back one diff after the other, until all are taken or one is not.
    async fn call_all(
        &self,
        peer: &Peer,
        held: &SubscriptionRecord,
        delivered: &mut u64,
    ) -> Result<Called, StoreError> {
        let Run { store, actor, .. } = self.run;
        loop {
            let mut page = store.diffs(actor, &held.id, *delivered, PAGE).await?;
            // Numbers that are being given just now may be seen in part, the later without the earlier.
            page.retain(|diff| diff.sequence <= held.sequence);
            for diff in &page {
                match self.call(peer, held, diff, *delivered).await? {
                    Called::Taken => *delivered = diff.sequence,
                    called => return Ok(called),
                }
                self.run.count(Count::Callback);
            }
            if page.len() < PAGE {
                // What is missing at the end was cleared by the peer, which has it.
                *delivered = (*delivered).max(held.sequence);
                return Ok(Called::Taken);
            }
            store.acknowledge(actor, held, *delivered).await?;
        }
    }

    /// Calls back one diff.
    async fn call(
        &self,
        peer: &Peer,
        held: &SubscriptionRecord,
        diff: &Diff,
        delivered: u64,
    ) -> Result<Called, StoreError> {
        let (run, trust) = (self.run, &peer.trust);
        if !run.has_time() {
            return Ok(Called::Later);
        }
        let pass = match peer.door.enter(run, trust).await? {
            Ok(pass) => pass,
            Err(until) => {
                let retry_at = until.plus(crate::rules::RETRIES.delay(0, &*run.state.entropy));
                return Ok(Called::Held {
                    retry_at,
                    miss: Miss::NotTried,
                    reason: "the peer is left alone".to_owned(),
                });
            }
        };
        if !run.has_time() {
            return Ok(Called::Later);
        }
        let (client, request_id) = run.client();
        let telling = Invocation {
            actor: Some(self.actor.clone()),
            caller: Caller::Peer { id: trust.peer.to_string(), relationship: trust.relationship.clone() },
            request_id,
            deadline: run.deadline,
            mcp: None,
        };
        let telling = Telling { state: run.state, invocation: &telling, access: &peer.access, subscription: held };
        let told = telling.tell(diff).await;
        let path = format!("callbacks/subscriptions/{}/{}", run.actor, encode(&held.id));
        let mut payload = payload(&telling, diff, told);
        let outcome = loop {
            let size = payload.len();
            if size > COMPRESSED_ABOVE && self.takes_gzip(peer).await? {
                payload = payload.compressed();
            }
            let outcome =
                run.call(&client, (Method::POST, &peer.address, &path), |request| payload.fill(request)).await;
            let is_address = held.granularity == Granularity::Low || payload.is_address();
            match Attempt::of(&outcome) {
                // It says itself that this is too much for it.
                Attempt::TooLarge if !is_address && run.has_time() => {
                    payload = downgraded(&telling, diff, size);
                }
                _ => break outcome,
            }
        };
        let attempt = Attempt::of(&outcome);
        let until = peer.door.leave(run, trust, pass, attempt).await?;
        let Err(error) = outcome else { return Ok(Called::Taken) };
        let miss = if attempt == Attempt::Gone { Miss::Gone } else { Miss::Failed };
        // What was taken since ended the failures in a row.
        let failures = if delivered > held.delivered { 0 } else { held.failures };
        let retry_at = retry_at(run.now(), failures, attempt.retry_after(), &*run.state.entropy);
        let retry_at = until.map_or(retry_at, |until| until.max(retry_at));
        Ok(Called::Held { retry_at, miss, reason: reason(&error) })
    }

    /// Holds a subscription until the next attempt, or gives it up.
    async fn hold(
        &self,
        held: &SubscriptionRecord,
        delivered: u64,
        (retry_at, miss, reason): (Timestamp, Miss, &str),
    ) -> Result<(), StoreError> {
        let run = self.run;
        let Run { store, actor, .. } = run;
        let (since, gone) = match held.failing_since {
            Some(since) if delivered == held.delivered => (since, held.gone),
            _ => (run.now(), 0),
        };
        let gone = if miss == Miss::Gone { gone.saturating_add(1) } else { 0 };
        let (peer, sequence) = (&held.peer, delivered.saturating_add(1));
        if miss != Miss::NotTried && is_hopeless(run.now(), since, gone) {
            if store.give_up_subscription(actor, held, delivered, reason).await? {
                run.count(Count::GivenUp);
                tracing::warn!(%actor, %peer, subscription = held.id, sequence, reason, "callbacks given up");
            }
            return Ok(());
        }
        // The job first: a subscription that is held without one would be forgotten.
        store.deliver_later(actor, retry_at).await?;
        store.settle_subscription(actor, held, delivered, Settled::Held { retry_at, miss }).await?;
        run.count(Count::Held);
        if miss != Miss::NotTried {
            tracing::warn!(
                %actor, %peer, subscription = held.id, sequence, failures = held.failures.saturating_add(1), reason,
                %retry_at, "callback failed"
            );
        }
        Ok(())
    }

    async fn takes_gzip(&self, peer: &Peer) -> Result<bool, StoreError> {
        peer.takes_gzip.get_or_try_init(|| options::takes_gzip(self.run, &peer.trust)).await.copied()
    }
}

/// The body that tells `told`; of what is too large, the address.
fn payload(telling: &Telling<'_>, diff: &Diff, told: Told) -> Payload {
    let is_low = telling.subscription.granularity == Granularity::Low;
    let text = telling.callback(diff, told, is_low).to_string();
    match text.len() {
        size if size > MAX_BYTES && !is_low => downgraded(telling, diff, size),
        _ => Payload::whole(text),
    }
}

/// The body with the address of what would have been this large.
fn downgraded(telling: &Telling<'_>, diff: &Diff, size: usize) -> Payload {
    let mut body = telling.callback(diff, Told::Data(Value::Null), true);
    if let Some(body) = body.as_object_mut() {
        body.insert("granularity".to_owned(), json!(Granularity::Low));
    }
    Payload::address(body.to_string(), size)
}

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, NON_ALPHANUMERIC).to_string()
}
