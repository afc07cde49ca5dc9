//! Calls to an actor's own peers: those it has a relationship with, found by it and signed with its secret.
//!
//! A [`Peer`] is found by its id, a [`PeerGroup`] by what they are to the actor; each reads storage once, however many
//! calls follow. Only relationships that this side approved count. What a peer answered is typed: a reply is a 2xx, and
//! everything else is an error that says what it was; nothing is read out of a body's shape.
//!
//! Calls are made for somebody who waits, so a peer that deliveries leave alone for a while is called all the same;
//! [`Peer::held_until`] tells, and [`PeerGroup::without_held`] leaves such peers out.

mod group;
mod knowledge;
mod local;

use std::fmt;
use std::sync::Arc;

use actingweb_peer::{PeerAddress, PeerClient, PeerError, PeerReply, Secret};
use actingweb_protocol::permission::Policy;
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Clock, Deadline, Entropy, Keys, Name, PeerId, Timestamp, random_hex};
use actingweb_store::{StoreError, TrustRecord};
use http::Method;
use serde::Serialize;
use serde_json::Value;

use crate::actors::Parts;
use crate::{Actor, ActorError, Actors};

pub use group::{MAX_NAMED, PeerGroup, PeerOutcome};
pub use knowledge::{About, Capabilities, Capability, Known, Options, Profile};

/// What calls to peers are made with: built once per process. Cheap to clone.
#[derive(Clone)]
pub struct Peering {
    client: PeerClient,
    shared: Arc<Shared>,
}

struct Shared {
    actors: Actors,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    base_url: Arc<str>,
    policy: Policy,
    has_hooks: PropertyHooks,
    profile: Vec<Name>,
}

/// Whether the application has hooks for a property.
pub type PropertyHooks = Box<dyn Fn(&str) -> bool + Send + Sync>;

impl fmt::Debug for Peering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peering").field("base_url", &self.shared.base_url).finish_non_exhaustive()
    }
}

impl Peering {
    /// Calls through `client` for the peers of `actors`. `policy` and `has_hooks` are the application's: actors of this
    /// deployment are called by the same rules as from outside. `profile` names the properties that are a peer's profile.
    #[must_use]
    pub fn new(
        actors: &Actors,
        client: PeerClient,
        policy: Policy,
        has_hooks: PropertyHooks,
        profile: Vec<Name>,
    ) -> Self {
        let Parts { keys, clock, entropy, base_url } = actors.parts();
        let actors = actors.clone();
        Self { client, shared: Arc::new(Shared { actors, keys, clock, entropy, base_url, policy, has_hooks, profile }) }
    }

    /// The peers of one actor, for one request, until `deadline`.
    #[must_use]
    pub fn of(&self, actor: &Actor, request_id: &str, deadline: Deadline) -> Peers {
        Peers {
            actor: actor.with_deadline(deadline),
            client: self.client.clone().with_deadline(deadline),
            request_id: request_id.into(),
            deadline,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// An actor's peers. Cheap to clone.
///
/// Every call carries an `X-Request-ID` of its own, and the request's as `X-Parent-Request-ID`.
#[derive(Clone)]
pub struct Peers {
    actor: Actor,
    client: PeerClient,
    request_id: Arc<str>,
    deadline: Deadline,
    shared: Arc<Shared>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("actor", self.actor.id()).finish_non_exhaustive()
    }
}

/// Why there is no peer to call. The texts name the peer as it was asked for, and are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPeer {
    /// No relationship has this id.
    #[error("there is no relationship with a peer `{0}`")]
    Unknown(String),
    /// The peer asked for a relationship, and this side has not approved it.
    #[error("the relationship with the peer `{0}` is not approved: approve it first")]
    NotApproved(String),
    /// The relationship is with a person or a client, which no one can call.
    #[error("the peer `{0}` is no actor: it cannot be called")]
    NoActor(String),
    /// It did not answer lately. Only [`PeerGroup::without_held`] ends so: calls may be made all the same.
    #[error("the peer `{peer}` did not answer lately, and is left alone until {until}")]
    Held {
        /// The peer.
        peer: String,
        /// Until when.
        until: Timestamp,
    },
}

/// Why a call to a peer gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum PeerCallError {
    /// There is no such peer, or it must not be called.
    #[error(transparent)]
    NoPeer(#[from] NoPeer),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] PeerError),
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl From<StoreError> for PeerCallError {
    fn from(error: StoreError) -> Self {
        Self::Actor(error.into())
    }
}

/// A peer that may be called: one relationship, as it was when it was read. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    trust: Arc<TrustRecord>,
    address: Arc<PeerAddress>,
    peers: Peers,
    max_age: Option<std::time::Duration>,
    retry: Option<Retry>,
    key: Option<Arc<str>>,
}

/// Never shows a secret, sealed or not.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trust, .. } = self;
        f.debug_struct("Peer")
            .field("id", &trust.peer)
            .field("relationship", &trust.relationship)
            .finish_non_exhaustive()
    }
}

