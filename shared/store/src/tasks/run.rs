//! Running a task: by one at a time, who holds it under a lease and says now and then that it still does.

use std::collections::HashMap;

use actingweb_protocol::task::{KEPT_FOR, LEASE, TaskId, TaskProgress, TaskStatus};
use actingweb_protocol::{ActorId, Deadline, Name, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use tokio::time::Instant;

use super::{TaskKey, TaskRecord};
use crate::deliveries::{DEAD_KEPT_FOR, Letter};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::transaction::Condition;
use crate::{Store, StoreError, item, keys};

/// How many pages of jobs are looked through at most, for those of actors that have not too many under way.
const PAGES: usize = 10;

/// What makes somebody run a task at a time: a row that is there until the task is over. Its key says all there is to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskJob {
    /// The task.
    pub task: TaskKey,
    /// When it is to be begun.
    pub due: Timestamp,
}

/// A task that somebody runs.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTask {
    /// How it stood when it was begun, this attempt counted.
    pub record: TaskRecord,
    job: TaskJob,
}

/// What whoever runs a task learns when it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Going,
    /// Somebody wants it no more.
    Cancelled,
    /// It is somebody else's by now, or gone.
    Lost,
}

/// How an attempt at a task ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// It is done; with its sealed result, if there is one.
    Completed(Option<String>),
    /// It is not done and will not be. With a reason for administrators it becomes a dead letter, too, and can be run again.
    Failed {
        /// A problem document, as JSON text.
        problem: String,
        /// What the last attempt met, in a line.
        dead: Option<String>,
    },
    /// Somebody wanted it no more.
    Cancelled,
    /// It is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// Why: a problem document, as JSON text.
        problem: String,
    },
}

impl TaskJob {
    /// The job of a task that is not over.
    #[must_use]
    pub fn of(record: &TaskRecord) -> Self {
        Self { task: record.key.clone(), due: record.due_at }
    }

    /// Reads the key of a job's row, as the table's stream tells it; `None` for any other row.
    #[must_use]
    pub fn from_key(partition: &str, sort_key: &str) -> Option<Self> {
        partition.strip_prefix(keys::TASK_JOBS)?;
        let mut parts = sort_key.split('#');
        let due = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let actor = ActorId::parse(parts.next()?).ok()?;
        let action = Name::parse(&keys::unescape(parts.next()?)).ok()?;
        let id = TaskId::parse(parts.next()?).ok()?;
        Some(Self { task: TaskKey { actor, action, id }, due })
    }

    pub(super) fn key(&self) -> Item {
        let TaskKey { actor, action, id } = &self.task;
        item::key(&keys::task_jobs(keys::due_shard(actor)), &keys::task_job(self.due, actor, action, id.as_str()))
    }

    pub(super) fn item(&self) -> Item {
        let mut row = self.key();
        row.insert("v".to_owned(), number(item::VERSION));
        row
    }
}

