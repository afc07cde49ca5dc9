//! Plain properties: JSON text with a version per value.

use std::collections::HashMap;

use actingweb_protocol::subscription::{PROPERTIES, Scope};
use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::Value;

use crate::clients::client_key;
use crate::item::{Item, Row, text};
use crate::lookups::FOUND_BY;
use crate::store::key_of;
use crate::transaction::Condition;
use crate::{Decision, Home, ListRecord, LogView, Store, StoreError, Write, item, keys};

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
pub(crate) enum Expect {
    /// It is no list.
    Any,
    /// It does not exist.
    Absent,
    /// It is still this version.
    Version(String),
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
        if ListRecord::is_at(row) {
            return ListRecord::from_row(row).map(Self::List);
        }
        Ok(Self::Value(StoredProperty {
            name: Home::of(row)?.1,
            value: row.json("value")?,
            version: row.text("version")?.to_owned(),
            found_by: row.optional_text(FOUND_BY)?.map(str::to_owned),
        }))
    }
}

impl Expect {
    /// The same as a condition of DynamoDB, and that what is there owns this look-up row, or none.
    pub(crate) fn owning(&self, found_by: Option<&str>) -> Condition {
        match (self, found_by) {
            (Self::Any, None) => {
                Condition::new("attribute_not_exists(generation) AND attribute_not_exists(found_by)", [])
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

    /// The parts of a transaction that delete a property and its look-up row; the property comes first.
    pub(crate) fn delete_value(
        &self,
        actor: &ActorId,
        name: &Name,
        (expect, found_by): (Expect, Option<&str>),
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let key = item::key(&keys::actor(actor), &keys::property(name));
        let mut parts = vec![self.delete_part(key, Some(expect.owning(found_by)))?];
        parts.extend(self.move_lookup(actor, found_by, None)?);
        Ok(parts)
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

    /// Deletes every property. Items of lists go to the worker. Subscribers are told when all are gone; where anything
    /// else happened meanwhile, to read again.
    ///
    /// # Errors
    /// [`StoreError`]; some properties may be gone by then.
    pub async fn delete_properties(&self, actor: &ActorId, log: &LogView) -> Result<(), StoreError> {
        let before = self.known_head(actor, log).await?;
        self.sweep_owned(actor, keys::PROPERTY, false).await?;
        self.log_end_of_all(actor, log, before, Scope::target(PROPERTIES)).await
    }

    /// Deletes what an actor owns and whose sort keys begin with `prefix` (anything, when empty), but the actor
    /// itself, its subscriptions to peers and, with `keep_notices`, what peers are still to be told.
    /// A list goes together with a job for its items, while nobody changes it: so no item is left that nothing leads to.
    /// So does a property with its look-up row.
    pub(crate) async fn sweep_owned(
        &self,
        actor: &ActorId,
        prefix: &str,
        keep_notices: bool,
    ) -> Result<(), StoreError> {
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
            for row in rest.iter().map(|row| Row(row)) {
                if row.text("sk").is_ok_and(|sk| sk.starts_with(keys::IDENTITIES)) {
                    self.release_identity(actor, &row).await?;
                }
            }
            let stays = |key: &Item| {
                let sort_key = Row(key).text("sk").unwrap_or_default();
                // Feeds lead to data in other partitions: they end each by itself.
                sort_key == keys::ACTOR
                    || sort_key.starts_with(keys::FEED)
                    || (keep_notices && sort_key.starts_with(keys::NOTICE))
            };
            // Clients have rows of their own, which go with their owner.
            let owned = |row: &&Item| keys::owned_client_key(Row(row).text("sk").unwrap_or_default());
            let clients: Vec<Item> = rest.iter().filter_map(owned).map(|key| client_key(&key)).collect();
            self.batch_delete(clients).await?;
            self.batch_delete(rest.into_iter().filter_map(key_of).filter(|key| !stays(key)).collect()).await?;
        }
        Ok(())
    }

    /// Whether it is a property that owns a look-up row, or may own one by the time it is deleted.
    fn may_be_found(&self, row: &Row<'_>) -> bool {
        let is_property = row.text("sk").is_ok_and(|sk| sk.starts_with(keys::PROPERTY));
        is_property && (row.0.contains_key(FOUND_BY) || Home::of(row).is_ok_and(|(_, name)| self.is_indexed(&name)))
    }

    async fn release_found(&self, actor: &ActorId, row: &Row<'_>) -> Result<(), StoreError> {
        let (home, name) = Home::of(row)?;
        let found_by = row.optional_text(FOUND_BY)?.map(str::to_owned);
        let guess = StoredProperty { name: name.clone(), value: Value::Null, version: String::new(), found_by };
        self.release(actor, &home, name.clone(), HashMap::from([(name, Stored::Value(guess))])).await
    }

    async fn release_list(&self, actor: &ActorId, list: ListRecord) -> Result<(), StoreError> {
        let (home, name) = (list.home.clone(), list.name.clone());
        self.release(actor, &home, name.clone(), HashMap::from([(name, Stored::List(list))])).await
    }

    /// Deletes what stands under a name, whatever it is by then.
    async fn release(
        &self,
        actor: &ActorId,
        home: &Home,
        name: Name,
        seen: HashMap<Name, Stored>,
    ) -> Result<(), StoreError> {
        let decide = |mut seen: HashMap<Name, Stored>| {
            let writes = match seen.remove(&name) {
                Some(Stored::List(list)) => vec![Write::DeleteList(list)],
                Some(Stored::Value(_)) => vec![Write::DeleteValue(name.clone())],
                // Somebody else deleted it meanwhile.
                None => Vec::new(),
            };
            std::future::ready(Ok::<_, std::convert::Infallible>((Decision::from(writes), ())))
        };
        self.change_at((actor, &LogView::default()), home, seen, decide).await?.or(Ok(()))
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
    row.insert("value".to_owned(), text(value.to_string()));
    row.insert("version".to_owned(), text(version));
    row.extend(found_by.map(|partition| (FOUND_BY.to_owned(), text(partition))));
    row
}
