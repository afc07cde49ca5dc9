//! Relationships with other actors: asked for, answered, changed, ended, and what each permits.
//!
//! Both sides keep a row of their own. `approved` is this side's decision, `peer_approved` what the peer last said of
//! its own, `verified` whether the peer proved that it answers at its URL. A peer has rights from the moment this side
//! approves. What a peer must be told is written with the change itself and sent by whoever delivers, so no step waits
//! for the peer, except asking it for a relationship or for its consent to a new secret.

mod changes;
mod handshake;
mod rotation;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_peer::{PeerAddress, PeerClient, PeerError, Secret};
use actingweb_protocol::permission::{PermissionOverride, Policy};
use actingweb_protocol::{ActorId, Clock, Deadline, Entropy, Keys, PeerId, Timestamp, random_hex, sha256_hex};
use actingweb_store::{Notice, NoticeKind, StoreError, TrustRecord};
use serde_json::{Value, json};

use crate::actors::Parts;
use crate::{Actor, ActorError, Actors};

pub use changes::TrustChange;
pub use handshake::{AskForTrust, TrustRequest};

/// The most requests of peers that may wait for an actor's answer.
pub const MAX_PENDING: usize = 100;

/// The longest URL root of a peer, in bytes.
pub const MAX_BASE_URI_BYTES: usize = 1024;

/// The longest description, type or verification token, in bytes.
pub const MAX_TRUST_TEXT_BYTES: usize = 1024;

/// What a request keeps free, after a peer answered, to write that down.
const RESERVE: Duration = Duration::from_secs(7);

/// What an application decides about relationships.
#[derive(Clone, Debug)]
pub struct TrustRules {
    /// The type of its actors.
    pub actor_type: String,
    /// The relationship meant when none is named.
    pub default_relationship: String,
    /// Whether peers get the default relationship without being asked about, once they are verified.
    pub auto_accept: bool,
    /// Whether only registered trust types are relationships.
    pub strict: bool,
    /// What each relationship permits.
    pub policy: Policy,
}

/// The relationships of all actors of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trusts {
    shared: Arc<Shared>,
    peers: PeerClient,
}

struct Shared {
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    base_url: Arc<str>,
    rules: TrustRules,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// A step of a relationship that hooks are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrustStep {
    /// This side asked for it, and the peer took the request.
    Initiated,
    /// The peer asked for it.
    RequestReceived,
    /// This side approved, and the peer had approved before.
    FullyApprovedLocal,
    /// The peer approved, and this side had approved before.
    FullyApprovedRemote,
    /// It ended.
    Deleted,
}

/// A relationship after an operation, and what hooks are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The relationship as it is now; as it last was, when it ended.
    pub trust: TrustRecord,
    /// What happened.
    pub steps: Vec<TrustStep>,
}

/// Why an operation on a relationship did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// What was asked for cannot be, with the reason (400).
    #[error("{0}")]
    Invalid(String),
    /// This caller may not do this, with the reason (403).
    #[error("{0}")]
    Forbidden(String),
    /// There is no such relationship (404).
    #[error("there is no relationship with this peer")]
    Missing,
    /// It contradicts what is there, with the reason (409).
    #[error("{0}")]
    Conflict(String),
    /// Too many requests wait for an answer (429).
    #[error("{MAX_PENDING} requests for relationships wait for an answer: no more are taken for now")]
    Full {
        /// When the next one may be taken.
        retry_after: Duration,
    },
    /// The peer did not do its part, with the reason.
    #[error("{0}")]
    Peer(String),
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl From<StoreError> for TrustError {
    fn from(error: StoreError) -> Self {
        Self::Actor(error.into())
    }
}

impl Trusts {
    /// The relationships of `actors`, whose peers are called through `peers`.
    #[must_use]
    pub fn new(actors: &Actors, peers: PeerClient, rules: TrustRules) -> Self {
        let Parts { keys, clock, entropy, base_url } = actors.parts();
        Self { shared: Arc::new(Shared { keys, clock, entropy, base_url, rules }), peers }
    }

    /// The same for one request: calls to peers carry its id, and end in time to write down what came of them.
    #[must_use]
    pub fn for_request(&self, request_id: &str, deadline: Deadline) -> Self {
        let peers = self.peers.clone().with_deadline(deadline.minus(RESERVE)).with_request_id(request_id);
        Self { shared: Arc::clone(&self.shared), peers }
    }

