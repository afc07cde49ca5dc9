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

    /// Runs a hook, what `give` makes of its answer, and everything it spawned. A failure is logged here, with what its
    /// caller must not see.
    pub(crate) async fn run<K: Kind, A: Send + 'static>(
        &self,
        hook: &Registered<K>,
        call: Call<K>,
        give: impl FnOnce(K::Answer) -> Step<A>,
    ) -> Result<A, HookFailure> {
        let shared = Arc::clone(&call.shared);
        // Every line written inside has these fields, the author's own lines included.
        let span = tracing::info_span!(
            "hook",
            request_id = shared.invocation.request_id,
            hook = hook.label,
            function = hook.signature.function
        );
        async {
            let begun = Instant::now();
            let mut cancelled = Cancelled { begun, armed: true };
            let result = self.attempt(hook, call, give).await;
            cancelled.armed = false;
            result.map_err(|stop| {
                let limit = shared.deadline.remaining(begun.into_std());
                log(&stop, begun.elapsed(), limit);
                stop.into_failure(&hook.name)
            })
        }
        .instrument(span)
        .await
    }

    async fn attempt<K: Kind, A: Send + 'static>(
        &self,
        hook: &Registered<K>,
        call: Call<K>,
        give: impl FnOnce(K::Answer) -> Step<A>,
    ) -> Result<A, Stop> {
        let shared = Arc::clone(&call.shared);
        let _end_tasks = EndTasks(Arc::clone(&shared));
        let end = Instant::from_std(shared.deadline.instant());
        if Instant::now() >= end {
            return Err(Stop::NeverRan);
        }
        let watchdog = Watchdog { threshold: self.limits.watchdog, last_bark: &hook.last_bark };
        // Kept from the first await to the last, so that a stream does not queue a second time.
        let mut place = None;
        let step = watchdog.inline(|| hook.start(&call))?;
        let answer = self.take(step, &mut place, end, watchdog).await?;
        let answer = match give(answer) {
            Step::Done(result) => result?,
            // On the heap, so that only streams pay for it.
            step => Box::pin(self.take(step, &mut place, end, watchdog)).await?,
        };
        drop(place);
        timeout_at(end, shared.tasks.join()).await.map_err(|_| Stop::TasksTimedOut)??;
        Ok(answer)
    }

    /// Takes a step to its end, in a place of its own.
    async fn take<A: Send + 'static>(
        &self,
        step: Step<A>,
        place: &mut Option<OwnedSemaphorePermit>,
        end: Instant,
        watchdog: Watchdog<'_>,
    ) -> Result<A, Stop> {
        match step {
            Step::Done(result) => Ok(result?),
            Step::Await(future) => {
                if place.is_none() {
                    *place = Some(room(&self.hooks, end).await?);
                }
                Ok(within(end, Guarded::new(future, watchdog)).await???)
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
                Ok(within(end, thread).await?.map_err(|error| Stop::Panicked(error.to_string()))???)
            }
        }
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

/// Names a hook that was dropped before it finished, by whoever called the engine: its caller went away, or another hook
/// of the same reply failed. Without this line nothing would tell that it began.
struct Cancelled {
    begun: Instant,
    armed: bool,
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if self.armed {
            tracing::info!(elapsed_ms = millis(self.begun.elapsed()), "hook was cancelled");
        }
    }
}

/// The lines `docs/logging.md` specifies. A hook that refuses is everyday life, and strangers can cause it at will.
fn log(stop: &Stop, took: Duration, limit: Duration) {
    let (elapsed_ms, limit_ms) = (millis(took), millis(limit));
    match stop {
        Stop::Failed(error) if error.status() < 500 => {
            tracing::debug!(outcome = error.outcome(), elapsed_ms, "hook refused");
        }
        Stop::Failed(error) => {
            tracing::warn!(outcome = error.outcome(), error = %error, elapsed_ms, "hook failed");
        }
        Stop::Panicked(message) => tracing::error!(panic = message, elapsed_ms, "hook panicked"),
        Stop::TimedOut => tracing::warn!(waited_for = "the hook", limit_ms, "hook ran out of time"),
        Stop::TasksTimedOut => tracing::warn!(waited_for = "its tasks", limit_ms, "hook ran out of time"),
        Stop::NeverRan => tracing::warn!(limit_ms, "hook was not started"),
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
