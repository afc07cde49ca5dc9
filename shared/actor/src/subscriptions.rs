//! What peers are subscribed to, and the diffs that are kept for them.

use actingweb_protocol::PeerId;
use actingweb_store::{Diff, Notice, Subscribed, SubscriptionRecord};

use crate::{Actor, ActorError};

/// How many subscriptions a peer may have.
pub const MAX_SUBSCRIPTIONS: usize = 100;

/// Why a peer did not get a subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// It has as many as it may have (409).
    #[error("this peer has {MAX_SUBSCRIPTIONS} subscriptions, which is as many as it may have: end one of them first")]
    TooMany,
    /// The relationship ended, or is not approved (403).
    #[error("there is no approved relationship with this peer")]
    NoTrust,
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl Actor {
    /// Adds a subscription of a peer. It is told of every change that commits from here on.
    ///
    /// # Errors
    /// [`SubscribeError`]; nothing is stored then.
    pub async fn subscribe(&self, new: SubscriptionRecord) -> Result<SubscriptionRecord, SubscribeError> {
        match self.store().subscribe(self.id(), new, None, MAX_SUBSCRIPTIONS).await.map_err(ActorError::from)? {
            Subscribed::Done(subscription) => Ok(*subscription),
            Subscribed::TooMany => Err(SubscribeError::TooMany),
            Subscribed::NoTrust => Err(SubscribeError::NoTrust),
        }
    }

    /// The subscriptions of one peer, or of all, as they are stored: changes may not be numbered for them yet.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn subscriptions(&self, peer: Option<&PeerId>) -> Result<Vec<SubscriptionRecord>, ActorError> {
        Ok(self.store().subscriptions(self.id(), peer).await?)
    }

    /// One subscription, as it is stored.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn subscription(&self, peer: &PeerId, id: &str) -> Result<Option<SubscriptionRecord>, ActorError> {
        Ok(self.store().subscription(self.id(), peer, id).await?)
    }

    /// Ends a subscription; its peer is owed `notice` of that. Its diffs are removed by the worker. False when it had
    /// ended already.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn unsubscribe(
        &self,
        subscription: &SubscriptionRecord,
        notice: Option<&Notice>,
    ) -> Result<bool, ActorError> {
        Ok(self.store().unsubscribe(self.id(), subscription, notice).await?)
    }

    /// Up to `limit` (at most 100) diffs after a number, in their order: two calls.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn diffs(
        &self,
        subscription: &SubscriptionRecord,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Diff>, ActorError> {
        Ok(self.store().diffs(self.id(), &subscription.id, after, limit).await?)
    }

    /// One diff; `None` when it was cleared, or is not numbered yet.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn diff(&self, subscription: &SubscriptionRecord, sequence: u64) -> Result<Option<Diff>, ActorError> {
        Ok(self.store().diff(self.id(), &subscription.id, sequence).await?)
    }

    /// Removes the diffs up to a number, which the peer has: nothing of them is delivered any more.
    ///
    /// # Errors
    /// Storage errors; some may be gone by then.
    pub async fn clear_diffs(&self, subscription: &SubscriptionRecord, upto: u64) -> Result<(), ActorError> {
        let upto = upto.min(subscription.sequence);
        if upto > subscription.delivered {
            self.store().acknowledge(self.id(), subscription, upto).await?;
        }
        Ok(self.store().clear_diffs(self.id(), &subscription.id, upto).await?)
    }
}
