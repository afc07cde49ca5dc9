//! Bringing a subscription up to date: by the diffs the peer still has, or by reading everything anew.

use std::time::Duration;

use actingweb_peer::PeerAddress;
use actingweb_protocol::PeerId;
use actingweb_store::{FeedRecord, GAP_TIMEOUT, Taken};
use serde_json::json;

use super::{FeedError, Feeds};
use crate::Actor;

/// How often data is read at most to get a state between two diffs.
const ATTEMPTS: usize = 3;

/// How many doubtful values are read one by one; more, and everything is.
const MAX_DOUBTFUL: usize = 20;

/// How long to wait before a failed attempt is repeated: doubled each time.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How often the wait is doubled at most: 30 s become 64 minutes.
const MAX_DOUBLINGS: u32 = 7;

/// What bringing a subscription up to date came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Synced {
    /// The diffs that were applied, in this order.
    pub applied: Vec<Taken>,
    /// Whether everything was read anew.
    pub rebuilt: bool,
    /// The feed as it is now; `None` when it has ended.
    pub feed: Option<FeedRecord>,
}

impl Feeds {
    /// Brings a subscription up to date, and tells the peer how far it is: one request to the peer when there is nothing
    /// new, and one more when there is and its diffs can be had.
    ///
    /// # Errors
    /// [`FeedError`]; what was applied by then is applied. Nothing is ended because a peer does not know the subscription
    /// any more (status 404): whoever asked decides.
    pub async fn sync(&self, actor: &Actor, feed: FeedRecord) -> Result<Synced, FeedError> {
        let trust = self.trust(actor, &feed.peer).await?;
        let address = self.trusts.address(actor.id(), &trust)?;
        if feed.stale {
            return self.rebuild(actor, &address, feed, Vec::new()).await;
        }
        let status = self.status(actor.id(), &address, &feed).await?;
        if status.resync > feed.queue.last() {
            return self.rebuild(actor, &address, feed, Vec::new()).await;
        }
        let Some((applied, feed)) = actor.store().catch_up(actor.id(), feed, &status.diffs).await? else {
            return Ok(Synced::default());
        };
        // A gap that is left holds what the peer has forgotten; a number that went back, what it has lost.
        let complete = feed.queue.last() >= status.sequence && !feed.queue.has_gap();
        let went_back = applied.is_empty() && feed.queue.last() > status.sequence && status.diffs.is_empty();
        if feed.stale || !complete || went_back {
            return self.rebuild(actor, &address, feed, applied).await;
        }
        let feed = self.settle(actor, &address, feed).await?;
        let Some(feed) = feed else { return Ok(Synced { applied, ..Synced::default() }) };
        if !status.diffs.is_empty() {
            self.tell_received(actor, &address, &feed).await?;
        }
        Ok(Synced { applied, rebuilt: false, feed: Some(feed) })
    }

    async fn rebuild(
        &self,
        actor: &Actor,
        address: &PeerAddress,
        feed: FeedRecord,
        applied: Vec<Taken>,
    ) -> Result<Synced, FeedError> {
        let stale = |feed: &mut FeedRecord| !std::mem::replace(&mut feed.stale, true);
        let Some(feed) = actor.store().change_feed(actor.id(), feed, None, stale).await? else {
            return Ok(Synced { applied, ..Synced::default() });
        };
        let rebuilt = self.read_anew(actor, address, &feed).await?;
        if let Some(feed) = &rebuilt {
            self.tell_received(actor, address, feed).await?;
        }
        Ok(Synced { applied, rebuilt: rebuilt.is_some(), feed: rebuilt })
    }

    /// Reads everything a stale feed is about and puts it in the place of what was known. `None` when somebody else did,
    /// or the feed has ended.
    ///
    /// The data must be as of a number. So the number is asked before and after; when the peer keeps changing, the one
    /// before counts, and diffs that are in the data already are applied once more: that leaves values as they are, and
    /// a list tells its length.
    pub(super) async fn read_anew(
        &self,
        actor: &Actor,
        address: &PeerAddress,
        feed: &FeedRecord,
    ) -> Result<Option<FeedRecord>, FeedError> {
        let mut sequence = self.status(actor.id(), address, feed).await?.sequence;
        let mut attempt = 1;
        let data = loop {
            let data = self.read_scope(address, &feed.scope).await;
            let data = data.map_err(|error| FeedError::of_peer("the peer did not show its data", &error))?;
            let after = self.status(actor.id(), address, feed).await?.sequence;
            if after == sequence || attempt == ATTEMPTS {
                break data;
            }
            sequence = after;
            attempt += 1;
        };
        let store = actor.store();
        let generation = store.write_generation(actor.id(), feed, &data).await?;
        let Some(feed) = store.adopt(actor.id(), feed, generation, sequence).await? else { return Ok(None) };
        let caught_up = store.catch_up(actor.id(), feed, &[]).await?;
        Ok(caught_up.map(|(_, feed)| feed))
    }

