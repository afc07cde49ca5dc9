//! Tasks: actions whose callers have gone. One attempt at one task, and all that are due.
//!
//! Whoever runs a task holds it under a lease and says so every few seconds. Whatever is written about it is written on
//! the condition that it still is the holder's; so one that was taken for dead, and comes back, changes nothing.

mod attempt;
mod round;

use actingweb_actor::{ActorError, DueTask, ReadyTask};
use actingweb_hooks::TaskRules;
use actingweb_protocol::Deadline;
use actingweb_protocol::permission::Verb;
use actingweb_protocol::task::TaskStatus;
use actingweb_store::{TaskEnd, TaskJob};
use actingweb_web::AppState;
use serde_json::{Value, json};

pub use round::{Round, run_due};

use crate::tasks::attempt::attempt;

/// Runs a task that is due, unless somebody else does, it is over, or it waits for another time. `None` then; else what
/// has become of it. May be called for any job at any time, by several at once.
///
/// # Errors
/// [`ActorError`] when a fault of ours kept it from being run or its end from being written: it is run again when its
/// lease has ended.
pub async fn run_task(state: &AppState, job: &TaskJob, deadline: Deadline) -> Result<Option<TaskStatus>, ActorError> {
    let store = state.actors.store().with_deadline(deadline);
    if job.due > store.now() {
        return Ok(None);
    }
    let mut task = match state.actors.due_task(job, state.hooks.policy(), deadline).await? {
        DueTask::Ready(task) => task,
        DueTask::Over => {
            store.drop_task_job(job).await?;
            return Ok(None);
        }
        DueTask::Held(until) => {
            store.rest_task_job(job, until).await?;
            return Ok(None);
        }
    };
    match judge(state, &mut task) {
        Ok((rules, input)) => {
            let Some(held) = store.begin_task(job, &task.record, true).await? else { return Ok(None) };
            Box::pin(attempt(state, (*task, input), (held, rules), deadline)).await
        }
        Err(end) => {
            let Some(held) = store.begin_task(job, &task.record, false).await? else { return Ok(None) };
            let status = status_of(&end);
            let is_written = store.end_task(&held, end).await?;
            tracing::info!(actor = %job.task.actor, action = %job.task.action, task = %job.task.id, %status, "task ended unrun");
            Ok(is_written.then_some(status))
        }
    }
}

/// Whether a task is to be run, or how it ends without that.
fn judge(state: &AppState, task: &mut ReadyTask) -> Result<(TaskRules, Value), TaskEnd> {
    let ReadyTask { record, access, input, .. } = task;
    if record.cancel_at.is_some() {
        return Err(TaskEnd::Cancelled);
    }
    let action = record.key.action.as_str();
    // Schedules make tasks of any action.
    let usual = (record.schedule.is_some() && state.hooks.has_action(action)).then(TaskRules::default);
    let Some(rules) = state.hooks.task_rules(action).or(usual) else {
        let detail = format!("there is no action `{action}` any more that runs as a task");
        return Err(failed((404, "Not found"), &detail, Some(detail.clone())));
    };
    let path = format!("actions/{action}");
    if access.as_ref().is_none_or(|access| access.authorize(&path, Verb::Post).is_err()) {
        let detail = format!("the right to run the action `{action}` was withdrawn after the task was asked for");
        return Err(failed((403, "Forbidden"), &detail, None));
    }
    if record.attempts >= rules.attempts {
        let detail = format!("its worker ended before the task did, in the last of {} attempts", record.attempts);
        return Err(failed((500, "The task did not come to its end"), &detail, Some(detail.clone())));
    }
    input.take().map(|input| (rules, input)).ok_or_else(|| {
        let detail = "what the task was given cannot be opened: its key is no longer among the deployment's keys";
        failed((500, "The task was not run"), detail, Some(detail.to_owned()))
    })
}

/// A failure with its problem document (RFC 9457).
fn failed((status, title): (u16, &str), detail: &str, dead: Option<String>) -> TaskEnd {
    let problem = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail }).to_string();
    TaskEnd::Failed { problem, dead }
}

const fn status_of(end: &TaskEnd) -> TaskStatus {
    match end {
        TaskEnd::Completed(_) => TaskStatus::Completed,
        TaskEnd::Failed { .. } => TaskStatus::Failed,
        TaskEnd::Cancelled => TaskStatus::Cancelled,
        TaskEnd::Again { .. } => TaskStatus::Queued,
    }
}
