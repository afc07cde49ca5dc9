//! Firing: what a worker does when the time of a schedule has come.

use actingweb_protocol::permission::{Category, Operation, Policy};
use actingweb_protocol::schedule::Following;
use actingweb_protocol::task::TaskCaller;
use actingweb_protocol::{Deadline, Name, PeerId};
use actingweb_store::{DueJob, ScheduleRecord, ScheduleRun, Store, TaskRecord, Wanted};

use crate::{ActorError, Actors, rights_now};

/// What came of a schedule's time.
#[derive(Clone, Debug, PartialEq)]
pub enum Fired {
    /// This task was made.
    Task(Box<TaskRecord>),
    /// The schedule was stopped, for this reason.
    Suspended(String),
    /// There was nothing to do: somebody else did it, or the schedule is gone.
    Nothing,
}

/// What decides whether a schedule goes on.
#[derive(Clone, Copy, Debug)]
pub struct FiringRules<'a> {
    /// Who may do what.
    pub policy: &'a Policy,
    /// Whether the application has the action.
    pub has_action: bool,
}

impl Actors {
    /// Makes the task of the time that `job` is about, and moves the schedule on, as one: once for each planned time,
    /// however often and by however many this is called. Three calls to storage.
    ///
    /// # Errors
    /// Storage errors; what was not done stays due.
    pub async fn fire_schedule(
        &self,
        job: &DueJob,
        (action, schedule): (&Name, &str),
        rules: FiringRules<'_>,
        deadline: Deadline,
    ) -> Result<Fired, ActorError> {
        let store = self.store().with_deadline(deadline);
        // Whoever changed it meanwhile fired it, stopped it or cancelled it; in each case this job is done.
        while let Some(seen) = store.schedule(&job.actor, action, schedule).await?.filter(|seen| seen.is_due_by(job)) {
            let fired = match judge(&store, job, &seen, rules).await? {
                Verdict::Gone => return Ok(Fired::Nothing),
                Verdict::Goes => self.fire_seen(&store, job, &seen).await?,
                Verdict::Stops(reason) => {
                    store.suspend_schedule(job, &seen, &reason).await?.then_some(Fired::Suspended(reason))
                }
            };
            if let Some(fired) = fired {
                return Ok(fired);
            }
        }
        Ok(Fired::Nothing)
    }

    async fn fire_seen(&self, store: &Store, job: &DueJob, seen: &ScheduleRecord) -> Result<Option<Fired>, ActorError> {
        let Some(planned_at) = seen.next_at() else { return Ok(None) };
        let now = store.now();
        let Following { next, missed } = seen.timing.following(seen.created_at, planned_at, now);
        let next = next.filter(|next| seen.until.is_none_or(|until| *next <= until));
        let run = ScheduleRun { planned_at, fired_at: now, missed };
        let Ok(input) = self.open_input(&job.actor, seen) else {
            let reason = "its input cannot be opened: its key is no longer among the deployment's keys".to_owned();
            return Ok(store.suspend_schedule(job, seen, &reason).await?.then_some(Fired::Suspended(reason)));
        };
        let input = self.seal_task_input(&seen.task_key(&job.actor, planned_at), &input)?;
        let task = store.fire_schedule(job, seen, (run, next), input).await?;
        Ok(task.map(|task| Fired::Task(Box::new(task))))
    }
}

enum Verdict {
    Goes,
    Stops(String),
    /// The actor is deleted, and the schedule goes with it.
    Gone,
}

/// Whether whoever made a schedule may still run its action.
async fn judge(
    store: &Store,
    job: &DueJob,
    seen: &ScheduleRecord,
    FiringRules { policy, has_action }: FiringRules<'_>,
) -> Result<Verdict, ActorError> {
    let peer = match &seen.caller {
        TaskCaller::Peer(id) => PeerId::parse(id).ok(),
        _ => None,
    };
    let found = store.load(&job.actor, Wanted { peer: peer.as_ref(), ..Wanted::default() }).await?;
    let Some(actor) = found.actor else { return Ok(Verdict::Gone) };
    let action = &seen.action;
    if !has_action {
        return Ok(Verdict::Stops(format!("the application has no action `{action}` any more")));
    }
    let Some(access) = rights_now(policy, &actor, found.trust.as_ref(), &seen.caller) else {
        return Ok(Verdict::Stops("there is no approved relationship any more with whoever made it".to_owned()));
    };
    Ok(match access.check(Category::Actions, action.as_str(), Operation::Execute) {
        Ok(()) => Verdict::Goes,
        Err(denied) => {
            tracing::info!(%denied, schedule = seen.id, "a schedule is stopped");
            Verdict::Stops("whoever made it may not run this action any more".to_owned())
        }
    })
}
