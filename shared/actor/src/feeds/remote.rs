//! What is kept of peers, for hooks.

use std::collections::{BTreeMap, BTreeSet};

use actingweb_protocol::PeerId;
use actingweb_protocol::feed::Kept;
use actingweb_protocol::subscription::PROPERTIES;
use actingweb_store::FeedRecord;
use serde_json::Value;

use crate::{Actor, ActorError};

/// What an actor keeps of a peer: what the peer tells those who subscribe to it. Made by [`Actor::remote`].
///
/// It is as of the last callback, and never older than what was seen before. For what is not subscribed to, or must be
/// the very latest, ask the peer itself.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    actor: &'a Actor,
    peer: &'a PeerId,
    target: &'a str,
}

/// A value of a peer.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteValue {
    /// The value; a list is an array.
    Here(Value),
    /// The peer has one, too large to be kept here (above 350 KB); or it may have one, and has told more than is kept of
    /// a subscription (10,000 names, 16 MB): read it there.
    TooLarge,
}

impl RemoteValue {
    /// The value, if it is kept here.
    #[must_use]
    pub fn here(self) -> Option<Value> {
        match self {
            Self::Here(value) => Some(value),
            Self::TooLarge => None,
        }
    }
}

impl From<Kept> for RemoteValue {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Value(value) => Self::Here(value),
            Kept::TooLarge => Self::TooLarge,
        }
    }
}

impl Actor {
    /// What is kept of a peer's properties.
    ///
    /// ```no_run
    /// # async fn example(actor: actingweb_actor::Actor) -> Result<(), Box<dyn std::error::Error>> {
    /// let peer = actingweb_protocol::PeerId::parse("4f2a…")?;
    /// let motto = actor.remote(&peer).property("motto").await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub const fn remote<'a>(&'a self, peer: &'a PeerId) -> Remote<'a> {
        Remote { actor: self, peer, target: PROPERTIES }
    }
}

impl<'a> Remote<'a> {
    /// The same for another target than `properties`.
    #[must_use]
    pub const fn target(self, target: &'a str) -> Self {
        Self { target, ..self }
    }

    /// The value of one property (of one name right below the target); `None` when the peer has none, or the actor is
    /// not subscribed to it. Two calls.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn property(&self, name: &str) -> Result<Option<RemoteValue>, ActorError> {
        let names = BTreeSet::from([name.to_owned()]);
        let mut known = None;
        for feed in self.feeds().await? {
            let about = feed.scope.subtarget.as_deref().is_none_or(|subtarget| subtarget == name);
            if !about {
                continue;
            }
            let mut found = self.actor.store().remote_values(self.actor.id(), &feed, &names).await?;
            let not_kept = (feed.truncated && known.is_none()).then_some(RemoteValue::TooLarge);
            known = joined(known, found.remove(name).map(RemoteValue::from).or(not_kept));
        }
        Ok(known)
    }

    /// All properties that are kept, of the first 10,000 names and 16 MB of each subscription: one call for the subscriptions, and one per MB of each.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] above 20 MB in all; storage errors.
    pub async fn properties(&self) -> Result<BTreeMap<String, RemoteValue>, ActorError> {
        let mut all: BTreeMap<String, RemoteValue> = BTreeMap::new();
        for feed in self.feeds().await? {
            for (name, kept) in self.actor.store().remote(self.actor.id(), &feed).await? {
                let known = all.remove(&name);
                all.extend(joined(known, Some(kept.into())).map(|value| (name, value)));
            }
        }
        Ok(all)
    }

    /// The items of a list; `None` when there is none of that name, or it is too large to be kept.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, name: &str) -> Result<Option<Vec<Value>>, ActorError> {
        Ok(match self.property(name).await?.and_then(RemoteValue::here) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        })
    }

    /// The subscriptions the data comes from; those to parts of a property come first, so that what is said of the whole
    /// counts where both say something.
    async fn feeds(&self) -> Result<Vec<FeedRecord>, ActorError> {
        let mut feeds = self.actor.feeds(Some(self.peer)).await?;
        feeds.retain(|feed| feed.scope.target == self.target && feed.has_data());
        feeds.sort_by_key(|feed| std::cmp::Reverse(feed.scope.path().len()));
        Ok(feeds)
    }
}

/// What two subscriptions say of one name; the later counts, apart from what only the earlier knows.
fn joined(earlier: Option<RemoteValue>, later: Option<RemoteValue>) -> Option<RemoteValue> {
    match (earlier, later) {
        (Some(RemoteValue::Here(Value::Object(mut old))), Some(RemoteValue::Here(Value::Object(new)))) => {
            for (key, value) in new {
                let known = old.shift_remove(&key).map(RemoteValue::Here);
                let value = joined(known, Some(RemoteValue::Here(value))).and_then(RemoteValue::here);
                old.extend(value.map(|value| (key, value)));
            }
            Some(RemoteValue::Here(Value::Object(old)))
        }
        (earlier, later) => later.or(earlier),
    }
}
