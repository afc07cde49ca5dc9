//! From an [`App`] to [`Hooks`]: every mistake found at start, none at a caller's expense.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actingweb_bedrock::Per;
use actingweb_protocol::permission::{Policy, PolicyError};
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Name, NameError};
use futures_util::future::join_all;

use crate::app::{App, StateSource};
use crate::budget::check_budget;
use crate::dispatch::{Hooks, Inner};
use crate::engine::Engine;
use crate::error::BoxError;
use crate::extract::{Services, States};
use crate::kind::Kind;
use crate::mcp::McpItems;
use crate::peers::{check_profile, peering};
use crate::registry::{Registered, Table, WILDCARD};
use crate::resources::{Init, Resources, Surroundings};
use crate::schedules::Scheduling;
use crate::services::check_services;

/// Everything that is wrong with an application, found at start.
#[derive(Debug)]
pub struct BuildError(Vec<Problem>);

impl BuildError {
    /// One entry per mistake.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(f, "the application cannot start: {problem}"),
            problems => {
                write!(f, "the application cannot start, for {} reasons:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// One thing that is wrong with an application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A name that cannot be part of a URL.
    #[error("the {kind} hook `{function}` is registered as `{name}`: {reason}")]
    Name {
        /// The hook's kind.
        kind: &'static str,
        /// The name it was given.
        name: String,
        /// The path of its function.
        function: &'static str,
        /// The rule the name breaks.
        reason: NameError,
    },
    /// An indexed property whose name is none.
    #[error("`{name}` is indexed, which is no name of a property: {reason}")]
    IndexedName {
        /// What was given.
        name: String,
        /// The rule it breaks.
        reason: NameError,
    },
    /// `.indexed("*")`.
    #[error("`.indexed(\"*\")` would index every property: name those that actors are found by, one by one")]
    IndexedWildcard,
    /// A property of the profile of peers whose name is none.
    #[error("`{name}` is part of the profile of peers, which is no name of a property: {reason}")]
    ProfileName {
        /// What was given.
        name: String,
        /// The rule it breaks.
        reason: NameError,
    },
    /// A profile of peers of which every look-up would be too many requests.
    #[error("the profile of peers has {count} properties: {most} at most")]
    LongProfile {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// A budget into which no answer of a model fits.
    #[error(
        "the Bedrock budget of {limit} tokens per {per} has no room for one answer of {answer}: raise it, or lower \
         `.answer_tokens(..)`"
    )]
    SmallBudget {
        /// The window.
        per: Per,
        /// Its limit.
        limit: u64,
        /// What an answer may have when the prompt does not say.
        answer: u32,
    },
    /// A hook takes a state that was never registered.
    #[error(
        "the {kind} hook `{name}` takes `State<{state}>`, which nobody registered: add `.state(..)` or `.state_from(..)`"
    )]
    MissingState {
        /// The hook's kind.
        kind: &'static str,
        /// The name it is registered under.
        name: String,
        /// The state's type.
        state: &'static str,
    },
    /// Two states of one type: which one would `State<S>` be?
    #[error("two states of type `{state}` are registered: wrap each in a type of its own")]
    DuplicateState {
        /// Their type.
        state: &'static str,
    },
    /// The factory of a state failed.
    #[error("the state `{state}` could not be made: {source}")]
    StateFailed {
        /// The state's type.
        state: &'static str,
        /// What the factory said.
        source: BoxError,
    },
    /// A trust type or a path rule that is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A default relationship that grants nothing, because there is no such type.
    #[error(
        "the default relationship `{0}` is no trust type: register it with `.trust_type(..)`, or name a built-in one"
    )]
    DefaultRelationship(String),
    /// A trust type for clients that grants nothing, because there is no such type.
    #[error(
        "clients may be granted `{0}`, which is no trust type: register it with `.trust_type(..)`, or name a built-in one"
    )]
    ClientTrustType(String),
    /// No trust type for clients at all.
    #[error("`.oauth_trust_types(..)` names none, so nobody could let a client in: name one or leave it out")]
    NoClientTrustType,
    /// What is no origin.
    #[error(
        "`{0}` is no origin of a single-page application: `https://app.example.com`, with no path and no slash at its end"
    )]
    SpaOrigin(String),
    /// What is no address of a native app.
    #[error("`{0}` is no deep link: it needs a scheme with a dot in it, `com.example.app:/signed-in`, or https")]
    DeepLink(String),
    /// A service that is none.
    #[error("the service `{name}` cannot be used: {reason}")]
    Service {
        /// The name it was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `.tool(..)` after a hook that can be none.
    #[error("the {kind} hook `{hook}` cannot be a tool: `.tool(..)` goes after `.method(..)` or `.action(..)`")]
    NotATool {
        /// The hook's kind.
        kind: &'static str,
        /// The name it is registered under.
        hook: String,
    },
    /// `.as_task()` after a hook that cannot be one, or `.attempts(..)` after one that is none.
    #[error(
        "the {kind} hook `{hook}` is no task: `.as_task()` goes after `.action(..)`, and `.attempts(..)` after `.as_task()`"
    )]
    NoTask {
        /// The hook's kind.
        kind: &'static str,
        /// The name it is registered under.
        hook: String,
    },
    /// A hook that is about its task, and never is one.
    #[error("the action hook `{hook}` takes `Task`, but is answered at once: add `.as_task()`")]
    TaskNeeded {
        /// The name it is registered under.
        hook: String,
    },
    /// `.prompt(..)` or `.mcp_resource(..)` after a hook that can be none.
    #[error("the {kind} hook `{hook}` is no method: `.{what}(..)` goes after `.method(..)`")]
    NotForMethods {
        /// What was called.
        what: &'static str,
        /// The hook's kind.
        kind: &'static str,
        /// The name it is registered under.
        hook: String,
    },
    /// A resource whose URI is none.
    #[error("the method hook `{hook}` is the resource `{uri}`, which is no URI with places for values: {reason}")]
    ResourceUri {
        /// The name it is registered under.
        hook: String,
        /// What was given.
        uri: String,
        /// The rule it breaks.
        reason: crate::mcp::UriTemplateError,
    },
    /// A tool or prompt under a name that AI clients do not take.
    #[error("`{0}` is offered to AI clients, which take names of 1 to 128 letters, digits, `_`, `-` and `.` only")]
    McpName(String),
    /// A method and an action of one name, both tools: which one would a model call?
    #[error("the method and the action `{0}` are both offered as tools: offer one of them, or give it another name")]
    DuplicateTool(String),
    /// A tool under a name that AI clients need for the tasks of another one.
    #[error(
        "the {kind} `{name}` cannot be a tool: AI clients that know no tasks look after those of the tool `{task}` by a \
         built-in tool of that name, so give yours another"
    )]
    TaskToolName {
        /// The kind of the hook behind the tool.
        kind: &'static str,
        /// The name it was given.
        name: String,
        /// A tool that runs as a task.
        task: String,
    },
    /// `.describe(..)` and the like before any hook.
    #[error("`.{what}(..)` must follow the hook it speaks of; no hook was registered before it")]
    NoHookYet {
        /// What was called.
        what: &'static str,
    },
}

