//! Subscriptions of peers to an actor, and the diffs that are numbered for each.

use std::time::Duration;

use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;

use crate::changes::{LoggedChange, MEMORY, log_key, scope_of, signed};
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, Cancelled, key_of, refused};
use crate::transaction::Condition;
use crate::{LogHead, Store, StoreError, item, keys};

/// How long whoever delivers a subscription's diffs keeps it to itself: longer than an invocation lasts.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(90);

/// The most diffs numbered in one transaction.
pub const MAX_NUMBERED: usize = 98;

/// What a subscription's deliveries are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Delivered as they come, or retried.
    Live,
    /// Given up after too many failures; diffs can still be polled.
    Dead,
}

/// A peer's subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// Who subscribed.
    pub peer: PeerId,
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// To what.
    pub scope: Scope,
    /// How much its callbacks tell.
    pub granularity: Granularity,
    /// The last sequence number given; 0 before the first.
    pub sequence: u64,
    /// The last change of the log that was looked at for it.
    pub looked: u64,
    /// The last sequence number the peer took.
    pub delivered: u64,
    /// Until when somebody is delivering.
    pub leased_until: Option<Timestamp>,
    /// Failed deliveries in a row.
    pub failures: u32,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
    /// No delivery before this.
    pub retry_at: Option<Timestamp>,
    /// Whether deliveries go on.
    pub standing: Standing,
    /// When the peer subscribed.
    pub created_at: Timestamp,
}

/// A numbered diff with the change it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// Its number within the subscription.
    pub sequence: u64,
    /// When the change was made.
    pub at: Timestamp,
    /// The change; `None` when it is older than changes are kept.
    pub change: Option<LoggedChange>,
}

/// How the deliveries of a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All that was tried was taken.
    Taken,
    /// The peer failed or asked to wait.
    Held {
        /// When to try again.
        retry_at: Timestamp,
    },
    /// There will be no further attempt.
    GivenUp,
}

impl SubscriptionRecord {
    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::subscription(&self.peer, &self.id));
        row.insert("peer".to_owned(), text(self.peer.as_str()));
        row.insert("id".to_owned(), text(&self.id));
        row.insert("target".to_owned(), text(&self.scope.target));
        if let Some(subtarget) = &self.scope.subtarget {
            row.insert("subtarget".to_owned(), text(subtarget));
        }
        if let Some(resource) = &self.scope.resource {
            row.insert("resource".to_owned(), text(resource));
        }
        row.insert("granularity".to_owned(), text(self.granularity.as_str()));
        row.insert("last_seq".to_owned(), number(signed(self.sequence)));
        row.insert("looked".to_owned(), number(signed(self.looked)));
        row.insert("delivered".to_owned(), number(signed(self.delivered)));
        row.insert("created_at".to_owned(), number(self.created_at.as_millis()));
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |name: &str| {
            let found = row.optional_number(name)?.unwrap_or_default();
            u64::try_from(found).map_err(|_| row.corrupt(format!("`{name}` is negative")))
        };
        let time = |name: &str| Ok::<_, StoreError>(row.optional_number(name)?.map(Timestamp::from_millis));
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(error.to_string()))?,
            id: row.text("id")?.to_owned(),
            scope: scope_of(row)?,
            granularity: Granularity::parse(row.text("granularity")?)
                .ok_or_else(|| row.corrupt("unknown `granularity`"))?,
            sequence: count("last_seq")?,
            looked: count("looked")?,
            delivered: count("delivered")?,
            leased_until: time("leased_until")?,
            failures: u32::try_from(count("failures")?).unwrap_or(u32::MAX),
            failing_since: time("failing_since")?,
            retry_at: time("retry_at")?,
            standing: if row.optional_number("dead")?.is_some() { Standing::Dead } else { Standing::Live },
            created_at: row.timestamp("created_at")?,
        })
    }

    fn key(&self, actor: &ActorId) -> Item {
        item::key(&keys::actor(actor), &keys::subscription(&self.peer, &self.id))
    }
}

