//! The change log of an actor: what its subscribers are told of, in the order it happened.
//!
//! A write of an actor that has subscribers commits together with the change it makes and with the log's head. A
//! subscription commits against the same head. So writes and subscriptions have one order, whoever races with whom; and
//! a write costs the same for any number of subscribers.

use std::time::Duration;

use actingweb_protocol::subscription::{Change, Scope, deleted};
use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use serde_json::Value;

use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{LogView, Store, StoreError, item, keys};

/// How long a change can be told to those who did not fetch it yet.
pub(crate) const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most bytes of data of one change that has parts: a write of many properties is logged in so large parts.
pub const MAX_CHANGE_BYTES: usize = 300_000;

/// The most bytes of data that fit an item. Subscribers read for themselves what is larger.
const MAX_ENTRY_BYTES: usize = 370_000;

/// How often is looked for changes before it counts that some are not there. The log has no gaps but what is older than
/// changes are kept; yet a query may see a part of a transaction that is being applied, such as the head without its entry.
const LOOKS: u32 = 3;

/// How long after the last look.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Attributes of the head.
pub(crate) const LAST: &str = "last_change";
pub(crate) const SUBSCRIBERS: &str = "subscribers";

const SUSPENDED: &str = "suspended";

/// Where an actor's change log stands. There is none before the actor's first trust: nobody can have subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The number of the last change; 0 before the first.
    pub last: u64,
    /// How many subscriptions there are.
    pub subscribers: u64,
    /// When the log was made.
    pub created_at: Timestamp,
    /// What no change is logged of for now.
    pub suspended: Vec<Scope>,
}

/// A change as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedChange {
    /// Its place in the log, from 1.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// What happened.
    pub entry: LogEntry,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEntry {
    /// A change.
    Change(Change),
    /// So much happened in this scope that subscribers are to read all of it again.
    Resync(Scope),
}

impl LogEntry {
    /// What it is about.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        match self {
            Self::Change(change) => &change.scope,
            Self::Resync(scope) => scope,
        }
    }

    /// What a subscriber to `scope` is told of it; `None` when it does not concern that scope.
    #[must_use]
    pub fn within(&self, scope: &Scope) -> Option<Told> {
        match self {
            Self::Change(change) => change.within(scope).map(Told::Data),
            Self::Resync(changed) => (changed.covers(scope) || scope.covers(changed)).then_some(Told::Resync),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Change(change) => change.data.to_string().len(),
            Self::Resync(_) => 0,
        }
    }
}

impl LoggedChange {
    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::change(self.number));
        put_scope(&mut row, self.entry.scope());
        if let LogEntry::Change(change) = &self.entry {
            row.insert("value".to_owned(), text(change.data.to_string()));
            row.extend(change.is_list.then(|| ("list".to_owned(), number(1))));
        }
        row.insert("at".to_owned(), number(self.at.as_millis()));
        row.insert("expires".to_owned(), number(self.at.plus(MEMORY).as_secs()));
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let digits = row.text("sk")?.strip_prefix(keys::CHANGE).and_then(|digits| digits.parse().ok());
        let scope = scope_of(row)?;
        let entry = match row.optional_text("value")? {
            None => LogEntry::Resync(scope),
            Some(_) => {
                let is_list = row.optional_number("list")?.is_some();
                LogEntry::Change(Change { scope, data: row.json("value")?, is_list })
            }
        };
        let number = digits.ok_or_else(|| row.corrupt("it is no change"))?;
        Ok(Self { number, at: row.timestamp("at")?, entry })
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
        let mut suspended = Vec::new();
        for scope in row.texts(SUSPENDED)? {
            let scope = serde_json::from_str(scope).map_err(|error| row.corrupt(format!("`{SUSPENDED}`: {error}")))?;
            suspended.push(scope);
        }
        Ok(Self {
            last: count(LAST)?,
            subscribers: count(SUBSCRIBERS)?,
            created_at: row.timestamp("created_at")?,
            suspended,
        })
    }

    /// What is logged of `changes`: nothing of what is suspended, and where they do not fit into `room`, or one of them
    /// is too large for an item, that subscribers are to read again.
    fn entries(&self, changes: &[Change], room: Room) -> Vec<LogEntry> {
        let kept: Vec<LogEntry> = changes.iter().filter_map(|change| self.unsuspended(change)).collect();
        let mut bytes = 0;
        let entries: Vec<LogEntry> = kept
            .into_iter()
            .map(|entry| match entry.size() {
                size if size > MAX_ENTRY_BYTES => LogEntry::Resync(entry.scope().clone()),
                size => {
                    bytes += size;
                    entry
                }
            })
            .collect();
        if entries.len() <= room.items && bytes <= room.bytes {
            return entries;
        }
        common_scope(entries.iter().map(LogEntry::scope)).map(LogEntry::Resync).into_iter().collect()
    }

    fn unsuspended(&self, change: &Change) -> Option<LogEntry> {
        if self.suspended.iter().any(|suspended| suspended.covers(&change.scope)) {
            return None;
        }
        let mut change = change.clone();
        if let (true, Some(parts)) = (change.scope.subtarget.is_none(), change.data.as_object_mut()) {
            let target = &change.scope.target;
            let is_kept = |part: &str| {
                let part = Scope::subtarget(target, part);
                !self.suspended.iter().any(|suspended| suspended.covers(&part))
            };
            let before = parts.len();
            parts.retain(|part, _| is_kept(part));
            if parts.is_empty() && before > 0 {
                return None;
            }
        }
        Some(LogEntry::Change(change))
    }
}