impl App {
    /// Checks the application, makes its shared states and gives what serves its calls. Once per process, at start.
    ///
    /// # Errors
    /// [`BuildError`] with every mistake: names that are none, states missing, doubled or failed, tools that can be none.
    pub async fn build(mut self, resources: Resources) -> Result<Hooks, BuildError> {
        let mut problems = std::mem::take(&mut self.problems);
        check_names(&self.methods, &mut problems);
        check_names(&self.actions, &mut problems);
        let misses_task = |hook: &&Registered<_>| hook.signature.needs_task && hook.about.task.is_none();
        let without = self.actions.iter().filter(misses_task);
        problems.extend(without.map(|hook| Problem::TaskNeeded { hook: hook.name.to_string() }));
        check_names(&self.resources, &mut problems);
        check_names(&self.properties, &mut problems);
        check_names(&self.callbacks, &mut problems);
        check_names(&self.subscriptions, &mut problems);
        check_indexed(&self.indexed, &mut problems);
        check_profile(&self.profile, &mut problems);
        check_services(&self.services, &mut problems);
        let mcp = McpItems::of(&self, &mut problems);
        let budget = check_budget(self.budget.take(), &mut problems);
        let states = make_states(std::mem::take(&mut self.states), &resources, &mut problems).await;
        check_states(&self.methods, &states, &mut problems);
        check_states(&self.actions, &states, &mut problems);
        check_states(&self.resources, &states, &mut problems);
        check_states(&self.properties, &states, &mut problems);
        check_states(&self.callbacks, &states, &mut problems);
        check_states(&self.subscriptions, &states, &mut problems);
        check_states(&self.bots, &states, &mut problems);
        check_states(self.lifecycle.iter().map(|(_, hook)| hook), &states, &mut problems);
        let policy = match self.policy.build() {
            Ok(policy) if policy.permissions(&self.info.default_relationship).is_none() => {
                problems.push(Problem::DefaultRelationship(self.info.default_relationship));
                return Err(BuildError(problems));
            }
            Ok(policy) => {
                check_client_types(&self.info.oauth_trust_types, &policy, &mut problems);
                if !problems.is_empty() {
                    return Err(BuildError(problems));
                }
                policy
            }
            Err(error) => {
                problems.push(error.into());
                return Err(BuildError(problems));
            }
        };

        let mut lifecycle: HashMap<_, Vec<_>> = HashMap::new();
        for (event, hook) in self.lifecycle {
            lifecycle.entry(event).or_default().push(hook);
        }
        let retrying = resources.peers.clone().with_retry(Retry::default(), Arc::clone(&resources.entropy));
        let accounts = resources.actors.as_ref().map(|actors| {
            actingweb_actor::services::Services::new(actors, self.services, &self.service_clients, &retrying)
        });
        let peering = resources
            .actors
            .as_ref()
            .map(|actors| peering(actors, retrying, policy.clone(), &self.properties, &self.profile));
        let scheduling = resources.actors.as_ref().map(|actors| Scheduling::new(actors, &self.actions));
        Ok(Hooks(Arc::new(Inner {
            engine: Engine::new(resources.limits),
            surroundings: Arc::new(Surroundings {
                http: resources.http,
                peering,
                scheduling,
                peers: resources.peers,
                bedrock: resources.bedrock,
                budget,
                directory: resources.directory,
                services: Services::new(resources.services),
                accounts,
                clock: resources.clock,
                entropy: resources.entropy,
                states: states.made,
            }),
            info: self.info,
            policy,
            mcp,
            methods: Table::new(self.methods),
            actions: Table::new(self.actions),
            resources: Table::new(self.resources),
            properties: Table::new(self.properties),
            callbacks: Table::new(self.callbacks),
            subscriptions: Table::new(self.subscriptions),
            bots: self.bots,
            lifecycle,
        })))
    }
}

