//! Plain properties: JSON text with a version per value.

use std::collections::HashMap;

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde_json::Value;

use crate::item::{Item, Row, text};
use crate::lookups::FOUND_BY;
use crate::store::{Attempt, Cancelled, Pauses, key_of, refused};
use crate::transaction::Condition;
use crate::{Home, ListRecord, Store, StoreError, Write, item, keys};

/// A plain property as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProperty {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Value,
    /// Changes with every write, never returns.
    pub version: String,
    /// The partition of the look-up row it owns.
    pub(crate) found_by: Option<String>,
}

/// What stands under a name: a plain value or a list, never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A plain value.
    Value(StoredProperty),
    /// A list.
    List(ListRecord),
}

/// What must be true of a property for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is no list.
    Any,
    /// It does not exist.
    Absent,
    /// It is still this version.
    Version(String),
}

/// What a write that met something unexpected came to.
enum Judged {
    /// This, for good.
    Final(WriteOutcome),
    /// It may be tried again: the property owns this look-up row.
    Owns(Option<String>),
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOutcome {
    /// Done; this is the version now.
    Written(String),
    /// The expectation does not hold; this is what is there (`None`: nothing).
    Stale(Option<Stored>),
}

/// What an update decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Write this value.
    Put(Value),
    /// Delete the property.
    Delete,
    /// Leave it as it is.
    Keep,
}

impl Stored {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        match self {
            Self::Value(property) => &property.name,
            Self::List(list) => &list.name,
        }
    }

    /// Its version: changes with every write, never returns.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Value(property) => &property.version,
            Self::List(list) => &list.version,
        }
    }

    /// The partition of the look-up row it owns.
    pub(crate) fn found_by(&self) -> Option<&str> {
        match self {
            Self::Value(property) => property.found_by.as_deref(),
            Self::List(_) => None,
        }
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        match row.text("kind")? {
            keys::VALUE => Ok(Self::Value(StoredProperty {
                name: Home::of(row)?.1,
                value: row.json("value")?,
                version: row.text("version")?.to_owned(),
                found_by: row.optional_text(FOUND_BY)?.map(str::to_owned),
            })),
            keys::LIST => Ok(Self::List(ListRecord::from_row(row)?)),
            other => Err(row.corrupt(format!("unknown kind `{other}`"))),
        }
    }
}

impl Expect {
    /// The same as a condition of DynamoDB with its values, for what owns no look-up row.
    pub(crate) fn condition(&self) -> (&'static str, Option<Item>) {
        self.owning(None).parts()
    }

    /// The same as a condition of DynamoDB, and that what is there owns this look-up row, or none.
    pub(crate) fn owning(&self, found_by: Option<&str>) -> Condition {
        match (self, found_by) {
            (Self::Any, None) => {
                let plain = "attribute_not_exists(pk) OR (kind = :value AND attribute_not_exists(found_by))";
                Condition::new(plain, [(":value", text(keys::VALUE))])
            }
            (Self::Any, Some(partition)) => {
                Condition::new("attribute_not_exists(pk) OR found_by = :found_by", [(":found_by", text(partition))])
            }
            (Self::Absent, _) => Condition::absent(),
            (Self::Version(seen), None) => {
                Condition::new("version = :seen AND attribute_not_exists(found_by)", [(":seen", text(seen))])
            }
            (Self::Version(seen), Some(partition)) => {
                let values = [(":seen", text(seen)), (":found_by", text(partition))];
                Condition::new("version = :seen AND found_by = :found_by", values)
            }
        }
    }
}

impl Store {
    /// Writes one property if `expect` holds, and its look-up row with it. `seen` is what was read under its name, if
    /// anything was: a guess, which saves a call when it is right and the property is indexed.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other writers kept coming between until the deadline; other [`StoreError`]s.
    pub async fn put_property(
        &self,
        actor: &ActorId,
        name: &Name,
        value: &Value,
        expect: Expect,
        seen: Option<&Stored>,
    ) -> Result<WriteOutcome, StoreError> {
        let mut found_by = seen.and_then(Stored::found_by).map(str::to_owned);
        let mut pause = None;
        loop {
            let outcome = self.try_put(actor, name, value, (&expect, found_by.as_deref())).await?;
            match self.judge(actor, name, &expect, outcome).await? {
                Judged::Final(outcome) => return Ok(outcome),
                Judged::Owns(now) => found_by = now,
            }
            self.pause_again(&mut pause).await?;
        }
    }