/// What is left of a transaction for what is logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Items.
    pub(crate) items: usize,
    /// Bytes.
    pub(crate) bytes: usize,
}

impl Store {
    /// The part of a transaction that makes the log unless it is there. Goes into what makes an actor's first trust.
    pub(crate) fn open_log_part(&self, actor: &ActorId) -> Result<TransactWriteItem, StoreError> {
        self.update_part(log_key(actor), Self::OPEN, self.open_values(), None)
    }

    const OPEN: &str = "SET v = :v, created_at = if_not_exists(created_at, :now), \
         last_change = if_not_exists(last_change, :zero), subscribers = if_not_exists(subscribers, :zero)";

    fn open_values(&self) -> Item {
        Item::from([
            (":zero".to_owned(), number(0)),
            (":v".to_owned(), number(item::VERSION)),
            (":now".to_owned(), number(self.now().as_millis())),
        ])
    }

    /// The parts of a transaction that log `changes` after `seen`, and how many entries that makes; while there are no
    /// subscribers, a check that there are still none. The first part fails, returning the head, when the log has moved
    /// on.
    pub(crate) fn log_parts(
        &self,
        actor: &ActorId,
        seen: &LogHead,
        changes: &[Change],
        room: Room,
    ) -> Result<(Vec<TransactWriteItem>, u64), StoreError> {
        if seen.subscribers == 0 {
            let condition = Condition::new("subscribers = :none", [(":none", number(0))]);
            return Ok((vec![self.check_part(log_key(actor), condition)?], 0));
        }
        let entries = seen.entries(changes, room);
        self.entry_parts(actor, seen, entries)
    }

    fn entry_parts(
        &self,
        actor: &ActorId,
        seen: &LogHead,
        entries: Vec<LogEntry>,
    ) -> Result<(Vec<TransactWriteItem>, u64), StoreError> {
        let unmoved = Condition::new("last_change = :seen", [(":seen", number(signed(seen.last)))]);
        if entries.is_empty() {
            // Suspended: what ends the suspension moves the log on.
            return Ok((vec![self.check_part(log_key(actor), unmoved)?], 0));
        }
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let values = Item::from([(":more".to_owned(), number(signed(count)))]);
        let expression = "SET last_change = last_change + :more";
        let mut parts = vec![self.update_part(log_key(actor), expression, values, Some(unmoved))?];
        let at = self.now();
        for (number, entry) in (seen.last.saturating_add(1)..).zip(entries) {
            parts.push(self.put_part(LoggedChange { number, at, entry }.item(actor), Some(Condition::absent()))?);
        }
        Ok((parts, count))
    }

    /// Logs that everything in `scope` was deleted while the log stood at `before`; where it has moved on since, or begun,
    /// that subscribers are to read again.
    pub(crate) async fn log_end_of_all(
        &self,
        actor: &ActorId,
        log: &LogView,
        before: Option<LogHead>,
        scope: Scope,
    ) -> Result<(), StoreError> {
        let mut pause = self.pauses();
        loop {
            let Some(head) = self.known_head(actor, log).await? else { return Ok(()) };
            let unmoved = before
                .as_ref()
                .is_some_and(|before| (before.last, before.subscribers) == (head.last, head.subscribers));
            let entry = match unmoved {
                true => LogEntry::Change(Change::of(scope.clone(), deleted())),
                false => LogEntry::Resync(scope.clone()),
            };
            let is_suspended = head.suspended.iter().any(|suspended| suspended.covers(&scope));
            let (parts, entries) = match head.subscribers {
                0 => self.log_parts(actor, &head, &[], Room { items: 0, bytes: 0 })?,
                _ => self.entry_parts(actor, &head, if is_suspended { Vec::new() } else { vec![entry] })?,
            };
            let Err(cancelled) = self.transact(parts).await? else {
                log.advanced(head, entries);
                return Ok(());
            };
            log.moved(moved_head(cancelled).ok());
            pause.wait_unless_learnt("TransactWriteItems", "others are writing to the same actor").await?;
        }
    }

