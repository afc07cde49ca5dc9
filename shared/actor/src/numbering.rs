//! From the change log to numbered diffs: which subscriptions are told of which changes, by whoever delivers and by
//! polls that come first.
//!
//! Numbers have no gaps and no duplicates: each step gives a subscription the numbers of all changes it is told of up to
//! some place in the log, on the condition that nobody else did. It may be begun by anyone, any number of times, at the
//! same time, and be left at any point.

use std::collections::HashMap;

use actingweb_protocol::permission::{Access, Policy};
use actingweb_protocol::subscription::Granularity;
use actingweb_protocol::{PeerId, Timestamp};
use actingweb_store::{LogEntry, LogHead, LoggedChange, MAX_NUMBERED, Standing, Store, SubscriptionRecord};
use futures_util::future::try_join;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::readers::{access_of, readable};
use crate::{Actor, ActorError};

/// How many subscriptions are numbered at once.
const CONCURRENT: usize = 32;

/// How many changes that are not told may lie behind before a subscription's place in the log is written down.
const SILENT_CHANGES: u64 = 50;

/// The most trusts read in one call.
const TRUSTS_AT_ONCE: usize = 100;

/// Who is told what.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// The application's trust types and path rules.
    pub policy: &'a Policy,
    /// Whether a peer with several subscriptions is called back once for a change, by the most specific of them (spec
    /// 1.4). Otherwise every one of them is numbered for itself, as in the Python library.
    pub one_callback_per_change: bool,
}

/// A subscription that has diffs its peer did not take yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// The subscription as it is now.
    pub subscription: SubscriptionRecord,
    /// Whether it was taken for delivery. If it was wanted and is false, somebody else has it
    /// ([`SubscriptionRecord::leased_until`]), or its time has not come ([`SubscriptionRecord::retry_at`]).
    pub leased: bool,
}

impl Actor {
    /// Numbers what the log has for all subscriptions. Gives those that are called back and have diffs their peers did
    /// not take yet, taken for delivery if `lease` says so: one call for the log's head, one per MB of subscriptions
    /// and of changes, one per 100 peers, and one for each 98 diffs of a subscription.
    ///
    /// # Errors
    /// Storage errors. What was numbered by then stays so.
    pub async fn number_changes(
        &self,
        publishing: Publishing<'_>,
        lease: bool,
    ) -> Result<Vec<Outstanding>, ActorError> {
        // The head first or at the same time: a subscription is never ahead of the head it is compared with.
        let (head, subscriptions) =
            try_join(self.store().log_head(self.id()), self.store().subscriptions(self.id(), None)).await?;
        let numbered = self.number(publishing, head, subscriptions, lease).await?;
        let outstanding = numbered.into_iter().filter(|running| is_outstanding(&running.subscription));
        // Vectors of futures here and below: closures that make futures of borrows cannot be told to be `Send`.
        let taken: Vec<_> = outstanding.map(|running| self.take(running, lease)).collect();
        stream::iter(taken).buffer_unordered(CONCURRENT).try_collect().await
    }

    /// Takes a subscription for delivery, if that is wanted and possible.
    async fn take(&self, running: Running, lease: bool) -> Result<Outstanding, ActorError> {
        let Running { subscription, leased, numbered } = running;
        // Whoever had it when it was read may have given it back before this numbering: then nobody else knows of it.
        let is_worth_trying = match numbered {
            true => is_called_back(&subscription) && has_passed(subscription.retry_at, self.store()),
            false => is_due(&subscription, self.store()),
        };
        if leased || !lease || !is_worth_trying {
            return Ok(Outstanding { subscription, leased });
        }
        Ok(match self.store().lease_subscription(self.id(), &subscription).await? {
            Some(subscription) => Outstanding { subscription, leased: true },
            None => Outstanding { subscription, leased: false },
        })
    }

