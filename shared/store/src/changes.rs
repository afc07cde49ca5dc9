//! The change log of an actor: what its subscribers are told of, in the order it happened.
//!
//! A write of an actor that has subscribers commits together with the change it makes and with the log's head. A
//! subscription commits against the same head. So writes and subscriptions have one order, whoever races with whom; and
//! a write costs the same for any number of subscribers.

use std::time::Duration;

use actingweb_protocol::subscription::{Change, Scope};
use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::Value;

use crate::item::{Item, Row, number, text};
use crate::transaction::Condition;
use crate::{Store, StoreError, item, keys};

/// How long a change can be told to those who did not fetch it yet.
pub(crate) const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most bytes of one change's data: what is larger does not fit an item, and is logged in parts.
pub const MAX_CHANGE_BYTES: usize = 300_000;

/// Attributes of the head.
pub(crate) const LAST: &str = "last_change";
pub(crate) const SUBSCRIBERS: &str = "subscribers";

/// Where an actor's change log stands. There is none before the actor's first trust: nobody can have subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The number of the last change; 0 before the first.
    pub last: u64,
    /// How many subscriptions there are.
    pub subscribers: u64,
    /// When the log was made.
    pub created_at: Timestamp,
}

/// A change as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedChange {
    /// Its place in the log, from 1.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// What changed.
    pub scope: Scope,
    /// The data; `None` asks subscribers to read everything again.
    pub data: Option<Value>,
}

impl LoggedChange {
    /// What a subscriber to `scope` is told of it; `None` when it does not concern that scope.
    #[must_use]
    pub fn within(&self, scope: &Scope) -> Option<Told> {
        match &self.data {
            Some(data) => {
                let change = Change { scope: self.scope.clone(), data: data.clone() };
                change.within(scope).map(Told::Data)
            }
            None => (self.scope.covers(scope) || scope.covers(&self.scope)).then_some(Told::Resync),
        }
    }

    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::change(self.number));
        row.insert("target".to_owned(), text(&self.scope.target));
        if let Some(subtarget) = &self.scope.subtarget {
            row.insert("subtarget".to_owned(), text(subtarget));
        }
        if let Some(resource) = &self.scope.resource {
            row.insert("resource".to_owned(), text(resource));
        }
        if let Some(data) = &self.data {
            row.insert("value".to_owned(), text(data.to_string()));
        }
        row.insert("at".to_owned(), number(self.at.as_millis()));
        row.insert("expires".to_owned(), number(self.at.plus(MEMORY).as_secs()));
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let digits = row.text("sk")?.strip_prefix(keys::CHANGE).and_then(|digits| digits.parse().ok());
        Ok(Self {
            number: digits.ok_or_else(|| row.corrupt("it is no change"))?,
            at: row.timestamp("at")?,
            scope: scope_of(row)?,
            data: row.optional_text("value")?.map(|_| row.json("value")).transpose()?,
        })
    }
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// New data in the subscription's scope.
    Data(Value),
    /// To read everything in the subscription's scope again.
    Resync,
}

impl LogHead {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |name: &str| {
            let found = row.optional_number(name)?.unwrap_or_default();
            u64::try_from(found).map_err(|_| row.corrupt(format!("`{name}` is negative")))
        };
        Ok(Self { last: count(LAST)?, subscribers: count(SUBSCRIBERS)?, created_at: row.timestamp("created_at")? })
    }
}

impl Store {
    /// Where the change log stands; `None` while the actor never had a trust.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_head(&self, actor: &ActorId) -> Result<Option<LogHead>, StoreError> {
        let found = self.batch_get(vec![log_key(actor)]).await?;
        found.first().map(|found| LogHead::from_row(&Row::read(found)?)).transpose()
    }

    /// The part of a transaction that makes the log unless it is there. Goes into what makes an actor's first trust.
    pub(crate) fn open_log_part(&self, actor: &ActorId) -> Result<TransactWriteItem, StoreError> {
        let values = Item::from([
            (":zero".to_owned(), number(0)),
            (":v".to_owned(), number(item::VERSION)),
            (":now".to_owned(), number(self.now().as_millis())),
        ]);
        let expression = "SET v = :v, created_at = if_not_exists(created_at, :now), \
             last_change = if_not_exists(last_change, :zero), subscribers = if_not_exists(subscribers, :zero)";
        self.update_part(log_key(actor), expression, values, None)
    }

    /// The parts of a transaction that log `changes` after `seen`; while there are no subscribers, a check that there
    /// are still none. The first part fails, returning the head, when the log has moved on.
    pub(crate) fn log_parts(
        &self,
        actor: &ActorId,
        seen: LogHead,
        changes: &[(Scope, Option<Value>)],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        if seen.subscribers == 0 {
            let condition = Condition::new("subscribers = :none", [(":none", number(0))]);
            return Ok(vec![self.check_part(log_key(actor), condition)?]);
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        let values = Item::from([(":more".to_owned(), number(count))]);
        let condition = Condition::new("last_change = :seen", [(":seen", number(signed(seen.last)))]);
        let mut parts =
            vec![self.update_part(log_key(actor), "SET last_change = last_change + :more", values, Some(condition))?];
        let at = self.now();
        for (number, (scope, data)) in (seen.last.saturating_add(1)..).zip(changes) {
            let change = LoggedChange { number, at, scope: scope.clone(), data: data.clone() };
            parts.push(self.put_part(change.item(actor), Some(Condition::absent()))?);
        }
        Ok(parts)
    }

    /// Changes after number `after`, up to number `last`, oldest first: as many as one page holds, at least one if
    /// there are any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes(&self, actor: &ActorId, after: u64, last: u64) -> Result<Vec<LoggedChange>, StoreError> {
        let call = self
            .inner
            .client
            .query()
            .table_name(&self.inner.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::actor(actor)))
            .expression_attribute_values(":first", text(keys::change(after.saturating_add(1))))
            .expression_attribute_values(":last", text(keys::change(last)));
        if last <= after {
            return Ok(Vec::new());
        }
        let output = self.call("Query", || call.clone().send()).await?;
        let items = output.items.unwrap_or_default();
        items.iter().map(|found| LoggedChange::from_row(&Row::read(found)?)).collect()
    }
}

pub(crate) fn log_key(actor: &ActorId) -> Item {
    item::key(&keys::actor(actor), keys::LOG)
}

/// DynamoDB's numbers are signed here; counters never come near the limit.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn scope_of(row: &Row<'_>) -> Result<Scope, StoreError> {
    Ok(Scope {
        target: row.text("target")?.to_owned(),
        subtarget: row.optional_text("subtarget")?.map(str::to_owned),
        resource: row.optional_text("resource")?.map(str::to_owned),
    })
}
