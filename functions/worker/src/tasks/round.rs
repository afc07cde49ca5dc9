//! All tasks that are due: many at once, of each actor some.

use std::collections::HashMap;
use std::time::Duration;

use actingweb_actor::ActorError;
use actingweb_protocol::task::LEASE;
use actingweb_protocol::{ActorId, Deadline};
use actingweb_store::TaskJob;
use actingweb_web::AppState;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::run_task;

/// How many tasks a process runs at once.
const CONCURRENT: usize = 64;

/// How many of them may be one actor's, so that no actor keeps the others waiting.
const PER_ACTOR: usize = 16;

/// How long a round looks for more. What it has begun by then it brings to its end, and the next round finds the rest.
const LOOKING: Duration = Duration::from_secs(50);

/// Tasks under way in this process. Dropping it ends them at once; their leases end by themselves.
#[derive(Debug)]
pub struct Round {
    state: AppState,
    running: JoinSet<bool>,
    jobs: HashMap<Id, TaskJob>,
}

impl Round {
    /// None yet.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        Self { state, running: JoinSet::new(), jobs: HashMap::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Begins what is due and nobody has, as far as there is room for it, each with this much time. Gives how many were
    /// begun.
    ///
    /// # Errors
    /// [`ActorError`] when what is due cannot be read.
    pub async fn fill(&mut self, deadline: Deadline) -> Result<usize, ActorError> {
        let free = CONCURRENT.saturating_sub(self.jobs.len());
        if free == 0 {
            return Ok(0);
        }
        let mut busy: HashMap<&ActorId, usize> = HashMap::new();
        for job in self.jobs.values() {
            *busy.entry(&job.task.actor).or_default() += 1;
        }
        let room = |actor: &ActorId| PER_ACTOR.saturating_sub(busy.get(actor).copied().unwrap_or_default());
        let due = self.state.actors.store().with_deadline(deadline).due_tasks(free, room).await?;
        let mut begun = 0;
        for job in due {
            // One that is just being begun may not be marked yet.
            if self.jobs.values().any(|running| *running == job) {
                continue;
            }
            let (state, whose) = (self.state.clone(), job.clone());
            let task = self.running.spawn(async move {
                match Box::pin(run_task(&state, &job, deadline)).await {
                    Ok(ended) => ended.is_some(),
                    Err(error) => {
                        let (actor, action, task) = (&job.task.actor, &job.task.action, &job.task.id);
                        tracing::error!(%actor, %action, %task, %error, "task could not be run");
                        // Else it would be the first of all that are due again and again.
                        let store = state.actors.store().with_deadline(deadline);
                        if let Err(error) = store.rest_task_job(&job, store.now().plus(LEASE)).await {
                            tracing::error!(%actor, %action, %task, %error, "task could not be put off");
                        }
                        false
                    }
                }
            });
            self.jobs.insert(task.id(), whose);
            begun += 1;
        }
        Ok(begun)
    }

    /// Waits until one of them ends, and says whether anything became of it; `None` when there are none.
    pub async fn next(&mut self) -> Option<bool> {
        let ended = self.running.join_next_with_id().await?;
        let (id, has_ended) = match ended {
            Ok((id, has_ended)) => (id, has_ended),
            Err(error) => (id_of(&error), false),
        };
        self.jobs.remove(&id);
        Some(has_ended)
    }
}

fn id_of(error: &JoinError) -> Id {
    tracing::error!(%error, "a task's run panicked outside of its hook");
    error.id()
}

/// Runs the tasks that are due, until none is left that nobody has. Gives how many attempts came to an end.
///
/// # Errors
/// [`ActorError`] when what is due cannot be read; what was begun is brought to its end before that.
pub async fn run_due(state: &AppState, deadline: Deadline) -> Result<usize, ActorError> {
    let looks_until = Instant::now() + LOOKING;
    let mut round = Round::new(state.clone());
    let (mut ended, mut idle) = (0, 0);
    let mut failure = None;
    loop {
        // Jobs of which nothing became, such as those that somebody else was quicker to take, are not asked for without end.
        if failure.is_none() && idle < CONCURRENT && Instant::now() < looks_until {
            failure = round.fill(deadline).await.err();
        }
        match round.next().await {
            Some(true) => ended += 1,
            Some(false) => idle += 1,
            None => return failure.map_or(Ok(ended), Err),
        }
    }
}
