//! An actor's schedules: actions that are run at planned times.

mod fire;

use std::fmt;

use actingweb_protocol::schedule::{NewSchedule, ScheduleError};
use actingweb_protocol::task::{TaskCaller, TaskId, TaskStatus};
use actingweb_protocol::{ActorId, Deadline, Name, Timestamp};
use actingweb_store::{ScheduleRecord, ScheduleRun, Scheduled, StoreError};
use serde_json::Value;

use crate::{Actor, ActorError, Actors, Caller};

pub use actingweb_store::ScheduleState;
pub use fire::{Fired, FiringRules};

/// How many schedules the creator and the application's hooks may have going on, together.
pub const MAX_SCHEDULES: u64 = 100;

/// How many schedules of one peer may go on.
pub const MAX_OF_A_PEER: u64 = 20;

/// An actor's schedules, as one caller sees them: the creator and hooks all of them, others their own. Cheap to clone.
#[derive(Clone)]
pub struct Schedules {
    actor: Actor,
    caller: TaskCaller,
    actors: Actors,
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedules").field("actor", self.actor.id()).finish_non_exhaustive()
    }
}

/// Why a schedule was not made.
#[derive(Debug, thiserror::Error)]
pub enum SchedulingError {
    /// What was asked for cannot be, with the reason (400).
    #[error(transparent)]
    Invalid(#[from] ScheduleError),
    /// Nobody in particular asked, so nobody could end it (403).
    #[error("a schedule belongs to whoever made it, and nobody in particular cannot own one: sign in")]
    Anonymous,
    /// There are as many as there may be (409).
    #[error("{0} schedules go on, which is as many as there may be: cancel one of them first")]
    TooMany(u64),
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The action that it runs.
    pub action: Name,
    /// Its id.
    pub id: String,
    /// When it is due, what with, and what it is called.
    pub plan: NewSchedule,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it goes on.
    pub state: ScheduleState,
    /// How many runs there were.
    pub runs: u64,
    /// How many planned times passed without a run, because nobody was there.
    pub missed: u64,
    /// Its latest runs, the latest first; empty in lists.
    pub history: Vec<PastRun>,
}

/// A run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRun {
    /// The time that was planned.
    pub planned_at: Timestamp,
    /// When its task was made.
    pub fired_at: Timestamp,
    /// How many planned times between the two were left out.
    pub missed: u64,
    /// Its task.
    pub task: TaskId,
    /// What became of it; `None` when it is no longer kept.
    pub status: Option<TaskStatus>,
}

/// A part of a list of schedules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleList {
    /// The schedules, the latest first.
    pub schedules: Vec<Schedule>,
    /// After which id the next part begins; `None` when this is the last.
    pub next: Option<String>,
}

impl Schedule {
    /// When it is due next; `None` when it has ended, or was stopped.
    #[must_use]
    pub const fn next_at(&self) -> Option<Timestamp> {
        match self.state {
            ScheduleState::Active(next) => Some(next),
            ScheduleState::Ended | ScheduleState::Suspended(_) => None,
        }
    }
}

impl Actors {
    /// The schedules of an actor, as `caller` sees them, until `deadline`.
    #[must_use]
    pub fn schedules(&self, actor: &Actor, caller: &Caller, deadline: Deadline) -> Schedules {
        Schedules { actor: actor.with_deadline(deadline), caller: TaskCaller::of(caller), actors: self.clone() }
    }

    fn seal_input(&self, actor: &ActorId, id: &str, input: &Value) -> Result<String, ActorError> {
        let (place, parts) = (place(actor, id), self.parts());
        parts.keys.seal(&place, &input.to_string(), &*parts.entropy).map_err(|error| damaged(place, error))
    }

    fn open_input(&self, actor: &ActorId, record: &ScheduleRecord) -> Result<Value, ActorError> {
        let place = place(actor, &record.id);
        match self.parts().keys.open(&place, &record.input) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| damaged(place, error)),
            Err(error) => Err(damaged(place, error)),
        }
    }
}

