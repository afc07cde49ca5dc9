//! The end of an actor: a tombstone first, then everything it owned, by a job that can be resumed at any point.

use std::time::Duration;

use actingweb_protocol::ActorId;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};

use crate::changes::log_key;
use crate::due::{DueJob, DueWork};
use crate::item::number;
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{ActorRecord, Store, StoreError, item, keys};

/// How long a tombstone says that an actor was deleted.
const TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 3600);

/// When the partition is looked at again for writes of requests that were under way when the tombstone was set: longer
/// than any invocation lasts.
const LAST_LOOK: Duration = Duration::from_secs(15 * 60);

impl Store {
    /// Marks an actor as deleted, in one transaction with the job that removes what it owned; its creator may create
    /// another one at once. Its change log goes in the same transaction, and with it every write that is still under way
    /// with a condition on the log. Returns the job, or `None` when the actor was deleted already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bury_actor(&self, record: &ActorRecord) -> Result<Option<DueJob>, StoreError> {
        let now = self.now();
        let work = DueWork::Remove { creator: record.creator.clone(), created_at: record.created_at, told: false };
        let job = DueJob::new(&record.id, now, &self.nonce(), work);
        let fail = |error| refused("TransactWriteItems", error);
        let tombstone = Update::builder()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(&record.id), keys::ACTOR)))
            .update_expression(
                "SET deleted_at = :now, expires = :expires REMOVE creator, passphrase, trustee_root, lookup",
            )
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleted_at)")
            .expression_attribute_values(":now", number(now.as_millis()))
            .expression_attribute_values(":expires", number(now.plus(TOMBSTONE).as_secs()))
            .build()
            .map_err(fail)?;
        let lookup = Delete::builder()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::creator_lookup(&record.creator), &record.lookup)))
            .build()
            .map_err(fail)?;
        let due = Put::builder().table_name(&self.inner.table).set_item(Some(job.item())).build().map_err(fail)?;
        let writes = vec![
            TransactWriteItem::builder().update(tombstone).build(),
            TransactWriteItem::builder().delete(lookup).build(),
            TransactWriteItem::builder().put(due).build(),
            self.delete_part(log_key(&record.id), None)?,
        ];
        match self.unguarded().transact(writes).await? {
            Ok(()) => Ok(Some(job)),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(None)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Removes everything in a deleted actor's partition but the tombstone and, with `keep_notices`, what peers are still
    /// to be told; items of lists and data of peers become jobs of their own. May be repeated, and resumed by anyone.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed by then stays removed.
    pub async fn sweep_actor(&self, actor: &ActorId, keep_notices: bool) -> Result<(), StoreError> {
        self.sweep_owned(actor, "", keep_notices).await?;
        self.end_feeds(actor, None, self.now()).await
    }

    /// Removes the items that a deleted or cleared list left. May be repeated.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed by then stays removed.
    pub async fn sweep_items(&self, partition: &str) -> Result<(), StoreError> {
        self.sweep(partition).await
    }

    /// Ends a job that was taken: the removal of an actor is followed by a last look, anything else by nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish(&self, job: &DueJob) -> Result<(), StoreError> {
        let fail = |error| refused("TransactWriteItems", error);
        // One that was asked for again since it was taken has no lease: it stays due.
        let taken = Condition::new("attribute_not_exists(pk) OR attribute_exists(leased_until)", []);
        let mut writes = vec![self.delete_part(job.key(), Some(taken))?];
        if matches!(job.work, DueWork::Remove { .. }) {
            let due = self.now().plus(LAST_LOOK);
            let next = DueJob::new(&job.actor, due, &self.nonce(), DueWork::LastLook);
            let put = Put::builder().table_name(&self.inner.table).set_item(Some(next.item())).build().map_err(fail)?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        match self.transact(writes).await? {
            Ok(()) => Ok(()),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(())
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }
}
