//! The watchdog: finds hooks that keep the runtime from everything else.

use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::engine::millis;
use crate::error::Stop;
use crate::panics;

/// A hook is complained of once in this time, so that a busy one does not fill the log.
const PAUSE: Duration = Duration::from_secs(60);

/// What an author can do about a hook that holds up the runtime.
const FIX_PLAIN: &str = "wrap it in `blocking(..)`, or make it an `async fn` that awaits";
const FIX_ASYNC: &str = "use an async API for what blocks, or move it into a plain `fn` registered with `blocking(..)`";

/// When a hook was last complained of.
#[derive(Debug, Default)]
pub(crate) struct LastBark {
    /// The first complaint.
    first: OnceLock<Instant>,
    /// Milliseconds from the first to the latest complaint.
    latest: AtomicU64,
}

impl LastBark {
    /// Whether it is time for another complaint; then it counts as made.
    fn is_due(&self, now: Instant) -> bool {
        if self.first.set(now).is_ok() {
            return true;
        }
        let since = self.first.get().map_or(0, |first| millis(now.duration_since(*first)));
        let latest = self.latest.load(Ordering::Relaxed);
        since.saturating_sub(latest) >= millis(PAUSE)
            && self.latest.compare_exchange(latest, since, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Times what a hook does between two awaits. Without a threshold it costs nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchdog<'a> {
    pub(crate) threshold: Option<Duration>,
    pub(crate) last_bark: &'a LastBark,
}

impl Watchdog<'_> {
    /// Runs the part of a hook that happens before anything is awaited: all of it, for a plain hook.
    pub(crate) fn inline<T>(self, work: impl FnOnce() -> T) -> Result<T, Stop> {
        self.timed(FIX_PLAIN, || panics::catch(work))
    }

    fn timed<T>(self, fix: &'static str, work: impl FnOnce() -> T) -> T {
        let Some(threshold) = self.threshold else { return work() };
        let begun = Instant::now();
        let value = work();
        let ended = Instant::now();
        let took = ended.duration_since(begun);
        if took > threshold && self.last_bark.is_due(ended) {
            let (blocked_ms, threshold_ms) = (millis(took), millis(threshold));
            tracing::warn!(blocked_ms, threshold_ms, fix, "hook blocked the runtime");
        }
        value
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
        match watchdog.timed(FIX_ASYNC, || panics::catch(|| self.future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(stop) => Poll::Ready(Err(stop)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_complained_of_once_a_minute() {
        let (bark, start) = (LastBark::default(), Instant::now());
        let due = |secs| bark.is_due(start + Duration::from_secs(secs));
        assert_eq!([0, 1, 59, 60, 61, 119, 121, 300].map(due), [true, false, false, true, false, false, true, true]);
    }
}