impl Schedules {
    /// Makes a schedule: one call to storage. Whether the caller may run the action was decided before; it is decided
    /// again for each run.
    ///
    /// # Errors
    /// [`SchedulingError`]; nothing is stored then.
    pub async fn create(&self, action: &Name, plan: NewSchedule) -> Result<Schedule, SchedulingError> {
        let most = match self.caller {
            TaskCaller::Creator | TaskCaller::Trustee => MAX_SCHEDULES,
            TaskCaller::Peer(_) => MAX_OF_A_PEER,
            TaskCaller::Anonymous => return Err(SchedulingError::Anonymous),
        };
        let store = self.actor.store();
        let now = store.now();
        let first = plan.first(now)?;
        let id = TaskId::generate(now, &*self.actors.parts().entropy).to_string();
        let record = ScheduleRecord {
            action: action.clone(),
            input: self.actors.seal_input(self.actor.id(), &id, &plan.input)?,
            id,
            caller: self.caller.clone(),
            timing: plan.timing,
            until: plan.until,
            name: plan.name,
            description: plan.description,
            created_at: now,
            state: ScheduleState::Active(first),
            runs: Vec::new(),
            run_count: 0,
            missed: 0,
            version: String::new(),
        };
        match store.add_schedule(self.actor.id(), &record, most).await.map_err(ActorError::from)? {
            Scheduled::Done => Ok(shown(record, plan.input, Vec::new())),
            Scheduled::TooMany => Err(SchedulingError::TooMany(most)),
        }
    }

    /// Up to `limit` schedules of an action, the latest first, after the one with the id `after`.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, action: &Name, after: Option<&str>, limit: usize) -> Result<ScheduleList, ActorError> {
        let store = self.actor.store();
        let page = store.schedules(self.actor.id(), action, &self.caller, (after, limit)).await?;
        let schedules = page.schedules.into_iter().map(|record| {
            let input = self.open(&record)?;
            Ok(shown(record, input, Vec::new()))
        });
        Ok(ScheduleList { schedules: schedules.collect::<Result<_, ActorError>>()?, next: page.next })
    }

    /// One schedule with its latest runs; `None` when there is none, or it is another caller's.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn get(&self, action: &Name, id: &str) -> Result<Option<Schedule>, ActorError> {
        let Some(record) = self.find(action, id).await? else { return Ok(None) };
        let statuses = self.actor.store().statuses_of_runs(self.actor.id(), &record).await?;
        let history = record.runs.iter().zip(statuses).map(|(run, status)| {
            let ScheduleRun { planned_at, fired_at, missed } = *run;
            PastRun { planned_at, fired_at, missed, task: record.task_of(planned_at), status }
        });
        let (history, input) = (history.collect(), self.open(&record)?);
        Ok(Some(shown(record, input, history)))
    }

    /// Ends a schedule and forgets it. A task that it made already goes on. False when there was none, or it is another
    /// caller's.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn cancel(&self, action: &Name, id: &str) -> Result<bool, ActorError> {
        let Some(record) = self.find(action, id).await? else { return Ok(false) };
        Ok(self.actor.store().remove_schedule(self.actor.id(), record).await?)
    }

    async fn find(&self, action: &Name, id: &str) -> Result<Option<ScheduleRecord>, ActorError> {
        // Made like the ids of tasks; anything else names nothing.
        if TaskId::parse(id).is_err() {
            return Ok(None);
        }
        let found = self.actor.store().schedule(self.actor.id(), action, id).await?;
        Ok(found.filter(|record| self.caller.may_see(&record.caller)))
    }

    fn open(&self, record: &ScheduleRecord) -> Result<Value, ActorError> {
        self.actors.open_input(self.actor.id(), record)
    }
}

/// What a sealed input is bound to.
fn place(actor: &ActorId, id: &str) -> String {
    format!("schedule {actor}/{id}")
}

fn damaged(place: String, error: impl fmt::Display) -> ActorError {
    ActorError::Internal(StoreError::Corrupt { key: place, what: error.to_string() })
}

fn shown(record: ScheduleRecord, input: Value, history: Vec<PastRun>) -> Schedule {
    let ScheduleRecord { timing, until, name, description, .. } = record;
    Schedule {
        action: record.action,
        id: record.id,
        plan: NewSchedule { timing, until, input, name, description },
        created_at: record.created_at,
        state: record.state,
        runs: record.run_count,
        missed: record.missed,
        history,
    }
}
