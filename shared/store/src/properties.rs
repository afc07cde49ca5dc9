//! Plain properties: JSON text with a version per value.

use std::collections::HashMap;

use actingweb_protocol::subscription::{PROPERTIES, Scope};
use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::clients::client_key;
use crate::item::{Item, Row, number, text};
use crate::large::{self, Gathered, TEXT_BYTES};
use crate::lookups::FOUND_BY;
use crate::store::key_of;
use crate::transaction::Condition;
use crate::{Decision, Home, ListRecord, LogView, Store, StoreError, Write, item, keys};

/// How many transactions of a deletion are under way at once.
const CONCURRENT_RELEASES: usize = 8;

/// A plain property as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProperty {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Value,
    /// Changes with every write, never returns.
    pub version: String,
    /// The rows it owns besides its own.
    pub(crate) owned: Owned,
}

/// The rows that a property owns besides its own: written and removed in one transaction with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    /// The partition of its look-up row.
    pub(crate) found_by: Option<String>,
    /// The bytes of the row that holds its text, when its value is large.
    pub(crate) large: Option<i64>,
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

    /// What a row says that holds all there is under a name: no property whose value is large.
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        if ListRecord::is_at(row) {
            return ListRecord::from_row(row).map(Self::List);
        }
        Ok(Self::Value(StoredProperty {
            name: Home::of(row)?.1,
            value: row.json("value")?,
            version: row.text("version")?.to_owned(),
            owned: Owned::from_row(row)?,
        }))
    }

    /// The rows it owns besides its own.
    pub(crate) fn owned(&self) -> Owned {
        match self {
            Self::Value(property) => property.owned.clone(),
            Self::List(_) => Owned::default(),
        }
    }
}

impl Owned {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let found_by = row.optional_text(FOUND_BY)?.map(str::to_owned);
        Ok(Self { found_by, large: row.optional_number(TEXT_BYTES)? })
    }
}

impl Expect {
    /// The same as a condition of DynamoDB, and that what is there owns these rows, and no others.
    pub(crate) fn owning(&self, owned: &Owned) -> Condition {
        let mut values = Vec::new();
        let mut owns = Vec::new();
        match &owned.found_by {
            None => owns.push("attribute_not_exists(found_by)"),
            Some(partition) => {
                owns.push("found_by = :found_by");
                values.push((":found_by", text(partition)));
            }
        }
        match owned.large {
            None => owns.push("attribute_not_exists(text_bytes)"),
            Some(bytes) => {
                owns.push("text_bytes = :text_bytes");
                values.push((":text_bytes", number(bytes)));
            }
        }
        let owns = owns.join(" AND ");
        match self {
            Self::Absent => Condition::absent(),
            Self::Any if *owned == Owned::default() => {
                Condition::new(format!("attribute_not_exists(generation) AND {owns}"), values)
            }
            // What was deleted meanwhile took its rows along: those that stay as they are would be missing.
            Self::Any => Condition::new(owns, values),
            Self::Version(seen) => {
                values.push((":seen", text(seen)));
                Condition::new(format!("version = :seen AND {owns}"), values)
            }
        }
    }
}

impl Store {
    /// The parts of a transaction that write a property and the rows it owns; the property comes first.
    pub(crate) fn put_value(
        &self,
        actor: &ActorId,
        name: &Name,
        value: &Value,
        version: &str,
        (expect, owned): (Expect, Owned),
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let owned = if expect == Expect::Absent { Owned::default() } else { owned };
        let value_text = value.to_string();
        let beside = large::text_row(actor, name, &value_text, version);
        let new = Owned { found_by: self.lookup_of(name, value), large: beside.as_ref().map(large::row_bytes) };
        let mut row = item::new(&keys::actor(actor), &keys::property(name));
        row.insert("version".to_owned(), text(version));
        row.extend(new.found_by.as_ref().map(|partition| (FOUND_BY.to_owned(), text(partition))));
        row.extend(new.large.map(|bytes| (TEXT_BYTES.to_owned(), number(bytes))));
        if new.large.is_none() {
            row.insert("value".to_owned(), text(value_text));
        }
        let mut parts = vec![self.put_part(row, Some(expect.owning(&owned)))?];
        parts.extend(self.move_lookup(actor, owned.found_by.as_deref(), new.found_by.as_deref())?);
        parts.extend(self.move_large(actor, name, owned.large, beside)?);
        Ok(parts)
    }