    async fn try_put(
        &self,
        actor: &ActorId,
        name: &Name,
        value: &Value,
        (expect, found_by): (&Expect, Option<&str>),
    ) -> Result<WriteOutcome, StoreError> {
        let version = self.nonce();
        let found_by = found_by.filter(|_| *expect != Expect::Absent);
        if found_by != self.lookup_of(name, value).as_deref() {
            let parts = self.put_value(actor, name, value, &version, (expect.clone(), found_by))?;
            return self.write_with_lookup(parts, version).await;
        }
        let (condition, values) = expect.owning(found_by).parts();
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(property_item(actor, name, value, &version, found_by)))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(WriteOutcome::Written(version)),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(failed) => stale(failed.item, &version),
                other => Err(refused("PutItem", other)),
            },
        }
    }

    /// The parts of a transaction that write a property and its look-up row; the property comes first.
    pub(crate) fn put_value(
        &self,
        actor: &ActorId,
        name: &Name,
        value: &Value,
        version: &str,
        (expect, found_by): (Expect, Option<&str>),
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let found_by = found_by.filter(|_| expect != Expect::Absent);
        let new = self.lookup_of(name, value);
        let row = property_item(actor, name, value, version, new.as_deref());
        let mut parts = vec![self.put_part(row, Some(expect.owning(found_by)))?];
        parts.extend(self.move_lookup(actor, found_by, new.as_deref())?);
        Ok(parts)
    }

    /// Deletes one property if `expect` holds, and its look-up row with it. Deleting what is not there is
    /// [`WriteOutcome::Written`] under [`Expect::Any`]. `seen` is as for [`Store::put_property`].
    ///
    /// # Errors
    /// As [`Store::put_property`].
    pub async fn delete_property(
        &self,
        actor: &ActorId,
        name: &Name,
        expect: Expect,
        seen: Option<&Stored>,
    ) -> Result<WriteOutcome, StoreError> {
        self.delete_found_by(actor, name, expect, seen.and_then(Stored::found_by).map(str::to_owned)).await
    }

    /// [`Store::delete_property`] of one that is thought to own this look-up row.
    async fn delete_found_by(
        &self,
        actor: &ActorId,
        name: &Name,
        expect: Expect,
        mut found_by: Option<String>,
    ) -> Result<WriteOutcome, StoreError> {
        let mut pause = None;
        loop {
            let outcome = self.try_delete(actor, name, (&expect, found_by.as_deref())).await?;
            match self.judge(actor, name, &expect, outcome).await? {
                Judged::Final(outcome) => return Ok(outcome),
                Judged::Owns(now) => found_by = now,
            }
            self.pause_again(&mut pause).await?;
        }
    }

    async fn try_delete(
        &self,
        actor: &ActorId,
        name: &Name,
        (expect, found_by): (&Expect, Option<&str>),
    ) -> Result<WriteOutcome, StoreError> {
        let key = item::key(&keys::actor(actor), &keys::property(name));
        if found_by.is_some() {
            let mut parts = vec![self.delete_part(key, Some(expect.owning(found_by)))?];
            parts.extend(self.move_lookup(actor, found_by, None)?);
            return self.write_with_lookup(parts, String::new()).await;
        }
        let (condition, values) = expect.condition();
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.attempt("DeleteItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(WriteOutcome::Written(String::new())),
            Attempt::Refused(error) => match *error {
                // Gone already: by somebody else, or by an attempt of ours whose reply was lost.
                DeleteItemError::ConditionalCheckFailedException(failed) if failed.item.is_none() => {
                    Ok(WriteOutcome::Stale(None))
                }
                DeleteItemError::ConditionalCheckFailedException(failed) => stale(failed.item, ""),
                other => Err(refused("DeleteItem", other)),
            },
        }
    }

    /// Writes a property and its look-up row; only the property, which comes first, has a condition.
    async fn write_with_lookup(
        &self,
        parts: Vec<TransactWriteItem>,
        version: String,
    ) -> Result<WriteOutcome, StoreError> {
        let Err(Cancelled(reasons)) = self.transact(parts).await? else { return Ok(WriteOutcome::Written(version)) };
        match reasons.into_iter().next() {
            Some((code, current)) if code == "ConditionalCheckFailed" => stale(current, &version),
            reason => Err(refused("TransactWriteItems", reason)),
        }
    }

    /// What a write came to: whether its expectation does not hold, or only the guess which look-up row is owned.
    async fn judge(
        &self,
        actor: &ActorId,
        name: &Name,
        expect: &Expect,
        outcome: WriteOutcome,
    ) -> Result<Judged, StoreError> {
        let WriteOutcome::Stale(current) = outcome else { return Ok(Judged::Final(outcome)) };
        // An engine that does not say what stood in the way.
        let current = match current {
            None if *expect == Expect::Any => self.stored_at(actor, &Home::Properties, name).await?,
            current => current,
        };
        let holds = match (expect, &current) {
            (Expect::Any, current) => !matches!(current, Some(Stored::List(_))),
            (Expect::Version(seen), Some(Stored::Value(property))) => *seen == property.version,
            _ => false,
        };
        Ok(match holds {
            true => Judged::Owns(current.as_ref().and_then(Stored::found_by).map(str::to_owned)),
            false => Judged::Final(WriteOutcome::Stale(current)),
        })
    }

    /// Waits, but for the first time: then nobody came between, a guess was wrong.
    async fn pause_again<'a>(&'a self, pause: &mut Option<Pauses<'a>>) -> Result<(), StoreError> {
        match pause {
            None => *pause = Some(self.pauses()),
            Some(pause) => pause.wait("PutProperty", "others are writing the same property".to_owned()).await?,
        }
        Ok(())
    }

    /// Reads, decides and writes a plain property as one step: when another writer comes between, `decide` is asked
    /// again with what is there now, so no update is lost. `current` is what the caller has read already. The inner error
    /// is `decide`'s.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other writers kept coming between until the deadline; other [`StoreError`]s.
    pub async fn update_property<E, F, Fut>(
        &self,
        actor: &ActorId,
        name: &Name,
        current: Option<Stored>,
        mut decide: F,
    ) -> Result<Result<(), E>, StoreError>
    where
        F: FnMut(Option<Stored>) -> Fut,
        Fut: Future<Output = Result<Change, E>>,
    {
        let mut pause = self.pauses();
        let mut current = current;
        loop {
            let expect = current.as_ref().map_or(Expect::Absent, |stored| Expect::Version(stored.version().to_owned()));
            let found_by = current.as_ref().and_then(Stored::found_by).map(str::to_owned);
            let outcome = match decide(current).await {
                Ok(Change::Put(value)) => self.try_put(actor, name, &value, (&expect, found_by.as_deref())).await?,
                Ok(Change::Delete) => self.try_delete(actor, name, (&expect, found_by.as_deref())).await?,
                Ok(Change::Keep) => return Ok(Ok(())),
                Err(refusal) => return Ok(Err(refusal)),
            };
            match outcome {
                WriteOutcome::Written(_) => return Ok(Ok(())),
                WriteOutcome::Stale(Some(now)) => current = Some(now),
                // Deleted meanwhile; or an engine that does not say what stood in the way.
                WriteOutcome::Stale(None) => current = self.stored_at(actor, &Home::Properties, name).await?,
            }
            pause.wait("UpdateProperty", "others are writing the same property".to_owned()).await?;
        }
    }

    /// What stands under a name now, strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored_at(&self, actor: &ActorId, home: &Home, name: &Name) -> Result<Option<Stored>, StoreError> {
        let items = self.batch_get(vec![item::key(&keys::actor(actor), &home.key(name))]).await?;
        let Some(row) = items.first().map(Row::read).transpose()? else { return Ok(None) };
        if row.expired(self.now())? { Ok(None) } else { Stored::from_row(&row).map(Some) }
    }

    /// Deletes every property. Items of lists go to the worker.
    ///
    /// # Errors
    /// [`StoreError`]; some properties may be gone by then.
    pub async fn delete_properties(&self, actor: &ActorId) -> Result<(), StoreError> {
        self.sweep_owned(actor, keys::PROPERTY).await
    }

    /// Deletes what an actor owns and whose sort keys begin with `prefix` (anything, when empty), but the actor itself.
    /// A list goes together with a job for its items, while nobody changes it: so no item is left that nothing leads to.
    /// So does a property with its look-up row.
    pub(crate) async fn sweep_owned(&self, actor: &ActorId, prefix: &str) -> Result<(), StoreError> {
        let mut pages = self.pages(&keys::actor(actor), prefix, Some("pk, sk, generation, version, found_by"));
        while let Some(items) = pages.next().await? {
            let (lists, rest): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|row| row.contains_key("generation"));
            for row in lists {
                self.release_list(actor, ListRecord::from_keys(&Row(row))?).await?;
            }
            let (found, rest): (Vec<&Item>, Vec<&Item>) =
                rest.into_iter().partition(|row| self.may_be_found(&Row(row)));
            for row in found {
                self.release_found(actor, &Row(row)).await?;
            }
            let is_actor = |key: &Item| key.get("sk").is_some_and(|sk| sk == &text(keys::ACTOR));
            self.batch_delete(rest.into_iter().filter_map(key_of).filter(|key| !is_actor(key)).collect()).await?;
        }
        Ok(())
    }

    /// Whether it is a property that owns a look-up row, or may own one by the time it is deleted.
    fn may_be_found(&self, row: &Row<'_>) -> bool {
        let is_property = row.text("sk").is_ok_and(|sk| sk.starts_with(keys::PROPERTY));
        is_property && (row.0.contains_key(FOUND_BY) || Home::of(row).is_ok_and(|(_, name)| self.is_indexed(&name)))
    }

    async fn release_found(&self, actor: &ActorId, row: &Row<'_>) -> Result<(), StoreError> {
        let found_by = row.optional_text(FOUND_BY)?.map(str::to_owned);
        match self.delete_found_by(actor, &Home::of(row)?.1, Expect::Any, found_by).await? {
            WriteOutcome::Stale(Some(Stored::List(list))) => self.release_list(actor, list).await,
            _ => Ok(()),
        }
    }

    async fn release_list(&self, actor: &ActorId, list: ListRecord) -> Result<(), StoreError> {
        let (home, name) = (list.home.clone(), list.name.clone());
        let decide = |mut seen: HashMap<Name, Stored>| {
            let write = match seen.remove(&name) {
                Some(Stored::List(list)) => vec![Write::DeleteList(list)],
                // Somebody else deleted it meanwhile.
                _ => Vec::new(),
            };
            std::future::ready(Ok::<_, std::convert::Infallible>((write, ())))
        };
        let seen = HashMap::from([(name.clone(), Stored::List(list))]);
        self.change_at(actor, &home, seen, decide).await?.or(Ok(()))
    }

    /// Deletes everything in a partition.
    pub(crate) async fn sweep(&self, partition: &str) -> Result<(), StoreError> {
        let mut pages = self.pages(partition, "", Some("pk, sk"));
        while let Some(items) = pages.next().await? {
            self.batch_delete(items.iter().filter_map(key_of).collect()).await?;
        }
        Ok(())
    }
}

fn property_item(actor: &ActorId, name: &Name, value: &Value, version: &str, found_by: Option<&str>) -> Item {
    let mut row = item::new(&keys::actor(actor), &keys::property(name));
    row.insert("kind".to_owned(), text(keys::VALUE));
    row.insert("value".to_owned(), text(value.to_string()));
    row.insert("version".to_owned(), text(version));
    row.extend(found_by.map(|partition| (FOUND_BY.to_owned(), text(partition))));
    row
}

/// What a failed condition means. A version that we made ourselves is there because an earlier attempt was applied and
/// its reply was lost.
fn stale(current: Option<Item>, ours: &str) -> Result<WriteOutcome, StoreError> {
    let current = current.as_ref().map(|found| Stored::from_row(&Row::read(found)?)).transpose()?;
    Ok(match current {
        Some(current) if current.version() == ours => WriteOutcome::Written(ours.to_owned()),
        current => WriteOutcome::Stale(current),
    })
}
