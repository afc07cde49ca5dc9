//! Indexed properties: from a value to the actors that have it.
//!
//! A property that owns a look-up row names that row's partition itself, in `found_by`. Property and look-up row are
//! written in one transaction, on the condition that the property still owns what it was seen to own; so whoever
//! replaces or deletes it later takes the row along, whatever is indexed by then.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::Value;

use crate::actors::{actor_id, from_row};
use crate::item::{Item, Row, text};
use crate::{ActorRecord, Store, StoreError, item, keys};

/// How many look-up rows one search looks at: the actor and the property of each fill one batch of 100 keys.
pub const MAX_CANDIDATES: usize = 50;

/// The attribute of a property that names the partition of the look-up row it owns.
pub(crate) const FOUND_BY: &str = "found_by";

/// Actors found by the value of a property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundActors {
    /// Those alive whose property has the value, in the order of their ids.
    pub actors: Vec<ActorRecord>,
    /// Where to go on; `None` when there are no more.
    pub next: Option<ActorId>,
}

impl Store {
    /// The same table, where these properties are found by their values. Values written before are found once they
    /// are written again.
    #[must_use]
    pub fn indexing(&self, names: impl IntoIterator<Item = Name>) -> Self {
        let mut store = self.clone();
        store.indexed = Arc::new(names.into_iter().collect());
        store
    }

    /// Whether actors are found by the values of this property.
    #[must_use]
    pub fn is_indexed(&self, name: &Name) -> bool {
        self.indexed.contains(name)
    }

    /// The partition of the row by which this value is found: strings and numbers of an indexed property have one.
    pub(crate) fn lookup_of(&self, name: &Name, value: &Value) -> Option<String> {
        if !self.is_indexed(name) {
            return None;
        }
        match value {
            Value::String(text) => Some(keys::property_lookup(name, text)),
            Value::Number(number) => Some(keys::property_lookup(name, &number.to_string())),
            _ => None,
        }
    }

    /// What a transaction must write besides a property that owned the row in one partition and is to own the one in
    /// another.
    pub(crate) fn move_lookup(
        &self,
        actor: &ActorId,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut items = Vec::new();
        if old == new {
            return Ok(items);
        }
        if let Some(partition) = old {
            items.push(self.delete_part(item::key(partition, actor.as_str()), None)?);
        }
        if let Some(partition) = new {
            items.push(self.put_part(item::new(partition, actor.as_str()), None)?);
        }
        Ok(items)
    }

    /// Looks for the actors whose indexed property has this value, from the first whose id is greater than `after`: one
    /// call for at most [`MAX_CANDIDATES`] look-up rows, and one that makes sure of each. Strongly consistent. Numbers are
    /// found by their JSON text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_by_property(
        &self,
        name: &Name,
        value: &str,
        after: Option<&ActorId>,
    ) -> Result<FoundActors, StoreError> {
        let partition = keys::property_lookup(name, value);
        let (candidates, next) = self.candidates(&partition, after).await?;
        if candidates.is_empty() {
            return Ok(FoundActors::default());
        }
        let wanted = candidates.iter().flat_map(|id| {
            let pk = keys::actor(id);
            [item::key(&pk, keys::ACTOR), item::key(&pk, &keys::property(name))]
        });
        let read = self.batch_get(wanted.collect()).await?;
        let mut living = HashMap::new();
        let mut holders = HashSet::new();
        for found in &read {
            let row = Row::read(found)?;
            if row.text("sk")? == keys::ACTOR {
                living.insert(row.text("pk")?, row);
            } else if row.optional_text(FOUND_BY)? == Some(partition.as_str()) {
                holders.insert(row.text("pk")?);
            }
        }
        let mut actors = Vec::new();
        for id in candidates {
            let pk = keys::actor(&id);
            let row = living.get(pk.as_str()).filter(|_| holders.contains(pk.as_str()));
            actors.extend(row.map_or(Ok(None), |row| from_row(row, &id))?);
        }
        Ok(FoundActors { actors, next })
    }

    /// The actors that a partition of look-up rows names, and where to go on if there are more.
    async fn candidates(
        &self,
        partition: &str,
        after: Option<&ActorId>,
    ) -> Result<(Vec<ActorId>, Option<ActorId>), StoreError> {
        let start: Option<Item> = after.map(|id| item::key(partition, id.as_str()));
        let call = self
            .inner
            .client
            .query()
            .table_name(&self.inner.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition))
            .set_limit(i32::try_from(MAX_CANDIDATES + 1).ok())
            .set_exclusive_start_key(start);
        let output = self.call("Query", || call.clone().send()).await?;
        let rows = output.items.unwrap_or_default();
        let mut ids = rows.iter().map(|row| actor_id(&Row::read(row)?, "sk")).collect::<Result<Vec<_>, _>>()?;
        let more = ids.len() > MAX_CANDIDATES;
        ids.truncate(MAX_CANDIDATES);
        let next = ids.last().filter(|_| more).cloned();
        Ok((ids, next))
    }
}
