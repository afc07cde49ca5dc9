//! Internal attributes: values that hooks keep for themselves, in buckets, never shown to clients.

use std::time::Duration;

use actingweb_protocol::{ActorId, Timestamp};
use serde_json::Value;

use crate::item::{Row, number, text};
use crate::{Store, StoreError, item, keys};

/// The longest bucket or attribute name once escaped, in bytes: two of them and the prefix fit a sort key of 1024.
const MAX_PART_BYTES: usize = 500;

/// An internal attribute as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name within the bucket.
    pub name: String,
    /// Its value; `false`, `0`, `""` and `null` are values like any other.
    pub value: Value,
    /// When it was written.
    pub written_at: Timestamp,
}

impl Store {
    /// Writes an attribute, which disappears after `ttl` if one is given.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a bucket or name above 500 bytes or an empty one; other [`StoreError`]s.
    pub async fn put_attribute(
        &self,
        actor: &ActorId,
        bucket: &str,
        name: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        let mut row = item::new(&keys::actor(actor), &attribute_key(bucket, name)?);
        row.insert("name".to_owned(), text(name));
        row.insert("value".to_owned(), text(value.to_string()));
        row.insert("written_at".to_owned(), number(self.now().as_millis()));
        if let Some(ttl) = ttl {
            row.insert("expires".to_owned(), number(self.now().plus(ttl).as_secs()));
        }
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(row));
        self.call("PutItem", || call.clone().send()).await.map(|_| ())
    }

    /// Reads an attribute, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attribute(&self, actor: &ActorId, bucket: &str, name: &str) -> Result<Option<Attribute>, StoreError> {
        let key = item::key(&keys::actor(actor), &attribute_key(bucket, name)?);
        let call = self.inner.client.get_item().table_name(&self.inner.table).set_key(Some(key)).consistent_read(true);
        let output = self.call("GetItem", || call.clone().send()).await?;
        output.item.as_ref().map_or(Ok(None), |found| self.live_attribute(&Row::read(found)?))
    }

    /// Reads all attributes of exactly this bucket, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attributes(&self, actor: &ActorId, bucket: &str) -> Result<Vec<Attribute>, StoreError> {
        attribute_key(bucket, "-")?;
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), &keys::bucket(bucket), None);
        while let Some(items) = pages.next().await? {
            for item in &items {
                found.extend(self.live_attribute(&Row::read(item)?)?);
            }
        }
        Ok(found)
    }

    /// Deletes an attribute; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_attribute(&self, actor: &ActorId, bucket: &str, name: &str) -> Result<(), StoreError> {
        let key = item::key(&keys::actor(actor), &attribute_key(bucket, name)?);
        let call = self.inner.client.delete_item().table_name(&self.inner.table).set_key(Some(key));
        self.call("DeleteItem", || call.clone().send()).await.map(|_| ())
    }

    fn live_attribute(&self, row: &Row<'_>) -> Result<Option<Attribute>, StoreError> {
        if row.expired(self.now())? {
            return Ok(None);
        }
        Ok(Some(Attribute {
            name: row.text("name")?.to_owned(),
            value: row.json("value")?,
            written_at: row.timestamp("written_at")?,
        }))
    }
}

fn attribute_key(bucket: &str, name: &str) -> Result<String, StoreError> {
    for (part, what) in [(bucket, "the bucket of an attribute"), (name, "the name of an attribute")] {
        if part.is_empty() || keys::escape(part).len() > MAX_PART_BYTES {
            return Err(StoreError::TooLarge { what: format!("{what} is empty or"), limit: MAX_PART_BYTES });
        }
    }
    Ok(keys::attribute(bucket, name))
}
