//! Plain properties: JSON text with a version per value.

use std::collections::HashMap;

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use serde_json::Value;

use crate::item::{Item, Row, text};
use crate::store::{Attempt, key_of, refused};
use crate::{ListRecord, Store, StoreError, Write, item, keys};

/// A plain property as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProperty {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Value,
    /// Changes with every write, never returns.
    pub version: String,
}

/// What stands under a property's name: a plain value or a list, never both.
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

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let escaped = row.text("sk")?.strip_prefix(keys::PROPERTY).ok_or_else(|| row.corrupt("it is no property"))?;
        let name = Name::try_from(keys::unescape(escaped)).map_err(|error| row.corrupt(error.to_string()))?;
        match row.text("kind")? {
            keys::VALUE => Ok(Self::Value(StoredProperty {
                name,
                value: row.json("value")?,
                version: row.text("version")?.to_owned(),
            })),
            keys::LIST => Ok(Self::List(ListRecord::from_row(row, name)?)),
            other => Err(row.corrupt(format!("unknown kind `{other}`"))),
        }
    }
}

impl Expect {
    /// The same as a condition of DynamoDB with its values.
    pub(crate) fn condition(self) -> (&'static str, Option<Item>) {
        let values = |name: &str, value: String| Some(Item::from([(name.to_owned(), text(value))]));
        match self {
            Self::Any => ("attribute_not_exists(pk) OR kind = :value", values(":value", keys::VALUE.to_owned())),
            Self::Absent => ("attribute_not_exists(pk)", None),
            Self::Version(seen) => ("version = :seen", values(":seen", seen)),
        }
    }
}

impl Store {
    /// Writes one property if `expect` holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_property(
        &self,
        actor: &ActorId,
        name: &Name,
        value: &Value,
        expect: Expect,
    ) -> Result<WriteOutcome, StoreError> {
        let version = self.nonce();
        let row = property_item(actor, name, value, &version);
        let (condition, values) = expect.condition();
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(row))
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

    /// Deletes one property if `expect` holds. Deleting what is not there is [`WriteOutcome::Written`] under
    /// [`Expect::Any`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_property(
        &self,
        actor: &ActorId,
        name: &Name,
        expect: Expect,
    ) -> Result<WriteOutcome, StoreError> {
        let (condition, values) = expect.condition();
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(actor), &keys::property(name))))
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
            let outcome = match decide(current).await {
                Ok(Change::Put(value)) => self.put_property(actor, name, &value, expect).await?,
                Ok(Change::Delete) => self.delete_property(actor, name, expect).await?,
                Ok(Change::Keep) => return Ok(Ok(())),
                Err(refusal) => return Ok(Err(refusal)),
            };
            match outcome {
                WriteOutcome::Written(_) => return Ok(Ok(())),
                WriteOutcome::Stale(Some(now)) => current = Some(now),
                // Deleted meanwhile; or an engine that does not say what stood in the way.
                WriteOutcome::Stale(None) => current = self.property_now(actor, name).await?,
            }
            pause.wait("UpdateProperty", "others are writing the same property".to_owned()).await?;
        }
    }

    pub(crate) async fn property_now(&self, actor: &ActorId, name: &Name) -> Result<Option<Stored>, StoreError> {
        let items = self.batch_get(vec![item::key(&keys::actor(actor), &keys::property(name))]).await?;
        items.first().map(|found| Stored::from_row(&Row::read(found)?)).transpose()
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
    pub(crate) async fn sweep_owned(&self, actor: &ActorId, prefix: &str) -> Result<(), StoreError> {
        let mut pages = self.pages(&keys::actor(actor), prefix, Some("pk, sk, generation, version"));
        while let Some(items) = pages.next().await? {
            let (lists, rest): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|row| row.contains_key("generation"));
            for row in lists {
                self.release_list(actor, ListRecord::from_keys(&Row(row))?).await?;
            }
            let is_actor = |key: &Item| key.get("sk").is_some_and(|sk| sk == &text(keys::ACTOR));
            self.batch_delete(rest.into_iter().filter_map(key_of).filter(|key| !is_actor(key)).collect()).await?;
        }
        Ok(())
    }

    async fn release_list(&self, actor: &ActorId, list: ListRecord) -> Result<(), StoreError> {
        let name = list.name.clone();
        let decide = |mut seen: HashMap<Name, Stored>| {
            let write = match seen.remove(&name) {
                Some(Stored::List(list)) => vec![Write::DeleteList(list)],
                // Somebody else deleted it meanwhile.
                _ => Vec::new(),
            };
            std::future::ready(Ok::<_, std::convert::Infallible>((write, ())))
        };
        let seen = HashMap::from([(name.clone(), Stored::List(list))]);
        self.change_properties(actor, seen, decide).await?.or(Ok(()))
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

pub(crate) fn property_item(actor: &ActorId, name: &Name, value: &Value, version: &str) -> Item {
    let mut row = item::new(&keys::actor(actor), &keys::property(name));
    row.insert("kind".to_owned(), text(keys::VALUE));
    row.insert("value".to_owned(), text(value.to_string()));
    row.insert("version".to_owned(), text(version));
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
