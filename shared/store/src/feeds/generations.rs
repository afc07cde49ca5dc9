//! Data that was read anew: written beside the old, valid from one write on.

use std::time::Duration;

use actingweb_protocol::ActorId;
use actingweb_protocol::feed::{Kept, Queue, Remote};
use aws_sdk_dynamodb::types::{PutRequest, TransactWriteItem, WriteRequest};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::rows::value_row;
use super::size::Size;
use super::{FeedRecord, GAP_TIMEOUT};
use crate::due::DueJob;
use crate::item::Item;
use crate::store::refused;
use crate::{Store, StoreError};

/// How long new data may wait to become valid before it counts as left behind: longer than an invocation lasts.
const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// How long old data is kept for those who are reading it: longer than a request lasts.
const LINGERS: Duration = Duration::from_secs(120);

/// How many batches of rows are written at once.
const CONCURRENT_BATCHES: usize = 8;

/// The most bytes of rows written in one call: DynamoDB takes 16 MB.
const MAX_BATCH_BYTES: usize = 4_000_000;

/// Data that was written and is not valid yet.
#[derive(Debug)]
pub struct Generation {
    name: String,
    /// What removes it if it never becomes valid.
    removal: DueJob,
    size: Size,
    truncated: bool,
}

impl Store {
    /// Writes data as a new generation of a feed, as much of it as is kept. Nobody sees it before [`Store::adopt`].
    ///
    /// # Errors
    /// [`StoreError`]; what was written by then is removed later.
    pub async fn write_generation(
        &self,
        actor: &ActorId,
        feed: &FeedRecord,
        data: &Remote,
    ) -> Result<Generation, StoreError> {
        let name = self.nonce();
        let due = self.now().plus(ABANDONED_AFTER);
        let removal = DueJob::new(actor, due, &self.nonce(), feed.removal(actor, &name));
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(removal.item()));
        self.call("PutItem", || call.clone().send()).await?;
        let partition = feed.partition(actor, &name);
        let mut batches: Vec<Vec<Item>> = vec![Vec::new()];
        let mut bytes = 0;
        let mut kept_size = Size::default();
        let mut truncated = false;
        for row in data.iter().filter_map(|(name, kept): (&String, &Kept)| value_row(&partition, name, kept)) {
            if !kept_size.take(&row) {
                truncated = true;
                continue;
            }
            let size = crate::item::size(&row);
            let full = |batch: &Vec<Item>| batch.len() == 25 || bytes + size > MAX_BATCH_BYTES;
            if batches.last().is_none_or(full) {
                batches.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            batches.last_mut().into_iter().for_each(|batch| batch.push(row.clone()));
        }
        let filled = batches.into_iter().filter(|batch| !batch.is_empty());
        let writes = stream::iter(filled).map(|batch| self.put_batch(batch)).buffer_unordered(CONCURRENT_BATCHES);
        writes.try_collect::<()>().await?;
        if truncated {
            tracing::warn!(peer = %feed.peer, subscription = feed.id, "a peer has more than is kept of one subscription");
        }
        Ok(Generation { name, removal, size: kept_size, truncated })
    }

    /// Makes a generation valid that holds everything up to number `sequence`, in one write with what the feed now knows
    /// of itself. What waited for it becomes due. `None` when the feed has ended, or somebody else made newer data valid:
    /// the generation is removed then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn adopt(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        generation: Generation,
        sequence: u64,
    ) -> Result<Option<FeedRecord>, StoreError> {
        let mut pause = self.pauses();
        let mut current = seen.clone();
        loop {
            if current.generation != seen.generation {
                return Ok(None);
            }
            let mut feed = current.clone();
            let mut parts = self.replace_part(actor, &current, &mut feed, &generation)?;
            feed.queue = Queue::new(sequence, current.queue.pending());
            feed.stale = false;
            feed.recover();
            feed.doubtful.clear();
            feed.gap_since = feed.queue.has_gap().then(|| self.now());
            if feed.queue.has_gap() {
                parts.push(self.due_part(actor, self.now().plus(GAP_TIMEOUT), feed.resync())?);
            }
            match self.put_feed(actor, &current, feed, parts).await? {
                Ok(feed) => return Ok(Some(feed)),
                Err(Some(changed)) => current = changed,
                Err(None) => return Ok(None),
            }
            pause.wait("TransactWriteItems", "others are writing the same feed".to_owned()).await?;
        }
    }

    /// Lets a feed name new data as its own; the old goes to the worker once nobody reads it any more.
    pub(super) fn replace_part(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        feed: &mut FeedRecord,
        generation: &Generation,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        feed.generation.clone_from(&generation.name);
        feed.size = generation.size;
        feed.truncated = generation.truncated;
        let mut parts = vec![self.delete_part(generation.removal.key(), None)?];
        if seen.has_data() {
            let removal = seen.removal(actor, &seen.generation);
            parts.push(self.due_part(actor, self.now().plus(LINGERS), removal)?);
        }
        Ok(parts)
    }

    /// Forgets all that is kept of a feed, at once for those who read it, whatever else happens to the feed; everything
    /// is then to be read anew. Its cost does not depend on how much there is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_remote(&self, actor: &ActorId, seen: &FeedRecord) -> Result<(), StoreError> {
        let mut pause = self.pauses();
        let mut seen = seen.clone();
        while seen.has_data() {
            let mut parts = vec![self.due_part(actor, self.now(), seen.removal(actor, &seen.generation))?];
            let feed = FeedRecord { generation: String::new(), size: Size::default(), stale: true, ..seen.clone() };
            parts.push(self.due_part(actor, self.now(), feed.resync())?);
            match self.put_feed(actor, &seen, feed, parts).await? {
                Ok(_) | Err(None) => return Ok(()),
                Err(Some(current)) => seen = current,
            }
            pause.wait("TransactWriteItems", "others are writing the same feed".to_owned()).await?;
        }
        Ok(())
    }

    async fn put_batch(&self, rows: Vec<Item>) -> Result<(), StoreError> {
        self.write_batch(rows.into_iter().map(put_request).collect::<Result<_, _>>()?).await
    }
}

fn put_request(row: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(row)).build().map_err(|error| refused("BatchWriteItem", error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}
