//! What the queue of tasks does on AWS: starts the worker for each task as it is asked for, and for those that are due
//! again.

use std::time::Duration;

use actingweb_protocol::Deadline;
use actingweb_testkit::stream::{Inserted, Tap};
use actingweb_web::AppState;
use actingweb_worker::tasks::Round;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::server::GRACE;

/// How often is looked for tasks that are due again, or whose worker died.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the stream is looked at. Looking costs some ten microseconds.
const TAP_EVERY: Duration = Duration::from_millis(10);

/// How long a task may run: as long as an invocation of the worker.
const TASK_LIMIT: Duration = Duration::from_secs(900);

/// Runs tasks that are due until `stop` changes. Those under way then have ten seconds to end; what is cut off is run
/// again when its lease has ended.
pub(crate) async fn run(state: AppState, mut tap: Option<Tap>, mut stop: watch::Receiver<bool>) {
    let mut round = Round::new(state);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = inserted(&mut tap) => {}
            Some(_) = round.next() => {}
            _ = stop.changed() => break,
        }
        let deadline = Deadline::after(Instant::now().into_std(), TASK_LIMIT);
        if let Err(error) = round.fill(deadline).await {
            tracing::warn!(%error, "due tasks could not be read");
        }
    }
    let ends = async { while round.next().await.is_some() {} };
    let _ = timeout(GRACE, ends).await;
}

/// Waits until a task is asked for; for ever, without a stream.
async fn inserted(tap: &mut Option<Tap>) {
    let Some(tap) = tap else { return std::future::pending().await };
    loop {
        match tap.next().await {
            Ok(page) if page.iter().flatten().any(is_job) => return,
            Ok(Some(_)) => {}
            // An error is logged by whoever delivers, over the same stream.
            Ok(None) | Err(_) => sleep(TAP_EVERY).await,
        }
    }
}

/// The pipe in the template has the same filter.
fn is_job(inserted: &Inserted) -> bool {
    inserted.pk.starts_with("RUN#")
}
