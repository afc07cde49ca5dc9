//! Actions that run as tasks: what is asked before one is created, and the run itself.

use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::task::ATTEMPTS;
use serde_json::Value;

use crate::call::{Invocation, Op, Operation};
use crate::dispatch::{CallOutcome, Hooks};
use crate::error::{HookFailure, Stop};
use crate::extract::TaskHandle;
use crate::hook::Step;

/// How long a task may run that has no deadline of its own: what its worker has.
const UNLIMITED: Duration = Duration::from_secs(24 * 3600);

/// How an action is run as a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRules {
    /// How often it is tried, the first time included.
    pub attempts: u32,
}

impl Default for TaskRules {
    fn default() -> Self {
        Self { attempts: ATTEMPTS }
    }
}

impl Hooks {
    /// How this action runs as a task; `None` when it is answered while its caller waits, or is none.
    #[must_use]
    pub fn task_rules(&self, action: &str) -> Option<TaskRules> {
        self.0.actions.answering(action).iter().find_map(|hook| hook.about.task)
    }

    /// Whether an action would take this, as far as can be told without running it.
    ///
    /// # Errors
    /// The failure that running it would end in.
    pub fn check_input(&self, action: &str, data: &Value) -> Result<(), HookFailure> {
        let Some(hook) = self.0.actions.answering(action).first() else { return Ok(()) };
        let checked = hook.signature.checks.iter().try_for_each(|check| check(data));
        checked.map_err(|error| Stop::Failed(error).into_failure(&hook.name))
    }

    /// Runs an action as a task. Its hooks' deadlines are their own if they have any, else the invocation's, less the
    /// reserve. Dropping the future ends the hooks.
    pub async fn run_task(
        &self,
        invocation: &Invocation,
        name: &str,
        op: Op,
        data: Value,
        handle: &TaskHandle,
    ) -> CallOutcome {
        let hooks = self.0.actions.answering(name);
        if hooks.is_empty() {
            return CallOutcome::Unknown;
        }
        let mut payload = Operation::new(op, data);
        payload.task = Some(handle.clone());
        let payload = Arc::new(payload);
        for hook in hooks {
            let own = hook.about.deadline.unwrap_or(UNLIMITED);
            let deadline = self.0.engine.deadline(Some(own), invocation);
            let whole = |answer| Step::Done(Ok(answer));
            let call = (name, Some(op), Arc::clone(&payload));
            match self.run_until(hook, invocation, call, deadline, whole).await {
                Ok(Value::Null) => {}
                Ok(answer) => return CallOutcome::Answer(answer),
                Err(failure) => return CallOutcome::Failed(failure),
            }
        }
        CallOutcome::Nothing
    }
}
