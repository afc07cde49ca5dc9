//! What AWS does beside the functions: starting the worker when work is due, and removing what has expired.

use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::{Deadline, Timestamp};
use actingweb_testkit::engine::Engine;
use actingweb_web::AppState;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

/// How often is looked for work that is due.
const WORK_EVERY: Duration = Duration::from_secs(1);

/// How long one round of work may take: as long as an invocation of the worker, which holds its jobs for two minutes.
pub(crate) const WORK_LIMIT: Duration = Duration::from_secs(60);

/// How often expired items are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long the records of the table's stream are kept, as on AWS.
const STREAM_MEMORY_MILLIS: i64 = 24 * 3600 * 1000;

/// Runs work that is due until `stop` changes. Work that is cut off is found again.
pub(crate) async fn work(state: AppState, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(WORK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        let deadline = Deadline::after(Instant::now().into_std(), WORK_LIMIT);
        if let Err(error) = actingweb_worker::drain(&state, deadline).await {
            tracing::warn!(%error, "due work could not be read");
        }
    }
}

/// Removes expired items and old records of streams from the embedded engine until `stop` changes.
pub(crate) async fn sweep(state: AppState, engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    // Not at once: after a long pause, what the stream still holds is to be read first.
    let mut ticks = interval_at(Instant::now() + SWEEP_EVERY, SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = engine.sweep_ttl().await {
            tracing::warn!(%error, "expired items could not be removed");
        }
        let now = state.actors.store().now().as_millis();
        let oldest = Timestamp::from_millis(now.saturating_sub(STREAM_MEMORY_MILLIS));
        if let Err(error) = engine.trim_streams(oldest).await {
            tracing::warn!(%error, "old records of the stream could not be removed");
        }
    }
}
