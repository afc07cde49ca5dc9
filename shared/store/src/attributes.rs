//! Internal attributes: values and lists that hooks keep for themselves, in buckets, never shown to clients.

use std::time::Duration;

use actingweb_protocol::{ActorId, Timestamp};
use serde_json::Value;

use crate::item::{Row, number, text};
use crate::store::{Attempt, refused};
use crate::{Home, ListRecord, Store, StoreError, item, keys};

/// The most bytes of attributes returned at once: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5_000_000;

/// The longest bucket or attribute name once escaped, in bytes: two of them and the prefix fit a sort key of 1024.
const MAX_PART_BYTES: usize = 500;

/// What must be true of what stands under a name, for a plain value to be written or deleted there.
const NO_LIST: &str = "attribute_not_exists(generation)";

/// A plain internal attribute as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name within the bucket.
    pub name: String,
    /// Its value; `false`, `0`, `""` and `null` are values like any other.
    pub value: Value,
    /// When it was written.
    pub written_at: Timestamp,
}

/// What stands under a name in a bucket: a plain value or a list, never both.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredAttribute {
    /// A plain value.
    Value(Attribute),
    /// A list.
    List(ListRecord),
}

impl StoredAttribute {
    /// Its name within the bucket.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Value(attribute) => &attribute.name,
            Self::List(list) => list.name.as_str(),
        }
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        if ListRecord::is_at(row) {
            return ListRecord::from_row(row).map(Self::List);
        }
        Ok(Self::Value(Attribute {
            name: row.text("name")?.to_owned(),
            value: row.json("value")?,
            written_at: row.timestamp("written_at")?,
        }))
    }
}

impl Store {
    /// Writes an attribute where no list is; it disappears after `ttl` if one is given. False, with nothing changed,
    /// where a list is.
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
    ) -> Result<bool, StoreError> {
        let mut row = item::new(&keys::actor(actor), &attribute_key(bucket, name)?);
        row.insert("name".to_owned(), text(name));
        row.insert("value".to_owned(), text(value.to_string()));
        row.insert("version".to_owned(), text(self.nonce()));
        row.insert("written_at".to_owned(), number(self.now().as_millis()));
        if let Some(ttl) = ttl {
            row.insert("expires".to_owned(), number(self.now().plus(ttl).as_secs()));
        }
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .condition_expression(NO_LIST);
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) if error.is_conditional_check_failed_exception() => Ok(false),
            Attempt::Refused(error) => Err(refused("PutItem", error)),
        }
    }

    /// Reads what stands under a name in a bucket, strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attribute(
        &self,
        actor: &ActorId,
        bucket: &str,
        name: &str,
    ) -> Result<Option<StoredAttribute>, StoreError> {
        let key = item::key(&keys::actor(actor), &attribute_key(bucket, name)?);
        let call = self.inner.client.get_item().table_name(&self.inner.table).set_key(Some(key)).consistent_read(true);
        let output = self.call("GetItem", || call.clone().send()).await?;
        output.item.as_ref().map_or(Ok(None), |found| self.live_attribute(&Row::read(found)?))
    }

    /// Reads exactly this bucket, in the order of names; a list without its items. One call per MB.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 5 MB in all; other [`StoreError`]s.
    pub async fn attributes(&self, actor: &ActorId, bucket: &str) -> Result<Vec<StoredAttribute>, StoreError> {
        let found = self.attributes_below(actor, &bucket_prefix(bucket)?).await?;
        Ok(found.into_iter().map(|(_, attribute)| attribute).collect())
    }

    /// Reads all buckets as [`Store::attributes`] does one, each attribute with its bucket.
    ///
    /// # Errors
    /// As [`Store::attributes`].
    pub async fn all_attributes(&self, actor: &ActorId) -> Result<Vec<(String, StoredAttribute)>, StoreError> {
        self.attributes_below(actor, keys::ATTRIBUTE).await
    }

    async fn attributes_below(
        &self,
        actor: &ActorId,
        prefix: &str,
    ) -> Result<Vec<(String, StoredAttribute)>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut pages = self.pages(&keys::actor(actor), prefix, None);
        while let Some(items) = pages.next().await? {
            for item in &items {
                let row = Row::read(item)?;
                bytes += row.optional_text("value")?.map_or(0, str::len);
                if let Some(attribute) = self.live_attribute(&row)? {
                    let key = keys::attribute_name(row.text("sk")?);
                    let (bucket, _) = key.ok_or_else(|| row.corrupt("it is no attribute"))?;
                    found.push((bucket, attribute));
                }
            }
            if bytes > MAX_LISTING_BYTES {
                let what = "the set of all attributes asked for".to_owned();
                return Err(StoreError::TooLarge { what, limit: MAX_LISTING_BYTES });
            }
        }
        Ok(found)
    }

    /// Deletes a plain attribute; one that is not there is no error. False, with nothing changed, where a list is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_attribute(&self, actor: &ActorId, bucket: &str, name: &str) -> Result<bool, StoreError> {
        let key = item::key(&keys::actor(actor), &attribute_key(bucket, name)?);
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .condition_expression(NO_LIST);
        match self.attempt("DeleteItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) if error.is_conditional_check_failed_exception() => Ok(false),
            Attempt::Refused(error) => Err(refused("DeleteItem", error)),
        }
    }

    /// Deletes everything in a bucket, or in all of them. Items of lists go to the worker.
    ///
    /// # Errors
    /// [`StoreError`]; some of it may be gone by then.
    pub async fn delete_attributes(&self, actor: &ActorId, bucket: Option<&str>) -> Result<(), StoreError> {
        let prefix = bucket.map_or_else(|| Ok(keys::ATTRIBUTE.to_owned()), bucket_prefix)?;
        self.sweep_owned(actor, &prefix, false).await
    }

    fn live_attribute(&self, row: &Row<'_>) -> Result<Option<StoredAttribute>, StoreError> {
        if row.expired(self.now())? { Ok(None) } else { StoredAttribute::from_row(row).map(Some) }
    }
}

impl Home {
    /// The attributes of a bucket.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a bucket above 500 bytes or an empty one.
    pub fn bucket(bucket: &str) -> Result<Self, StoreError> {
        check_part("the bucket of an attribute", bucket)?;
        Ok(Self::Bucket(bucket.to_owned()))
    }
}

fn attribute_key(bucket: &str, name: &str) -> Result<String, StoreError> {
    check_part("the bucket of an attribute", bucket)?;
    check_part("the name of an attribute", name)?;
    Ok(keys::attribute(bucket, name))
}

fn bucket_prefix(bucket: &str) -> Result<String, StoreError> {
    check_part("the bucket of an attribute", bucket)?;
    Ok(keys::bucket(bucket))
}

fn check_part(what: &str, part: &str) -> Result<(), StoreError> {
    if part.is_empty() || keys::escape(part).len() > MAX_PART_BYTES {
        return Err(StoreError::TooLarge { what: format!("{what} is empty or"), limit: MAX_PART_BYTES });
    }
    Ok(())
}
