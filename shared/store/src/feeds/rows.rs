//! The rows of a feed's data.

use std::collections::BTreeSet;

use actingweb_protocol::ActorId;
use actingweb_protocol::feed::{Kept, Remote};
use aws_sdk_dynamodb::types::TransactWriteItem;

use super::FeedRecord;
use crate::due::DueWork;
use crate::item::{Item, Row, text};
use crate::{Store, StoreError, item, keys};

/// The largest value kept, in bytes of JSON text: an item holds 400 KB with its keys.
const MAX_VALUE_BYTES: usize = 350_000;

/// The longest name kept, in bytes, once escaped: a sort key holds 1024.
const MAX_NAME_BYTES: usize = 900;

/// The most bytes of data read at once: Lambda's replies hold 6 MB.
const MAX_READ_BYTES: usize = 20_000_000;

const VALUE: &str = "value";
const TOO_LARGE: &str = "too large";

impl FeedRecord {
    pub(crate) fn partition(&self, actor: &ActorId, generation: &str) -> String {
        keys::remote(actor, &self.peer, &self.id, generation)
    }

    pub(super) fn removal(&self, actor: &ActorId, generation: &str) -> DueWork {
        DueWork::RemoveItems { partition: self.partition(actor, generation) }
    }
}

/// The row of a value; `None` for a name that no key can hold.
pub(super) fn value_row(partition: &str, name: &str, kept: &Kept) -> Option<Item> {
    let key = keys::remote_name(name);
    if key.len() > MAX_NAME_BYTES {
        tracing::warn!(bytes = name.len(), "a name of a peer's is too long to be kept");
        return None;
    }
    let mut row = item::new(partition, &key);
    let kept = match kept {
        Kept::Value(value) => Some(value.to_string()).filter(|value| value.len() <= MAX_VALUE_BYTES),
        Kept::TooLarge => None,
    };
    row.insert("name".to_owned(), text(name));
    row.insert("kind".to_owned(), text(if kept.is_some() { VALUE } else { TOO_LARGE }));
    row.extend(kept.map(|value| ("value".to_owned(), text(value))));
    Some(row)
}

fn read(rows: &[Item]) -> Result<Remote, StoreError> {
    let mut remote = Remote::new();
    for found in rows {
        let row = Row::read(found)?;
        let kept = match row.text("kind")? {
            VALUE => Kept::Value(row.json("value")?),
            TOO_LARGE => Kept::TooLarge,
            other => return Err(row.corrupt(format!("unknown kind `{other}`"))),
        };
        remote.insert(row.text("name")?.to_owned(), kept);
    }
    Ok(remote)
}

impl Store {
    /// What is kept under these names (at most 100), strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remote_values(
        &self,
        actor: &ActorId,
        feed: &FeedRecord,
        names: &BTreeSet<String>,
    ) -> Result<Remote, StoreError> {
        let partition = feed.partition(actor, &feed.generation);
        let holdable = names.iter().map(|name| keys::remote_name(name)).filter(|key| key.len() <= MAX_NAME_BYTES);
        let wanted: Vec<Item> = holdable.map(|key| item::key(&partition, &key)).collect();
        if wanted.is_empty() || !feed.has_data() {
            return Ok(Remote::new());
        }
        read(&self.batch_get(wanted).await?)
    }

    /// All that is kept of a feed: one call per MB.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 20 MB in all; other [`StoreError`]s.
    pub async fn remote(&self, actor: &ActorId, feed: &FeedRecord) -> Result<Remote, StoreError> {
        let mut remote = Remote::new();
        if !feed.has_data() {
            return Ok(remote);
        }
        let mut bytes = 0;
        let mut pages = self.pages(&feed.partition(actor, &feed.generation), "", None);
        while let Some(items) = pages.next().await? {
            bytes += items.iter().map(item::size).sum::<usize>();
            if bytes > MAX_READ_BYTES {
                return Err(StoreError::TooLarge { what: "the data of a peer".to_owned(), limit: MAX_READ_BYTES });
            }
            remote.append(&mut read(&items)?);
        }
        Ok(remote)
    }

    /// Removes what is kept under some names, at once and whatever else happens to the feed.
    ///
    /// # Errors
    /// [`StoreError`]; some may be gone by then.
    pub async fn forget_values<'a>(
        &self,
        actor: &ActorId,
        feed: &FeedRecord,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), StoreError> {
        let partition = feed.partition(actor, &feed.generation);
        self.batch_delete(names.into_iter().map(|name| item::key(&partition, &keys::remote_name(name))).collect()).await
    }

    /// What it takes to go from one state of a feed's data to another, and about how many bytes that is.
    pub(super) fn difference(
        &self,
        partition: &str,
        old: &Remote,
        new: &Remote,
    ) -> Result<(Vec<TransactWriteItem>, usize), StoreError> {
        let mut parts = Vec::new();
        let mut bytes = 0;
        for (name, kept) in new.iter().filter(|(name, kept)| old.get(*name) != Some(kept)) {
            if let Some(row) = value_row(partition, name, kept) {
                bytes += item::size(&row);
                parts.push(self.put_part(row, None)?);
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            parts.push(self.delete_part(item::key(partition, &keys::remote_name(name)), None)?);
        }
        Ok((parts, bytes))
    }
}