    /// What peers are called through: it goes nowhere that a stranger must not lead it to.
    #[must_use]
    pub const fn peers(&self) -> &PeerClient {
        &self.peers
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// What the application decided about relationships.
    #[must_use]
    pub fn rules(&self) -> &TrustRules {
        &self.shared.rules
    }

    /// The URL root of an actor of this deployment.
    #[must_use]
    pub fn root_of(&self, actor: &ActorId) -> String {
        format!("{}/{actor}", self.shared.base_url)
    }

    /// All relationships of an actor.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn all(&self, actor: &Actor) -> Result<Vec<TrustRecord>, ActorError> {
        Ok(actor.store().trusts(actor.id()).await?)
    }

    /// An actor's relationship with a peer.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn with(&self, actor: &Actor, peer: &PeerId) -> Result<Option<TrustRecord>, ActorError> {
        Ok(actor.store().trust(actor.id(), peer).await?)
    }

    /// Opens a sealed secret of an actor's relationship with a peer.
    ///
    /// # Errors
    /// An internal error when the key that sealed it is no longer among the keys.
    pub fn open(&self, actor: &ActorId, peer: &PeerId, sealed: &str) -> Result<Secret, ActorError> {
        let opened = self.shared.keys.open(&context(actor, peer), sealed).map_err(|error| {
            let key = format!("the trust of actor {actor} with {peer}");
            ActorError::Internal(StoreError::Corrupt { key, what: error.to_string() })
        })?;
        Ok(Secret::new(opened))
    }

    /// Where a peer is, with the secret to present there.
    ///
    /// # Errors
    /// As [`Trusts::open`].
    pub fn address(&self, actor: &ActorId, trust: &TrustRecord) -> Result<PeerAddress, ActorError> {
        self.address_of(actor, &trust.peer, &trust.base_uri, &trust.secret)
    }

    /// [`Trusts::address`] of the parts that a [`Notice`] keeps.
    ///
    /// # Errors
    /// As [`Trusts::open`].
    pub fn address_of(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        base_uri: &str,
        sealed: &str,
    ) -> Result<PeerAddress, ActorError> {
        let address = PeerAddress::new(base_uri).map_err(|error| {
            let key = format!("the trust of actor {actor} with {peer}");
            ActorError::Internal(StoreError::Corrupt { key, what: format!("`base_uri`: {error}") })
        })?;
        Ok(address.with_secret(self.open(actor, peer, sealed)?))
    }

    /// A fresh secret: sealed, and its hash.
    fn seal(&self, actor: &ActorId, peer: &PeerId, secret: &str) -> Result<(String, String), ActorError> {
        let sealed = self.shared.keys.seal(&context(actor, peer), secret, &*self.shared.entropy).map_err(|error| {
            let key = format!("the trust of actor {actor} with {peer}");
            ActorError::Internal(StoreError::Corrupt { key, what: error.to_string() })
        })?;
        Ok((sealed, sha256_hex(secret)))
    }

    /// 20 random bytes in hexadecimal digits, as the Python library makes secrets and tokens.
    fn fresh(&self) -> String {
        random_hex(&*self.shared.entropy, 20)
    }

    /// What a peer's relationship permits, with its override.
    ///
    /// # Errors
    /// An internal error for an override that cannot be read.
    pub fn effective(&self, trust: &TrustRecord) -> Result<Value, ActorError> {
        let changed_by = read_override(trust)?;
        let effective = self.shared.rules.policy.effective(&trust.relationship, changed_by.as_ref());
        Ok(Value::Object(effective.to_json()))
    }

    /// A notice to the peer of a relationship; none for a peer that is not to be told: the actor itself, and what no
    /// actor is behind.
    fn notice(
        &self,
        actor: &ActorId,
        trust: &TrustRecord,
        kind: NoticeKind,
        (method, path): (&str, String),
        body: Option<Value>,
    ) -> Option<Notice> {
        let is_actor = trust.is_reachable()
            && !trust.established_via.starts_with("oauth")
            && trust.base_uri != self.root_of(actor);
        let to = (&trust.peer, trust.base_uri.as_str(), trust.secret.as_str());
        is_actor.then(|| Notice::new(kind, to, (method, path), body.map(|body| body.to_string())))
    }

    fn tell_decision(&self, actor: &ActorId, trust: &TrustRecord, approved: bool) -> Option<Notice> {
        let kind = if approved { NoticeKind::Approved } else { NoticeKind::Refused };
        let path = format!("trust/{}/{actor}", trust.agreed);
        self.notice(actor, trust, kind, ("POST", path), Some(json!({ "approved": approved })))
    }

    fn tell_end(&self, actor: &ActorId, trust: &TrustRecord) -> Option<Notice> {
        let path = format!("trust/{}/{actor}", trust.agreed);
        self.notice(actor, trust, NoticeKind::Deleted, ("DELETE", path), None)
    }

    /// Tells a peer what it is permitted now; one that has no rights yet is told nothing.
    fn tell_permissions(&self, actor: &ActorId, trust: &TrustRecord) -> Result<Option<Notice>, ActorError> {
        if !trust.approved {
            return Ok(None);
        }
        let body = json!({
            "id": actor,
            "target": "permissions",
            "type": "permission",
            "timestamp": self.shared.clock.now().to_string(),
            "data": self.effective(trust)?,
        });
        let path = format!("callbacks/permissions/{actor}");
        Ok(self.notice(actor, trust, NoticeKind::Permissions, ("POST", path), Some(body)))
    }

    /// A relationship's name: what path rules call roles is none.
    fn check_relationship(&self, name: &str) -> Result<(), TrustError> {
        const RESERVED: [&str; 6] = ["any", "creator", "trustee", "owner", "handshake", "desc"];
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) || RESERVED.contains(&name) {
            let rule = "is 1 to 64 letters, digits and `_-.:`, and no word that names a role";
            return Err(TrustError::Invalid(format!("the relationship {rule}")));
        }
        if self.shared.rules.strict && self.shared.rules.policy.permissions(name).is_none() {
            return Err(TrustError::Forbidden(format!("the relationship `{name}` is not offered here")));
        }
        Ok(())
    }

    /// A URL root that a caller chose, normalised. Nothing is called.
    fn check_base(&self, name: &str, url: &str) -> Result<(PeerAddress, String), TrustError> {
        if url.len() > MAX_BASE_URI_BYTES {
            return Err(TrustError::Invalid(format!("`{name}` is longer than {MAX_BASE_URI_BYTES} bytes")));
        }
        let address = PeerAddress::new(url).map_err(|error| TrustError::Invalid(format!("`{name}`: {error}")))?;
        self.peers
            .guard()
            .check_url(address.base())
            .map_err(|error| TrustError::Invalid(format!("`{name}`: {error}")))?;
        let base = address.base().as_str().trim_end_matches('/').to_owned();
        Ok((address, base))
    }
}