impl Store {
    /// Up to `most` tasks that are due and that nobody has, of each actor as many as there is `room` for. The first of
    /// every actor comes first, then the second of every actor, and so on, so that none keeps the others waiting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_tasks(&self, most: usize, room: impl Fn(&ActorId) -> usize) -> Result<Vec<TaskJob>, StoreError> {
        let shards = (0..keys::DUE_SHARDS).map(|shard| self.due_tasks_of(shard, most, &room));
        let mut found = futures_util::future::try_join_all(shards).await?.concat();
        found.sort_by_key(|(turn, job)| (*turn, job.due));
        found.truncate(most);
        Ok(found.into_iter().map(|(_, job)| job).collect())
    }

    /// With its place among those of its actor.
    async fn due_tasks_of(
        &self,
        shard: u32,
        most: usize,
        room: impl Fn(&ActorId) -> usize,
    ) -> Result<Vec<(usize, TaskJob)>, StoreError> {
        let call = self.due_rows(keys::task_jobs(shard));
        let (mut start, mut found) = (None, Vec::new());
        let mut turns: HashMap<ActorId, usize> = HashMap::new();
        for _ in 0..PAGES {
            let call = call.clone().set_exclusive_start_key(start);
            let output = self.call("Query", || call.clone().send()).await?;
            for found_item in output.items.iter().flatten() {
                let row = Row(found_item);
                // One that another version of this program wrote must not keep the others waiting.
                let Some(job) = TaskJob::from_key(row.text("pk")?, row.text("sk")?) else { continue };
                let turn = turns.entry(job.task.actor.clone()).or_default();
                if *turn < room(&job.task.actor) {
                    found.push((*turn, job));
                    *turn += 1;
                }
            }
            start = output.last_evaluated_key;
            if found.len() >= most || start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Takes a task that is as it was seen and that nobody has, for [`LEASE`]: one transaction. `None` when it is not so.
    /// With `counts` it is another attempt; without, only its end is to be written.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it was taken is not known then; the lease ends by itself.
    pub async fn begin_task(
        &self,
        job: &TaskJob,
        seen: &TaskRecord,
        counts: bool,
    ) -> Result<Option<HeldTask>, StoreError> {
        let now = self.now();
        let lease = now.plus(LEASE);
        let mut record = seen.clone();
        record.status = TaskStatus::Running;
        record.attempts = seen.attempts.saturating_add(u32::from(counts));
        record.updated_at = now;
        record.lease_until = Some(lease);
        record.version = self.nonce();
        let as_seen = match seen.lease_until {
            None => Condition::new(
                "version = :seen AND attribute_not_exists(lease_until)",
                [(":seen", text(&seen.version))],
            ),
            // Whoever has it may have said so meanwhile.
            Some(ended) => Condition::new(
                "version = :seen AND lease_until = :ended",
                [(":seen", text(&seen.version)), (":ended", number(ended.as_millis()))],
            ),
        };
        let values = Item::from([
            (":running".to_owned(), text(TaskStatus::Running.as_str())),
            (":attempts".to_owned(), number(i64::from(record.attempts))),
            (":now".to_owned(), number(now.as_millis())),
            (":lease".to_owned(), number(lease.as_millis())),
            (":version".to_owned(), text(&record.version)),
        ]);
        let expression = "SET task_status = :running, attempts = :attempts, updated_at = :now, lease_until = :lease, \
                          version = :version";
        let leased = Item::from([(":lease".to_owned(), number(lease.as_millis()))]);
        let parts = vec![
            self.update_part(seen.key.head(), expression, values, Some(as_seen))?,
            self.update_part(job.key(), "SET leased_until = :lease", leased, Some(Condition::present()))?,
        ];
        // Not repeated for so long that the lease would be over when it is written.
        let soon = Deadline::after(Instant::now().into_std(), LEASE / 2);
        let bounded = self.with_deadline(self.deadline.map_or(soon, |deadline| deadline.earlier(soon)));
        let begun = bounded.transact_if(parts).await?;
        Ok(begun.then(|| HeldTask { record, job: job.clone() }))
    }

    /// Says that a task still runs, and how far it has come if that is news: one update.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn beat_task(&self, held: &HeldTask, progress: Option<&TaskProgress>) -> Result<Beat, StoreError> {
        let lease = self.now().plus(LEASE);
        let mut call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(held.record.key.head()))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", text(&held.record.version))
            .expression_attribute_values(":lease", number(lease.as_millis()))
            .return_values(ReturnValue::AllNew);
        let progress = progress.map(serde_json::to_string).transpose();
        call = match progress.map_err(|error| refused("UpdateItem", error))? {
            None => call.update_expression("SET lease_until = :lease"),
            Some(progress) => call
                .update_expression("SET lease_until = :lease, progress = :progress")
                .expression_attribute_values(":progress", text(progress)),
        };
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(output) => {
                let is_cancelled = output.attributes.is_some_and(|row| row.contains_key("cancel_at"));
                Ok(if is_cancelled { Beat::Cancelled } else { Beat::Going })
            }
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(Beat::Lost),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// Ends an attempt, if the task still is the holder's: one transaction. False, with nothing changed, when it is not.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it ended is not known then; if not, it is run again when the lease has ended.
    pub async fn end_task(&self, held: &HeldTask, end: TaskEnd) -> Result<bool, StoreError> {
        // What nobody wants any more is neither tried again nor a dead letter.
        let unless_cancelled = matches!(end, TaskEnd::Again { .. } | TaskEnd::Failed { .. });
        // The input is kept as long as the letter. If it is gone meanwhile, the task has failed all the same.
        let without_input = match &end {
            TaskEnd::Failed { problem, dead: dead @ Some(_) } if held.record.has_input => {
                Some(self.failed_parts(held, problem.clone(), dead.clone(), false)?)
            }
            _ => None,
        };
        let parts = match end {
            TaskEnd::Completed(result) => self.completed_parts(held, result)?,
            TaskEnd::Failed { problem, dead } => self.failed_parts(held, problem, dead, held.record.has_input)?,
            TaskEnd::Cancelled => self.cancelled_parts(held)?,
            TaskEnd::Again { at, problem } => self.queued_parts(held, at, problem)?,
        };
        if self.transact_if(parts).await? {
            return Ok(true);
        }
        if let Some(parts) = without_input
            && self.transact_if(parts).await?
        {
            return Ok(true);
        }
        // Somebody else's by now, or cancelled meanwhile: the first is refused here, too.
        if unless_cancelled { self.transact_if(self.cancelled_parts(held)?).await } else { Ok(false) }
    }

    fn cancelled_parts(&self, held: &HeldTask) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut parts = self.over_parts(held, TaskStatus::Cancelled, None, KEPT_FOR)?;
        parts.extend(self.forget_input(&held.record)?);
        Ok(parts)
    }

    fn completed_parts(&self, held: &HeldTask, result: Option<String>) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut parts = self.over_parts(held, TaskStatus::Completed, None, KEPT_FOR)?;
        if let Some(result) = result {
            let mut row = held.record.key.result();
            row.insert("v".to_owned(), number(item::VERSION));
            row.insert("sealed".to_owned(), text(result));
            row.insert("expires".to_owned(), number(self.now().plus(KEPT_FOR).as_secs()));
            parts.push(self.put_part(row, None)?);
        }
        parts.extend(self.forget_input(&held.record)?);
        Ok(parts)
    }

    fn failed_parts(
        &self,
        held: &HeldTask,
        problem: String,
        dead: Option<String>,
        has_input: bool,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let kept_for = if dead.is_some() { DEAD_KEPT_FOR } else { KEPT_FOR };
        let mut parts = self.over_parts(held, TaskStatus::Failed, Some(problem), kept_for)?;
        let Some(reason) = dead else {
            parts.extend(self.forget_input(&held.record)?);
            return Ok(parts);
        };
        let key = &held.record.key;
        let letter = self.dead_letter(&key.actor, &reason, Letter::Task(key.clone()));
        parts.push(self.put_part(letter.item(), None)?);
        if has_input {
            let values = Item::from([(":expires".to_owned(), number(self.now().plus(kept_for).as_secs()))]);
            // Gone meanwhile, it must not come back as a row without content.
            let there = Some(Condition::present());
            parts.push(self.update_part(held.record.key.input(), "SET expires = :expires", values, there)?);
        }
        Ok(parts)
    }

    /// The end of a task, and of its job.
    fn over_parts(
        &self,
        held: &HeldTask,
        status: TaskStatus,
        problem: Option<String>,
        kept_for: std::time::Duration,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let now = self.now();
        let mut values = Item::from([
            (":status".to_owned(), text(status.as_str())),
            (":now".to_owned(), number(now.as_millis())),
            (":expires".to_owned(), number(now.plus(kept_for).as_secs())),
            (":version".to_owned(), text(self.nonce())),
        ]);
        let expression = match problem {
            None => {
                "SET task_status = :status, updated_at = :now, expires = :expires, version = :version \
                 REMOVE lease_until, cancel_at, problem"
            }
            Some(problem) => {
                values.insert(":problem".to_owned(), text(problem));
                "SET task_status = :status, updated_at = :now, expires = :expires, version = :version, \
                 problem = :problem REMOVE lease_until, cancel_at"
            }
        };
        let own = if status == TaskStatus::Failed { held.own_and_wanted() } else { held.own() };
        Ok(vec![
            self.update_part(held.record.key.head(), expression, values, Some(own))?,
            self.delete_part(held.job.key(), None)?,
        ])
    }

    /// The task waits again, and its job is another.
    fn queued_parts(
        &self,
        held: &HeldTask,
        at: Timestamp,
        problem: String,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        // A transaction may not name a row twice: the next job has another key.
        let at = at.max(Timestamp::from_millis(held.job.due.as_millis().saturating_add(1)));
        let values = Item::from([
            (":queued".to_owned(), text(TaskStatus::Queued.as_str())),
            (":now".to_owned(), number(self.now().as_millis())),
            (":due".to_owned(), number(at.as_millis())),
            (":version".to_owned(), text(self.nonce())),
            (":problem".to_owned(), text(problem)),
        ]);
        let expression = "SET task_status = :queued, updated_at = :now, due_at = :due, version = :version, \
                          problem = :problem REMOVE lease_until";
        let next = TaskJob { task: held.record.key.clone(), due: at };
        Ok(vec![
            self.update_part(held.record.key.head(), expression, values, Some(held.own_and_wanted()))?,
            self.delete_part(held.job.key(), None)?,
            self.put_part(next.item(), None)?,
        ])
    }

    pub(super) fn forget_input(&self, record: &TaskRecord) -> Result<Option<TransactWriteItem>, StoreError> {
        record.has_input.then(|| self.delete_part(record.key.input(), None)).transpose()
    }

    /// Runs a failed task again from the first attempt on, if it and what it is given can still be read; `buried` is what
    /// removes its letter. None when it has nothing to be run with any more.
    pub(crate) async fn revived_task_parts(
        &self,
        key: &TaskKey,
        buried: TransactWriteItem,
    ) -> Result<Option<Vec<TransactWriteItem>>, StoreError> {
        let Some((record, input)) = self.task_input(key).await? else { return Ok(None) };
        if record.has_input && input.is_none() {
            return Ok(None);
        }
        let now = self.now();
        let values = Item::from([
            (":queued".to_owned(), text(TaskStatus::Queued.as_str())),
            (":none".to_owned(), number(0)),
            (":now".to_owned(), number(now.as_millis())),
            (":version".to_owned(), text(self.nonce())),
        ]);
        let expression = "SET task_status = :queued, attempts = :none, updated_at = :now, due_at = :now, \
                          version = :version REMOVE expires, progress";
        let failed = Condition::new(
            "task_status = :failed AND expires > :secs",
            [(":failed", text(TaskStatus::Failed.as_str())), (":secs", number(now.as_secs()))],
        );
        let job = TaskJob { task: key.clone(), due: now };
        let mut parts = vec![
            buried,
            self.update_part(key.head(), expression, values, Some(failed))?,
            self.put_part(job.item(), None)?,
        ];
        if record.has_input {
            // It stays as long as the task is not over; gone meanwhile, it must not come back as a row without content.
            let there = Some(Condition::present());
            parts.push(self.update_part(key.input(), "REMOVE expires", Item::new(), there)?);
        }
        Ok(Some(parts))
    }

    /// Removes a job whose task is over, gone, or waits for another one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_task_job(&self, job: &TaskJob) -> Result<(), StoreError> {
        self.batch_delete(vec![job.key()]).await
    }

    /// Lets a job rest until then, because somebody has its task for so long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rest_task_job(&self, job: &TaskJob, until: Timestamp) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(job.key()))
            .update_expression("SET leased_until = :until")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":until", number(until.as_millis()));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(()),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(()),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }
}

