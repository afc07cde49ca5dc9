//! The diffs of subscriptions: changes of the log, numbered for each subscription that is told of them.

use actingweb_protocol::{ActorId, Timestamp};

use crate::changes::{LoggedChange, MEMORY, signed};
use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, key_of, refused};
use crate::subscriptions::DELIVERY_LEASE;
use crate::transaction::Condition;
use crate::{Store, StoreError, SubscriptionRecord, item, keys};

/// The most diffs numbered in one transaction.
pub const MAX_NUMBERED: usize = 98;

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

impl Store {
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
        let mut values =
            Item::from([(":seq".to_owned(), number(signed(now.sequence))), (":upto".to_owned(), number(signed(upto)))]);
        let mut expression = "SET last_seq = :seq, looked = :upto".to_owned();
        if lease {
            let until = self.now().plus(DELIVERY_LEASE);
            now.leased_until = Some(until);
            values.insert(":until".to_owned(), number(until.as_millis()));
            expression.push_str(", leased_until = :until");
        }
        let mut conditions =
            vec![(":seen_seq", number(signed(seen.sequence))), (":seen_looked", number(signed(seen.looked)))];
        let condition = if lease {
            // All that whoever delivers goes by is as it was seen: somebody may have delivered, or failed, in between.
            conditions.push((":seen_delivered", number(signed(seen.delivered))));
            conditions.push((":now", number(self.now().as_millis())));
            "last_seq = :seen_seq AND looked = :seen_looked AND delivered = :seen_delivered AND \
             attribute_not_exists(dead) AND (attribute_not_exists(leased_until) OR leased_until <= :now) AND \
             (attribute_not_exists(retry_at) OR retry_at <= :now)"
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
        // The subscription goes with its actor.
        let Err(Cancelled(reasons)) = self.unguarded().transact(parts).await? else { return Ok(Ok(now)) };
        match reasons.into_iter().next() {
            Some((code, found)) if code == "ConditionalCheckFailed" => {
                let found = found.map(|found| SubscriptionRecord::from_row(&Row::read(&found)?)).transpose()?;
                Ok(Err(found))
            }
            reason => Err(refused("TransactWriteItems", reason)),
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
    pub async fn diff(&self, actor: &ActorId, subscription: &str, sequence: u64) -> Result<Option<Diff>, StoreError> {
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
        Ok(found.into_iter().map(|(sequence, number, at)| Diff { sequence, at, change: change(number) }).collect())
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
