//! Subscriptions of an actor to its peers, and what is kept of what they tell.
//!
//! A feed is one row: how far it has come, and what arrived too early. The data stands in a partition of its own, of one
//! *generation*, one row for each name right below the target. A diff is applied in one transaction with the feed's row,
//! on the condition that the row is still what was seen; so no number counts twice, whoever receives it. Data that is
//! read anew is written as a new generation, which the feed's row then names: readers see the old data or the new.

mod generations;
mod grants;
mod receive;
mod rows;
mod size;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actingweb_protocol::feed::{Kept, Pending, Queue};
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::{Value, json};

pub use generations::Generation;
pub use grants::GrantRecord;
pub use receive::{Received, Taken};
use size::Size;

use crate::changes::signed;
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, Cancelled, refused};
use crate::transaction::Condition;
use crate::{Notice, Store, StoreError, item, keys};

/// How long a diff that is missing is waited for before it is fetched.
pub const GAP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long received diffs wait to be acknowledged together.
pub const ACKNOWLEDGE_AFTER: Duration = Duration::from_secs(10);

/// How long the answer to a subscription may take: until then its callbacks may come before it is known here.
const SUBSCRIBING_FOR: Duration = Duration::from_secs(30);

/// A subscription of an actor to a peer.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedRecord {
    /// The peer.
    pub peer: PeerId,
    /// The subscription's id, as the peer chose it.
    pub id: String,
    /// What is subscribed to.
    pub scope: Scope,
    /// How much callbacks tell.
    pub granularity: Granularity,
    /// How far it has come, and what arrived too early.
    pub queue: Queue,
    /// Since when a diff is missing.
    pub gap_since: Option<Timestamp>,
    /// Whether everything is to be read anew; diffs wait until it was.
    pub stale: bool,
    /// Names whose value may not be what the peer has.
    pub doubtful: BTreeSet<String>,
    /// The number of the last diff that was acknowledged.
    pub acknowledged: u64,
    /// Whether an acknowledgement is under way.
    pub acknowledging: bool,
    /// The number of the last diff that hooks were told of, where there are hooks.
    pub told: u64,
    /// How often bringing it up to date failed in a row.
    pub failures: u32,
    /// When that is tried again; not before.
    pub retry_at: Option<Timestamp>,
    /// When the actor subscribed.
    pub created_at: Timestamp,
    /// Whether the peer has told more than is kept of it: what is not here may be there.
    pub truncated: bool,
    /// How much is kept.
    pub(crate) size: Size,
    /// Which data is valid; empty before the first.
    pub(crate) generation: String,
    /// Changes with every write.
    pub(crate) version: String,
}

impl FeedRecord {
    /// A subscription that the peer has just made: everything is yet to be read.
    #[must_use]
    pub fn new(peer: PeerId, id: String, scope: Scope, granularity: Granularity, created_at: Timestamp) -> Self {
        Self {
            peer,
            id,
            scope,
            granularity,
            queue: Queue::default(),
            gap_since: None,
            stale: true,
            doubtful: BTreeSet::new(),
            acknowledged: 0,
            acknowledging: false,
            told: 0,
            failures: 0,
            retry_at: None,
            created_at,
            truncated: false,
            size: Size::default(),
            generation: String::new(),
            version: String::new(),
        }
    }

    /// Whether data of the peer has been kept at all.
    #[must_use]
    pub const fn has_data(&self) -> bool {
        !self.generation.is_empty()
    }

    pub(crate) fn key(&self, actor: &ActorId) -> Item {
        item::key(&keys::actor(actor), &keys::feed(&self.peer, &self.id))
    }

