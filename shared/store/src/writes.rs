//! The one way in which properties and lists change: some writes, and what subscribers are told of them, as one.

use std::collections::HashMap;
use std::time::Duration;

use actingweb_protocol::subscription::Change;
use actingweb_protocol::{ActorId, Deadline, Name, random_hex};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::Value;
use tokio::time::Instant;

use crate::changes::{Room, common_scope, moved_head};
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, size, text};
use crate::large::Found;
use crate::lists::ListRecord;
use crate::log_view::ABSENCE;
use crate::properties::{Expect, Owned, Stored};
use crate::store::{Attempt, Cancelled, RESERVE, refused};
use crate::transaction::Condition;
use crate::{Home, ListChange, LogView, Store, StoreError, item, keys};

/// The most items one transaction writes: DynamoDB's limit.
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// How many of them are kept for the change log: its head, and one entry that stands for all.
pub const LOG_ITEMS: usize = 2;

/// The most bytes of one transaction: DynamoDB's limit of 4 MB, less what names and numbers take.
const MAX_TRANSACTION_BYTES: usize = 3_900_000;

/// How long after the look that found no log a write must be done to be certain that nobody subscribed before it: less
/// than the second that a first subscription waits, with room for clocks that differ.
const PROMPT: Duration = Duration::from_millis(700);

/// The most bytes of one item: DynamoDB's limit.
const MAX_ITEM_BYTES: usize = 400_000;

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Write a plain value where no list is.
    PutValue(Name, Value),
    /// Write a plain value where this version is, or nothing.
    ReplaceValue(Name, Value, Option<String>),
    /// Delete a plain value, if there is one, where no list is.
    DeleteValue(Name),
    /// Delete a plain value that is this version.
    DeleteSeen(Name, String),
    /// Change a list that is still as it was seen, or write one that is new where nothing is.
    ChangeList(ListChange),
    /// Delete a list that is still as it was seen. Its items go to the worker.
    DeleteList(ListRecord),
}

impl Write {
    fn name(&self) -> &Name {
        match self {
            Self::PutValue(name, _) | Self::ReplaceValue(name, ..) => name,
            Self::DeleteValue(name) | Self::DeleteSeen(name, _) => name,
            Self::ChangeList(change) => &change.list.name,
            Self::DeleteList(list) => &list.name,
        }
    }

    /// How many items of a transaction it takes, rows that a property owns besides ([`Store::owned_writes`])
    /// apart.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::PutValue(..) | Self::ReplaceValue(..) | Self::DeleteValue(_) | Self::DeleteSeen(..) => 1,
            // The row, and a job when the items are left to the worker.
            Self::ChangeList(change) => {
                1 + usize::from(change.list.left_behind.is_some()) + change.puts.len() + change.deletes.len()
            }
            Self::DeleteList(_) => 2,
        }
    }
}

/// What was decided to be done, and what is told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is written; nothing at all leaves everything as it is.
    pub writes: Vec<Write>,
    /// What subscribers are told.
    pub changes: Vec<Change>,
}

impl From<Vec<Write>> for Decision {
    /// Writes that nobody is told of.
    fn from(writes: Vec<Write>) -> Self {
        Self { writes, changes: Vec::new() }
    }
}

/// How a commit ended.
enum Commit {
    Done,
    /// This is not as it was seen; this is what is there, if that is known.
    Stale(Name, Option<Box<Stored>>),
}

/// The parts of a transaction that carry out a decision.
struct Parts {
    items: Vec<TransactWriteItem>,
    /// What each of them is about.
    names: Vec<Name>,
    /// The version that everything written has.
    version: String,
}

