//! Actions that run after their caller has gone: asked for, looked at, wanted no more, and found by whoever runs them.
//!
//! What they are given and what comes of them is stored sealed, as replies kept for repeats are: callers send secrets, and
//! hooks return them.

use actingweb_protocol::permission::{Access, Caller, Policy};
use actingweb_protocol::task::{MAX_INPUT_BYTES, MAX_RESULT_BYTES, TaskCaller, TaskId};
use actingweb_protocol::{ActorId, Deadline, Name, PeerId, Timestamp};
use actingweb_store::{
    ActorRecord, Cancel, HeldTask, NewTask, StoreError, TaskEnd, TaskJob, TaskKey, TaskRecord, TrustRecord, Wanted,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Actor, ActorError, Actors, access_of};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct AskTask<'a> {
    /// The actor. One that was deleted meanwhile gets no task.
    pub actor: &'a Actor,
    /// The action.
    pub action: &'a Name,
    /// Who asks.
    pub caller: &'a Caller,
    /// The verb: `POST` or `PUT`.
    pub op: &'a str,
    /// What the action is given; null for nothing.
    pub input: &'a Value,
}

/// What is to be done about a task that is due.
#[derive(Debug)]
pub enum DueTask {
    /// Nothing: it is over, or waits for another time.
    Over,
    /// Nothing for now: somebody has it until then.
    Held(Timestamp),
    /// Run it, or end it.
    Ready(Box<ReadyTask>),
}

/// A task that somebody may run.
#[derive(Debug)]
pub struct ReadyTask {
    /// How it stands.
    pub record: TaskRecord,
    /// Whose it is.
    pub actor: Actor,
    /// What its caller may do now; none for a peer that may do nothing at all any more.
    pub access: Option<Access>,
    /// What it is given; none when that cannot be opened, because its key is gone.
    pub input: Option<Value>,
}

impl Actors {
    /// Writes a task down, for a worker to run: one call to storage.
    ///
    /// # Errors
    /// [`ActorError::Gone`] when the actor was deleted meanwhile; [`ActorError::TooLarge`] for more than
    /// [`MAX_INPUT_BYTES`]; storage errors.
    pub async fn ask_task(&self, ask: &AskTask<'_>, deadline: Deadline) -> Result<TaskRecord, ActorError> {
        let store = ask.actor.store().with_deadline(deadline);
        let id = TaskId::generate(store.now(), &*self.parts().entropy);
        let key = TaskKey { actor: ask.actor.id().clone(), action: ask.action.clone(), id };
        let new = NewTask {
            input: self.seal_task_input(&key, ask.input)?,
            caller: TaskCaller::of(ask.caller),
            op: ask.op.to_owned(),
            schedule: None,
            key,
        };
        store.create_task(new).await?.ok_or_else(|| {
            // Eighty random bits within one millisecond.
            ActorError::Conflict("a task of this id exists: try again".to_owned())
        })
    }

    /// What a task is given, as it is stored; `None` for null.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] for more than [`MAX_INPUT_BYTES`].
    pub fn seal_task_input(&self, key: &TaskKey, input: &Value) -> Result<Option<String>, ActorError> {
        if input.is_null() {
            return Ok(None);
        }
        self.seal(&place(key, "input"), input, ("the input of a task", MAX_INPUT_BYTES)).map(Some)
    }

    /// How a task stands, and its result, if it has one: one call to storage. `None` when there is none that this caller may
    /// see.
    ///
    /// # Errors
    /// Storage errors; also when the result cannot be opened.
    pub async fn task(
        &self,
        key: &TaskKey,
        caller: &Caller,
        deadline: Deadline,
    ) -> Result<Option<(TaskRecord, Option<Value>)>, ActorError> {
        let found = self.store().with_deadline(deadline).task(key).await?;
        let Some((record, sealed)) = found.filter(|(record, _)| TaskCaller::of(caller).may_see(&record.caller)) else {
            return Ok(None);
        };
        let result = sealed.map(|sealed| self.open(&place(key, "result"), &sealed)).transpose()?;
        Ok(Some((record, result)))
    }

