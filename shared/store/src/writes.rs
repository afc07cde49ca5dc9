//! Several changes of properties and lists as one: all or none.

use std::collections::HashMap;

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::types::{Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde_json::Value;

use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::lists::ListRecord;
use crate::properties::{Expect, Stored};
use crate::store::{Cancelled, refused};
use crate::{Home, ListChange, Store, StoreError, item, keys};

/// The most items one transaction writes: DynamoDB's limit.
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// The most bytes of one item: DynamoDB's limit.
const MAX_ITEM_BYTES: usize = 400_000;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Write a plain value where no list is.
    PutValue(Name, Value),
    /// Write a plain value where this version is, or nothing.
    ReplaceValue(Name, Value, Option<String>),
    /// Change a list that is still as it was seen, or write one that is new where nothing is.
    ChangeList(ListChange),
    /// Delete a list that is still as it was seen. Its items go to the worker.
    DeleteList(ListRecord),
}

impl Write {
    fn name(&self) -> &Name {
        match self {
            Self::PutValue(name, _) | Self::ReplaceValue(name, ..) => name,
            Self::ChangeList(change) => &change.list.name,
            Self::DeleteList(list) => &list.name,
        }
    }

    /// How many items of a transaction it takes, look-up rows ([`Store::lookup_writes`]) apart.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::PutValue(..) | Self::ReplaceValue(..) => 1,
            // The row, and a job when the items are left to the worker.
            Self::ChangeList(change) => {
                1 + usize::from(change.list.left_behind.is_some()) + change.puts.len() + change.deletes.len()
            }
            Self::DeleteList(_) => 2,
        }
    }
}

/// How a commit ended.
enum Commit {
    Done,
    /// This property is not as it was seen; this is what is there.
    Stale(Name, Option<Box<Stored>>),
}

impl Store {
    /// Decides and writes as one step: when another writer came between, `decide` is asked again with what is there
    /// now, so no change is lost and all of them happen, or none. `seen` is what was read of the properties concerned.
    /// The inner error is `decide`'s.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other writers kept coming between until the deadline, [`StoreError::TooLarge`] for more
    /// than [`MAX_TRANSACTION_ITEMS`] items or 4 MB; other [`StoreError`]s.
    pub async fn change_properties<T, E, F, Fut>(
        &self,
        actor: &ActorId,
        seen: HashMap<Name, Stored>,
        decide: F,
    ) -> Result<Result<T, E>, StoreError>
    where
        F: FnMut(HashMap<Name, Stored>) -> Fut,
        Fut: Future<Output = Result<(Vec<Write>, T), E>>,
    {
        self.change_at(actor, &Home::Properties, seen, decide).await
    }