    /// Stops logging changes in `scope`. False when it was suspended already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suspend(&self, actor: &ActorId, scope: &Scope) -> Result<bool, StoreError> {
        let word = scope_text(scope);
        let expression = format!("{} ADD {SUSPENDED} :scope", Self::OPEN);
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(log_key(actor)))
            .update_expression(expression)
            .set_expression_attribute_values(Some(self.open_values()))
            .expression_attribute_values(":scope", AttributeValue::Ss(vec![word.clone()]))
            .return_values(ReturnValue::AllOld);
        let output = self.call("UpdateItem", || call.clone().send()).await?;
        let before = output.attributes.unwrap_or_default();
        Ok(!Row(&before).texts(SUSPENDED)?.contains(&word))
    }

    /// Logs changes in `scope` again, beginning with an entry that asks subscribers to read all of it again. Gives the
    /// head of the log after that; `None` when it was not suspended.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when writers kept coming between until the deadline; other [`StoreError`]s.
    pub async fn resume(&self, actor: &ActorId, scope: &Scope) -> Result<Option<LogHead>, StoreError> {
        let mut pause = self.pauses();
        let mut seen = self.log_head(actor).await?;
        loop {
            let Some(mut head) = seen.take() else { return Ok(None) };
            if !head.suspended.contains(scope) {
                return Ok(None);
            }
            let resync = LoggedChange {
                number: head.last.saturating_add(1),
                at: self.now(),
                entry: LogEntry::Resync(scope.clone()),
            };
            let values = Item::from([
                (":one".to_owned(), number(1)),
                (":scope".to_owned(), AttributeValue::Ss(vec![scope_text(scope)])),
            ]);
            let unmoved = Condition::new("last_change = :seen", [(":seen", number(signed(head.last)))]);
            let expression = format!("SET last_change = last_change + :one DELETE {SUSPENDED} :scope");
            let parts = vec![
                self.update_part(log_key(actor), &expression, values, Some(unmoved))?,
                self.put_part(resync.item(actor), Some(Condition::absent()))?,
            ];
            let Err(cancelled) = self.transact(parts).await? else {
                head.last = resync.number;
                head.suspended.retain(|suspended| suspended != scope);
                return Ok(Some(head));
            };
            seen = Some(self.where_it_moved(actor, cancelled).await?);
            pause.wait_unless_learnt("TransactWriteItems", "others are writing to the same actor").await?;
        }
    }

    /// The head that stood in the way of a transaction whose first part is about it; looked for where none did, since an
    /// actor's end takes the log along.
    pub(crate) async fn where_it_moved(&self, actor: &ActorId, cancelled: Cancelled) -> Result<LogHead, StoreError> {
        match moved_head(cancelled) {
            Ok(head) => Ok(head),
            Err(error) => self.log_head(actor).await?.ok_or(error),
        }
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
        let mut looks = 1;
        loop {
            let output = self.call("Query", || call.clone().send()).await?;
            let items = output.items.unwrap_or_default();
            let found = items.iter().map(|found| LoggedChange::from_row(&Row::read(found)?));
            let found = found.collect::<Result<Vec<_>, _>>()?;
            let is_whole = !found.is_empty() && (after + 1..).zip(&found).all(|(number, found)| found.number == number);
            if is_whole || looks == LOOKS {
                return Ok(found);
            }
            looks += 1;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// One scope that all of these (of one target) are in; `None` when there are none.
pub(crate) fn common_scope<'a>(mut scopes: impl Iterator<Item = &'a Scope>) -> Option<Scope> {
    let first = scopes.next()?;
    Some(if scopes.all(|scope| scope == first) { first.clone() } else { Scope::target(&first.target) })
}

pub(crate) fn log_key(actor: &ActorId) -> Item {
    item::key(&keys::actor(actor), keys::LOG)
}

/// DynamoDB's numbers are signed here; counters never come near the limit.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The head that stood in the way of a transaction whose first part is about it.
pub(crate) fn moved_head(Cancelled(reasons): Cancelled) -> Result<LogHead, StoreError> {
    match reasons.into_iter().next() {
        Some((code, Some(found))) if code == "ConditionalCheckFailed" => LogHead::from_row(&Row::read(&found)?),
        reason => Err(refused("TransactWriteItems", reason)),
    }
}

fn scope_text(scope: &Scope) -> String {
    serde_json::to_string(scope).unwrap_or_default()
}

pub(crate) fn put_scope(row: &mut Item, scope: &Scope) {
    row.insert("target".to_owned(), text(&scope.target));
    row.extend(scope.subtarget.as_ref().map(|subtarget| ("subtarget".to_owned(), text(subtarget))));
    row.extend(scope.resource.as_ref().map(|resource| ("resource".to_owned(), text(resource))));
}

pub(crate) fn scope_of(row: &Row<'_>) -> Result<Scope, StoreError> {
    Ok(Scope {
        target: row.text("target")?.to_owned(),
        subtarget: row.optional_text("subtarget")?.map(str::to_owned),
        resource: row.optional_text("resource")?.map(str::to_owned),
    })
}
