//! What peers say an actor may do with them.

use std::collections::BTreeSet;

use actingweb_protocol::feed::lenient;
use actingweb_protocol::permission::{Access, Caller, Category, Operation, PermissionOverride, Subtree};
use actingweb_protocol::subscription::PROPERTIES;
use actingweb_protocol::{PeerId, Timestamp};
use actingweb_store::{FeedRecord, GrantRecord, StoreError};
use serde_json::{Map, Value};

use super::{FeedError, Feeds};
use crate::Actor;

/// The most bytes of JSON text that rights may have.
const MAX_GRANT_BYTES: usize = 100_000;

/// The rights a peer says an actor has with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    /// The effective rights by category; `null` for a category it says nothing about.
    pub permissions: Map<String, Value>,
    /// When it said so; `None` when it did not say.
    pub at: Option<Timestamp>,
}

/// What a peer's message about rights came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantChange {
    /// They are stored; names of properties that may be read no more were forgotten.
    Stored {
        /// Those names.
        forgotten: BTreeSet<String>,
    },
    /// The peer had said something later already: nothing changed.
    Older,
}

impl Granted {
    /// Reads the body of a permission callback.
    ///
    /// # Errors
    /// What is wrong with it, for people (400).
    pub fn parse(body: &Map<String, Value>, grantor: &str) -> Result<Self, String> {
        if body.get("id").is_some_and(|told| told != grantor) {
            return Err("`id` is not the one in the path".to_owned());
        }
        let Some(Value::Object(data)) = body.get("data") else {
            return Err("`data` must be an object of permissions by category".to_owned());
        };
        let known = |name: &String| Category::ALL.iter().any(|category| category.as_str() == name);
        let permissions: Map<_, _> =
            data.iter().filter(|(name, _)| known(name)).map(|(name, rules)| (name.clone(), rules.clone())).collect();
        PermissionOverride::parse(&Value::Object(permissions.clone())).map_err(|error| format!("`data`: {error}"))?;
        if Value::Object(permissions.clone()).to_string().len() > MAX_GRANT_BYTES {
            return Err(format!("`data` is larger than {MAX_GRANT_BYTES} bytes"));
        }
        let at = match body.get("timestamp") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(lenient::timestamp(text).ok_or("`timestamp` is no moment")?),
            Some(_) => return Err("`timestamp` is no moment".to_owned()),
        };
        Ok(Self { permissions, at })
    }
}

impl Feeds {
    /// Stores the rights a peer grants. Kept data that may be read no more is forgotten at once (all of a subscription's,
    /// when it is too much to be looked at); when others may be read now, everything of that peer is read anew, by the
    /// worker.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn take_grant(&self, actor: &Actor, peer: &PeerId, granted: &Granted) -> Result<GrantChange, FeedError> {
        let store = actor.store();
        let before = store.grant(actor.id(), peer).await?;
        let now = self.trusts.now();
        // A peer whose clock is ahead must not shut itself up.
        let at = granted.at.unwrap_or(now).min(now);
        let text = Value::Object(granted.permissions.clone()).to_string();
        let unchanged = before.as_ref().is_some_and(|before| before.permissions == text);
        if !store.put_grant(actor.id(), &GrantRecord { peer: peer.clone(), permissions: text, at }).await? {
            return Ok(GrantChange::Older);
        }
        let mut forgotten = BTreeSet::new();
        let says_something = granted.permissions.get(PROPERTIES).is_some_and(Value::is_object);
        let Some(access) = self.access(&granted.permissions).filter(|_| says_something && !unchanged) else {
            return Ok(GrantChange::Stored { forgotten });
        };
        for feed in actor.feeds(Some(peer)).await? {
            if feed.scope.target != PROPERTIES {
                continue;
            }
            let kept = match store.remote(actor.id(), &feed).await {
                // Nothing of it may stay only because there is so much: all is read anew with the rights there are now.
                Err(StoreError::TooLarge { .. }) => {
                    store.forget_remote(actor.id(), &feed).await?;
                    continue;
                }
                kept => kept?,
            };
            let gone: Vec<&String> = kept.keys().filter(|name| !may_read(&access, name)).collect();
            store.forget_values(actor.id(), &feed, gone.iter().copied()).await?;
            forgotten.extend(gone.into_iter().cloned());
            let stale = |feed: &mut FeedRecord| !std::mem::replace(&mut feed.stale, true);
            store.change_feed(actor.id(), feed, None, stale).await?;
        }
        Ok(GrantChange::Stored { forgotten })
    }

    /// Rights as somebody has them who has nothing else.
    fn access(&self, permissions: &Map<String, Value>) -> Option<Access> {
        let granted = PermissionOverride::parse(&Value::Object(permissions.clone())).ok()?;
        // No trust type has an empty name, so what is granted is all there is.
        let caller = Caller::Peer { id: String::new(), relationship: String::new() };
        Some(self.trusts.rules().policy.access(caller, Some(&granted)))
    }
}

fn may_read(access: &Access, name: &str) -> bool {
    access.subtree(name, Operation::Read) != Subtree::None
}