    /// Up to `limit` tasks of an action that this caller may see, newest first, from before `before` on, and whether there
    /// are more: one call to storage per MB of tasks looked through. Nobody in particular sees none.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn tasks(
        &self,
        (actor, action): (&ActorId, &Name),
        caller: &Caller,
        (before, limit): (Option<&TaskId>, usize),
        deadline: Deadline,
    ) -> Result<(Vec<TaskRecord>, bool), ActorError> {
        let caller = TaskCaller::of(caller);
        if caller == TaskCaller::Anonymous {
            return Ok((Vec::new(), false));
        }
        let store = self.store().with_deadline(deadline);
        Ok(store.tasks((actor, action), &caller, before, limit).await?)
    }

    /// Ends a task, or asks whoever runs it to end: two calls to storage.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn cancel_task(&self, key: &TaskKey, caller: &Caller, deadline: Deadline) -> Result<Cancel, ActorError> {
        let store = self.store().with_deadline(deadline);
        match store.task(key).await? {
            Some((record, _)) if TaskCaller::of(caller).may_see(&record.caller) => {
                Ok(store.cancel_task(record).await?)
            }
            _ => Ok(Cancel::Gone),
        }
    }

    /// What is to be done about a task that is due, and all that it takes to run it: two calls to storage.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn due_task(&self, job: &TaskJob, policy: &Policy, deadline: Deadline) -> Result<DueTask, ActorError> {
        let store = self.store().with_deadline(deadline);
        let Some((record, sealed)) = store.task_input(&job.task).await? else { return Ok(DueTask::Over) };
        if record.status.is_over() || record.due_at != job.due {
            return Ok(DueTask::Over);
        }
        if let Some(until) = record.lease_until.filter(|_| record.is_held(store.now())) {
            return Ok(DueTask::Held(until));
        }
        let peer = match &record.caller {
            TaskCaller::Peer(id) => PeerId::parse(id).ok(),
            _ => None,
        };
        let seen = Instant::now();
        let found = store.load(&job.task.actor, Wanted { peer: peer.as_ref(), log: true, ..Wanted::default() }).await?;
        let Some(actor) = found.actor else { return Ok(DueTask::Over) };
        let access = rights_now(policy, &actor, found.trust.as_ref(), &record.caller);
        let input = match sealed {
            Some(sealed) => self.open(&place(&job.task, "input"), &sealed).ok(),
            None => (!record.has_input).then_some(Value::Null),
        };
        let actor = Actor::new(actor, store).knowing(found.log, seen);
        Ok(DueTask::Ready(Box::new(ReadyTask { record, actor, access, input })))
    }

    /// Ends an attempt with what the hook answered, if the task still is the holder's. False when it is not.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] for more than [`MAX_RESULT_BYTES`], with nothing changed; storage errors.
    pub async fn complete_task(
        &self,
        held: &HeldTask,
        result: Option<&Value>,
        deadline: Deadline,
    ) -> Result<bool, ActorError> {
        let what = ("the result of the task", MAX_RESULT_BYTES);
        let sealed = result.map(|result| self.seal(&place(&held.record.key, "result"), result, what)).transpose()?;
        Ok(self.store().with_deadline(deadline).end_task(held, TaskEnd::Completed(sealed)).await?)
    }

    fn seal(&self, place: &str, value: &Value, (what, limit): (&str, usize)) -> Result<String, ActorError> {
        let parts = self.parts();
        let text = value.to_string();
        if text.len() > limit {
            return Err(ActorError::TooLarge { what: what.to_owned(), limit });
        }
        parts.keys.seal(place, &text, &*parts.entropy).map_err(|error| damaged(place, &error))
    }

    fn open(&self, place: &str, sealed: &str) -> Result<Value, ActorError> {
        let text = self.parts().keys.open(place, sealed).map_err(|error| damaged(place, &error))?;
        serde_json::from_str(&text).map_err(|error| damaged(place, &error))
    }
}

/// What whoever asked for something may do by now; `None` for a peer whose relationship ended or lost its approval.
/// `trust` is the relationship with it.
#[must_use]
pub fn rights_now(
    policy: &Policy,
    actor: &ActorRecord,
    trust: Option<&TrustRecord>,
    caller: &TaskCaller,
) -> Option<Access> {
    match caller {
        TaskCaller::Creator => Some(policy.access(Caller::Creator, None)),
        TaskCaller::Trustee => actor.trustee_root.as_ref().map(|_| policy.access(Caller::Trustee, None)),
        TaskCaller::Peer(_) => access_of(policy, trust?),
        TaskCaller::Anonymous => Some(policy.access(Caller::Anonymous, None)),
    }
}

/// Where something of a task stands: sealed for there, it opens nowhere else.
fn place(key: &TaskKey, part: &str) -> String {
    format!("task {}/{}/{}/{part}", key.actor, key.action, key.id)
}

fn damaged(place: &str, error: &impl std::fmt::Display) -> ActorError {
    ActorError::Internal(StoreError::Corrupt { key: place.to_owned(), what: error.to_string() })
}