    /// Reads again what is doubtful. `None` when the feed has ended.
    async fn settle(
        &self,
        actor: &Actor,
        address: &PeerAddress,
        feed: FeedRecord,
    ) -> Result<Option<FeedRecord>, FeedError> {
        let mut feed = feed;
        for _ in 0..ATTEMPTS {
            if feed.doubtful.is_empty() {
                break;
            }
            if feed.doubtful.len() > MAX_DOUBTFUL || !feed.scope.path().is_empty() {
                return Ok(self.rebuild(actor, address, feed, Vec::new()).await?.feed);
            }
            let names: Vec<String> = feed.doubtful.iter().cloned().collect();
            let values = self.read_names(address, &feed.scope, names).await;
            let values = values.map_err(|error| FeedError::of_peer("the peer did not show its data", &error))?;
            feed = match actor.store().settle_doubts(actor.id(), &feed, &values).await? {
                Ok(feed) | Err(Some(feed)) => feed,
                Err(None) => return Ok(None),
            };
        }
        Ok(Some(feed))
    }

    /// Tells a peer how far its diffs have been received, so that it may forget them.
    async fn tell_received(&self, actor: &Actor, address: &PeerAddress, feed: &FeedRecord) -> Result<(), FeedError> {
        let last = feed.queue.last();
        if last <= feed.acknowledged {
            return Ok(());
        }
        let path = format!("subscriptions/{}/{}", actor.id(), feed.id);
        let told = self.peers.put(address, &path).json(&json!({ "sequence": last })).send().await;
        told.map_err(|error| FeedError::of_peer("the peer did not take an acknowledgement", &error))?;
        let acknowledged = |feed: &mut FeedRecord| {
            let further = feed.acknowledged < last;
            feed.acknowledged = feed.acknowledged.max(last);
            further
        };
        actor.store().change_feed(actor.id(), feed.clone(), None, acknowledged).await?;
        Ok(())
    }

    /// Does what [`actingweb_store::DueWork::Resync`] asks for: nothing, when it was done meanwhile. A failure makes it due again later,
    /// ever more seldom.
    ///
    /// # Errors
    /// Storage errors; failures of the peer are logged.
    pub async fn resync_due(&self, actor: &Actor, peer: &PeerId, id: &str) -> Result<Synced, FeedError> {
        let Some(feed) = actor.feed(peer, id).await? else { return Ok(Synced::default()) };
        let waited = feed.gap_since.is_some_and(|since| since.plus(GAP_TIMEOUT) <= self.trusts.now());
        let later = feed.retry_at.is_some_and(|at| at > self.trusts.now());
        if later || (!feed.stale && !waited && feed.doubtful.is_empty()) {
            return Ok(Synced::default());
        }
        let error = match self.sync(actor, feed.clone()).await {
            Err(error @ FeedError::Actor(_)) => return Err(error),
            Err(error) => error,
            Ok(synced) => return Ok(synced),
        };
        let wait = RETRY_AFTER.saturating_mul(1 << feed.failures.min(MAX_DOUBLINGS));
        tracing::warn!(%error, %peer, subscription = id, "a subscription could not be brought up to date");
        let now = self.trusts.now();
        let at = now.plus(wait);
        let count = |feed: &mut FeedRecord| {
            if feed.retry_at.is_some_and(|at| at > now) {
                // Somebody else failed at the same time: one of the two tries again.
                return false;
            }
            feed.failures = feed.failures.saturating_add(1);
            feed.retry_at = Some(at);
            true
        };
        let retry = Some((at, feed.resync()));
        actor.store().change_feed(actor.id(), feed, retry, count).await?;
        Ok(Synced::default())
    }

    /// Does what [`actingweb_store::DueWork::Acknowledge`] asks for. A peer that does not take it is told with the next ones.
    ///
    /// # Errors
    /// Storage errors; failures of the peer are logged.
    pub async fn acknowledge_due(&self, actor: &Actor, peer: &PeerId, id: &str) -> Result<(), FeedError> {
        let Some(feed) = actor.feed(peer, id).await? else { return Ok(()) };
        // From here on whatever comes asks for another acknowledgement.
        let open = |feed: &mut FeedRecord| std::mem::replace(&mut feed.acknowledging, false);
        let Some(feed) = actor.store().change_feed(actor.id(), feed, None, open).await? else { return Ok(()) };
        let trust = match self.trust(actor, peer).await {
            Ok(trust) => trust,
            Err(FeedError::NoTrust) => return Ok(()),
            Err(error) => return Err(error),
        };
        let address = self.trusts.address(actor.id(), &trust)?;
        match self.tell_received(actor, &address, &feed).await {
            Err(error @ FeedError::Peer { .. }) => {
                tracing::info!(%error, %peer, subscription = id, "diffs were not acknowledged");
                Ok(())
            }
            result => result,
        }
    }
}
