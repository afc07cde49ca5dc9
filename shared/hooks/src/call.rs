//! One call of one hook: what the framework hands in, and what extractors read.

use std::fmt;
use std::sync::Arc;

use actingweb_actor::{Actor, Caller};
use actingweb_protocol::Deadline;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::HookError;
use crate::extract::TaskHandle;
use crate::kind::{Kind, OnPool};
use crate::mcp::McpCall;
use crate::resources::Surroundings;
use crate::tasks::TaskSet;

/// What a caller does to a method, action, resource or property.
///
/// As an argument of a method, action or resource hook it tells a `GET` (status, description) from a call:
/// `fn report(op: Op) -> Result<Value, HookError>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Op {
    /// Read it.
    Get,
    /// Replace it, or call it with data.
    Put,
    /// Create it, or call it with data.
    Post,
    /// Remove it.
    Delete,
}

impl Op {
    /// The HTTP method: `"GET"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the caller sends data with it: `PUT` and `POST`.
    #[must_use]
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Put | Self::Post)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call of a method, action or resource brings.
#[derive(Debug)]
pub struct Operation {
    pub(crate) op: Op,
    pub(crate) data: Value,
    /// The task that it runs as, if it does.
    pub(crate) task: Option<TaskHandle>,
}

impl Operation {
    /// `GET` and `DELETE` carry no data; hooks ported from the Python library look for `{"method": "GET"}` instead.
    pub(crate) fn new(op: Op, data: Value) -> Self {
        let data = if op.has_data() { data } else { json!({ "method": op.as_str() }) };
        Self { op, data, task: None }
    }
}

/// What may happen to an actor; the first argument of [`App::on`](crate::App::on).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The actor was created and answers requests. No data.
    ActorCreated,
    /// The actor is about to be deleted; what it holds can still be read. No data.
    ActorDeleted,
    /// The actor and all it held are gone; the handle still knows its id and creator. No data.
    ActorDeletedComplete,
    /// The actor asked a peer for a relationship, and the peer took the request. A [`TrustEvent`].
    TrustInitiated,
    /// A peer asked for a relationship. Anybody may ask, under any name: nothing is approved by that. A [`TrustEvent`].
    TrustRequestReceived,
    /// The actor approved of a relationship, as the peer had before. A [`TrustEvent`].
    TrustFullyApprovedLocal,
    /// The peer approved of a relationship, as the actor had before. A [`TrustEvent`].
    TrustFullyApprovedRemote,
    /// A relationship ended. A [`TrustEvent`].
    TrustDeleted,
    /// A subscription between the actor and a peer ended before their relationship. A [`SubscriptionEvent`].
    SubscriptionDeleted,
    /// Somebody proved to be who they are at a provider, and is about to be signed in to the actor. A
    /// [`SignInEvent`](crate::SignInEvent). A hook that fails keeps them out: with what it says for
    /// [`HookError::Rejected`], and for any other failure until it works.
    OauthSuccess,
    /// Somebody who signs in typed an e-mail address, which is to be verified: send the URL there. An
    /// [`EmailEvent`](crate::EmailEvent); there is no actor yet. With a hook for it, nobody gets an actor without a verified
    /// address.
    EmailVerificationRequired,
    /// The actor's creator has shown that the address is theirs. An [`EmailEvent`](crate::EmailEvent).
    EmailVerified,
}

/// What the end of a subscription tells: `event.data::<SubscriptionEvent>()?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionEvent {
    /// The peer's id.
    pub peer: String,
    /// The subscription's id.
    pub subscription: String,
    /// What was subscribed to.
    pub target: String,
    /// The part of it, if only a part was.
    pub subtarget: Option<String>,
    /// The part of that, if only a part was.
    pub resource: Option<String>,
    /// Whether the actor was subscribed to the peer; otherwise the peer was to the actor.
    pub to_peer: bool,
    /// Whether the peer ended it.
    pub initiated_by_peer: bool,
}

/// What the events of a relationship tell: `event.data::<TrustEvent>()?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustEvent {
    /// The peer's id.
    pub peer: String,
    /// The relationship, such as `friend`.
    pub relationship: String,
    /// Whether the peer brought the event about.
    pub initiated_by_peer: bool,
}

