//! The task that a hook runs as.

use std::fmt;
use std::sync::Arc;

use actingweb_protocol::task::{TaskId, TaskProgress};
use tokio::sync::watch;

use super::{FromCall, Signature};
use crate::call::Call;
use crate::error::HookError;
use crate::kind::TakesTask;

/// The task that an action runs as: for actions registered with [`as_task`](crate::App::as_task).
///
/// A task may be run more than once: when its worker dies half-way, or when the hook fails in a way that may pass. Make
/// what it does safe to repeat, for instance by naming what it makes after the task's [`id`](Self::id).
///
/// ```
/// # use actingweb_hooks::{App, HookError, Task};
/// async fn report(task: Task) -> Result<u32, HookError> {
///     let mut pages = 0;
///     for page in 1..=10 {
///         // ... the work of one page ...
///         pages += 1;
///         task.progress(f64::from(page) / 10.0, format!("page {page}"));
///     }
///     Ok(pages)
/// }
/// let app = App::new("urn:actingweb:example.com:demo").action("report", report).as_task();
/// ```
#[derive(Clone, Debug)]
pub struct Task(TaskHandle);

impl<K: TakesTask> FromCall<K> for Task {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        // Called directly, as tests do, it is a task that nobody follows.
        Ok(Self(call.payload.task.clone().unwrap_or_default()))
    }

    fn describe(signature: &mut Signature) {
        signature.needs_task = true;
    }
}

impl Task {
    /// Its id: the same in every attempt. Empty when the hook was called directly, as tests do.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.0.id.as_ref().map_or("", TaskId::as_str)
    }

    /// Which attempt this is, counted from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.0.attempt
    }

    /// Tells whoever looks at the task how far it has come: a fraction from 0 to 1, and a text for people, cut at 500
    /// characters. Cheap to call often: the last word is stored, once a second at most.
    pub fn progress(&self, fraction: f64, text: impl Into<String>) {
        self.0.0.progress.send_replace(Some(TaskProgress::new(fraction, text)));
    }

    /// Whether somebody wants it no more. An async hook is dropped two seconds after that and need not ask; one on the
    /// [`blocking`](crate::blocking) pool cannot be stopped, so it should ask now and then, and return.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.cancelled.borrow()
    }

    /// Waits until somebody wants it no more: to tidy up in the two seconds that are left then.
    pub async fn cancelled(&self) {
        let mut cancelled = self.0.0.cancelled.subscribe();
        // The sender lives as long as `self`.
        let _ = cancelled.wait_for(|cancelled| *cancelled).await;
    }
}

/// The other end of a [`Task`]: for whoever runs it. Cheap to clone.
#[derive(Clone)]
pub struct TaskHandle(Arc<Inner>);

struct Inner {
    /// None for a call that is no task.
    id: Option<TaskId>,
    attempt: u32,
    progress: watch::Sender<Option<TaskProgress>>,
    cancelled: watch::Sender<bool>,
}

impl Default for TaskHandle {
    fn default() -> Self {
        Self::of(None, 1)
    }
}

impl TaskHandle {
    /// An attempt at a task, counted from 1.
    #[must_use]
    pub fn new(id: TaskId, attempt: u32) -> Self {
        Self::of(Some(id), attempt)
    }

    fn of(id: Option<TaskId>, attempt: u32) -> Self {
        Self(Arc::new(Inner { id, attempt, progress: watch::Sender::new(None), cancelled: watch::Sender::new(false) }))
    }

    /// What the hook says of its progress, and when it says something new.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Option<TaskProgress>> {
        self.0.progress.subscribe()
    }

    /// Tells the hook that somebody wants the task no more.
    pub fn cancel(&self) {
        self.0.cancelled.send_replace(true);
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("id", &self.0.id).field("attempt", &self.0.attempt).finish_non_exhaustive()
    }
}
