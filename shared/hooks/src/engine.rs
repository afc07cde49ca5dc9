//! Runs one hook: bounded, timed, isolated.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::Deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::call::{Call, Invocation};
use crate::error::{HookFailure, Stop};
use crate::hook::Step;
use crate::kind::Kind;
use crate::panics;
use crate::registry::Registered;
use crate::resources::Limits;
use crate::tasks::EndTasks;
use crate::watchdog::{Guarded, Watchdog};

/// The one engine of a process.
#[derive(Debug)]
pub(crate) struct Engine {
    limits: Limits,
    /// Room for async hooks. Plain ones need none: each runs to its end on the thread that called it.
    hooks: Arc<Semaphore>,
    /// Room on the blocking pool.
    threads: Arc<Semaphore>,
}

impl Engine {
    pub(crate) fn new(limits: Limits) -> Self {
        let room = |places: usize| Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Self { hooks: room(limits.concurrent_hooks), threads: room(limits.blocking_threads), limits }
    }

    /// When a hook must end: after its own time, and early enough for the invocation to still reply.
    pub(crate) fn deadline(&self, own: Option<Duration>, invocation: &Invocation) -> Deadline {
        let own = own.unwrap_or(self.limits.hook_deadline);
        Deadline::after(Instant::now().into_std(), own).earlier(invocation.deadline.minus(self.limits.reserve))
    }

    /// Runs a hook and everything it spawned. A failure is logged here, with what its caller must not see.
    pub(crate) async fn run<K: Kind>(&self, hook: &Registered<K>, call: Call<K>) -> Result<K::Answer, HookFailure> {
        let span = tracing::info_span!("hook", kind = K::NAME, hook = &*hook.name);
        let shared = Arc::clone(&call.shared);
        async {
            let begun = Instant::now();
            let result = self.attempt(hook, call).await;
            result.map_err(|stop| {
                log(&stop, hook, &shared.invocation.request_id, begun.elapsed());
                stop.into_failure(&hook.name)
            })
        }
        .instrument(span)
        .await
    }

    async fn attempt<K: Kind>(&self, hook: &Registered<K>, call: Call<K>) -> Result<K::Answer, Stop> {
        let shared = Arc::clone(&call.shared);
        let _end_tasks = EndTasks(Arc::clone(&shared));
        let end = Instant::from_std(shared.deadline.instant());
        if Instant::now() >= end {
            return Err(Stop::NeverRan);
        }
        let watchdog =
            Watchdog { threshold: self.limits.watchdog, hook: &hook.name, function: hook.signature.function };
        let answer = match watchdog.inline(|| hook.start(&call))? {
            Step::Done(result) => result?,
            Step::Await(future) => {
                let _room = room(&self.hooks, end).await?;
                within(end, Guarded::new(future, watchdog)).await???
            }
            Step::Block(work) => {
                let room = room(&self.threads, end).await?;
                let span = tracing::Span::current();
                let thread = tokio::task::spawn_blocking(move || {
                    // The place is taken until the thread is free, which may be long after the deadline.
                    let _room = room;
                    span.in_scope(|| panics::catch(work))
                });
                // A join error here is the runtime's end: the panic is caught inside.
                within(end, thread).await?.map_err(|error| Stop::Panicked(error.to_string()))???
            }
        };
        timeout_at(end, shared.tasks.join()).await.map_err(|_| Stop::TasksTimedOut)??;
        Ok(answer)
    }
}

async fn within<T>(end: Instant, work: impl Future<Output = T>) -> Result<T, Stop> {
    timeout_at(end, work).await.map_err(|_| Stop::TimedOut)
}

/// A place to run in, or [`Stop::NeverRan`] when none came free in time.
async fn room(places: &Arc<Semaphore>, end: Instant) -> Result<OwnedSemaphorePermit, Stop> {
    match timeout_at(end, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        // The semaphores are never closed; if one were, nothing could run either.
        Ok(Err(_)) | Err(_) => Err(Stop::NeverRan),
    }
}

fn log<K: Kind>(stop: &Stop, hook: &Registered<K>, request_id: &str, took: Duration) {
    let (name, function) = (&*hook.name, hook.signature.function);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // Whether the application refused or its input was wrong is everyday life; the rest wants somebody's attention.
    match stop {
        Stop::Failed(error) if error.status() < 500 => {
            tracing::info!(hook = name, function, request_id, took_ms, status = error.status(), reason = %stop, "hook refused");
        }
        Stop::Failed(error) if error.status() == 503 => {
            tracing::warn!(hook = name, function, request_id, took_ms, status = 503, reason = %stop, "hook failed for now");
        }
        Stop::NeverRan => {
            tracing::warn!(hook = name, function, request_id, took_ms, status = 503, reason = %stop, "hook not run");
        }
        _ => tracing::error!(hook = name, function, request_id, took_ms, reason = %stop, "hook failed"),
    }
}