impl EventKind {
    /// The event's name in logs: `actor_created`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActorCreated => "actor_created",
            Self::ActorDeleted => "actor_deleted",
            Self::ActorDeletedComplete => "actor_deleted_complete",
            Self::TrustInitiated => "trust_initiated",
            Self::TrustRequestReceived => "trust_request_received",
            Self::TrustFullyApprovedLocal => "trust_fully_approved_local",
            Self::TrustFullyApprovedRemote => "trust_fully_approved_remote",
            Self::TrustDeleted => "trust_deleted",
            Self::SubscriptionDeleted => "subscription_deleted",
            Self::OauthSuccess => "oauth_success",
            Self::EmailVerificationRequired => "email_verification_required",
            Self::EmailVerified => "email_verified",
        }
    }
}

/// Something that happened to an actor. Argument of lifecycle hooks.
#[derive(Clone, Debug)]
pub struct Event {
    kind: EventKind,
    data: Arc<Value>,
}

impl Event {
    /// An event with nothing more to say about it.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self::with_data(kind, Value::Null)
    }

    /// An event and what is known about it.
    #[must_use]
    pub fn with_data(kind: EventKind, data: Value) -> Self {
        Self { kind, data: Arc::new(data) }
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// What is known about it, in the shape the kind documents.
    ///
    /// # Errors
    /// [`HookError::Terminal`] when the data has another shape.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, HookError> {
        T::deserialize(self.data.as_ref()).map_err(HookError::terminal)
    }
}

/// What changed at a peer that the actor is subscribed to. Argument of subscription hooks. What it changed is stored
/// already: [`Actor::remote`](crate::Actor::remote) has it.
///
/// A hook may be told of one change more than once, when whoever told it died before noting that. `sequence` tells such
/// repetitions apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerChange {
    /// The peer's id.
    pub peer: String,
    /// The subscription's id.
    pub subscription: String,
    /// What is subscribed to, such as `properties`.
    pub target: String,
    /// The part of it, if only a part is.
    pub subtarget: Option<String>,
    /// The part of that, if only a part is.
    pub resource: Option<String>,
    /// The number of the change in the subscription.
    pub sequence: u64,
    /// What changed, as the peer told it: the new values by name, `""` for what was deleted, an operation for a list.
    /// `None` when everything was read anew.
    pub data: Option<Value>,
}

/// The request on whose behalf hooks run: made once per request by the framework.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The actor addressed; `None` for requests that address none.
    pub actor: Option<Actor>,
    /// Who calls. Whether they may was decided before.
    pub caller: Caller,
    /// The request's id, as in the logs and in `X-Request-ID`.
    pub request_id: String,
    /// When the reply must have left. Hooks end earlier by [`Limits::reserve`](crate::Limits::reserve).
    pub deadline: Deadline,
    /// What an AI client brings, for requests over MCP.
    pub mcp: Option<Arc<McpCall>>,
}

/// What every extractor of one call can see, whatever the kind.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) invocation: Invocation,
    /// The name the hook is registered under; `*` for wildcards.
    pub(crate) hook: Arc<str>,
    /// The name that was called.
    pub(crate) name: String,
    pub(crate) op: Option<Op>,
    /// The hook's own deadline, never later than the invocation's.
    pub(crate) deadline: Deadline,
    pub(crate) tasks: TaskSet,
    /// The runtime the call arrived on: how tasks and [`Wait`](crate::Wait) reach it from another thread.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// One call of one hook of kind `K`: what [`FromCall`](crate::FromCall) reads from. Cheap to clone.
pub struct Call<K: Kind> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) payload: Arc<K::Payload>,
}

impl<K: Kind> Call<K> {
    /// The same call, for extractors of the blocking pool.
    pub(crate) fn on_pool(&self) -> Call<OnPool<K>> {
        Call { shared: Arc::clone(&self.shared), payload: Arc::clone(&self.payload) }
    }
}

impl<K: Kind> Clone for Call<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), payload: Arc::clone(&self.payload) }
    }
}

impl<K: Kind> fmt::Debug for Call<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("hook", &self.shared.hook).field("name", &self.shared.name).finish_non_exhaustive()
    }
}
