//! Other actors, in hooks: those that this one has relationships with.

use std::collections::HashSet;

use actingweb_actor::peers::{NoPeer, PeerCallError, Peering, Peers};
use actingweb_actor::{Actor, Actors};
use actingweb_peer::PeerClient;
use actingweb_protocol::permission::Policy;
use actingweb_protocol::{Deadline, Name};

use crate::build::Problem;
use crate::call::{Call, Invocation};
use crate::error::HookError;
use crate::extract::FromCall;
use crate::kind::{Kind, Property};
use crate::registry::{Registered, WILDCARD};
use crate::{App, Hooks};

/// What peers are asked for when somebody wants to know who they are, as the Python library has it.
pub(crate) const PROFILE: [&str; 3] = ["displayname", "email", "description"];

/// The most properties that a profile has: each is a request.
const MAX_PROFILE: usize = 16;

impl App {
    /// Which properties of a peer are its profile, for [`Peer::profile`](crate::Peer::profile); 16 at most. If this is not
    /// said: `displayname`, `email` and `description`.
    pub fn peer_profile(mut self, properties: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.profile = properties.into_iter().map(Into::into).collect();
        self
    }
}

impl Hooks {
    /// The peers of an actor, for one request: what hooks get as [`Peers`].
    ///
    /// # Errors
    /// [`HookError::Terminal`] where there is no storage, as in tests of hooks alone.
    pub fn peers(&self, invocation: &Invocation, actor: &Actor) -> Result<Peers, HookError> {
        of(self.0.surroundings.peering.as_ref(), actor, &invocation.request_id, invocation.deadline)
    }
}

/// The peers of the call's actor, with this hook's deadline.
impl<K: Kind> FromCall<K> for Peers {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let actor = <Actor as FromCall<K>>::from_call(call)?;
        let shared = &call.shared;
        of(shared.surroundings.peering.as_ref(), &actor, &shared.invocation.request_id, shared.deadline)
    }
}

fn of(peering: Option<&Peering>, actor: &Actor, request_id: &str, deadline: Deadline) -> Result<Peers, HookError> {
    let peering = peering.ok_or_else(|| HookError::terminal("there is no storage, so there are no peers"))?;
    Ok(peering.of(actor, request_id, deadline))
}

/// What calls to peers are made with.
pub(crate) fn peering(
    actors: &Actors,
    client: PeerClient,
    policy: Policy,
    hooks: &[Registered<Property>],
    profile: &[String],
) -> Peering {
    let names: HashSet<String> = hooks.iter().map(|hook| hook.name.to_string()).collect();
    let has_hooks = Box::new(move |name: &str| names.contains(WILDCARD) || names.contains(name));
    let profile = profile.iter().filter_map(|name| Name::parse(name).ok()).collect();
    Peering::new(actors, client, policy, has_hooks, profile)
}

pub(crate) fn check_profile(profile: &[String], problems: &mut Vec<Problem>) {
    if profile.len() > MAX_PROFILE {
        problems.push(Problem::LongProfile { count: profile.len(), most: MAX_PROFILE });
    }
    for name in profile {
        if let Err(reason) = Name::parse(name) {
            problems.push(Problem::ProfileName { name: name.clone(), reason });
        }
    }
}

/// A peer that is unknown is not found, one that is not approved rejected, one that is left alone retryable.
impl From<NoPeer> for HookError {
    fn from(error: NoPeer) -> Self {
        match &error {
            NoPeer::Unknown(_) | NoPeer::NoActor(_) => Self::NotFound(error.to_string()),
            NoPeer::NotApproved(_) => Self::Rejected(error.to_string()),
            NoPeer::Held { .. } => Self::retryable(error.to_string()),
        }
    }
}

/// As its parts: no such peer, a call that failed, storage that failed.
impl From<PeerCallError> for HookError {
    fn from(error: PeerCallError) -> Self {
        match error {
            PeerCallError::NoPeer(error) => error.into(),
            PeerCallError::Call(error) => error.into(),
            PeerCallError::Actor(error) => error.into(),
        }
    }
}
