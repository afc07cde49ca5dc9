//! Several peers at once, with an outcome for each.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use actingweb_peer::{Outcome, PeerReply, fan_out};
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Deadline, PeerId};
use actingweb_store::TrustRecord;
use http::Method;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{NoPeer, Peer, PeerCallError, Peers, below, json};
use crate::ActorError;

/// How many peers are called at the same time, unless the group says otherwise.
const AT_ONCE: usize = 16;

/// How many ids one group may be made of.
pub const MAX_NAMED: usize = 1000;

/// How many relationships one call to storage reads by their keys.
const BATCH: usize = 100;

/// Peers to be called together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PeerGroup {
    members: Vec<(String, Result<Peer, NoPeer>)>,
    at_once: usize,
    deadline: Deadline,
}

/// What became of the call to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeerOutcome<T = PeerReply, E = PeerCallError> {
    /// The peer's id, as it was asked for.
    pub peer: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome<T, E>,
}

impl Peers {
    /// All peers with which both sides approve, in the order of their ids: one call to storage per MB.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn all(&self) -> Result<PeerGroup, PeerCallError> {
        self.selected(|_| true).await
    }

    /// Those of them that are this to the actor, such as `friend`.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn related(&self, relationship: &str) -> Result<PeerGroup, PeerCallError> {
        self.selected(|trust| trust.relationship == relationship).await
    }

    /// The peers with these ids, in this order; each once. One that is unknown or not approved is a member all the same,
    /// whose outcome says so. One call to storage for each 100.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] above [`MAX_NAMED`] ids; storage errors.
    pub async fn named(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> Result<PeerGroup, PeerCallError> {
        let mut seen = HashSet::new();
        let ids: Vec<String> =
            ids.into_iter().map(|id| id.as_ref().to_owned()).filter(|id| seen.insert(id.clone())).collect();
        if ids.len() > MAX_NAMED {
            return Err(ActorError::Invalid(format!("{} peers are more than {MAX_NAMED}", ids.len())).into());
        }
        let parsed: Vec<PeerId> = ids.iter().filter_map(|id| PeerId::parse(id).ok()).collect();
        let parsed: Vec<&PeerId> = parsed.iter().collect();
        let mut found = HashMap::new();
        for batch in parsed.chunks(BATCH) {
            for trust in self.actor.store().trusts_with(self.actor.id(), batch).await? {
                found.insert(trust.peer.to_string(), trust);
            }
        }
        let member = |id: String| {
            let peer = match found.remove(&id) {
                Some(trust) => self.callable(trust)?,
                None => Err(NoPeer::Unknown(id.clone())),
            };
            Ok((id, peer))
        };
        self.group(ids.into_iter().map(member).collect::<Result<_, ActorError>>()?)
    }

    async fn selected(&self, wanted: impl Fn(&TrustRecord) -> bool) -> Result<PeerGroup, PeerCallError> {
        let trusts = self.actor.store().trusts(self.actor.id()).await?;
        let mut members = Vec::new();
        for trust in trusts.into_iter().filter(|trust| trust.peer_approved && wanted(trust)) {
            // Requests that nobody answered, and relationships with no actor behind them, were not meant.
            if let Ok(peer) = self.callable(trust)? {
                members.push((peer.id().to_owned(), Ok(peer)));
            }
        }
        self.group(members)
    }

    fn group(&self, members: Vec<(String, Result<Peer, NoPeer>)>) -> Result<PeerGroup, PeerCallError> {
        Ok(PeerGroup { members, at_once: AT_ONCE, deadline: self.deadline })
    }
}

impl PeerGroup {
    /// How many members it has, those included that cannot be called.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nobody in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Its members that can be called.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.members.iter().filter_map(|(_, peer)| peer.as_ref().ok())
    }

    /// The same group, of which this many are called at the same time; 16 if nothing is said.
    #[must_use]
    pub const fn at_once(mut self, calls: usize) -> Self {
        self.at_once = calls;
        self
    }

    /// The same group, each of whose calls is tried as often as this: [`Peer::with_retry`].
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.members =
            self.members.into_iter().map(|(id, peer)| (id, peer.map(|peer| peer.with_retry(retry)))).collect();
        self
    }

    /// The same group, in which peers that did not answer lately are not called: their outcome is [`NoPeer::Held`], and
    /// nobody waits for them.
    #[must_use]
    pub fn without_held(mut self) -> Self {
        for (id, member) in &mut self.members {
            if let Some(until) = member.as_ref().ok().and_then(Peer::held_until) {
                *member = Err(NoPeer::Held { peer: id.clone(), until });
            }
        }
        self
    }

    /// GET of a path below each of them.
    pub async fn get(&self, path: &str) -> Vec<PeerOutcome> {
        self.each(|peer| async move { peer.get(path).await }).await
    }

    /// POST of JSON to each of them.
    pub async fn post(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Vec<PeerOutcome> {
        self.send(Method::POST, Ok(path.to_owned()), body).await
    }

    /// PUT of JSON to each of them.
    pub async fn put(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Vec<PeerOutcome> {
        self.send(Method::PUT, Ok(path.to_owned()), body).await
    }

    /// DELETE at each of them.
    pub async fn delete(&self, path: &str) -> Vec<PeerOutcome> {
        self.each(|peer| async move { peer.delete(path).await }).await
    }

    /// Calls a method of each of them.
    pub async fn call_method(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Vec<PeerOutcome> {
        self.send(Method::POST, below("methods", name), input).await
    }

    /// Has an action of each of them happen.
    pub async fn call_action(&self, name: &str, input: &(impl Serialize + ?Sized)) -> Vec<PeerOutcome> {
        self.send(Method::POST, below("actions", name), input).await
    }

    /// Does the same with each of them, a few at the same time, and gives every outcome in the order of the members: what
    /// failed or came too late is data, not the end of the others. It stops shortly before the deadline, so that there is
    /// time to report: a tenth of what remains, at most 250 ms.
    pub async fn each<T, E, F>(&self, mut call: impl FnMut(Peer) -> F) -> Vec<PeerOutcome<T, E>>
    where
        E: From<NoPeer>,
        F: Future<Output = Result<T, E>>,
    {
        let left = self.deadline.remaining(Instant::now().into_std());
        let until = self.deadline.minus((left / 10).min(Duration::from_millis(250)));
        let members: Vec<_> = self.members.iter().map(|(_, member)| member.clone()).collect();
        let outcomes = fan_out(members, self.at_once, until, |member| {
            let call = member.map(&mut call);
            async move { call?.await }
        });
        let outcomes = outcomes.await;
        self.members.iter().zip(outcomes).map(|((id, _), outcome)| PeerOutcome { peer: id.clone(), outcome }).collect()
    }

    async fn send(
        &self,
        method: Method,
        path: Result<String, actingweb_peer::PeerError>,
        body: &(impl Serialize + ?Sized),
    ) -> Vec<PeerOutcome> {
        let request: &Result<(String, Value), _> = &path.and_then(|path| Ok((path, json(body)?)));
        self.each(|peer| {
            let method = method.clone();
            async move {
                let (path, body) = request.clone()?;
                peer.request(method, &path, Some(body)).await
            }
        })
        .await
    }
}