impl Store {
    /// Adds a subscription. It begins at the log's present end: every write that commits later is told.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when writers kept coming between until the deadline; other [`StoreError`]s.
    pub async fn subscribe(
        &self,
        actor: &ActorId,
        mut new: SubscriptionRecord,
        head: LogHead,
    ) -> Result<SubscriptionRecord, StoreError> {
        let mut pause = self.pauses();
        let mut head = head;
        loop {
            new.looked = head.last;
            let values = Item::from([(":one".to_owned(), number(1))]);
            let seen = Condition::new(
                "last_change = :seen AND subscribers = :counted",
                [(":seen", number(signed(head.last))), (":counted", number(signed(head.subscribers)))],
            );
            let parts = vec![
                self.update_part(log_key(actor), "SET subscribers = subscribers + :one", values, Some(seen))?,
                self.put_part(new.item(actor), Some(Condition::absent()))?,
            ];
            let Err(Cancelled(reasons)) = self.transact(parts).await? else { return Ok(new) };
            match reasons.into_iter().next() {
                Some((code, Some(found))) if code == "ConditionalCheckFailed" => {
                    head = LogHead::from_row(&Row::read(&found)?)?;
                }
                reason => return Err(refused("TransactWriteItems", reason)),
            }
            pause.wait("TransactWriteItems", "others are writing to the same actor".to_owned()).await?;
        }
    }