    /// Forgets failures: the peer answers.
    pub(crate) const fn recover(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// The work of bringing it up to date.
    #[must_use]
    pub fn resync(&self) -> DueWork {
        DueWork::Resync { peer: self.peer.clone(), subscription: self.id.clone() }
    }

    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::feed(&self.peer, &self.id));
        let mut put = |name: &str, value| row.insert(name.to_owned(), value);
        put("peer", text(self.peer.as_str()));
        put("subscription", text(&self.id));
        put("target", text(&self.scope.target));
        put("granularity", text(self.granularity.as_str()));
        put("last_seq", number(signed(self.queue.last())));
        put("created_at", number(self.created_at.as_millis()));
        put("data_generation", text(&self.generation));
        put("acknowledged", number(signed(self.acknowledged)));
        put("told", number(signed(self.told)));
        put("failures", number(self.failures.into()));
        put("version", text(&self.version));
        put("kept_names", number(signed(self.size.names)));
        put("kept_bytes", number(signed(self.size.bytes)));
        if let Some(subtarget) = &self.scope.subtarget {
            put("subtarget", text(subtarget));
        }
        if let Some(resource) = &self.scope.resource {
            put("resource", text(resource));
        }
        if self.queue.has_gap() {
            put("pending", text(json!(self.queue.pending()).to_string()));
        }
        if let Some(since) = self.gap_since {
            put("gap_since", number(since.as_millis()));
        }
        if let Some(at) = self.retry_at {
            put("retry_at", number(at.as_millis()));
        }
        if !self.doubtful.is_empty() {
            put("doubtful", text(json!(self.doubtful).to_string()));
        }
        let flags = [
            ("stale", self.stale),
            ("acknowledging", self.acknowledging),
            ("truncated", self.truncated),
            ("counted", self.size.exact),
        ];
        for (name, flag) in flags {
            if flag {
                put(name, number(1));
            }
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |name: &str| {
            let number = row.optional_number(name)?.unwrap_or_default();
            u64::try_from(number).map_err(|_| row.corrupt(format!("`{name}` is negative")))
        };
        let list = |name: &str| row.optional_text(name)?.map(|_| row.json(name)).transpose();
        let wrong = |name: &'static str| move |error| row.corrupt(format!("`{name}`: {error}"));
        let pending: Vec<Pending> =
            list("pending")?.map_or(Ok(Vec::new()), serde_json::from_value).map_err(wrong("pending"))?;
        let doubtful = list("doubtful")?.map_or(Ok(BTreeSet::new()), serde_json::from_value);
        let word = row.text("granularity")?;
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")))?,
            id: row.text("subscription")?.to_owned(),
            scope: Scope {
                target: row.text("target")?.to_owned(),
                subtarget: row.optional_text("subtarget")?.map(str::to_owned),
                resource: row.optional_text("resource")?.map(str::to_owned),
            },
            granularity: Granularity::parse(word)
                .ok_or_else(|| row.corrupt(format!("unknown granularity `{word}`")))?,
            queue: Queue::new(count("last_seq")?, pending),
            gap_since: row.optional_number("gap_since")?.map(Timestamp::from_millis),
            stale: count("stale")? == 1,
            doubtful: doubtful.map_err(wrong("doubtful"))?,
            acknowledged: count("acknowledged")?,
            acknowledging: count("acknowledging")? == 1,
            told: count("told")?,
            failures: u32::try_from(count("failures")?).unwrap_or(u32::MAX),
            retry_at: row.optional_number("retry_at")?.map(Timestamp::from_millis),
            created_at: row.timestamp("created_at")?,
            truncated: count("truncated")? == 1,
            size: Size { names: count("kept_names")?, bytes: count("kept_bytes")?, exact: count("counted")? == 1 },
            generation: row.text("data_generation")?.to_owned(),
            version: row.text("version")?.to_owned(),
        })
    }
}