/// The override of a relationship, if it has one.
///
/// # Errors
/// An internal error for one that cannot be read.
pub fn read_override(trust: &TrustRecord) -> Result<Option<PermissionOverride>, ActorError> {
    let Some(text) = &trust.permissions else { return Ok(None) };
    let read = serde_json::from_str(text).map_err(|error| error.to_string());
    let parsed = read.and_then(|value| PermissionOverride::parse(&value).map_err(|error| error.to_string()));
    parsed.map(Some).map_err(|what| {
        let key = format!("the trust with {}", trust.peer);
        ActorError::Internal(StoreError::Corrupt { key, what })
    })
}

/// Where a sealed secret stands: it opens nowhere else.
fn context(actor: &ActorId, peer: &PeerId) -> String {
    format!("trust/{actor}/{peer}")
}

/// A peer's failure, for the caller who made us ask: a URL that must not be called is the caller's own fault.
fn failed(what: &str, error: &PeerError) -> TrustError {
    match error {
        PeerError::Refused { .. } => TrustError::Invalid(format!("{what}: {error}")),
        _ => TrustError::Peer(format!("{what}: {error}")),
    }
}

/// A text of a caller's, with a limit.
fn check_text(name: &str, text: &str) -> Result<(), TrustError> {
    if text.len() > MAX_TRUST_TEXT_BYTES {
        return Err(TrustError::Invalid(format!("`{name}` is longer than {MAX_TRUST_TEXT_BYTES} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(TrustError::Invalid(format!("`{name}` must not contain control characters")));
    }
    Ok(())
}

/// A secret that a peer chose: it will stand in a header, and must not be guessed or be taken for a token of ours.
fn check_secret(secret: &str) -> Result<(), TrustError> {
    let in_header = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !(16..=256).contains(&secret.len()) || !in_header || secret.starts_with(actingweb_protocol::oauth::TOKEN_PREFIX)
    {
        let prefix = actingweb_protocol::oauth::TOKEN_PREFIX;
        let rule =
            format!("`secret` is 16 to 256 printable ASCII characters without blanks, not beginning with {prefix}");
        return Err(TrustError::Invalid(rule));
    }
    Ok(())
}
