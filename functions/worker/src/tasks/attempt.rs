//! One attempt at a task: the hook, and beside it what keeps the task ours and tells the hook that nobody wants it.

use std::pin::pin;
use std::time::Duration;

use actingweb_actor::{ActorError, Caller, ReadyTask};
use actingweb_hooks::{CallOutcome, HookFailure, Invocation, Op, TaskHandle, TaskRules};
use actingweb_protocol::task::{BACKOFF, BEAT, LEASE, MAX_RESULT_BYTES, TaskStatus};
use actingweb_protocol::{Deadline, random_hex};
use actingweb_store::{Beat, HeldTask, Store, TaskEnd};
use actingweb_web::AppState;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{failed, status_of};

/// What is kept free at the end of an invocation, to write down what came of the hook: the store itself keeps five
/// seconds of it.
const RESERVE: Duration = Duration::from_secs(10);

/// How long a hook has to tidy up once nobody wants its task.
const GRACE: Duration = Duration::from_secs(2);

/// How often a hook's word on its progress is stored, at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long one beat may take before the next is tried.
const BEAT_LIMIT: Duration = Duration::from_secs(10);

/// How an attempt came to its end.
enum Ended {
    /// The hook's.
    Hook(CallOutcome),
    /// Somebody wanted it no more.
    Cancelled,
    /// It is somebody else's by now, or its actor is gone.
    Lost,
}

/// Runs the hook and writes down what came of it.
pub(super) async fn attempt(
    state: &AppState,
    (task, input): (ReadyTask, Value),
    (held, rules): (HeldTask, TaskRules),
    deadline: Deadline,
) -> Result<Option<TaskStatus>, ActorError> {
    let ReadyTask { actor, access, .. } = task;
    let key = held.record.key.clone();
    let hook_ends = deadline.minus(RESERVE);
    let handle = TaskHandle::new(key.id.clone(), held.record.attempts);
    let invocation = Invocation {
        actor: Some(actor.with_deadline(hook_ends)),
        caller: access.map_or(Caller::Anonymous, |access| access.caller().clone()),
        request_id: random_hex(&*state.entropy, 16),
        deadline: hook_ends,
        mcp: None,
    };
    let op = if held.record.op == Op::Put.as_str() { Op::Put } else { Op::Post };
    let store = state.actors.store();
    let begun = Instant::now();
    let ended = {
        let mut hook = pin!(state.hooks.run_task(&invocation, key.action.as_str(), op, input, &handle));
        tokio::select! {
            // Of two that are ready, what is done counts.
            biased;
            outcome = &mut hook => Ended::Hook(outcome),
            ended = keep(store, &held, &handle) => ended,
        }
    };
    let (attempt, elapsed_ms) = (held.record.attempts, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    let request_id = invocation.request_id.as_str();
    let (status, is_written) = match ended {
        Ended::Lost => (TaskStatus::Running, false),
        Ended::Cancelled => end(store, &held, TaskEnd::Cancelled, deadline).await?,
        Ended::Hook(CallOutcome::Answer(answer)) => {
            match state.actors.complete_task(&held, Some(&answer), deadline).await {
                Ok(is_written) => (TaskStatus::Completed, is_written),
                Err(ActorError::TooLarge { .. }) => {
                    let detail = format!("the result of the task is larger than {MAX_RESULT_BYTES} bytes");
                    end(store, &held, failed((500, "The result is too large"), &detail, None), deadline).await?
                }
                Err(error) => return Err(error),
            }
        }
        Ended::Hook(CallOutcome::Nothing) => end(store, &held, TaskEnd::Completed(None), deadline).await?,
        Ended::Hook(CallOutcome::Unknown) => {
            let detail = format!("there is no action `{}` any more", key.action);
            end(store, &held, failed((404, "Not found"), &detail, Some(detail.clone())), deadline).await?
        }
        Ended::Hook(CallOutcome::Failed(failure)) => {
            let next = after_failure(state, &held, rules, &failure, request_id);
            end(store, &held, next, deadline).await?
        }
    };
    let (actor, action, task) = (&key.actor, &key.action, &key.id);
    if !is_written {
        tracing::warn!(%actor, %action, %task, attempt, elapsed_ms, request_id, "task lost to another worker, or deleted");
        return Ok(None);
    }
    tracing::info!(%actor, %action, %task, %status, attempt, elapsed_ms, request_id, "task attempt ended");
    Ok(Some(status))
}

async fn end(
    store: &Store,
    held: &HeldTask,
    end: TaskEnd,
    deadline: Deadline,
) -> Result<(TaskStatus, bool), ActorError> {
    let status = status_of(&end);
    Ok((status, store.with_deadline(deadline).end_task(held, end).await?))
}

/// Whether a task whose hook failed is tried again.
fn after_failure(
    state: &AppState,
    held: &HeldTask,
    rules: TaskRules,
    failure: &HookFailure,
    request_id: &str,
) -> TaskEnd {
    let HookFailure { status, title, detail, retry_after, may_pass, .. } = failure;
    let problem = json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id,
    })
    .to_string();
    let attempts = held.record.attempts;
    if *may_pass && attempts < rules.attempts {
        let wait = BACKOFF.delay_at_least(attempts.saturating_sub(1), *retry_after, &*state.entropy);
        return TaskEnd::Again { at: state.actors.store().now().plus(wait), problem };
    }
    // What the caller did wrong is nothing that an administrator could mend.
    let dead = (*may_pass || *status >= 500).then(|| format!("{title}: {detail} (attempt {attempts})"));
    TaskEnd::Failed { problem, dead }
}

/// Keeps a task ours as long as it is polled, stores what its hook says of its progress, and tells the hook when nobody
/// wants it any more. Ends when there is nothing left to keep.
async fn keep(store: &Store, held: &HeldTask, handle: &TaskHandle) -> Ended {
    let mut progress = handle.progress();
    let mut stored = None;
    let mut beaten = Instant::now();
    let mut ours_until = beaten + LEASE;
    loop {
        let news = async {
            // The sender lives as long as `handle`.
            let _ = progress.changed().await;
            sleep_until(beaten + PROGRESS_EVERY).await;
        };
        tokio::select! {
            () = sleep_until(beaten + BEAT) => {}
            () = news => {}
        }
        let word = progress.borrow_and_update().clone();
        let news = word.as_ref().filter(|_| word != stored);
        beaten = Instant::now();
        let bounded = store.with_deadline(Deadline::after(beaten.into_std(), BEAT_LIMIT));
        match timeout(BEAT_LIMIT, bounded.beat_task(held, news)).await {
            Ok(Ok(Beat::Going)) => {
                stored = word;
                ours_until = beaten + LEASE;
            }
            Ok(Ok(Beat::Cancelled)) => {
                handle.cancel();
                sleep(GRACE).await;
                return Ended::Cancelled;
            }
            Ok(Ok(Beat::Lost)) => return Ended::Lost,
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(task = %held.record.key.id, %error, "a running task's lease could not be renewed");
                }
                // Others may have it by now.
                if Instant::now() >= ours_until {
                    return Ended::Lost;
                }
            }
        }
    }
}