    /// The parts of a transaction that delete a property and the rows it owns; the property comes first.
    pub(crate) fn delete_value(
        &self,
        actor: &ActorId,
        name: &Name,
        (expect, owned): (Expect, Owned),
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let key = item::key(&keys::actor(actor), &keys::property(name));
        let mut parts = vec![self.delete_part(key, Some(expect.owning(&owned)))?];
        parts.extend(self.move_lookup(actor, owned.found_by.as_deref(), None)?);
        parts.extend(self.move_large(actor, name, owned.large, None)?);
        Ok(parts)
    }

    /// How many items of a transaction it takes, besides the property, to write this value over what was seen.
    #[must_use]
    pub fn owned_writes(&self, name: &Name, seen: Option<&Stored>, value: &Value) -> usize {
        let old = seen.map(Stored::owned).unwrap_or_default();
        let found_by = self.lookup_of(name, value);
        let lookups = if old.found_by == found_by {
            0
        } else {
            usize::from(old.found_by.is_some()) + usize::from(found_by.is_some())
        };
        // The note and the text, whether they are written or removed.
        let is_large = old.large.is_some() || large::is_large(&value.to_string());
        lookups + if is_large { 2 } else { 0 }
    }

    /// What stands under a name now, strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored_at(&self, actor: &ActorId, home: &Home, name: &Name) -> Result<Option<Stored>, StoreError> {
        if *home == Home::Properties {
            return Ok(self.whole(actor, Gathered::wanting([name.clone()])).await?.pop());
        }
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
        self.sweep_large(actor).await?;
        self.log_end_of_all(actor, log, before, Scope::target(PROPERTIES)).await
    }

    /// Deletes what an actor owns and whose sort keys begin with `prefix` (anything, when empty), but the actor
    /// itself, its subscriptions to peers and, with `keep_notices`, what peers are still to be told.
    /// A list goes together with a job for its items, while nobody changes it: so no item is left that nothing leads to.
    /// So does a property with its look-up row, and one with a large value with its text, unless all goes.
    pub(crate) async fn sweep_owned(
        &self,
        actor: &ActorId,
        prefix: &str,
        keep_notices: bool,
    ) -> Result<(), StoreError> {
        let mut pages =
            self.pages(&keys::actor(actor), prefix, Some("pk, sk, generation, version, found_by, text_bytes"));
        let is_large = |row: &Item| !prefix.is_empty() && row.contains_key(TEXT_BYTES);
        while let Some(items) = pages.next().await? {
            let (lists, rest): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|row| row.contains_key("generation"));
            let (found, rest): (Vec<&Item>, Vec<&Item>) =
                rest.into_iter().partition(|row| self.may_be_found(&Row(row)) || is_large(row));
            // No two of these touch the same row.
            let mut releases: Vec<BoxFuture<'_, Result<(), StoreError>>> = Vec::new();
            for row in lists {
                releases.push(Box::pin(self.release_list(actor, ListRecord::from_keys(&Row(row))?)));
            }
            for row in found {
                releases.push(Box::pin(async move { self.release_value(actor, &Row(row)).await }));
            }
            stream::iter(releases).buffer_unordered(CONCURRENT_RELEASES).try_collect::<()>().await?;
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

    async fn release_value(&self, actor: &ActorId, row: &Row<'_>) -> Result<(), StoreError> {
        let (home, name) = Home::of(row)?;
        let owned = Owned::from_row(row)?;
        let guess = StoredProperty { name: name.clone(), value: Value::Null, version: String::new(), owned };
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
