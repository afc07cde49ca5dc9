//! Schedules: actions that are to be run at planned times.
//!
//! A schedule that goes on has one job among the work that is due, under a key made of its next time and its id. Whoever
//! fires it replaces that job by the next one, in the transaction that moves the schedule on and makes the task: so each
//! planned time is met once, whoever dies.

use std::collections::HashMap;
use std::time::Duration;

use actingweb_protocol::schedule::Timing;
use actingweb_protocol::task::{TaskCaller, TaskId, TaskStatus};
use actingweb_protocol::{ActorId, Name, Timestamp};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::{Value, json};

use crate::changes::signed;
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{NewTask, Store, StoreError, TaskKey, TaskRecord, item, keys};

/// How many runs a schedule remembers.
pub const REMEMBERED_RUNS: usize = 20;

/// How long a schedule that came to its end can be read.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// A schedule as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// The action that it runs.
    pub action: Name,
    /// Its id: 32 lowercase hexadecimal digits in the order of time.
    pub id: String,
    /// Who made it.
    pub caller: TaskCaller,
    /// When it is due.
    pub timing: Timing,
    /// The last moment at which it may be due.
    pub until: Option<Timestamp>,
    /// What the action is called with, sealed.
    pub input: String,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it goes on.
    pub state: ScheduleState,
    /// Its latest runs, the latest first; at most [`REMEMBERED_RUNS`].
    pub runs: Vec<ScheduleRun>,
    /// How many runs there were.
    pub run_count: u64,
    /// How many planned times passed without a run, because nobody was there.
    pub missed: u64,
    /// New with every write.
    pub version: String,
}

/// Whether a schedule goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleState {
    /// It is due next at this moment.
    Active(Timestamp),
    /// There is no time left at which it would be due.
    Ended,
    /// It was stopped, for this reason.
    Suspended(String),
}

/// A run of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleRun {
    /// The time that was planned.
    pub planned_at: Timestamp,
    /// When its task was made.
    pub fired_at: Timestamp,
    /// How many planned times between the two were left out.
    pub missed: u64,
}

impl ScheduleRun {
    /// As three numbers, so that the row stays small.
    fn value(self) -> Value {
        json!([self.planned_at.as_millis(), self.fired_at.as_millis(), self.missed])
    }

    fn read(value: &Value) -> Option<Self> {
        let moment = |at: usize| value.get(at)?.as_i64().map(Timestamp::from_millis);
        Some(Self { planned_at: moment(0)?, fired_at: moment(1)?, missed: value.get(2)?.as_u64()? })
    }
}

/// How an attempt to make a schedule ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// It stands.
    Done,
    /// Its maker has as many as it may have.
    TooMany,
}

/// A part of a list of schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulePage {
    /// The schedules, the latest first.
    pub schedules: Vec<ScheduleRecord>,
    /// After which id the next part begins; none when this is the last.
    pub next: Option<String>,
}

impl ScheduleRecord {
    /// When it is due next.
    #[must_use]
    pub const fn next_at(&self) -> Option<Timestamp> {
        match self.state {
            ScheduleState::Active(next) => Some(next),
            ScheduleState::Ended | ScheduleState::Suspended(_) => None,
        }
    }

    /// The task of a run: the same whoever asks.
    #[must_use]
    pub fn task_of(&self, planned_at: Timestamp) -> TaskId {
        TaskId::planned(planned_at, &self.id)
    }

    /// The key of the task of a run.
    #[must_use]
    pub fn task_key(&self, actor: &ActorId, planned_at: Timestamp) -> TaskKey {
        TaskKey { actor: actor.clone(), action: self.action.clone(), id: self.task_of(planned_at) }
    }

    /// The job that fires it next, while it goes on.
    pub(crate) fn job(&self, actor: &ActorId) -> Option<DueJob> {
        let work = DueWork::Fire { action: self.action.clone(), schedule: self.id.clone() };
        Some(DueJob::new(actor, self.next_at()?, &self.id, work))
    }

