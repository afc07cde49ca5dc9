//! When deliveries are tried again, and what was given up, tasks too: dead letters, which an administrator lists and redrives.

use std::time::Duration;

use actingweb_protocol::task::TaskId;
use actingweb_protocol::{ActorId, Name, PeerId, Timestamp};

use crate::actors::actor_id;
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::notices::Notice;
use crate::subscriptions::revived;
use crate::transaction::Condition;
use crate::{Store, StoreError, SubscriptionRecord, TaskKey, item, keys};

/// How long a dead letter is kept: as long as the changes it may be about.
pub(crate) const DEAD_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Deliveries of an actor that are due within one slot share a job. Short waits are not to become long ones.
const SLOT_MILLIS: i64 = 1_000;

/// The slot of waits longer than a minute.
const LONG_SLOT_MILLIS: i64 = 10_000;

/// What was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// The callbacks of a subscription. Its diffs can still be polled.
    Subscription {
        /// Whose it is.
        peer: PeerId,
        /// Its id.
        id: String,
        /// The first number that its peer did not take.
        sequence: u64,
    },
    /// A notice.
    Notice(Box<Notice>),
    /// A task.
    Task(TaskKey),
}

/// A delivery or a task that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it: when it was given up, in milliseconds, whose it is, and random digits.
    pub id: String,
    /// Whose it is.
    pub actor: ActorId,
    /// When it was given up.
    pub at: Timestamp,
    /// What the last attempt met.
    pub reason: String,
    /// What it is.
    pub letter: Letter,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is delivered again.
    Again,
    /// What it was about has ended: there is nothing to deliver.
    Ended,
}

impl DeadLetter {
    pub(crate) fn item(&self) -> Item {
        let mut row = match &self.letter {
            Letter::Notice(notice) => notice.item_at(keys::DEAD, &self.id),
            Letter::Subscription { peer, id, sequence } => {
                let mut row = item::new(keys::DEAD, &self.id);
                row.insert("peer".to_owned(), text(peer.as_str()));
                row.insert("subscription".to_owned(), text(id));
                row.insert("sequence".to_owned(), number(i64::try_from(*sequence).unwrap_or(i64::MAX)));
                row
            }
            Letter::Task(TaskKey { action, id, .. }) => {
                let mut row = item::new(keys::DEAD, &self.id);
                row.insert("action".to_owned(), text(action.as_str()));
                row.insert("task".to_owned(), text(id.as_str()));
                row
            }
        };
        row.insert("actor".to_owned(), text(self.actor.as_str()));
        row.insert("at".to_owned(), number(self.at.as_millis()));
        row.insert("reason".to_owned(), text(&self.reason));
        row.insert("expires".to_owned(), number(self.at.plus(DEAD_KEPT_FOR).as_secs()));
        row
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let actor = actor_id(row, "actor")?;
        let letter = if let Some(id) = row.optional_text("subscription")? {
            let sequence = row.optional_number("sequence")?.unwrap_or_default();
            Letter::Subscription {
                peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")))?,
                id: id.to_owned(),
                sequence: u64::try_from(sequence).unwrap_or_default(),
            }
        } else if let Some(id) = row.optional_text("task")? {
            let action = Name::parse(row.text("action")?).map_err(|error| row.corrupt(format!("`action`: {error}")))?;
            let id = TaskId::parse(id).map_err(|error| row.corrupt(format!("`task`: {error}")))?;
            Letter::Task(TaskKey { actor: actor.clone(), action, id })
        } else {
            Letter::Notice(Box::new(Notice::from_row(row)?))
        };
        Ok(Self {
            id: row.text("sk")?.to_owned(),
            actor,
            at: row.timestamp("at")?,
            reason: row.text("reason")?.to_owned(),
            letter,
        })
    }
}

