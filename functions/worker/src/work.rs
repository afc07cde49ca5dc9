//! What the function does about an event.

use std::time::Duration;

use actingweb_actor::ActorError;
use actingweb_protocol::Deadline;
use actingweb_runtime::{InsertedJob, Wake};
use actingweb_store::TaskJob;
use actingweb_web::AppState;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::drain;
use crate::tasks::{run_due, run_task};

/// How long a round of due work may take, whatever the function has for tasks: its jobs are claimed for two minutes.
const ROUND: Duration = Duration::from_secs(110);

/// Does the work that an event tells of: its tasks, or, at a tick of the schedule, all that is due. Gives the messages to
/// be sent again.
///
/// # Errors
/// [`ActorError`] when what is due cannot be read, or some of it failed. It is found again.
pub async fn work(state: &AppState, wake: Wake, deadline: Deadline) -> Result<Vec<String>, ActorError> {
    let round = deadline.earlier(Deadline::after(Instant::now().into_std(), ROUND));
    let jobs = match wake {
        Wake::Sweep => {
            let (drained, ran) = tokio::join!(drain(state, round), run_due(state, deadline));
            drained?;
            return ran.map(|_| Vec::new());
        }
        Wake::Jobs(jobs) => jobs,
    };
    let (tasks, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| task_of(job).is_some());
    let running = tasks.into_iter().filter_map(|inserted| {
        let job = task_of(&inserted)?;
        Some(async move {
            let error = Box::pin(run_task(state, &job, deadline)).await.err()?;
            let (actor, action, task) = (&job.task.actor, &job.task.action, &job.task.id);
            tracing::error!(%actor, %action, %task, %error, "task could not be run");
            Some(inserted.message)
        })
    });
    let draining = async {
        if others.is_empty() {
            return Vec::new();
        }
        match drain(state, round).await {
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::error!(%error, "due work could not be read");
                others.into_iter().map(|job| job.message).collect()
            }
        }
    };
    let (mut failed, unread) = tokio::join!(join_all(running), draining);
    failed.extend(unread.into_iter().map(Some));
    Ok(failed.into_iter().flatten().collect())
}

fn task_of(job: &InsertedJob) -> Option<TaskJob> {
    TaskJob::from_key(&job.partition, &job.sort_key)
}