    /// Whether this is the job that fires it next; one that another run replaced is not.
    #[must_use]
    pub fn is_due_by(&self, job: &DueJob) -> bool {
        self.job(&job.actor).is_some_and(|next| next.sk == job.sk)
    }

    fn key(&self, actor: &ActorId) -> Item {
        item::key(&keys::actor(actor), &keys::schedule(&self.action, &self.id))
    }

    fn item(&self, actor: &ActorId, now: Timestamp) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::schedule(&self.action, &self.id));
        let texts = [
            ("id", &self.id),
            ("input", &self.input),
            ("name", &self.name),
            ("description", &self.description),
            ("version", &self.version),
        ];
        row.extend(texts.into_iter().map(|(name, value)| (name.to_owned(), text(value))));
        row.extend(self.timing.members().into_iter().map(|(name, value)| (name.to_owned(), text(value))));
        row.insert("action".to_owned(), text(self.action.as_str()));
        row.insert("caller".to_owned(), text(self.caller.to_string()));
        row.insert("created_at".to_owned(), number(self.created_at.as_millis()));
        if let Some(until) = self.until {
            row.insert("until_at".to_owned(), number(until.as_millis()));
        }
        match &self.state {
            ScheduleState::Active(next) => {
                row.insert("next_at".to_owned(), number(next.as_millis()));
            }
            state => {
                row.insert("expires".to_owned(), number(now.plus(KEPT_FOR).as_secs()));
                if let ScheduleState::Suspended(reason) = state {
                    row.insert("suspended".to_owned(), text(reason));
                }
            }
        }
        let runs: Value = self.runs.iter().map(|run| run.value()).collect();
        row.insert("runs".to_owned(), text(runs.to_string()));
        row.insert("run_count".to_owned(), number(signed(self.run_count)));
        row.insert("missed".to_owned(), number(signed(self.missed)));
        row
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |name: &str| {
            let found = row.optional_number(name)?.unwrap_or_default();
            u64::try_from(found).map_err(|_| row.corrupt(format!("`{name}` is negative")))
        };
        let time = |name: &str| Ok::<_, StoreError>(row.optional_number(name)?.map(Timestamp::from_millis));
        let timing = Timing::read(|name| row.optional_text(name).ok().flatten());
        let state = match (time("next_at")?, row.optional_text("suspended")?) {
            (Some(next), _) => ScheduleState::Active(next),
            (None, Some(reason)) => ScheduleState::Suspended(reason.to_owned()),
            (None, None) => ScheduleState::Ended,
        };
        let runs = row.json("runs")?;
        let runs: Option<Vec<_>> = runs.as_array().into_iter().flatten().map(ScheduleRun::read).collect();
        Ok(Self {
            action: Name::parse(row.text("action")?).map_err(|error| row.corrupt(format!("`action`: {error}")))?,
            id: row.text("id")?.to_owned(),
            caller: TaskCaller::parse(row.text("caller")?).ok_or_else(|| row.corrupt("unknown `caller`"))?,
            timing: timing.map_err(|error| row.corrupt(error.to_string()))?,
            until: time("until_at")?,
            input: row.text("input")?.to_owned(),
            name: row.text("name")?.to_owned(),
            description: row.text("description")?.to_owned(),
            created_at: row.timestamp("created_at")?,
            state,
            runs: runs.ok_or_else(|| row.corrupt("`runs` cannot be read"))?,
            run_count: count("run_count")?,
            missed: count("missed")?,
            version: row.text("version")?.to_owned(),
        })
    }
}

