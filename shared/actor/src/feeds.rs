//! An actor's own subscriptions to its peers: made, followed, brought up to date, ended.
//!
//! What a peer tells is applied in the order of its numbers, each once ([`actingweb_store::FeedRecord`] says how).
//! Whatever is fetched is fetched at the peer's own URL root, from addresses that are built here: what a callback names
//! is never called.

mod fetch;
mod grants;
mod receive;
mod remote;
mod resync;

use std::time::Duration;

use actingweb_peer::{PeerAddress, PeerClient, PeerError};
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, Deadline, PeerId};
use actingweb_store::{FeedRecord, Notice, NoticeKind, StoreError, TrustRecord};
use serde_json::{Map, Value};

use crate::{Actor, ActorError, Trusts};

pub use grants::{GrantChange, Granted};
pub use receive::{Callback, CallbackKind, Delivered};
pub use remote::{Remote, RemoteValue};
pub use resync::Synced;

/// The longest target, subtarget or resource, in bytes.
pub const MAX_SCOPE_BYTES: usize = 256;

/// When somebody whose request could not be served because the peer did not answer may try again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The subscriptions to peers of all actors of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feeds {
    trusts: Trusts,
    peers: PeerClient,
}

/// What to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeTo {
    /// The peer.
    pub peer: PeerId,
    /// What of it.
    pub scope: Scope,
    /// How much its callbacks are to tell.
    pub granularity: Granularity,
}

/// A subscription that a peer made.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscribedTo {
    /// The subscription.
    pub feed: FeedRecord,
    /// Its URL at the peer.
    pub location: String,
}

/// Why an operation on a subscription to a peer did not happen.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// What was asked for cannot be, with the reason (400).
    #[error("{0}")]
    Invalid(String),
    /// There is no approved relationship with the peer (408, as deployed clients know it).
    #[error("there is no relationship with this peer")]
    NoTrust,
    /// The peer did not do its part, with the reason.
    #[error("{reason}")]
    Peer {
        /// What it did, for people.
        reason: String,
        /// The status it answered with, if it answered.
        status: Option<u16>,
        /// Whether the same may succeed later.
        retryable: bool,
    },
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl FeedError {
    /// When to try again, for faults that may pass.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Peer { retryable: true, .. } => Some(TRY_AGAIN),
            Self::Actor(ActorError::Busy { retry_after }) => Some(*retry_after),
            _ => None,
        }
    }

    fn of_peer(what: &str, error: &PeerError) -> Self {
        let status = error.status().map(|status| status.as_u16());
        Self::Peer { reason: format!("{what}: {error}"), status, retryable: error.is_retryable() }
    }
}

impl From<StoreError> for FeedError {
    fn from(error: StoreError) -> Self {
        Self::Actor(error.into())
    }
}

impl Feeds {
    /// The subscriptions of the actors whose relationships these are.
    #[must_use]
    pub fn new(trusts: &Trusts) -> Self {
        Self { trusts: trusts.clone(), peers: trusts.peers().clone() }
    }

    /// The same for one request or job: calls to peers carry its id, and end in time to write down what came of them.
    #[must_use]
    pub fn for_request(&self, request_id: &str, deadline: Deadline) -> Self {
        Self::new(&self.trusts.for_request(request_id, deadline))
    }

