//! Work that must be resumed whatever dies: found by time, as there is no scan to find it.

use std::time::Duration;

use actingweb_protocol::{ActorId, Name, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::actors::{ActorRecord, actor_id};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

/// How long whoever took a job keeps it: longer than an invocation may last.
const LEASE: Duration = Duration::from_secs(120);

const REMOVE: &str = "remove";
const REMOVE_ITEMS: &str = "remove items";
const REMOVE_DIFFS: &str = "remove diffs";
const LAST_LOOK: &str = "last look";
const DELIVER: &str = "deliver";
const FORGET_PEER: &str = "forget peer";
const RESYNC: &str = "resync";
const ACKNOWLEDGE: &str = "acknowledge";
const FIRE: &str = "fire";

/// How many rows of a shard are looked at in one go.
const PAGE: i32 = 200;

/// A piece of work that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueJob {
    pub(crate) shard: u32,
    pub(crate) sk: String,
    /// Whose work it is.
    pub actor: ActorId,
    /// What is to be done.
    pub work: DueWork,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueWork {
    /// Tell the hooks that an actor is deleted, then remove all it owned.
    Remove {
        /// Who created it: the tombstone does not keep it.
        creator: String,
        /// When it was created.
        created_at: Timestamp,
        /// Whether the hooks have been told, by an earlier attempt that did not come to its end.
        told: bool,
    },
    /// Remove the items that a deleted or cleared list left.
    RemoveItems {
        /// Their partition.
        partition: String,
    },
    /// Remove the diffs that an ended subscription left.
    RemoveDiffs {
        /// Its id.
        subscription: String,
    },
    /// Look once more for what requests wrote that were under way when the tombstone was set.
    LastLook,
    /// Send what the actor owes its peers.
    Deliver,
    /// Remove what belongs to a peer whose relationship ended.
    ForgetPeer {
        /// The peer.
        peer: PeerId,
        /// When the relationship ended: what came later belongs to the next one.
        before: Timestamp,
    },
    /// Bring a subscription to a peer up to date: a diff is missing, or data is to be read anew.
    Resync {
        /// The peer.
        peer: PeerId,
        /// The subscription's id.
        subscription: String,
    },
    /// Tell a peer how far its diffs have been received.
    Acknowledge {
        /// The peer.
        peer: PeerId,
        /// The subscription's id.
        subscription: String,
    },
    /// Make the task of a schedule whose time has come.
    Fire {
        /// The action.
        action: Name,
        /// The schedule's id.
        schedule: String,
    },
}

impl DueJob {
    pub(crate) fn new(actor: &ActorId, due: Timestamp, nonce: &str, work: DueWork) -> Self {
        // 13 digits hold milliseconds until the year 2286, so that text order is time order.
        let sk = format!("{:013}#{nonce}", due.as_millis().max(0));
        Self { shard: keys::due_shard(actor), sk, actor: actor.clone(), work }
    }

    /// The actor as it was, for hooks that are told of its end.
    #[must_use]
    pub fn departed(&self) -> Option<ActorRecord> {
        let DueWork::Remove { creator, created_at, .. } = &self.work else { return None };
        Some(ActorRecord {
            id: self.actor.clone(),
            creator: creator.clone(),
            passphrase_hash: String::new(),
            trustee_root: None,
            created_at: *created_at,
            lookup: String::new(),
        })
    }

    pub(crate) fn item(&self) -> Item {
        let mut row = item::new(&keys::due(self.shard), &self.sk);
        row.insert("actor".to_owned(), text(self.actor.as_str()));
        match &self.work {
            DueWork::Remove { creator, created_at, .. } => {
                row.insert("work".to_owned(), text(REMOVE));
                row.insert("creator".to_owned(), text(creator));
                row.insert("created_at".to_owned(), number(created_at.as_millis()));
            }
            DueWork::RemoveItems { partition } => {
                row.insert("work".to_owned(), text(REMOVE_ITEMS));
                row.insert("partition".to_owned(), text(partition));
            }
            DueWork::RemoveDiffs { subscription } => {
                row.insert("work".to_owned(), text(REMOVE_DIFFS));
                row.insert("subscription".to_owned(), text(subscription));
            }
            DueWork::LastLook => {
                row.insert("work".to_owned(), text(LAST_LOOK));
            }
            DueWork::Deliver => {
                row.insert("work".to_owned(), text(DELIVER));
            }
            DueWork::ForgetPeer { peer, before } => {
                row.insert("work".to_owned(), text(FORGET_PEER));
                row.insert("peer".to_owned(), text(peer.as_str()));
                row.insert("before".to_owned(), number(before.as_millis()));
            }
            DueWork::Fire { action, schedule } => {
                row.insert("work".to_owned(), text(FIRE));
                row.insert("action".to_owned(), text(action.as_str()));
                row.insert("schedule".to_owned(), text(schedule));
            }
            DueWork::Resync { peer, subscription } | DueWork::Acknowledge { peer, subscription } => {
                let word = if matches!(self.work, DueWork::Resync { .. }) { RESYNC } else { ACKNOWLEDGE };
                row.insert("work".to_owned(), text(word));
                row.insert("peer".to_owned(), text(peer.as_str()));
                row.insert("subscription".to_owned(), text(subscription));
            }
        }
        row
    }

    pub(crate) fn key(&self) -> Item {
        item::key(&keys::due(self.shard), &self.sk)
    }

    fn from_row(row: &Row<'_>, shard: u32) -> Result<Self, StoreError> {
        let peer = || PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")));
        let subscription = || row.text("subscription").map(str::to_owned);
        let work = match row.text("work")? {
            REMOVE => DueWork::Remove {
                creator: row.text("creator")?.to_owned(),
                created_at: row.timestamp("created_at")?,
                told: row.optional_number("told_at")?.is_some(),
            },
            REMOVE_ITEMS => DueWork::RemoveItems { partition: row.text("partition")?.to_owned() },
            REMOVE_DIFFS => DueWork::RemoveDiffs { subscription: subscription()? },
            LAST_LOOK => DueWork::LastLook,
            DELIVER => DueWork::Deliver,
            FORGET_PEER => DueWork::ForgetPeer { peer: peer()?, before: row.timestamp("before")? },
            RESYNC => DueWork::Resync { peer: peer()?, subscription: subscription()? },
            ACKNOWLEDGE => DueWork::Acknowledge { peer: peer()?, subscription: subscription()? },
            FIRE => {
                let action =
                    Name::parse(row.text("action")?).map_err(|error| row.corrupt(format!("`action`: {error}")))?;
                DueWork::Fire { action, schedule: row.text("schedule")?.to_owned() }
            }
            other => return Err(row.corrupt(format!("unknown work `{other}`"))),
        };
        Ok(Self { shard, sk: row.text("sk")?.to_owned(), actor: actor_id(row, "actor")?, work })
    }
}

impl Store {
    /// The work that is due now and nobody has, oldest first within each shard.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_jobs(&self) -> Result<Vec<DueJob>, StoreError> {
        let shard_jobs = (0..keys::DUE_SHARDS).map(|shard| self.due_of_shard(shard));
        Ok(futures_util::future::try_join_all(shard_jobs).await?.into_iter().flatten().collect())
    }

    /// The rows of a partition in the order of time that are due now and that nobody has: a query, to be sent page by page.
    pub(crate) fn due_rows(&self, partition: String) -> QueryFluentBuilder {
        let now = self.now().as_millis();
        self.inner
            .client
            .query()
            .table_name(&self.inner.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk < :until")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":until", text(format!("{:013}$", now.max(0))))
            .filter_expression("attribute_not_exists(leased_until) OR leased_until <= :now")
            .expression_attribute_values(":now", number(now))
    }

    async fn due_of_shard(&self, shard: u32) -> Result<Vec<DueJob>, StoreError> {
        let call = self.due_rows(keys::due(shard)).limit(PAGE);
        let mut start = None;
        let items = loop {
            let call = call.clone().set_exclusive_start_key(start);
            let output = self.call("Query", || call.clone().send()).await?;
            let items = output.items.unwrap_or_default();
            start = output.last_evaluated_key;
            // Work that others have, or that failed a moment ago, keeps nothing waiting that comes after it.
            if !items.is_empty() || start.is_none() {
                break items;
            }
        };
        let jobs = items.iter().map(|found| DueJob::from_row(&Row::read(found)?, shard));
        // One that another version of this program wrote must not keep the others waiting.
        let logged = |error: &StoreError| tracing::error!(%error, "due work could not be read");
        Ok(jobs.filter_map(|job| job.inspect_err(logged).ok()).collect())
    }

    /// Takes a job for two minutes. False when somebody else has it, or finished it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim(&self, job: &DueJob) -> Result<bool, StoreError> {
        let now = self.now();
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(job.key()))
            .update_expression("SET leased_until = :until")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(leased_until) OR leased_until <= :now)",
            )
            .expression_attribute_values(":until", number(now.plus(LEASE).as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// Remembers that the hooks were told of an actor's end, so that an attempt which resumes the job does not tell
    /// them again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_told(&self, job: &DueJob) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(job.key()))
            .update_expression("SET told_at = :now")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", number(self.now().as_millis()));
        self.call("UpdateItem", || call.clone().send()).await.map(|_| ())
    }
}