    /// Numbers what the log has for the subscriptions of one peer, and gives all of them as they are then, in the order of
    /// their ids.
    ///
    /// # Errors
    /// As [`Actor::number_changes`].
    pub async fn number_for(
        &self,
        publishing: Publishing<'_>,
        peer: &PeerId,
    ) -> Result<Vec<SubscriptionRecord>, ActorError> {
        let (head, subscriptions) =
            try_join(self.store().log_head(self.id()), self.store().subscriptions(self.id(), Some(peer))).await?;
        let numbered = self.number(publishing, head, subscriptions, false).await?;
        Ok(numbered.into_iter().map(|running| running.subscription).collect())
    }

    async fn number(
        &self,
        publishing: Publishing<'_>,
        head: Option<LogHead>,
        subscriptions: Vec<SubscriptionRecord>,
        lease: bool,
    ) -> Result<Vec<Running>, ActorError> {
        let last = head.map_or(0, |head| head.last);
        let behind = subscriptions.iter().filter(|subscription| subscription.looked < last);
        let Some(mut after) = behind.clone().map(|subscription| subscription.looked).min() else {
            return Ok(subscriptions.into_iter().map(Running::new).collect());
        };
        let readers = self.readers(publishing.policy, behind.map(|subscription| &subscription.peer)).await?;
        let round = Round { actor: self, publishing, siblings: by_peer(&subscriptions), readers, lease };
        let mut running: Vec<Running> = subscriptions.iter().cloned().map(Running::new).collect();
        while after < last {
            let page = self.store().changes(self.id(), after, last).await?;
            // No page: what lies there is older than changes are kept.
            let upto = page.last().map_or(last, |change| change.number);
            let stepping: Vec<_> = running.into_iter().map(|running| round.step(running, &page, upto)).collect();
            let stepped: Vec<_> = stream::iter(stepping).buffered(CONCURRENT).try_collect().await?;
            running = stepped.into_iter().flatten().collect();
            after = upto;
        }
        Ok(running)
    }

    /// What each of these peers may read now; one that is not there may read nothing.
    async fn readers<'a>(
        &self,
        policy: &Policy,
        peers: impl Iterator<Item = &'a PeerId>,
    ) -> Result<HashMap<PeerId, Access>, ActorError> {
        let mut peers: Vec<&PeerId> = peers.collect();
        peers.sort();
        peers.dedup();
        let chunks = peers.chunks(TRUSTS_AT_ONCE);
        let reading: Vec<_> = chunks.map(|peers| self.store().trusts_with(self.id(), peers)).collect();
        let trusts: Vec<_> = stream::iter(reading).buffered(CONCURRENT).try_collect().await?;
        let access =
            trusts.into_iter().flatten().filter_map(|trust| Some((trust.peer.clone(), access_of(policy, &trust)?)));
        Ok(access.collect())
    }
}

/// A subscription being numbered.
struct Running {
    subscription: SubscriptionRecord,
    leased: bool,
    /// Whether numbers were given here.
    numbered: bool,
}

impl Running {
    const fn new(subscription: SubscriptionRecord) -> Self {
        Self { subscription, leased: false, numbered: false }
    }
}

struct Round<'a> {
    actor: &'a Actor,
    publishing: Publishing<'a>,
    siblings: HashMap<PeerId, Vec<&'a SubscriptionRecord>>,
    readers: HashMap<PeerId, Access>,
    lease: bool,
}

