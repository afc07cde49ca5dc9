//! How one of several pieces of work ended, as callers see it.

use std::future::Future;

use actingweb_hooks::prelude::*;

/// One piece of work among several: what failed or came too late is a line in the answer, not the end of the others.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Ended<T> {
    /// It gave a value.
    Ok {
        /// The value.
        value: T,
    },
    /// It failed.
    Error {
        /// Why, as far as a caller may know.
        error: String,
    },
    /// It had not ended when the answer was due.
    TimedOut,
}

impl<T> Ended<T> {
    /// Whether there is a value.
    pub(crate) const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// How `work` ended, in time for the hook to still answer. `what` names it in the log.
    pub(crate) async fn of(ctx: &Context, what: &str, work: impl Future<Output = Result<T, HookError>>) -> Self {
        let outcomes = ctx.fan_out([work], 1, |work| work).await;
        outcomes.into_iter().next().map_or(Self::TimedOut, |outcome| Self::from_outcome(ctx, what, outcome))
    }

    /// As callers see it. A failure the caller is not told in full is logged here: the hook itself will succeed.
    pub(crate) fn from_outcome(ctx: &Context, what: &str, outcome: Outcome<T, HookError>) -> Self {
        match outcome {
            Outcome::Ok { value } => Self::Ok { value },
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Error { error } => {
                tracing::warn!(hook = ctx.hook(), request_id = ctx.request_id(), what, %error, "partial failure");
                Self::Error { error: shown(error) }
            }
        }
    }
}

/// What a caller may see of a failure.
fn shown(error: HookError) -> String {
    match error {
        HookError::Rejected(reason) | HookError::NotFound(reason) | HookError::Invalid(reason) => reason,
        HookError::Retryable { reason, .. } | HookError::Exhausted { reason, .. } => reason,
        _ => "it failed; the log says why, under this request's id".to_owned(),
    }
}