    /// Subscribes to a peer, and reads what is subscribed to. When that cannot be read for now, the worker does it later.
    ///
    /// # Errors
    /// [`FeedError`]; nothing is stored then. A peer that did not answer in time may have a subscription nevertheless,
    /// whose callbacks are refused.
    pub async fn subscribe(&self, actor: &Actor, wanted: SubscribeTo) -> Result<SubscribedTo, FeedError> {
        check_scope(&wanted.scope)?;
        let trust = self.trust(actor, &wanted.peer).await?;
        let address = self.trusts.address(actor.id(), &trust)?;
        let store = actor.store();
        store.expect_feed(actor.id(), &wanted.peer).await?;
        let (id, location) = match self.ask(actor.id(), &address, &wanted).await {
            Ok(answer) => answer,
            Err(error) => {
                store.unexpect_feed(actor.id(), &wanted.peer).await?;
                return Err(error);
            }
        };
        let SubscribeTo { peer, scope, granularity } = wanted;
        let feed = FeedRecord::new(peer, id, scope, granularity, self.trusts.now());
        let Some(feed) = store.start_feed(actor.id(), feed).await? else {
            store.unexpect_feed(actor.id(), &trust.peer).await?;
            return Err(odd("the peer gave a new subscription the id of another"));
        };
        match self.read_anew(actor, &address, &feed).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, peer = %feed.peer, "a peer's data could not be read: it is due later"),
        }
        Ok(SubscribedTo { feed, location })
    }

    /// Asks a peer for a subscription; gives its id and its URL.
    async fn ask(
        &self,
        actor: &ActorId,
        address: &PeerAddress,
        wanted: &SubscribeTo,
    ) -> Result<(String, String), FeedError> {
        let mut body = Map::from_iter([
            ("id".to_owned(), Value::from(actor.as_str())),
            ("target".to_owned(), Value::from(wanted.scope.target.as_str())),
        ]);
        let parts = [("subtarget", &wanted.scope.subtarget), ("resource", &wanted.scope.resource)];
        for (name, part) in parts {
            body.extend(part.as_ref().map(|part| (name.to_owned(), Value::from(part.as_str()))));
        }
        body.insert("granularity".to_owned(), Value::from(wanted.granularity.as_str()));
        let path = format!("subscriptions/{actor}");
        let sent = self.peers.post(address, &path).json(&Value::Object(body)).send().await;
        let reply = sent.map_err(|error| FeedError::of_peer("the peer did not make a subscription", &error))?;
        let told: Value = reply.json().unwrap_or_default();
        let id = told.get("subscriptionid").and_then(Value::as_str);
        let last_segment = || reply.location().and_then(|location| location.trim_end_matches('/').rsplit('/').next());
        let id = id.or_else(last_segment).unwrap_or_default();
        // The same characters as in a peer's id: it stands in paths by itself.
        let id = PeerId::parse(id).map_err(|_| odd("the peer did not say what id the subscription has"))?;
        // One that is relative, or leads elsewhere, is not repeated.
        let absolute = reply.location().filter(|location| location.contains("://"));
        let located = absolute.and_then(|location| address.locate(location).ok());
        let located = located.or_else(|| address.locate(&format!("{path}/{id}")).ok());
        Ok((id.to_string(), located.map(String::from).unwrap_or_default()))
    }

    /// Ends a subscription to a peer at once; the peer is owed a notice of that. False when it had ended already.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn unsubscribe(&self, actor: &Actor, feed: &FeedRecord) -> Result<bool, ActorError> {
        let trust = actor.store().trust(actor.id(), &feed.peer).await?;
        let notice = trust.filter(TrustRecord::is_reachable).map(|trust| {
            let to = (&trust.peer, trust.base_uri.as_str(), trust.secret.as_str());
            let path = format!("subscriptions/{}/{}", actor.id(), feed.id);
            Notice::new(NoticeKind::SubscriptionEnded, to, ("DELETE", path), None)
        });
        Ok(actor.store().end_feed(actor.id(), feed, notice.as_ref()).await?)
    }

    /// Notes that the peer ended a subscription of the actor to it. False when it had ended already.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn ended_by_peer(&self, actor: &Actor, feed: &FeedRecord) -> Result<bool, ActorError> {
        Ok(actor.store().end_feed(actor.id(), feed, None).await?)
    }

    async fn trust(&self, actor: &Actor, peer: &PeerId) -> Result<TrustRecord, FeedError> {
        let trust = actor.store().trust(actor.id(), peer).await?;
        trust.filter(|trust| trust.approved && trust.is_reachable()).ok_or(FeedError::NoTrust)
    }
}

impl Actor {
    /// Its subscriptions to one peer, or to all.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn feeds(&self, peer: Option<&PeerId>) -> Result<Vec<FeedRecord>, ActorError> {
        Ok(self.store().feeds(self.id(), peer).await?)
    }

    /// Remembers up to which change of a subscription to a peer hooks were told.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn note_told(&self, feed: &FeedRecord, told: u64) -> Result<(), ActorError> {
        Ok(self.store().note_told(self.id(), feed, told).await?)
    }

    /// Its subscription of this id to a peer.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn feed(&self, peer: &PeerId, id: &str) -> Result<Option<FeedRecord>, ActorError> {
        Ok(self.store().feed(self.id(), peer, id).await?)
    }
}

/// A peer's answer that means nothing.
fn odd(reason: &str) -> FeedError {
    FeedError::Peer { reason: reason.to_owned(), status: None, retryable: false }
}

fn check_scope(scope: &Scope) -> Result<(), FeedError> {
    let parts = [
        ("target", Some(&scope.target)),
        ("subtarget", scope.subtarget.as_ref()),
        ("resource", scope.resource.as_ref()),
    ];
    for (name, part) in parts.into_iter().filter_map(|(name, part)| Some((name, part?))) {
        let whole = name != "resource";
        if part.is_empty()
            || part.len() > MAX_SCOPE_BYTES
            || part.chars().any(char::is_control)
            || (whole && part.contains('/'))
        {
            let rule = format!("1 to {MAX_SCOPE_BYTES} bytes without control characters");
            return Err(FeedError::Invalid(format!(
                "`{name}` must be {rule}, and only a resource may contain slashes"
            )));
        }
    }
    if scope.resource.is_some() && scope.subtarget.is_none() {
        return Err(FeedError::Invalid("a resource is part of a subtarget: name that, too".to_owned()));
    }
    Ok(())
}
