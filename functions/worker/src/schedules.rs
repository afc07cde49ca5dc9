//! Schedules whose time has come.

use actingweb_actor::ActorError;
use actingweb_actor::schedules::{Fired, FiringRules};
use actingweb_protocol::{Deadline, Name};
use actingweb_store::DueJob;
use actingweb_web::AppState;

/// Makes the task of a schedule's time, and moves the schedule on.
pub(crate) async fn fire(
    state: &AppState,
    job: &DueJob,
    (action, schedule): (&Name, &str),
    deadline: Deadline,
) -> Result<(), ActorError> {
    let rules = FiringRules { policy: state.hooks.policy(), has_action: state.hooks.has_action(action.as_str()) };
    match state.actors.fire_schedule(job, (action, schedule), rules, deadline).await? {
        Fired::Task(task) => tracing::info!(%action, schedule, task = %task.key.id, "schedule fired"),
        Fired::Suspended(reason) => tracing::warn!(%action, schedule, reason, "schedule suspended"),
        Fired::Nothing => {}
    }
    Ok(())
}
