//! Schedules in hooks: actions that the actor runs by itself.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use actingweb_actor::schedules::{Schedule, SchedulingError};
use actingweb_actor::{Actor, Actors, Caller, schedules};
use actingweb_protocol::Name;
use actingweb_protocol::schedule::{NewSchedule, ScheduleError};

use crate::Hooks;
use crate::call::Call;
use crate::error::HookError;
use crate::extract::FromCall;
use crate::kind::{Action, Kind};
use crate::registry::{Registered, WILDCARD};

/// The most schedules that [`Schedules::list`] gives.
const MOST: usize = 1_000;

/// The schedules of the call's actor: when its actions are run by themselves. Hooks see all of them, and make them as the
/// creator would: with all rights, and among the 100 that the two may have going on.
///
/// Every run is a task of the action, so that it has its retries and its result. A run is planned to the second and begins
/// within a minute of that. When nobody was there to run it, the first missed time is made up for, once.
///
/// ```
/// use actingweb_hooks::{App, EventKind, HookError, NewSchedule, Schedules, Timing};
///
/// async fn plan_digest(schedules: Schedules) -> Result<(), HookError> {
///     let mornings = NewSchedule::new(Timing::cron("0 8 * * MON-FRI", "Europe/Oslo")?).named("Morning digest");
///     schedules.create("digest", mornings).await?;
///     Ok(())
/// }
///
/// fn digest() -> Result<&'static str, HookError> {
///     Ok("three new messages")
/// }
///
/// let app = App::new("urn:actingweb:example.com:demo").action("digest", digest).on(EventKind::ActorCreated, plan_digest);
/// ```
#[derive(Clone)]
pub struct Schedules {
    shown: schedules::Schedules,
    names: Arc<HashSet<String>>,
}

impl fmt::Debug for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

/// What schedules are made with.
#[derive(Clone, Debug)]
pub(crate) struct Scheduling {
    actors: Actors,
    /// Which actions there are.
    names: Arc<HashSet<String>>,
}

impl Scheduling {
    pub(crate) fn new(actors: &Actors, actions: &[Registered<Action>]) -> Self {
        let names = actions.iter().map(|hook| hook.name.to_string()).collect();
        Self { actors: actors.clone(), names: Arc::new(names) }
    }
}

impl<K: Kind> FromCall<K> for Schedules {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let actor = <Actor as FromCall<K>>::from_call(call)?;
        let scheduling = call.shared.surroundings.scheduling.as_ref();
        let scheduling =
            scheduling.ok_or_else(|| HookError::terminal("there is no storage, so there are no schedules"))?;
        let shown = scheduling.actors.schedules(&actor, &Caller::Creator, call.shared.deadline);
        Ok(Self { shown, names: Arc::clone(&scheduling.names) })
    }
}

impl Schedules {
    /// Makes a schedule of an action: one call to storage. Whether there is such a schedule already is not asked: a hook
    /// that may run twice looks with [`Schedules::list`] first.
    ///
    /// # Errors
    /// [`HookError::Invalid`] for an action that there is not, for times that never come, and for texts that are too long;
    /// [`HookError::Rejected`] above 100 schedules; storage errors.
    pub async fn create(&self, action: &str, plan: NewSchedule) -> Result<Schedule, HookError> {
        let action = name(action)?;
        if !self.names.contains(action.as_str()) && !self.names.contains(WILDCARD) {
            return Err(HookError::invalid(format!("there is no action `{action}`, so it cannot be scheduled")));
        }
        Ok(self.shown.create(&action, plan).await?)
    }

    /// The schedules of an action, of whomever, the latest first, without their histories; at most 1,000.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, action: &str) -> Result<Vec<Schedule>, HookError> {
        Ok(self.shown.list(&name(action)?, None, MOST).await?.schedules)
    }

    /// One schedule with its latest runs; `None` when there is none.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn get(&self, action: &str, id: &str) -> Result<Option<Schedule>, HookError> {
        Ok(self.shown.get(&name(action)?, id).await?)
    }

    /// Ends a schedule and forgets it; a task that it made already goes on. False when there was none.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn cancel(&self, action: &str, id: &str) -> Result<bool, HookError> {
        Ok(self.shown.cancel(&name(action)?, id).await?)
    }
}

impl Hooks {
    /// Whether there is an action of this name, or one that takes every name.
    #[must_use]
    pub fn has_action(&self, name: &str) -> bool {
        !self.0.actions.answering(name).is_empty()
    }
}

fn name(action: &str) -> Result<Name, HookError> {
    Name::parse(action).map_err(|error| HookError::invalid(format!("the action `{action}`: {error}")))
}

/// What cannot be is invalid.
impl From<ScheduleError> for HookError {
    fn from(error: ScheduleError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// What cannot be is invalid, too many are rejected, and storage errors are as ever.
impl From<SchedulingError> for HookError {
    fn from(error: SchedulingError) -> Self {
        match error {
            SchedulingError::Invalid(error) => error.into(),
            SchedulingError::Anonymous | SchedulingError::TooMany(_) => Self::Rejected(error.to_string()),
            SchedulingError::Actor(error) => error.into(),
        }
    }
}
