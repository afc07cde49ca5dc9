//! Work that is due: the removal of what deleted actors and lists left, what peers are owed, what is missing of what they
//! told, and [`tasks`].
//!
//! Everything here may die at any point and be run again by anybody: a job stays due until its last step is done, and
//! each of its steps can be repeated.

mod feeds;
mod schedules;
pub mod tasks;
mod work;

use std::time::Duration;

use actingweb_actor::{ActorError, Caller};
use actingweb_hooks::{Event, EventKind, Invocation};
use actingweb_protocol::{Deadline, random_hex};
use actingweb_store::{DueJob, DueWork, StoreError};
use actingweb_web::AppState;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

pub use work::work;

/// How many jobs are worked on at once.
const CONCURRENCY: usize = 8;

/// With less time than this left, no more work is looked for.
const SHORTEST: Duration = Duration::from_secs(15);

/// What a round of work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that are done.
    pub done: usize,
    /// Jobs that failed and stay due.
    pub failed: usize,
}

/// Works on what is due now, until nothing is left that somebody else does not have. Jobs that fail stay due.
///
/// # Errors
/// [`ActorError`] when what is due cannot be read.
pub async fn drain(state: &AppState, deadline: Deadline) -> Result<Drained, ActorError> {
    let mut drained = Drained::default();
    loop {
        let jobs = state.actors.store().with_deadline(deadline).due_jobs().await?;
        let results: Vec<_> =
            stream::iter(jobs).map(|job| run(state, job, deadline)).buffer_unordered(CONCURRENCY).collect().await;
        let taken = results.iter().filter(|result| !matches!(result, Ok(false))).count();
        let failed = results.iter().filter(|result| result.is_err()).count();
        drained.done += taken - failed;
        drained.failed += failed;
        // What a delivery has no time for is due again at once: it is for the next round, not for this one.
        let is_late = deadline.remaining(Instant::now().into_std()) < SHORTEST;
        if taken == 0 || failed > 0 || is_late {
            return Ok(drained);
        }
    }
}

/// Does one job; false when somebody else has it.
async fn run(state: &AppState, job: DueJob, deadline: Deadline) -> Result<bool, ActorError> {
    let store = state.actors.store().with_deadline(deadline);
    if !store.claim(&job).await? {
        return Ok(false);
    }
    let work = async {
        match &job.work {
            DueWork::Remove { .. } => {
                tell(state, &job, EventKind::ActorDeleted, deadline).await?;
                take_leave(state, &job, deadline).await?;
                store.sweep_actor(&job.actor, true).await?;
            }
            DueWork::LastLook => store.sweep_actor(&job.actor, false).await?,
            DueWork::RemoveItems { partition } => store.sweep_items(partition).await?,
            DueWork::Deliver => {
                Box::pin(actingweb_deliver::deliver(state, &job.actor, deadline)).await?;
            }
            DueWork::ForgetPeer { peer, before } => store.forget_peer(&job.actor, peer, *before).await?,
            DueWork::Resync { peer, subscription } => {
                feeds::resync(state, &job.actor, peer, subscription, deadline).await?;
            }
            DueWork::Acknowledge { peer, subscription } => {
                feeds::acknowledge(state, &job.actor, peer, subscription, deadline).await?;
            }
            DueWork::Fire { action, schedule } => schedules::fire(state, &job, (action, schedule), deadline).await?,
            DueWork::RemoveDiffs { subscription } => store.clear_diffs(&job.actor, subscription, u64::MAX).await?,
        }
        store.finish(&job).await?;
        Ok::<_, ActorError>(())
    };
    match work.await {
        Ok(()) => tracing::info!(work = label(&job), actor = %job.actor, "work done"),
        Err(error) => {
            tracing::error!(work = label(&job), actor = %job.actor, %error, "work failed");
            return Err(error);
        }
    }
    tell_complete(state, &job, deadline).await;
    Ok(true)
}

/// Tells the hooks that an actor is deleted while what it held can still be read; once, unless the process dies between
/// the hooks' end and the note of it.
async fn tell(state: &AppState, job: &DueJob, event: EventKind, deadline: Deadline) -> Result<(), StoreError> {
    let DueWork::Remove { told: false, .. } = job.work else { return Ok(()) };
    if !state.hooks.has_lifecycle_hooks(event) {
        return Ok(());
    }
    fire(state, job, event, deadline).await;
    state.actors.store().with_deadline(deadline).mark_told(job).await
}

/// Ends the relationships of a deleted actor and tells its peers. What a peer does not take is tried again until the last
/// look.
async fn take_leave(state: &AppState, job: &DueJob, deadline: Deadline) -> Result<(), ActorError> {
    let Some(actor) = state.actors.departed(job, deadline) else { return Ok(()) };
    if !state.trusts.leave(&actor).await? {
        return Ok(());
    }
    if let Err(error) = Box::pin(actingweb_deliver::deliver(state, &job.actor, deadline)).await {
        // Peers are owed the news; the actor's owner is owed that all of it goes.
        tracing::error!(actor = %job.actor, %error, "peers could not be told of an actor's end: they are told later");
        let store = state.actors.store().with_deadline(deadline);
        store.deliver_later(&job.actor, store.now()).await?;
    }
    Ok(())
}

async fn tell_complete(state: &AppState, job: &DueJob, deadline: Deadline) {
    if matches!(job.work, DueWork::Remove { .. }) {
        fire(state, job, EventKind::ActorDeletedComplete, deadline).await;
    }
}

async fn fire(state: &AppState, job: &DueJob, event: EventKind, deadline: Deadline) {
    let invocation = Invocation {
        actor: state.actors.departed(job, deadline),
        caller: Caller::Creator,
        request_id: random_hex(&*state.entropy, 16),
        deadline,
        mcp: None,
    };
    state.hooks.fire(&invocation, Event::new(event)).await;
}

const fn label(job: &DueJob) -> &'static str {
    match job.work {
        DueWork::Remove { .. } => "remove actor",
        DueWork::RemoveItems { .. } => "remove items",
        DueWork::RemoveDiffs { .. } => "remove diffs",
        DueWork::LastLook => "last look",
        DueWork::ForgetPeer { .. } => "forget peer",
        DueWork::Deliver => "deliver",
        DueWork::Resync { .. } => "resync",
        DueWork::Acknowledge { .. } => "acknowledge",
        DueWork::Fire { .. } => "fire schedule",
    }
}