impl Store {
    /// Decides and writes as one step: when another writer came between, `decide` is asked again with what is there
    /// now, so no change is lost and all of them happen, or none. What is told of them is logged in the same step, as far
    /// as there are subscribers. `seen` is what was read of what is concerned, all of which stands at `home`. The inner
    /// error is `decide`'s.
    ///
    /// One call when nobody came between and `log` knows where the log stands.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other writers kept coming between until the deadline, [`StoreError::TooLarge`] for more
    /// than [`MAX_TRANSACTION_ITEMS`] items or 4 MB; other [`StoreError`]s.
    pub async fn change_at<T, E, F, Fut>(
        &self,
        (actor, log): (&ActorId, &LogView),
        home: &Home,
        mut seen: HashMap<Name, Stored>,
        mut decide: F,
    ) -> Result<Result<T, E>, StoreError>
    where
        F: FnMut(HashMap<Name, Stored>) -> Fut,
        Fut: Future<Output = Result<(Decision, T), E>>,
    {
        let mut pause = self.pauses();
        let mut guesses = true;
        loop {
            let (decision, output) = match decide(seen.clone()).await {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (name, current) = match self.commit((actor, log), decision, &seen).await? {
                Commit::Done => return Ok(Ok(output)),
                Commit::Stale(name, Some(current)) => (name, Some(*current)),
                // Deleted meanwhile; or large; or an engine that does not say what stood in the way.
                Commit::Stale(name, None) => {
                    let current = self.stored_at(actor, home, &name).await?;
                    (name, current)
                }
            };
            // Where nobody had looked, nobody came between.
            let guessed = guesses && !seen.contains_key(&name);
            match current {
                Some(current) => seen.insert(name, current),
                None => seen.remove(&name),
            };
            guesses = false;
            if !guessed {
                pause.wait("TransactWriteItems", "others are writing the same properties".to_owned()).await?;
            }
        }
    }

    /// Tells subscribers of changes that nothing is written for.
    ///
    /// # Errors
    /// As [`Store::change_at`].
    pub async fn announce(&self, actor: &ActorId, log: &LogView, changes: Vec<Change>) -> Result<(), StoreError> {
        let decision = Decision { writes: Vec::new(), changes };
        match self.commit((actor, log), decision, &HashMap::new()).await? {
            Commit::Done => Ok(()),
            Commit::Stale(name, _) => Err(refused("TransactWriteItems", format!("nothing was written to {name}"))),
        }
    }

    async fn commit(
        &self,
        (actor, log): (&ActorId, &LogView),
        decision: Decision,
        seen: &HashMap<Name, Stored>,
    ) -> Result<Commit, StoreError> {
        let Decision { writes, changes } = decision;
        let mut parts = Parts { items: Vec::new(), names: Vec::new(), version: self.nonce() };
        for write in writes {
            let name = write.name().clone();
            let owned = seen.get(&name).map(Stored::owned).unwrap_or_default();
            self.push(actor, write, owned, &mut parts)?;
            parts.names.resize(parts.items.len(), name);
        }
        let mut pause = self.pauses();
        let mut token = None;
        let mut unlogged_since = None;
        let mut looked = false;
        loop {
            let head = if changes.is_empty() { None } else { self.known_head(actor, log).await? };
            let (mut items, entries) = match &head {
                Some(head) => self.log_parts(actor, head, &changes, parts.room())?,
                None => (Vec::new(), 0),
            };
            if parts.items.is_empty() && entries == 0 {
                if head.is_none() || looked {
                    return Ok(Commit::Done);
                }
                // No condition would fail if somebody had subscribed, or a suspension had ended, since it was known.
                log.forget();
                looked = true;
                continue;
            }
            let logging = items.len();
            items.extend(parts.items.iter().cloned());
            if items.len() > MAX_TRANSACTION_ITEMS {
                let what = format!("a change of {} items at once", parts.items.len());
                return Err(StoreError::TooLarge { what, limit: MAX_TRANSACTION_ITEMS });
            }
            let began = Instant::now();
            let cancelled = match &head {
                // The condition on the log fails when the actor is gone.
                Some(_) => self.unguarded().transact(items).await?,
                // What counts on there being no log is done soon, or looks again.
                None => {
                    unlogged_since = unlogged_since.or_else(|| log.absent_since());
                    let token = token.get_or_insert_with(|| random_hex(&*self.inner.entropy, 16)).clone();
                    let hurried = if changes.is_empty() { self.clone() } else { self.hurried(ABSENCE) };
                    match hurried.write(items, token).await {
                        Err(StoreError::Busy { reason, .. }) if !changes.is_empty() => {
                            pause.wait("TransactWriteItems", reason).await?;
                            continue;
                        }
                        outcome => outcome?,
                    }
                }
            };
            let Err(Cancelled(mut reasons)) = cancelled else {
                match head {
                    Some(head) => {
                        self.saw(actor, began);
                        log.advanced(head, entries);
                    }
                    None => self.tell_if_late((actor, log), &changes, unlogged_since).await?,
                }
                return Ok(Commit::Done);
            };
            if reasons.iter().any(|(code, _)| code == "ValidationError") {
                return Err(StoreError::TooLarge {
                    what: "one of the items written".to_owned(),
                    limit: MAX_ITEM_BYTES,
                });
            }
            let written = reasons.split_off(logging.min(reasons.len()));
            let log_moved = reasons.first().is_some_and(|(code, _)| code == CONDITION_FAILED);
            if log_moved {
                // No item: the log went with its actor.
                log.moved(moved_head(Cancelled(reasons)).ok());
            }
            match parts.met(written)? {
                // An attempt whose reply was lost.
                Some(Commit::Done) => {
                    self.tell_if_late((actor, log), &changes, unlogged_since).await?;
                    return Ok(Commit::Done);
                }
                Some(stale) => return Ok(stale),
                None if log_moved => {}
                None => return Err(refused("TransactWriteItems", "cancelled without a condition that failed")),
            }
            pause.wait_unless_learnt("TransactWriteItems", "others are writing to the same actor").await?;
        }
    }

    /// Tells subscribers to read again what was written by an attempt that saw no log, if it took so long that somebody
    /// may have subscribed before it was applied.
    async fn tell_if_late(
        &self,
        (actor, log): (&ActorId, &LogView),
        changes: &[Change],
        unlogged_since: Option<Instant>,
    ) -> Result<(), StoreError> {
        let is_late = unlogged_since.is_some_and(|since| since.elapsed() > PROMPT);
        let Some(scope) = common_scope(changes.iter().map(|change| &change.scope)).filter(|_| is_late) else {
            return Ok(());
        };
        log.forget();
        self.log_end_of_all(actor, log, None, scope).await
    }

    /// The same store, with this long for the next call.
    fn hurried(&self, span: Duration) -> Self {
        let soon = Deadline::after(Instant::now().into_std(), span + RESERVE);
        self.with_deadline(self.deadline.map_or(soon, |deadline| deadline.earlier(soon)))
    }

    /// Writes items, all or none: a single one without the price of a transaction.
    async fn write(
        &self,
        mut items: Vec<TransactWriteItem>,
        token: String,
    ) -> Result<Result<(), Cancelled>, StoreError> {
        let single = if items.len() == 1 { items.pop() } else { None };
        let failed = |found| Ok(Err(Cancelled(vec![(CONDITION_FAILED.to_owned(), found)])));
        match single {
            Some(TransactWriteItem { put: Some(put), .. }) => {
                let call = self
                    .inner
                    .client
                    .put_item()
                    .table_name(put.table_name)
                    .set_item(Some(put.item))
                    .set_condition_expression(put.condition_expression)
                    .set_expression_attribute_values(put.expression_attribute_values)
                    .set_return_values_on_condition_check_failure(put.return_values_on_condition_check_failure);
                match self.attempt("PutItem", || call.clone().send()).await? {
                    Attempt::Done(_) => Ok(Ok(())),
                    Attempt::Refused(error) => match *error {
                        PutItemError::ConditionalCheckFailedException(error) => failed(error.item),
                        other => Err(refused("PutItem", other)),
                    },
                }
            }
            Some(TransactWriteItem { delete: Some(delete), .. }) => {
                let call = self
                    .inner
                    .client
                    .delete_item()
                    .table_name(delete.table_name)
                    .set_key(Some(delete.key))
                    .set_condition_expression(delete.condition_expression)
                    .set_expression_attribute_values(delete.expression_attribute_values)
                    .set_return_values_on_condition_check_failure(delete.return_values_on_condition_check_failure);
                match self.attempt("DeleteItem", || call.clone().send()).await? {
                    Attempt::Done(_) => Ok(Ok(())),
                    Attempt::Refused(error) => match *error {
                        DeleteItemError::ConditionalCheckFailedException(error) => failed(error.item),
                        other => Err(refused("DeleteItem", other)),
                    },
                }
            }
            single => {
                items.extend(single);
                self.transact_as(token, items).await
            }
        }
    }

    fn push(
        &self,
        actor: &ActorId,
        write: Write,
        owned: Owned,
        Parts { items, version, .. }: &mut Parts,
    ) -> Result<(), StoreError> {
        match write {
            Write::PutValue(name, value) => {
                items.extend(self.put_value(actor, &name, &value, version, (Expect::Any, owned))?);
            }
            Write::ReplaceValue(name, value, seen) => {
                let expect = seen.map_or(Expect::Absent, Expect::Version);
                items.extend(self.put_value(actor, &name, &value, version, (expect, owned))?);
            }
            Write::DeleteValue(name) => items.extend(self.delete_value(actor, &name, (Expect::Any, owned))?),
            Write::DeleteSeen(name, seen) => {
                items.extend(self.delete_value(actor, &name, (Expect::Version(seen), owned))?);
            }
            Write::ChangeList(ListChange { mut list, puts, deletes }) => {
                let seen = std::mem::replace(&mut list.version, version.clone());
                // A list that is new is written where nothing is, or what counts as nothing: a value whose time has passed.
                let condition = if seen.is_empty() {
                    let now = number(self.now().as_secs());
                    Condition::new("attribute_not_exists(pk) OR expires <= :now", [(":now", now)])
                } else {
                    Condition::new("version = :seen", [(":seen", text(seen))])
                };
                items.push(self.put_part(list.item(actor), Some(condition))?);
                let partition = list.partition(actor);
                for put in puts {
                    items.push(self.put_part(put.item(&partition), None)?);
                }
                for rank in deletes {
                    items.push(self.delete_part(item::key(&partition, &keys::list_item(&rank)), None)?);
                }
                if let Some(old) = list.left_behind {
                    items.push(self.put_part(self.removal_of(actor, old).item(), None)?);
                }
            }
            Write::DeleteList(list) => {
                let key = item::key(&keys::actor(actor), &list.key());
                let unchanged = Condition::new("version = :seen", [(":seen", text(&list.version))]);
                items.push(self.delete_part(key, Some(unchanged))?);
                items.push(self.put_part(self.removal_of(actor, list.partition(actor)).item(), None)?);
            }
        }
        Ok(())
    }

    fn removal_of(&self, actor: &ActorId, partition: String) -> DueJob {
        DueJob::new(actor, self.now(), &self.nonce(), DueWork::RemoveItems { partition })
    }
}

impl Parts {
    /// What is left of the transaction for entries of the log, beside its head.
    fn room(&self) -> Room {
        let bytes = self.items.iter().filter_map(|part| part.put.as_ref()).map(|put| size(&put.item)).sum();
        Room {
            items: MAX_TRANSACTION_ITEMS.saturating_sub(self.items.len() + 1).max(1),
            bytes: MAX_TRANSACTION_BYTES.saturating_sub(bytes),
        }
    }

    /// What the outcomes of these parts come to; `None` when no condition failed. What has the version of this very
    /// write is there because an earlier attempt was applied and its reply was lost.
    fn met(&self, reasons: Vec<(String, Option<Item>)>) -> Result<Option<Commit>, StoreError> {
        let failed = reasons.into_iter().zip(&self.names).find(|((code, _), _)| code == CONDITION_FAILED);
        let Some(((_, current), name)) = failed else { return Ok(None) };
        let current = current.as_ref().map(|found| Found::from_row(&Row::read(found)?)).transpose()?;
        Ok(Some(match current {
            Some(current) if current.version() == self.version => Commit::Done,
            Some(Found::Whole(current)) => Commit::Stale(name.clone(), Some(Box::new(current))),
            // Its text is in another row.
            Some(Found::Stub(_)) | None => Commit::Stale(name.clone(), None),
        }))
    }
}