impl HeldTask {
    /// It still is the holder's.
    fn own(&self) -> Condition {
        Condition::new("version = :held", [(":held", text(&self.record.version))])
    }

    /// It is, and nobody asked for its end.
    fn own_and_wanted(&self) -> Condition {
        let wanted = "version = :held AND attribute_not_exists(cancel_at)";
        Condition::new(wanted, [(":held", text(&self.record.version))])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_job_is_read_from_its_key(action in "[a-c\u{e9}#% ~:]{1,12}", due in 0i64..9_999_999_999_999, id in "[0-9a-f]{32}") {
            let Ok(action) = Name::parse(&action) else { return Ok(()) };
            let actor = ActorId::parse("0123456789abcdef0123456789abcdef").unwrap();
            let task = TaskKey { actor, action, id: TaskId::parse(&id).unwrap() };
            let job = TaskJob { task, due: Timestamp::from_millis(due) };
            let key = job.key();
            let part = |name: &str| key[name].as_s().unwrap().clone();
            prop_assert_eq!(TaskJob::from_key(&part("pk"), &part("sk")), Some(job));
        }
    }

    #[test]
    fn other_rows_are_no_jobs() {
        for (pk, sk) in [("DUE#0", "1"), ("RUN#0", "1"), ("RUN#0", "x#y#z"), ("A#x", "")] {
            assert_eq!(TaskJob::from_key(pk, sk), None, "{pk} {sk}");
        }
    }
}