impl Store {
    /// One subscription to a peer, strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn feed(&self, actor: &ActorId, peer: &PeerId, id: &str) -> Result<Option<FeedRecord>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::actor(actor), &keys::feed(peer, id))]).await?;
        found.first().map(|found| FeedRecord::from_row(&Row::read(found)?)).transpose()
    }

    /// The subscriptions to one peer, or to all: one call per MB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn feeds(&self, actor: &ActorId, peer: Option<&PeerId>) -> Result<Vec<FeedRecord>, StoreError> {
        let prefix = peer.map_or_else(|| keys::FEED.to_owned(), keys::feeds);
        let mut pages = self.pages(&keys::actor(actor), &prefix, None);
        let mut found = Vec::new();
        while let Some(items) = pages.next().await? {
            for item in &items {
                found.push(FeedRecord::from_row(&Row::read(item)?)?);
            }
        }
        Ok(found)
    }

    /// Notes that the actor is about to subscribe to a peer, whose callbacks may come before the answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expect_feed(&self, actor: &ActorId, peer: &PeerId) -> Result<(), StoreError> {
        let until = self.now().plus(SUBSCRIBING_FOR);
        let expression = "SET waiting_until = :until, expires = :expires, v = :v ADD waiting :one";
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(expected_key(actor, peer)))
            .update_expression(expression)
            .expression_attribute_values(":until", number(until.as_millis()))
            .expression_attribute_values(":expires", number(until.plus(SUBSCRIBING_FOR).as_secs()))
            .expression_attribute_values(":v", number(item::VERSION))
            .expression_attribute_values(":one", number(1));
        self.call("UpdateItem", || call.clone().send()).await.map(|_| ())
    }

    /// Notes that a subscription announced by [`Store::expect_feed`] did not come about.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unexpect_feed(&self, actor: &ActorId, peer: &PeerId) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(expected_key(actor, peer)))
            .update_expression("ADD waiting :less")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":less", number(-1));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(()),
            // Forgotten already.
            Attempt::Refused(error) if error.is_conditional_check_failed_exception() => Ok(()),
            Attempt::Refused(error) => Err(refused("UpdateItem", error)),
        }
    }

    /// Stores a subscription that the peer answered to, announced before by [`Store::expect_feed`]; the reading of all
    /// its data becomes due, in case that whoever subscribes dies before. `None` when the peer has another subscription
    /// of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start_feed(&self, actor: &ActorId, mut feed: FeedRecord) -> Result<Option<FeedRecord>, StoreError> {
        feed.version = self.nonce();
        let due = self.now().plus(SUBSCRIBING_FOR);
        let less = Item::from([(":less".to_owned(), number(-1))]);
        let parts = vec![
            self.put_part(feed.item(actor), Some(Condition::absent()))?,
            self.update_part(expected_key(actor, &feed.peer), "ADD waiting :less", less, None)?,
            self.due_part(actor, due, feed.resync())?,
        ];
        match self.transact(parts).await? {
            Ok(()) => Ok(Some(feed)),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(None)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Writes a feed that is still as it was `seen`, together with `parts`. `Err` in the result is the feed as it is now,
    /// `None` when it has ended.
    pub(crate) async fn put_feed(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        mut feed: FeedRecord,
        parts: Vec<TransactWriteItem>,
    ) -> Result<Result<FeedRecord, Option<FeedRecord>>, StoreError> {
        feed.version = self.nonce();
        let unchanged = Condition::new("version = :seen", [(":seen", text(&seen.version))]);
        let mut writes = vec![self.put_part(feed.item(actor), Some(unchanged))?];
        writes.extend(parts);
        let Err(Cancelled(reasons)) = self.transact(writes).await? else { return Ok(Ok(feed)) };
        match reasons.into_iter().next() {
            Some((code, Some(found))) if code == "ConditionalCheckFailed" => {
                Ok(Err(Some(FeedRecord::from_row(&Row::read(&found)?)?)))
            }
            // Ended; or an engine that does not say what stood in the way.
            Some((code, None)) if code == "ConditionalCheckFailed" => {
                Ok(Err(self.feed(actor, &feed.peer, &feed.id).await?))
            }
            reason => Err(refused("TransactWriteItems", reason)),
        }
    }

    /// Changes a feed as `change` says, whatever comes between; `change` gives false to leave it as it is. When it is then
    /// to be brought up to date, or `retry` says so, that becomes due. `None` when the feed has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_feed(
        &self,
        actor: &ActorId,
        seen: FeedRecord,
        retry: Option<(Timestamp, DueWork)>,
        mut change: impl FnMut(&mut FeedRecord) -> bool,
    ) -> Result<Option<FeedRecord>, StoreError> {
        let mut pause = self.pauses();
        let mut seen = seen;
        loop {
            let mut feed = seen.clone();
            if !change(&mut feed) {
                return Ok(Some(seen));
            }
            // What is owed must be done by somebody, if not by whoever notes it.
            let owed = (feed.stale && !seen.stale) || (!feed.doubtful.is_empty() && seen.doubtful.is_empty());
            let due = self.now().plus(GAP_TIMEOUT);
            let mut parts = if owed { vec![self.due_part(actor, due, feed.resync())?] } else { Vec::new() };
            if let Some((due, work)) = &retry {
                parts.push(self.due_part(actor, *due, work.clone())?);
            }
            match self.put_feed(actor, &seen, feed, parts).await? {
                Ok(feed) => return Ok(Some(feed)),
                Err(Some(current)) => seen = current,
                Err(None) => return Ok(None),
            }
            pause.wait("TransactWriteItems", "others are writing the same feed".to_owned()).await?;
        }
    }

    /// Remembers up to which diff hooks were told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_told(&self, actor: &ActorId, feed: &FeedRecord, told: u64) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(feed.key(actor)))
            .update_expression("SET told = :told")
            .condition_expression("attribute_exists(pk) AND told < :told")
            .expression_attribute_values(":told", number(signed(told)));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(()),
            // Ended, or told by somebody who came further.
            Attempt::Refused(error) if error.is_conditional_check_failed_exception() => Ok(()),
            Attempt::Refused(error) => Err(refused("UpdateItem", error)),
        }
    }

    /// Puts what the peer has under some names (`None` when it has nothing there) in place of what was doubtful, if the
    /// feed is still as it was `seen`. `Err` in the result is the feed as it is now, `None` when it has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_doubts(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        values: &BTreeMap<String, Option<Value>>,
    ) -> Result<Result<FeedRecord, Option<FeedRecord>>, StoreError> {
        let mut feed = seen.clone();
        feed.doubtful.retain(|name| !values.contains_key(name));
        feed.recover();
        let known = values.iter().filter_map(|(name, value)| Some((name.clone(), Kept::Value(value.clone()?))));
        let mut known = known.collect();
        let names = values.keys().cloned().collect();
        let old = self.remote_values(actor, seen, &names).await?;
        let partition = feed.partition(actor, &feed.generation);
        let fits = !feed.size.fit(&partition, &old, &mut Clone::clone(&known));
        feed.size = if fits || seen.size.exact { seen.size } else { self.count_remote(actor, seen).await? };
        feed.truncated |= feed.size.fit(&partition, &old, &mut known);
        let all = names.into_iter().map(|name| (name, Kept::TooLarge)).collect();
        let (parts, _) = self.difference(&partition, &all, &known)?;
        self.put_feed(actor, seen, feed, parts).await
    }

    /// Ends a subscription; its data goes to the worker. False when it had ended already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_feed(
        &self,
        actor: &ActorId,
        feed: &FeedRecord,
        notice: Option<&Notice>,
    ) -> Result<bool, StoreError> {
        let mut pause = self.pauses();
        let mut feed = feed.clone();
        loop {
            // As it was seen: whoever reads its data anew puts other data in its place, which nothing would lead to.
            let unchanged = Condition::new("version = :seen", [(":seen", text(&feed.version))]);
            let mut parts = vec![self.delete_part(feed.key(actor), Some(unchanged))?];
            if feed.has_data() {
                parts.push(self.due_part(actor, self.now(), feed.removal(actor, &feed.generation))?);
            }
            if let Some(notice) = notice {
                parts.push(self.notice_part(actor, notice)?);
            }
            let Err(Cancelled(reasons)) = self.transact(parts).await? else { return Ok(true) };
            let found = match reasons.into_iter().next() {
                Some((code, found)) if code == "ConditionalCheckFailed" => found,
                reason => return Err(refused("TransactWriteItems", reason)),
            };
            feed = match found {
                Some(found) => FeedRecord::from_row(&Row::read(&found)?)?,
                // Ended; or an engine that does not say what stood in the way.
                None => match self.feed(actor, &feed.peer, &feed.id).await? {
                    Some(current) => current,
                    None => return Ok(false),
                },
            };
            pause.wait_unless_learnt("TransactWriteItems", "others are writing the same feed").await?;
        }
    }

    /// Ends the subscriptions to a peer (to all peers, for `None`) that were made by then, and forgets the rights those
    /// peers had granted.
    ///
    /// # Errors
    /// [`StoreError`]; some may have ended by then.
    pub async fn end_feeds(&self, actor: &ActorId, peer: Option<&PeerId>, before: Timestamp) -> Result<(), StoreError> {
        for feed in self.feeds(actor, peer).await? {
            if feed.created_at <= before {
                self.end_feed(actor, &feed, None).await?;
            }
        }
        match peer {
            Some(peer) => self.forget_grant(actor, peer, before).await,
            None => Ok(()),
        }
    }

    pub(crate) fn due_part(
        &self,
        actor: &ActorId,
        due: Timestamp,
        work: DueWork,
    ) -> Result<TransactWriteItem, StoreError> {
        self.put_part(DueJob::new(actor, due, &self.nonce(), work).item(), None)
    }
}

/// The row that says whether the actor is subscribing to a peer.
pub(crate) fn expected_key(actor: &ActorId, peer: &PeerId) -> Item {
    item::key(&keys::actor(actor), &keys::expected_feed(peer))
}