impl Store {
    /// Makes a schedule that goes on, with the job that fires it, unless its maker has `most` already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_schedule(
        &self,
        actor: &ActorId,
        new: &ScheduleRecord,
        most: u64,
    ) -> Result<Scheduled, StoreError> {
        let new = ScheduleRecord { version: self.nonce(), ..new.clone() };
        let job = new.job(actor).ok_or_else(|| refused("TransactWriteItems", "the schedule has no next time"))?;
        let room = Condition::new("attribute_not_exists(pk) OR live_count < :most", [(":most", number(signed(most)))]);
        let parts = vec![
            self.live_part(actor, &new.caller, 1, room)?,
            self.put_part(new.item(actor, self.now()), Some(Condition::absent()))?,
            self.put_part(job.item(), None)?,
        ];
        match self.transact(parts).await? {
            Ok(()) => Ok(Scheduled::Done),
            Err(cancelled) if failed_at(&cancelled, 0) => Ok(Scheduled::TooMany),
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Changes how many schedules of a caller go on.
    fn live_part(
        &self,
        actor: &ActorId,
        caller: &TaskCaller,
        by: i64,
        condition: Condition,
    ) -> Result<TransactWriteItem, StoreError> {
        let key = item::key(&keys::actor(actor), &keys::live_schedules(&caller.to_string()));
        let values = Item::from([
            (":by".to_owned(), number(by)),
            (":none".to_owned(), number(0)),
            (":v".to_owned(), number(item::VERSION)),
        ]);
        self.update_part(
            key,
            "SET live_count = if_not_exists(live_count, :none) + :by, v = :v",
            values,
            Some(condition),
        )
    }

    /// One schedule; `None` when there is none, or its time to be remembered is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn schedule(
        &self,
        actor: &ActorId,
        action: &Name,
        id: &str,
    ) -> Result<Option<ScheduleRecord>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::actor(actor), &keys::schedule(action, id))]).await?;
        let Some(found) = found.first() else { return Ok(None) };
        let row = Row::read(found)?;
        if row.expired(self.now())? { Ok(None) } else { ScheduleRecord::from_row(&row).map(Some) }
    }

    /// Up to `limit` schedules of an action that `caller` may see, the latest first, from `before` on (an id that is not
    /// among them).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn schedules(
        &self,
        actor: &ActorId,
        action: &Name,
        caller: &TaskCaller,
        (before, limit): (Option<&str>, usize),
    ) -> Result<SchedulePage, StoreError> {
        // Above all ids, whose digits end at `f`.
        let end = keys::schedule(action, before.unwrap_or("g"));
        let shown = |row: &Row<'_>| {
            let record = ScheduleRecord::from_row(row)?;
            Ok(caller.may_see(&record.caller).then_some(record))
        };
        let range = (&*keys::actor(actor), &*keys::schedule(action, ""), &*end);
        let (schedules, more) = self.newest(range, limit, shown).await?;
        let next = schedules.last().filter(|_| more).map(|last| last.id.clone());
        Ok(SchedulePage { schedules, next })
    }

    /// Removes the schedules that a caller made until `before`.
    pub(crate) async fn forget_schedules(
        &self,
        actor: &ActorId,
        caller: &TaskCaller,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut pages = self.pages(&keys::actor(actor), keys::SCHEDULE, None);
        while let Some(items) = pages.next().await? {
            for found in &items {
                let record = ScheduleRecord::from_row(&Row::read(found)?)?;
                if record.caller == *caller && record.created_at <= before {
                    self.remove_schedule(actor, record).await?;
                }
            }
        }
        Ok(())
    }

    /// Ends a schedule for good, with its job and its history. False when there is none any more.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when it kept being fired until the deadline; other [`StoreError`]s.
    pub async fn remove_schedule(&self, actor: &ActorId, seen: ScheduleRecord) -> Result<bool, StoreError> {
        let mut pause = self.pauses();
        let mut seen = seen;
        loop {
            let mut parts = vec![self.delete_part(seen.key(actor), Some(as_seen(&seen)))?];
            if let Some(job) = seen.job(actor) {
                parts.push(self.live_part(actor, &seen.caller, -1, Condition::present())?);
                parts.push(self.delete_part(job.key(), None)?);
            }
            match self.transact(parts).await? {
                Ok(()) => return Ok(true),
                Err(cancelled) if failed_at(&cancelled, 0) => {}
                Err(Cancelled(reasons)) => return Err(refused("TransactWriteItems", reasons)),
            }
            let Some(now) = self.schedule(actor, &seen.action, &seen.id).await? else { return Ok(false) };
            seen = now;
            pause.wait_unless_learnt("TransactWriteItems", "the schedule is being fired").await?;
        }
    }

    /// Makes the task of a schedule's time and moves the schedule on to `next`, as one. `input` is sealed for the task.
    /// `None`, with nothing written, when the schedule is not as it was seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fire_schedule(
        &self,
        job: &DueJob,
        seen: &ScheduleRecord,
        (run, next): (ScheduleRun, Option<Timestamp>),
        input: Option<String>,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let mut moved = seen.clone();
        moved.state = next.map_or(ScheduleState::Ended, ScheduleState::Active);
        moved.runs.insert(0, run);
        moved.runs.truncate(REMEMBERED_RUNS);
        moved.run_count = seen.run_count.saturating_add(1);
        moved.missed = seen.missed.saturating_add(run.missed);
        let (task, parts) = self.task_parts(NewTask {
            key: seen.task_key(&job.actor, run.planned_at),
            caller: seen.caller.clone(),
            op: "POST".to_owned(),
            input,
            schedule: Some(seen.id.clone()),
        })?;
        Ok(self.move_schedule(job, seen, moved, parts).await?.then_some(task))
    }

    /// Moves a schedule on, if it still is as it was seen: its job is replaced by that of the next time, and `with` is
    /// written in the same transaction. False when it is not as it was seen, and nothing was written.
    async fn move_schedule(
        &self,
        job: &DueJob,
        seen: &ScheduleRecord,
        moved: ScheduleRecord,
        with: Vec<TransactWriteItem>,
    ) -> Result<bool, StoreError> {
        let actor = &job.actor;
        let moved = ScheduleRecord { version: self.nonce(), ..moved };
        let mut parts = vec![
            self.put_part(moved.item(actor, self.now()), Some(as_seen(seen)))?,
            self.delete_part(job.key(), None)?,
        ];
        match moved.job(actor) {
            Some(next) => parts.push(self.put_part(next.item(), None)?),
            None => parts.push(self.live_part(actor, &seen.caller, -1, Condition::present())?),
        }
        parts.extend(with);
        match self.transact(parts).await? {
            Ok(()) => Ok(true),
            Err(cancelled) if failed_at(&cancelled, 0) => Ok(false),
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// What became of the tasks of a schedule's latest runs, in their order; `None` for one that is no longer kept. One
    /// call, none when there were no runs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn statuses_of_runs(
        &self,
        actor: &ActorId,
        schedule: &ScheduleRecord,
    ) -> Result<Vec<Option<TaskStatus>>, StoreError> {
        if schedule.runs.is_empty() {
            return Ok(Vec::new());
        }
        let pk = keys::actor(actor);
        let tasks = schedule.runs.iter().map(|run| schedule.task_of(run.planned_at)).collect::<Vec<_>>();
        let wanted = tasks.iter().map(|task| item::key(&pk, &keys::task(&schedule.action, task.as_str()))).collect();
        let mut statuses = HashMap::new();
        for found in &self.batch_get(wanted).await? {
            let row = Row::read(found)?;
            if !row.expired(self.now())? {
                statuses.insert(row.text("task")?.to_owned(), TaskStatus::parse(row.text("task_status")?));
            }
        }
        Ok(tasks.iter().map(|task| statuses.get(task.as_str()).copied().flatten()).collect())
    }

    /// Stops a schedule for a reason that people can read. False when it is not as it was seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suspend_schedule(
        &self,
        job: &DueJob,
        seen: &ScheduleRecord,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let moved = ScheduleRecord { state: ScheduleState::Suspended(reason.to_owned()), ..seen.clone() };
        self.move_schedule(job, seen, moved, Vec::new()).await
    }
}

fn as_seen(seen: &ScheduleRecord) -> Condition {
    Condition::new("version = :seen", [(":seen", text(&seen.version))])
}

fn failed_at(Cancelled(reasons): &Cancelled, part: usize) -> bool {
    reasons.get(part).is_some_and(|(code, _)| code == CONDITION_FAILED)
}
