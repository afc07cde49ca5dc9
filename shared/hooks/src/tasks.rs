//! Tasks beside a hook, bound to its invocation.
//!
//! Nothing may be left running once the reply has gone: Lambda freezes the process there. So the engine owns every
//! task of a call: it joins them before it answers, and aborts them when the hook fails or its time is up.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use crate::call::Shared;
use crate::error::{HookError, Stop};
use crate::panics;

/// Spawns tasks that run beside the hook; from [`Context::tasks`](crate::Context::tasks).
///
/// The reply waits for them. One that fails or panics fails the call, as the hook itself would have; a hook that fails
/// or runs out of time takes its tasks with it. For several things at once whose results you need, prefer
/// `tokio::try_join!` or [`Context::fan_out`](crate::Context::fan_out), which spawn nothing.
///
/// ```
/// # use actingweb_hooks::{Actor, Context, HookError};
/// async fn greet(actor: Actor, ctx: Context) -> Result<String, HookError> {
///     let seen_by = ctx.request_id().to_owned();
///     let recorder = actor.clone();
///     ctx.tasks().spawn(async move { Ok(recorder.set_property("last_greeted", seen_by).await?) });
///     Ok(format!("Hello, {}!", actor.creator()))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Shared>);

impl Tasks {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Starts a task. After the hook's call is over (a blocking hook may outlive it) the task is dropped unrun, and
    /// that is logged.
    pub fn spawn(&self, task: impl Future<Output = Result<(), HookError>> + Send + 'static) {
        let mut state = self.0.tasks.lock();
        if matches!(*state, TaskState::Over) {
            tracing::error!(
                hook = &*self.0.hook,
                request_id = self.0.invocation.request_id,
                "task spawned after its hook was answered"
            );
            return;
        }
        if matches!(*state, TaskState::None) {
            *state = TaskState::Running(JoinSet::new());
        }
        if let TaskState::Running(set) = &mut *state {
            set.spawn_on(task.in_current_span(), &self.0.runtime);
        }
    }
}

#[derive(Default)]
enum TaskState {
    #[default]
    None,
    Running(JoinSet<Result<(), HookError>>),
    Over,
}

/// The tasks of one call.
#[derive(Default)]
pub(crate) struct TaskSet(Mutex<TaskState>);

impl TaskSet {
    fn lock(&self) -> MutexGuard<'_, TaskState> {
        // What is inside is replaced whole, so a panic elsewhere cannot have left it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for every task, those spawned by tasks included, and gives the first failure.
    pub(crate) async fn join(&self) -> Result<(), Stop> {
        let mut first = Ok(());
        while let Some(mut set) = self.take() {
            // `set` is owned here: dropping this future aborts the tasks.
            while let Some(ended) = set.join_next().await {
                first = first.and(outcome(ended));
            }
        }
        first
    }

    fn take(&self) -> Option<JoinSet<Result<(), HookError>>> {
        let mut state = self.lock();
        match std::mem::take(&mut *state) {
            TaskState::Running(set) => Some(set),
            other => {
                *state = other;
                None
            }
        }
    }
}

fn outcome(ended: Result<Result<(), HookError>, JoinError>) -> Result<(), Stop> {
    match ended {
        Ok(result) => result.map_err(Stop::Failed),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(Stop::Panicked(panics::message(payload.as_ref()))),
            // Only the runtime's end cancels a task that is being joined.
            Err(error) => Err(Stop::Failed(HookError::terminal(error))),
        },
    }
}

impl fmt::Debug for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.lock() {
            TaskState::None => "TaskSet(none)",
            TaskState::Running(_) => "TaskSet(running)",
            TaskState::Over => "TaskSet(over)",
        })
    }
}

/// Ends a call's tasks however the call ends; also when the engine's own future is dropped.
pub(crate) struct EndTasks(pub(crate) Arc<Shared>);

impl Drop for EndTasks {
    fn drop(&mut self) {
        // Taken out under the lock, dropped after it: dropping a set aborts its tasks, and those may hold a `Tasks`.
        let rest = std::mem::replace(&mut *self.0.tasks.lock(), TaskState::Over);
        drop(rest);
    }
}