fn check_indexed(names: &[String], problems: &mut Vec<Problem>) {
    for name in names {
        match Name::parse(name) {
            Ok(_) if name == WILDCARD => problems.push(Problem::IndexedWildcard),
            Ok(_) => {}
            Err(reason) => problems.push(Problem::IndexedName { name: name.clone(), reason }),
        }
    }
}

fn check_names<K: Kind>(hooks: &[Registered<K>], problems: &mut Vec<Problem>) {
    for hook in hooks.iter().filter(|hook| &*hook.name != WILDCARD) {
        if let Err(reason) = Name::parse(&hook.name) {
            let (name, function) = (hook.name.to_string(), hook.signature.function);
            problems.push(Problem::Name { kind: K::NAME, name, function, reason });
        }
    }
}

fn check_client_types(types: &[String], policy: &Policy, problems: &mut Vec<Problem>) {
    if types.is_empty() {
        problems.push(Problem::NoClientTrustType);
    }
    let unknown = types.iter().filter(|name| policy.permissions(name).is_none());
    problems.extend(unknown.map(|name| Problem::ClientTrustType(name.clone())));
}

#[derive(Default)]
struct MadeStates {
    made: States,
    /// Registered, but the factory failed: reported as that, not as missing.
    failed: Vec<std::any::TypeId>,
}

async fn make_states(
    pending: Vec<crate::app::PendingState>,
    resources: &Resources,
    problems: &mut Vec<Problem>,
) -> MadeStates {
    let init = Init::new(resources);
    let making = pending.into_iter().map(|state| {
        let init = init.clone();
        async move {
            let value = match state.source {
                StateSource::Ready(value) => Ok(value),
                StateSource::Factory(factory) => factory(init).await,
            };
            (state.id, state.name, value)
        }
    });
    let mut states = MadeStates::default();
    for (id, state, value) in join_all(making).await {
        match value {
            Ok(value) => {
                if !states.made.insert(id, value) {
                    problems.push(Problem::DuplicateState { state });
                }
            }
            Err(source) => {
                states.failed.push(id);
                problems.push(Problem::StateFailed { state, source });
            }
        }
    }
    states
}

fn check_states<'a, K: Kind>(
    hooks: impl IntoIterator<Item = &'a Registered<K>>,
    states: &MadeStates,
    problems: &mut Vec<Problem>,
) {
    for hook in hooks {
        for (id, state) in &hook.signature.states {
            if !states.made.contains(*id) && !states.failed.contains(id) {
                problems.push(Problem::MissingState { kind: K::NAME, name: hook.name.to_string(), state });
            }
        }
    }
}
