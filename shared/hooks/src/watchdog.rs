//! The watchdog: finds hooks that keep the runtime from everything else.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::error::Stop;
use crate::panics;

/// Times what a hook does between two awaits. Without a threshold it costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchdog<'a> {
    pub(crate) threshold: Option<Duration>,
    pub(crate) hook: &'a str,
    /// The path of the function behind the hook.
    pub(crate) function: &'static str,
}

/// What an author can do about a hook that holds up the runtime.
const FIX_PLAIN: &str = "wrap it in `blocking(..)`, or make it an `async fn` that awaits";
const FIX_ASYNC: &str = "use an async API for what blocks, or move it into a plain `fn` registered with `blocking(..)`";

impl Watchdog<'_> {
    /// Runs the part of a hook that happens before anything is awaited: all of it, for a plain hook.
    pub(crate) fn inline<T>(self, work: impl FnOnce() -> T) -> Result<T, Stop> {
        self.timed(FIX_PLAIN, || panics::catch(work)).0
    }

    fn timed<T>(self, fix: &'static str, work: impl FnOnce() -> T) -> (T, bool) {
        let Some(threshold) = self.threshold else { return (work(), false) };
        let begun = Instant::now();
        let value = work();
        let took = begun.elapsed();
        let barked = took > threshold;
        if barked {
            tracing::warn!(
                hook = self.hook,
                function = self.function,
                blocked_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                threshold_ms = u64::try_from(threshold.as_millis()).unwrap_or(u64::MAX),
                fix,
                "a hook blocked the runtime: no other request on its thread could go on"
            );
        }
        (value, barked)
    }
}

/// A hook's future whose every poll is timed and whose panics are caught.
pub(crate) struct Guarded<'a, T> {
    future: BoxFuture<'static, T>,
    watchdog: Watchdog<'a>,
}

impl<'a, T> Guarded<'a, T> {
    pub(crate) const fn new(future: BoxFuture<'static, T>, watchdog: Watchdog<'a>) -> Self {
        Self { future, watchdog }
    }
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Stop>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let watchdog = self.watchdog;
        let (polled, barked) = watchdog.timed(FIX_ASYNC, || panics::catch(|| self.future.as_mut().poll(cx)));
        if barked {
            // Once per call is enough to find it.
            self.watchdog.threshold = None;
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(stop) => Poll::Ready(Err(stop)),
        }
    }
}