impl Round<'_> {
    /// Looks at a page of changes for one subscription; `None` when it has ended meanwhile.
    async fn step(
        &self,
        mut running: Running,
        page: &[LoggedChange],
        upto: u64,
    ) -> Result<Option<Running>, ActorError> {
        let (store, actor) = (self.actor.store(), self.actor.id());
        'again: loop {
            let seen = &running.subscription;
            if seen.looked >= upto {
                return Ok(Some(running));
            }
            let new = page.iter().filter(|change| change.number > seen.looked);
            let judged: Vec<_> = new.map(|change| (self.judge(seen, change), change)).collect();
            let is_final = judged.iter().any(|(verdict, _)| *verdict == Verdict::Withheld);
            let told: Vec<&LoggedChange> =
                judged.into_iter().filter(|(verdict, _)| *verdict == Verdict::Told).map(|(_, change)| change).collect();
            if told.is_empty() && !is_final && upto.saturating_sub(seen.looked) < SILENT_CHANGES {
                return Ok(Some(running));
            }
            let mut chunks = told.chunks(MAX_NUMBERED).peekable();
            loop {
                let chunk = chunks.next().unwrap_or_default();
                let is_last = chunks.peek().is_none();
                let reached = if is_last { upto } else { chunk.last().map_or(upto, |change| change.number) };
                let seen = &running.subscription;
                let lease = self.lease && !running.leased && !chunk.is_empty() && is_due(seen, store);
                match store.number(actor, seen, chunk, reached, lease).await? {
                    Ok(now) => {
                        running.leased |= lease;
                        running.numbered |= !chunk.is_empty();
                        running.subscription = now;
                    }
                    // Somebody else came first: what is left is decided anew.
                    Err(Some(now)) => {
                        running.leased &= now.leased_until == running.subscription.leased_until;
                        running.subscription = now;
                        continue 'again;
                    }
                    Err(None) => return Ok(None),
                }
                if is_last {
                    return Ok(Some(running));
                }
            }
        }
    }

    fn judge(&self, subscription: &SubscriptionRecord, change: &LoggedChange) -> Verdict {
        let siblings = self.siblings.get(&subscription.peer).map_or(&[] as &[_], Vec::as_slice);
        if change.entry.within(&subscription.scope).is_none() {
            return Verdict::OfNoConcern;
        }
        let access = self.readers.get(&subscription.peer);
        if access.and_then(|access| readable(access, &subscription.scope, &change.entry)).is_none() {
            return Verdict::Withheld;
        }
        match self.publishing.one_callback_per_change && is_told_elsewhere(subscription, siblings, change) {
            true => Verdict::OfNoConcern,
            false => Verdict::Told,
        }
    }
}

/// What becomes of a change for one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Told,
    /// The peer may not read any of it now. It will not be told later what it was, if it may read it then.
    Withheld,
    /// It is elsewhere, or told elsewhere.
    OfNoConcern,
}

fn by_peer(subscriptions: &[SubscriptionRecord]) -> HashMap<PeerId, Vec<&SubscriptionRecord>> {
    let mut by_peer: HashMap<PeerId, Vec<&SubscriptionRecord>> = HashMap::new();
    for subscription in subscriptions {
        by_peer.entry(subscription.peer.clone()).or_default().push(subscription);
    }
    by_peer
}

/// Whether another subscription of the same peer calls back for all of this change, and is more specific: one whose
/// scope is narrower, or of equal ones that with the smallest id. What is polled is always recorded.
fn is_told_elsewhere(
    subscription: &SubscriptionRecord,
    siblings: &[&SubscriptionRecord],
    change: &LoggedChange,
) -> bool {
    let scope = &subscription.scope;
    is_called_back(subscription)
        && siblings.iter().filter(|other| other.id != subscription.id).any(|other| {
            let is_narrower = match scope.covers(&other.scope) {
                true if other.scope.covers(scope) => other.id < subscription.id,
                narrower => narrower,
            };
            is_called_back(other) && is_narrower && other.since < change.number && tells_all(other, &change.entry)
        })
}

fn tells_all(subscription: &SubscriptionRecord, entry: &LogEntry) -> bool {
    subscription.scope.covers(entry.scope())
}

/// Whether its peer is told by callbacks, and they go on.
fn is_called_back(subscription: &SubscriptionRecord) -> bool {
    subscription.granularity != Granularity::None && subscription.standing == Standing::Live
}

fn is_outstanding(subscription: &SubscriptionRecord) -> bool {
    is_called_back(subscription) && subscription.sequence > subscription.delivered
}

/// Whether it may be taken for delivery now, as far as its row tells.
fn is_due(subscription: &SubscriptionRecord, store: &Store) -> bool {
    is_called_back(subscription)
        && has_passed(subscription.retry_at, store)
        && has_passed(subscription.leased_until, store)
}

fn has_passed(time: Option<Timestamp>, store: &Store) -> bool {
    time.is_none_or(|time| time <= store.now())
}