    /// [`Store::change_properties`] for what stands elsewhere, such as lists in a bucket of attributes. All that is
    /// changed stands at `home`.
    ///
    /// # Errors
    /// As [`Store::change_properties`].
    pub async fn change_at<T, E, F, Fut>(
        &self,
        actor: &ActorId,
        home: &Home,
        mut seen: HashMap<Name, Stored>,
        mut decide: F,
    ) -> Result<Result<T, E>, StoreError>
    where
        F: FnMut(HashMap<Name, Stored>) -> Fut,
        Fut: Future<Output = Result<(Vec<Write>, T), E>>,
    {
        let mut pause = self.pauses();
        loop {
            let (writes, output) = match decide(seen.clone()).await {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (name, current) = match self.commit(actor, writes, &seen).await? {
                Commit::Done => return Ok(Ok(output)),
                Commit::Stale(name, Some(current)) => (name, Some(*current)),
                // Deleted meanwhile; or an engine that does not say what stood in the way.
                Commit::Stale(name, None) => {
                    let current = self.stored_at(actor, home, &name).await?;
                    (name, current)
                }
            };
            match current {
                Some(current) => seen.insert(name, current),
                None => seen.remove(&name),
            };
            pause.wait("TransactWriteItems", "others are writing the same properties".to_owned()).await?;
        }
    }

    async fn commit(
        &self,
        actor: &ActorId,
        writes: Vec<Write>,
        seen: &HashMap<Name, Stored>,
    ) -> Result<Commit, StoreError> {
        if writes.is_empty() {
            return Ok(Commit::Done);
        }
        let version = self.nonce();
        let mut items = Vec::new();
        let mut names = Vec::new();
        for write in writes {
            let name = write.name().clone();
            let found_by = seen.get(&name).and_then(Stored::found_by);
            self.push(actor, write, found_by, &version, &mut items)?;
            names.resize(items.len(), name);
        }
        if items.len() > MAX_TRANSACTION_ITEMS {
            let what = format!("a change of {} items at once", items.len());
            return Err(StoreError::TooLarge { what, limit: MAX_TRANSACTION_ITEMS });
        }
        let Err(Cancelled(reasons)) = self.transact(items).await? else { return Ok(Commit::Done) };
        if reasons.iter().any(|(code, _)| code == "ValidationError") {
            return Err(StoreError::TooLarge { what: "one of the items written".to_owned(), limit: MAX_ITEM_BYTES });
        }
        let met = reasons.into_iter().zip(names).find(|((code, _), _)| code == "ConditionalCheckFailed");
        let Some(((_, current), name)) = met else {
            return Err(refused("TransactWriteItems", "cancelled without a condition that failed"));
        };
        let current = current.as_ref().map(|found| Stored::from_row(&Row::read(found)?)).transpose()?;
        Ok(Commit::Stale(name, current.map(Box::new)))
    }

    fn push(
        &self,
        actor: &ActorId,
        write: Write,
        found_by: Option<&str>,
        version: &str,
        items: &mut Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        match write {
            Write::PutValue(name, value) => {
                items.extend(self.put_value(actor, &name, &value, version, (Expect::Any, found_by))?);
            }
            Write::ReplaceValue(name, value, seen) => {
                let expect = seen.map_or(Expect::Absent, Expect::Version);
                items.extend(self.put_value(actor, &name, &value, version, (expect, found_by))?);
            }
            Write::ChangeList(ListChange { mut list, puts, deletes }) => {
                let seen = std::mem::replace(&mut list.version, version.to_owned());
                items.push(if seen.is_empty() {
                    self.put_list(list.item(actor))?
                } else {
                    self.put_if(list.item(actor), Expect::Version(seen))?
                });
                let partition = list.partition(actor);
                for put in puts {
                    items.push(self.put_always(put.item(&partition))?);
                }
                for rank in deletes {
                    items.push(self.delete_always(item::key(&partition, &keys::list_item(&rank)))?);
                }
                if let Some(old) = list.left_behind {
                    items.push(self.put_always(self.removal_of(actor, old).item())?);
                }
            }
            Write::DeleteList(list) => {
                let delete = Delete::builder()
                    .table_name(&self.inner.table)
                    .set_key(Some(item::key(&keys::actor(actor), &list.key())))
                    .condition_expression("version = :seen")
                    .expression_attribute_values(":seen", text(&list.version))
                    .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                    .build()
                    .map_err(|error| refused("TransactWriteItems", error))?;
                items.push(TransactWriteItem::builder().delete(delete).build());
                items.push(self.put_always(self.removal_of(actor, list.partition(actor)).item())?);
            }
        }
        Ok(())
    }

    fn removal_of(&self, actor: &ActorId, partition: String) -> DueJob {
        DueJob::new(actor, self.now(), &self.nonce(), DueWork::RemoveItems { partition })
    }

    /// Writes the row of a new list where nothing is, or what counts as nothing: a value whose time has passed.
    fn put_list(&self, row: Item) -> Result<TransactWriteItem, StoreError> {
        let now = Item::from([(":now".to_owned(), number(self.now().as_secs()))]);
        self.put_when(row, "attribute_not_exists(pk) OR expires <= :now", Some(now))
    }

    fn put_if(&self, row: Item, expect: Expect) -> Result<TransactWriteItem, StoreError> {
        let (condition, values) = expect.condition();
        self.put_when(row, condition, values)
    }

    fn put_when(&self, row: Item, condition: &str, values: Option<Item>) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| refused("TransactWriteItems", error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn put_always(&self, row: Item) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .build()
            .map_err(|error| refused("TransactWriteItems", error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn delete_always(&self, key: Item) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .build()
            .map_err(|error| refused("TransactWriteItems", error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