impl Store {
    /// Makes deliveries of an actor due at a time, or shortly after: one job for each second (in more than a minute, for
    /// each ten), however often it is asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliver_later(&self, actor: &ActorId, at: Timestamp) -> Result<(), StoreError> {
        let job = later(actor, at, self.now());
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(job.item()));
        self.call("PutItem", || call.clone().send()).await.map(|_| ())
    }

    /// Gives up the callbacks of a subscription that is held for delivery: they stop, and a dead letter says so. False
    /// when the lease was lost to somebody else, or the subscription is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_up_subscription(
        &self,
        actor: &ActorId,
        held: &SubscriptionRecord,
        delivered: u64,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let sequence = delivered.saturating_add(1);
        let letter = Letter::Subscription { peer: held.peer.clone(), id: held.id.clone(), sequence };
        let dead = self.dead_letter(actor, reason, letter);
        let values = Item::from([
            (":delivered".to_owned(), number(i64::try_from(delivered).unwrap_or(i64::MAX))),
            (":dead".to_owned(), number(self.now().as_millis())),
        ]);
        let until = held.leased_until.map_or(0, Timestamp::as_millis);
        let expression = "SET delivered = :delivered, dead = :dead REMOVE leased_until, retry_at";
        let own = Condition::new("leased_until = :held", [(":held", number(until))]);
        let parts =
            vec![self.update_part(held.key(actor), expression, values, Some(own))?, self.put_part(dead.item(), None)?];
        self.transact_if(parts).await
    }

    /// Gives up a notice, and leaves a dead letter in its place. False when it was finished meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_up_notice(&self, actor: &ActorId, notice: &Notice, reason: &str) -> Result<bool, StoreError> {
        let letter = Letter::Notice(Box::new(notice.clone()));
        let dead = self.dead_letter(actor, reason, letter);
        let parts =
            vec![self.delete_part(notice.key(actor), Some(Condition::present()))?, self.put_part(dead.item(), None)?];
        self.transact_if(parts).await
    }

    /// What was given up and not redriven, oldest first, one call per MB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self.pages(keys::DEAD, "", None);
        while let Some(items) = pages.next().await? {
            for found_item in &items {
                let row = Row::read(found_item)?;
                if !row.expired(self.now())? {
                    found.push(DeadLetter::from_row(&row)?);
                }
            }
        }
        Ok(found)
    }

    /// Delivers what was given up again, from the first number its peer did not take on; runs a task from its first attempt
    /// on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redrive(&self, dead: &DeadLetter) -> Result<Redriven, StoreError> {
        let buried = self.delete_part(item::key(keys::DEAD, &dead.id), None)?;
        let now = self.now();
        let delivery = self.put_part(later(&dead.actor, now, now).item(), None)?;
        let parts = match &dead.letter {
            Letter::Notice(notice) => {
                let mut anew = notice.as_ref().clone();
                anew.attempts = 0;
                vec![buried, delivery, self.notice_part(&dead.actor, &anew)?]
            }
            Letter::Subscription { peer, id, .. } => {
                let key = item::key(&keys::actor(&dead.actor), &keys::subscription(peer, id));
                vec![buried, delivery, self.update_part(key, revived(), Item::new(), Some(Condition::present()))?]
            }
            Letter::Task(key) => self.revived_task_parts(key, buried).await?.unwrap_or_default(),
        };
        if !parts.is_empty() && self.transact_if(parts).await? {
            return Ok(Redriven::Again);
        }
        let buried = self.delete_part(item::key(keys::DEAD, &dead.id), None)?;
        self.transact_if(vec![buried]).await.map(|_| Redriven::Ended)
    }

    pub(crate) fn dead_letter(&self, actor: &ActorId, reason: &str, letter: Letter) -> DeadLetter {
        let at = self.now();
        let id = format!("{:013}#{actor}#{}", at.as_millis().max(0), self.nonce());
        DeadLetter { id, actor: actor.clone(), at, reason: reason.to_owned(), letter }
    }
}

/// The job of the slot that ends at or after `at`; what is due now waits for no slot.
fn later(actor: &ActorId, at: Timestamp, now: Timestamp) -> DueJob {
    let slot = match at.as_millis().saturating_sub(now.as_millis()) {
        ..=0 => 1,
        1..=60_000 => SLOT_MILLIS,
        _ => LONG_SLOT_MILLIS,
    };
    let end = at.as_millis().saturating_add(slot - 1).div_euclid(slot).saturating_mul(slot);
    DueJob::new(actor, Timestamp::from_millis(end), &format!("deliver-{actor}"), DueWork::Deliver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(at: i64, now: i64) -> String {
        let actor = ActorId::parse("0123456789abcdef0123456789abcdef").unwrap();
        later(&actor, Timestamp::from_millis(at), Timestamp::from_millis(now)).sk
    }

    #[test]
    fn deliveries_due_within_a_slot_share_a_job_that_is_never_early() {
        let begins = |at, now| slot(at, now).split('#').next().unwrap().parse::<i64>().unwrap();
        assert_eq!(slot(100_001, 100_000), slot(100_999, 100_000));
        assert_ne!(slot(101_000, 100_000), slot(101_001, 100_000));
        for (at, now) in [(0, 0), (100_001, 100_000), (100_000, 100_000), (171_234, 100_000), (4_000_001, 0)] {
            let due = begins(at, now);
            assert!(due >= at && due - at < LONG_SLOT_MILLIS, "{at}: {due}");
        }
        assert_eq!(begins(3_600_001, 0), 3_610_000);
        assert_eq!(begins(100_001, 100_001), 100_001, "what is due now is due now");
    }
}