    /// The subscriptions of one peer, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscriptions(
        &self,
        actor: &ActorId,
        peer: Option<&PeerId>,
    ) -> Result<Vec<SubscriptionRecord>, StoreError> {
        let prefix = peer.map_or_else(|| keys::SUBSCRIPTION.to_owned(), keys::subscriptions);
        let mut pages = self.pages(&keys::actor(actor), &prefix, None);
        let mut found = Vec::new();
        while let Some(items) = pages.next().await? {
            for item in &items {
                found.push(SubscriptionRecord::from_row(&Row::read(item)?)?);
            }
        }
        Ok(found)
    }

    /// One subscription.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscription(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        id: &str,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::actor(actor), &keys::subscription(peer, id))]).await?;
        found.first().map(|found| SubscriptionRecord::from_row(&Row::read(found)?)).transpose()
    }

    /// Ends a subscription; its diffs go to the worker. False when it was gone already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsubscribe(
        &self,
        actor: &ActorId,
        ended: &SubscriptionRecord,
    ) -> Result<bool, StoreError> {
        let work = DueWork::RemoveDiffs { subscription: ended.id.clone() };
        let job = DueJob::new(actor, self.now(), &self.nonce(), work);
        let values = Item::from([(":one".to_owned(), number(1))]);
        let parts = vec![
            self.delete_part(ended.key(actor), Some(Condition::present()))?,
            self.update_part(log_key(actor), "SET subscribers = subscribers - :one", values, None)?,
            self.put_part(job.item(), None)?,
        ];
        match self.transact(parts).await? {
            Ok(()) => Ok(true),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(false)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Numbers the changes `matched` (at most [`MAX_NUMBERED`], in order) for a subscription that was `seen`, which has
    /// then been looked at up to change `upto`. With `lease` the subscription is also taken for delivery, if nobody has
    /// it. `Err` in the result is the row as it is now, when somebody else came first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn number(
        &self,
        actor: &ActorId,
        seen: &SubscriptionRecord,
        matched: &[&LoggedChange],
        upto: u64,
        lease: bool,
    ) -> Result<Result<SubscriptionRecord, Option<SubscriptionRecord>>, StoreError> {
        let mut now = seen.clone();
        now.sequence = seen.sequence.saturating_add(u64::try_from(matched.len()).unwrap_or(u64::MAX));
        now.looked = upto;
        let mut values = Item::from([
            (":seq".to_owned(), number(signed(now.sequence))),
            (":upto".to_owned(), number(signed(upto))),
        ]);
        let mut expression = "SET last_seq = :seq, looked = :upto".to_owned();
        if lease {
            let until = self.now().plus(DELIVERY_LEASE);
            now.leased_until = Some(until);
            values.insert(":until".to_owned(), number(until.as_millis()));
            expression.push_str(", leased_until = :until");
        }
        let mut conditions = vec![
            (":seen_seq", number(signed(seen.sequence))),
            (":seen_looked", number(signed(seen.looked))),
        ];
        let condition = if lease {
            conditions.push((":now", number(self.now().as_millis())));
            "last_seq = :seen_seq AND looked = :seen_looked AND \
             (attribute_not_exists(leased_until) OR leased_until <= :now)"
        } else {
            "last_seq = :seen_seq AND looked = :seen_looked"
        };
        let condition = Condition::new(condition, conditions);
        let mut parts = vec![self.update_part(seen.key(actor), &expression, values, Some(condition))?];
        for (sequence, change) in (seen.sequence.saturating_add(1)..).zip(matched) {
            let mut row = item::new(&keys::actor(actor), &keys::diff(&seen.id, sequence));
            row.insert("change".to_owned(), number(signed(change.number)));
            row.insert("at".to_owned(), number(change.at.as_millis()));
            row.insert("expires".to_owned(), number(self.now().plus(MEMORY).as_secs()));
            parts.push(self.put_part(row, None)?);
        }
        let Err(Cancelled(reasons)) = self.transact(parts).await? else { return Ok(Ok(now)) };
        match reasons.into_iter().next() {
            Some((code, found)) if code == "ConditionalCheckFailed" => {
                let found = found.map(|found| SubscriptionRecord::from_row(&Row::read(&found)?)).transpose()?;
                Ok(Err(found))
            }
            reason => Err(refused("TransactWriteItems", reason)),
        }
    }

    /// Takes a subscription for delivery; `None` when somebody else has it, or it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let now = self.now();
        let values = [(":until", now.plus(DELIVERY_LEASE).as_millis()), (":now", now.as_millis())];
        self.update_subscription(
            actor,
            wanted,
            "SET leased_until = :until",
            "attribute_exists(pk) AND (attribute_not_exists(leased_until) OR leased_until <= :now)",
            &values,
        )
        .await
    }

    /// Ends the lease `held`, remembering the last number the peer took and what became of the rest. The row as it is
    /// now; `None` when the lease was lost to somebody else, or the subscription is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_subscription(
        &self,
        actor: &ActorId,
        held: &SubscriptionRecord,
        delivered: u64,
        outcome: Settled,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let mut values = vec![
            (":delivered", signed(delivered)),
            (":held", held.leased_until.map_or(0, Timestamp::as_millis)),
        ];
        let expression = match outcome {
            Settled::Taken => "SET delivered = :delivered REMOVE leased_until, failures, failing_since, retry_at",
            Settled::Held { retry_at } => {
                let since = held.failing_since.filter(|_| delivered == held.delivered).unwrap_or_else(|| self.now());
                let failures = if delivered > held.delivered { 1 } else { i64::from(held.failures.saturating_add(1)) };
                values.extend([
                    (":failures", failures),
                    (":since", since.as_millis()),
                    (":retry_at", retry_at.as_millis()),
                ]);
                "SET delivered = :delivered, failures = :failures, failing_since = :since, retry_at = :retry_at \
                 REMOVE leased_until"
            }
            Settled::GivenUp => {
                values.push((":dead", self.now().as_millis()));
                "SET delivered = :delivered, dead = :dead REMOVE leased_until, retry_at"
            }
        };
        self.update_subscription(actor, held, expression, "leased_until = :held", &values).await
    }

    /// Lets deliveries of a subscription go on that were held or given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revive_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let expression = "REMOVE dead, failures, failing_since, retry_at";
        self.update_subscription(actor, wanted, expression, "attribute_exists(pk)", &[]).await
    }

    async fn update_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
        expression: &str,
        condition: &str,
        values: &[(&str, i64)],
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let values: Item = values.iter().map(|(name, value)| ((*name).to_owned(), number(*value))).collect();
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(wanted.key(actor)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values(ReturnValue::AllNew);
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(output) => {
                let found = output.attributes.unwrap_or_default();
                Ok(Some(SubscriptionRecord::from_row(&Row::read(&found)?)?))
            }
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(None),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// Up to `limit` (at most 100) diffs after a sequence number, oldest first, with their changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn diffs(
        &self,
        actor: &ActorId,
        subscription: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Diff>, StoreError> {
        let call = self
            .inner
            .client
            .query()
            .table_name(&self.inner.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::actor(actor)))
            .expression_attribute_values(":first", text(keys::diff(subscription, after.saturating_add(1))))
            .expression_attribute_values(":last", text(keys::diff(subscription, u64::MAX)))
            .limit(i32::try_from(limit.clamp(1, 100)).unwrap_or(100));
        let output = self.call("Query", || call.clone().send()).await?;
        let rows = output.items.unwrap_or_default();
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(diff_of(&Row::read(row)?)?);
        }
        self.with_changes(actor, found).await
    }

    /// One diff with its change; `None` when it was cleared, or never was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn diff(
        &self,
        actor: &ActorId,
        subscription: &str,
        sequence: u64,
    ) -> Result<Option<Diff>, StoreError> {
        let rows = self.batch_get(vec![item::key(&keys::actor(actor), &keys::diff(subscription, sequence))]).await?;
        let found = rows.first().map(|row| diff_of(&Row::read(row)?)).transpose()?;
        Ok(self.with_changes(actor, found.into_iter().collect()).await?.pop())
    }

    async fn with_changes(&self, actor: &ActorId, found: Vec<(u64, u64, Timestamp)>) -> Result<Vec<Diff>, StoreError> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let pk = keys::actor(actor);
        let wanted: Vec<Item> = found.iter().map(|(_, change, _)| item::key(&pk, &keys::change(*change))).collect();
        let rows = self.batch_get(wanted).await?;
        let changes = rows.iter().map(|row| LoggedChange::from_row(&Row::read(row)?)).collect::<Result<Vec<_>, _>>()?;
        let change = |number: u64| changes.iter().find(|change| change.number == number).cloned();
        Ok(found
            .into_iter()
            .map(|(sequence, number, at)| Diff { sequence, at, change: change(number) })
            .collect())
    }

    /// Removes the diffs of a subscription up to a sequence number (all of them: `u64::MAX`).
    ///
    /// # Errors
    /// [`StoreError`]; some may be gone by then.
    pub async fn clear_diffs(&self, actor: &ActorId, subscription: &str, upto: u64) -> Result<(), StoreError> {
        let last = text(keys::diff(subscription, upto));
        let mut pages = self.pages(&keys::actor(actor), &keys::diffs(subscription), Some("pk, sk"));
        while let Some(items) = pages.next().await? {
            let upto = |row: &&Item| match (row.get("sk").map(|sk| sk.as_s()), last.as_s()) {
                (Some(Ok(sk)), Ok(last)) => sk <= last,
                _ => false,
            };
            let wanted: Vec<Item> = items.iter().filter(upto).filter_map(key_of).collect();
            let done = wanted.len() < items.len();
            self.batch_delete(wanted).await?;
            if done {
                break;
            }
        }
        Ok(())
    }
}

/// Sequence, change and time of a diff's row.
fn diff_of(row: &Row<'_>) -> Result<(u64, u64, Timestamp), StoreError> {
    let sequence = row.text("sk")?.rsplit('#').next().and_then(|digits| digits.parse().ok());
    let change = row.optional_number("change")?.and_then(|number| u64::try_from(number).ok());
    match (sequence, change) {
        (Some(sequence), Some(change)) => Ok((sequence, change, row.timestamp("at")?)),
        _ => Err(row.corrupt("it is no diff")),
    }
}
