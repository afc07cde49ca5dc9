//! Plain properties: JSON text with a version per value.

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde_json::Value;

use crate::item::{Item, Row, text};
use crate::store::{Attempt, Cancelled, key_of, refused};
use crate::{Store, StoreError, item, keys};

/// The most properties one transaction writes: DynamoDB's limit of 100, less one kept for the record of the change.
pub const MAX_TRANSACTION_PROPERTIES: usize = 99;

/// The most bytes of properties returned at once: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5_000_000;

/// A plain property as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProperty {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Value,
    /// Changes with every write, never returns.
    pub version: String,
}

/// What must be true of a property for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
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
    Stale(Option<StoredProperty>),
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

impl StoredProperty {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let escaped = row.text("sk")?.strip_prefix(keys::PROPERTY).ok_or_else(|| row.corrupt("it is no property"))?;
        Ok(Self {
            name: Name::try_from(keys::unescape(escaped)).map_err(|error| row.corrupt(error.to_string()))?,
            value: row.json("value")?,
            version: row.text("version")?.to_owned(),
        })
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
        let (condition, seen) = condition(expect);
        let mut call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .set_condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(seen) = seen {
            call = call.expression_attribute_values(":seen", seen);
        }
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
        let (condition, seen) = condition(expect);
        let mut call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(actor), &keys::property(name))))
            .set_condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(seen) = seen {
            call = call.expression_attribute_values(":seen", seen);
        }
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

    /// Reads, decides and writes as one step: when another writer comes between, `decide` is asked again with what that
    /// one wrote, so no update is lost. `current` is what the caller has read already. The inner error is `decide`'s.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other writers kept coming between until the deadline; other [`StoreError`]s.
    pub async fn update_property<E, F, Fut>(
        &self,
        actor: &ActorId,
        name: &Name,
        current: Option<StoredProperty>,
        mut decide: F,
    ) -> Result<Result<(), E>, StoreError>
    where
        F: FnMut(Option<Value>) -> Fut,
        Fut: Future<Output = Result<Change, E>>,
    {
        let mut pause = self.pauses();
        let mut current = current;
        loop {
            let (expect, value) = match current {
                Some(stored) => (Expect::Version(stored.version), Some(stored.value)),
                None => (Expect::Absent, None),
            };
            let outcome = match decide(value).await {
                Ok(Change::Put(value)) => self.put_property(actor, name, &value, expect).await?,
                Ok(Change::Delete) => self.delete_property(actor, name, expect).await?,
                Ok(Change::Keep) => return Ok(Ok(())),
                Err(refusal) => return Ok(Err(refusal)),
            };
            match outcome {
                WriteOutcome::Written(_) => return Ok(Ok(())),
                WriteOutcome::Stale(now) => current = now,
            }
            pause.wait("UpdateProperty", format!("others are writing property {name}")).await?;
        }
    }

    /// Writes several properties, all or none (at most [`MAX_TRANSACTION_PROPERTIES`], no name twice).
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 4 MB in all; other [`StoreError`]s.
    pub async fn put_properties(&self, actor: &ActorId, values: &[(Name, Value)]) -> Result<(), StoreError> {
        let version = self.nonce();
        let writes = values.iter().map(|(name, value)| {
            let put = Put::builder()
                .table_name(&self.inner.table)
                .set_item(Some(property_item(actor, name, value, &version)))
                .build()
                .map_err(|error| refused("TransactWriteItems", error))?;
            Ok(TransactWriteItem::builder().put(put).build())
        });
        match self.transact(writes.collect::<Result<_, StoreError>>()?).await? {
            Ok(()) => Ok(()),
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// All plain properties, strongly consistent, in the order of their names: one call per MB.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 5 MB in all; other [`StoreError`]s.
    pub async fn properties(&self, actor: &ActorId) -> Result<Vec<StoredProperty>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut pages = self.pages(actor, keys::PROPERTY, None);
        while let Some(items) = pages.next().await? {
            for found_item in &items {
                let row = Row::read(found_item)?;
                bytes += row.text("value")?.len();
                found.push(StoredProperty::from_row(&row)?);
            }
            if bytes > MAX_LISTING_BYTES {
                let what = "the set of all properties".to_owned();
                return Err(StoreError::TooLarge { what, limit: MAX_LISTING_BYTES });
            }
        }
        Ok(found)
    }

    /// Deletes every property.
    ///
    /// # Errors
    /// [`StoreError`]; some properties may be gone by then.
    pub async fn delete_properties(&self, actor: &ActorId) -> Result<(), StoreError> {
        let mut pages = self.pages(actor, keys::PROPERTY, Some("pk, sk"));
        while let Some(items) = pages.next().await? {
            self.batch_delete(items.iter().filter_map(key_of).collect()).await?;
        }
        Ok(())
    }

    /// The items of an actor whose sort keys begin with `prefix` (any, when empty), a page at a time.
    pub(crate) fn pages(&self, actor: &ActorId, prefix: &str, projection: Option<&str>) -> Pages<'_> {
        Pages {
            store: self,
            pk: keys::actor(actor),
            prefix: prefix.to_owned(),
            projection: projection.map(str::to_owned),
            position: Position::Start,
        }
    }
}

fn property_item(actor: &ActorId, name: &Name, value: &Value, version: &str) -> Item {
    let mut row = item::new(&keys::actor(actor), &keys::property(name));
    row.insert("value".to_owned(), text(value.to_string()));
    row.insert("version".to_owned(), text(version));
    row
}

fn condition(expect: Expect) -> (Option<String>, Option<AttributeValue>) {
    match expect {
        Expect::Any => (None, None),
        Expect::Absent => (Some("attribute_not_exists(pk)".to_owned()), None),
        Expect::Version(seen) => (Some("version = :seen".to_owned()), Some(text(seen))),
    }
}

/// What a failed condition means. A version that we made ourselves is there because an earlier attempt was applied and
/// its reply was lost.
fn stale(current: Option<Item>, ours: &str) -> Result<WriteOutcome, StoreError> {
    let current = current.as_ref().map(|found| StoredProperty::from_row(&Row::read(found)?)).transpose()?;
    Ok(match current {
        Some(current) if current.version == ours => WriteOutcome::Written(current.version),
        current => WriteOutcome::Stale(current),
    })
}

/// A query being read page by page.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    pk: String,
    prefix: String,
    projection: Option<String>,
    position: Position,
}

enum Position {
    Start,
    After(Item),
    End,
}

impl Pages<'_> {
    /// The next page; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, StoreError> {
        let start = match std::mem::replace(&mut self.position, Position::End) {
            Position::Start => None,
            Position::After(key) => Some(key),
            Position::End => return Ok(None),
        };
        let mut call = self
            .store
            .inner
            .client
            .query()
            .table_name(&self.store.inner.table)
            .consistent_read(true)
            .expression_attribute_values(":pk", text(&self.pk))
            .set_projection_expression(self.projection.clone())
            .set_exclusive_start_key(start);
        call = if self.prefix.is_empty() {
            call.key_condition_expression("pk = :pk")
        } else {
            call.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(&self.prefix))
        };
        let output = self.store.call("Query", || call.clone().send()).await?;
        if let Some(last) = output.last_evaluated_key {
            self.position = Position::After(last);
        }
        Ok(Some(output.items.unwrap_or_default()))
    }
}