impl Peers {
    /// The peer with this id: one call to storage.
    ///
    /// # Errors
    /// [`PeerCallError::NoPeer`] when there is no such relationship, or this side has not approved it; storage errors.
    pub async fn find(&self, peer: &str) -> Result<Peer, PeerCallError> {
        let unknown = || NoPeer::Unknown(peer.to_owned());
        // What is no id can be nobody's.
        let id = PeerId::parse(peer).map_err(|_| unknown())?;
        let trust = self.actor.store().trust(self.actor.id(), &id).await?.ok_or_else(unknown)?;
        Ok(self.callable(trust)??)
    }

    /// The actor whose peers these are.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The peer of a relationship, if it may be called. The outer error is one of storage.
    fn callable(&self, trust: TrustRecord) -> Result<Result<Peer, NoPeer>, ActorError> {
        let id = trust.peer.to_string();
        if trust.established_via.starts_with("oauth") {
            return Ok(Err(NoPeer::NoActor(id)));
        }
        if !trust.approved {
            return Ok(Err(NoPeer::NotApproved(id)));
        }
        let corrupt = |what: String| {
            let key = format!("the trust of actor {} with {id}", self.actor.id());
            ActorError::Internal(StoreError::Corrupt { key, what })
        };
        let address = PeerAddress::new(&trust.base_uri).map_err(|error| corrupt(format!("`base_uri`: {error}")))?;
        let context = format!("trust/{}/{id}", self.actor.id());
        let secret = self.shared.keys.open(&context, &trust.secret).map_err(|error| corrupt(error.to_string()))?;
        let address = Arc::new(address.with_secret(Secret::new(secret)));
        Ok(Ok(Peer { trust: Arc::new(trust), address, peers: self.clone(), max_age: None, retry: None, key: None }))
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The client for one call.
    fn client(&self) -> PeerClient {
        let id = random_hex(&*self.shared.entropy, 16);
        self.client.clone().with_request_ids(&id, &self.request_id)
    }
}

impl Peer {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.trust.peer.as_str()
    }

    /// What it is to the actor, such as `friend`.
    #[must_use]
    pub fn relationship(&self) -> &str {
        &self.trust.relationship
    }

    /// Its URL.
    #[must_use]
    pub fn base_uri(&self) -> &str {
        &self.trust.base_uri
    }

    /// Its type, such as `urn:actingweb:example.com:demo`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.trust.kind
    }

    /// Whether it approves of the relationship, as it last said. One that does not refuses most of what it is asked.
    #[must_use]
    pub fn approves(&self) -> bool {
        self.trust.peer_approved
    }

    /// Until when deliveries leave it alone because it did not answer; `None` when they do not.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        self.trust.breaker.open_until.filter(|until| *until > self.peers.now())
    }

    /// The same peer, whose calls are tried as often as this; [`Retry::OFF`] for once. If nothing is said, up to three times
    /// in a hook, as [`PeerRequest::send`](actingweb_peer::PeerRequest::send) says: only what may happen twice, until
    /// the deadline.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The same peer, for one call with this `Idempotency-Key`: one that knows such keys carries it out once, so that a
    /// POST, a method or an action may be tried again, too. Draw a new key for each call.
    #[must_use]
    pub fn idempotently(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Reads what is at a path below the peer, such as `properties/email`.
    ///
    /// A property of an actor of this deployment that has no hooks is read without HTTP, by the same rules.
    ///
    /// # Errors
    /// [`PeerCallError`]: any status but 2xx is [`PeerError::Status`].
    pub async fn get(&self, path: &str) -> Result<PeerReply, PeerCallError> {
        match Box::pin(self.read_here(path)).await {
            Some(read) => read,
            None => self.request(Method::GET, path, None).await,
        }
    }

    /// POST of JSON.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn post(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<PeerReply, PeerCallError> {
        self.request(Method::POST, path, Some(json(body)?)).await
    }

    /// PUT of JSON.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn put(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<PeerReply, PeerCallError> {
        self.request(Method::PUT, path, Some(json(body)?)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn delete(&self, path: &str) -> Result<PeerReply, PeerCallError> {
        self.request(Method::DELETE, path, None).await
    }

    /// Calls one of the peer's methods; the reply's body is what it answered.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn call_method(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Result<PeerReply, PeerCallError> {
        self.post(&below("methods", name)?, input).await
    }

    /// Has one of the peer's actions happen; the reply's body is what it answered.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn call_action(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Result<PeerReply, PeerCallError> {
        self.post(&below("actions", name)?, input).await
    }

    /// A request of any method, over HTTP wherever the peer is.
    ///
    /// # Errors
    /// As [`Peer::get`].
    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Result<PeerReply, PeerCallError> {
        let client = self.peers.client();
        let request = client.request(method, &self.address, path);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let request = match self.retry {
            Some(retry) => request.retry(retry),
            None => request,
        };
        let request = match &self.key {
            Some(key) => request.idempotency_key(key),
            None => request,
        };
        // On the heap: callers hold many of these, and several levels of them.
        Ok(Box::pin(request.send()).await?)
    }
}

fn json(body: &(impl Serialize + ?Sized)) -> Result<Value, PeerError> {
    serde_json::to_value(body)
        .map_err(|error| PeerError::Unsendable { reason: format!("the body is not JSON: {error}") })
}

/// The path of a method or an action.
fn below(group: &str, name: &str) -> Result<String, PeerError> {
    let name = Name::parse(name).map_err(|error| PeerError::Unsendable { reason: format!("`{name}`: {error}") })?;
    Ok(format!("{group}/{name}"))
}
