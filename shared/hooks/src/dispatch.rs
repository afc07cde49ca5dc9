//! Calling hooks: what the framework's endpoints use. Permission was decided before.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use actingweb_peer::PeerClient;
use actingweb_protocol::Deadline;
use actingweb_protocol::permission::Policy;

use crate::bot::BotMessage;
use crate::call::{Call, Event, EventKind, Invocation, Op, Operation, PeerChange, Shared};
use crate::engine::Engine;
use crate::error::{HookError, HookFailure, Stop};
use crate::hook::Step;
use crate::info::{AppInfo, HookInfo};
use crate::kind::{Action, Bot, Callback, Kind, Lifecycle, Method, Property, Resource, Subscription};
use crate::mcp::McpItems;
use crate::property::{Filtered, PropertyAccess, Verdict};
use crate::registry::{Registered, Table};
use crate::resources::Surroundings;
use crate::streaming::MethodAnswer;
use crate::tasks::TaskSet;

/// An application's hooks, ready to be called. Cheap to clone.
#[derive(Clone)]
pub struct Hooks(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) info: AppInfo,
    pub(crate) policy: Policy,
    pub(crate) mcp: McpItems,
    pub(crate) methods: Table<Method>,
    pub(crate) actions: Table<Action>,
    pub(crate) resources: Table<Resource>,
    pub(crate) properties: Table<Property>,
    pub(crate) callbacks: Table<Callback>,
    pub(crate) subscriptions: Table<Subscription>,
    pub(crate) bots: Vec<Registered<Bot>>,
    pub(crate) lifecycle: HashMap<EventKind, Vec<Registered<Lifecycle>>>,
}

/// How a call of a method, action or resource ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutcome {
    /// A hook answered this; never `null`.
    Answer(Value),
    /// Hooks were asked and all returned nothing.
    Nothing,
    /// There is no hook of that name, and no `*`.
    Unknown,
    /// A hook failed; those after it were not asked.
    Failed(HookFailure),
}

/// How one lifecycle or subscription hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRun {
    /// The path of its function, as events have several hooks: `demo::welcome`.
    pub function: &'static str,
    /// Its failure was logged already.
    pub result: Result<(), HookFailure>,
}

impl Hooks {
    /// What the application says of itself and decides for its actors.
    #[must_use]
    pub fn app(&self) -> &AppInfo {
        &self.0.info
    }

    /// Who may do what: the application's trust types and path rules.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The client that hooks call peers with.
    #[must_use]
    pub fn peer_client(&self) -> &PeerClient {
        &self.0.surroundings.peers
    }

    /// The methods to list, in the order of registration; wildcards are not listed.
    #[must_use]
    pub fn methods(&self) -> Vec<HookInfo> {
        self.0.methods.listed().map(HookInfo::of).collect()
    }

    /// The actions to list, in the order of registration; wildcards are not listed.
    #[must_use]
    pub fn actions(&self) -> Vec<HookInfo> {
        self.0.actions.listed().map(HookInfo::of).collect()
    }

    /// The methods and actions offered to models as tools: methods first, each in the order of registration.
    #[must_use]
    pub fn tools(&self) -> Vec<HookInfo> {
        let methods = self.0.methods.listed().filter_map(HookInfo::of_tool);
        methods.chain(self.0.actions.listed().filter_map(HookInfo::of_tool)).collect()
    }

    /// Whatever AI clients are offered, as tools, prompts and resources.
    #[must_use]
    pub fn mcp(&self) -> &McpItems {
        &self.0.mcp
    }

    /// Whether any hook would see accesses to this property. When none would, [`filter_property`](Self::filter_property)
    /// changes nothing and need not be called.
    #[must_use]
    pub fn has_property_hooks(&self, name: &str) -> bool {
        self.0.properties.has(name)
    }

    /// Whether there are property hooks at all.
    #[must_use]
    pub fn guards_properties(&self) -> bool {
        !self.0.properties.is_empty()
    }

    /// Whether anybody wants to hear of changes at peers under this target.
    #[must_use]
    pub fn has_subscription_hooks(&self, target: &str) -> bool {
        self.0.subscriptions.has(target)
    }

    /// Whether anybody wants to hear of this event.
    #[must_use]
    pub fn has_lifecycle_hooks(&self, event: EventKind) -> bool {
        self.0.lifecycle.contains_key(&event)
    }

    /// Calls a method. `data` is what the caller sent; it counts for `PUT` and `POST` only. A streamed answer is collected,
    /// up to [`MAX_COLLECTED_BYTES`](crate::MAX_COLLECTED_BYTES).
    pub async fn call_method(&self, invocation: &Invocation, name: &str, op: Op, data: Value) -> CallOutcome {
        self.first_answer(&self.0.methods, invocation, name, op, data, MethodAnswer::whole).await
    }

    /// Calls an action. `data` as for methods.
    pub async fn call_action(&self, invocation: &Invocation, name: &str, op: Op, data: Value) -> CallOutcome {
        self.first_answer(&self.0.actions, invocation, name, op, data, whole).await
    }

    /// Calls a resource. `data` as for methods.
    pub async fn call_resource(&self, invocation: &Invocation, name: &str, op: Op, data: Value) -> CallOutcome {
        self.first_answer(&self.0.resources, invocation, name, op, data, whole).await
    }

    /// Calls a callback. `data` as for methods.
    pub async fn call_callback(&self, invocation: &Invocation, name: &str, op: Op, data: Value) -> CallOutcome {
        self.first_answer(&self.0.callbacks, invocation, name, op, data, whole).await
    }

    /// Whether the application takes messages at `/bot`.
    #[must_use]
    pub fn has_bot_hooks(&self) -> bool {
        !self.0.bots.is_empty()
    }

    /// Asks the bot hooks one after another until one takes the message, and says whether one did.
    ///
    /// # Errors
    /// The first hook's failure; those after it were not asked.
    pub async fn call_bot(&self, invocation: &Invocation, message: BotMessage) -> Result<bool, HookFailure> {
        let message = Arc::new(message);
        for hook in &self.0.bots {
            if self.run(hook, invocation, &hook.name, Some(Op::Post), Arc::clone(&message)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks the hooks of a name one after another until one answers something. `give` turns a hook's answer into what is
    /// given, still as a part of the hook's run.
    pub(crate) async fn first_answer<K: Kind<Payload = Operation>>(
        &self,
        table: &Table<K>,
        invocation: &Invocation,
        name: &str,
        op: Op,
        data: Value,
        give: impl Fn(K::Answer) -> Step<Value>,
    ) -> CallOutcome {
        let hooks = table.answering(name);
        if hooks.is_empty() {
            return CallOutcome::Unknown;
        }
        let payload = Arc::new(Operation::new(op, data));
        for hook in hooks {
            match self.run_to(hook, invocation, name, Some(op), Arc::clone(&payload), &give).await {
                Ok(Value::Null) => {}
                Ok(answer) => return CallOutcome::Answer(answer),
                Err(failure) => return CallOutcome::Failed(failure),
            }
        }
        CallOutcome::Nothing
    }

    /// Leads a property's value through all its hooks: first the property's own in the order of registration, then `*`.
    /// Each sees what those before it made of the value.
    ///
    /// `value` is what [`PropertyAccess`] says for each operation; `below` are the keys below the property that the
    /// caller addressed.
    ///
    /// # Errors
    /// The first hook's failure; the value must then be neither shown nor stored. Also when a hook hides the property
    /// from a write (403).
    pub async fn filter_property(
        &self,
        invocation: &Invocation,
        op: Op,
        name: &str,
        value: Value,
        below: &[String],
    ) -> Result<Filtered, HookFailure> {
        let mut value = Arc::new(value);
        for hook in self.0.properties.all(name) {
            let (below, name) = (below.to_vec(), name.to_owned());
            let access = Arc::new(PropertyAccess { op, below, value: Arc::clone(&value), name: name.clone() });
            match self.run(hook, invocation, &name, Some(op), access).await? {
                Verdict::Keep => {}
                Verdict::Replace(new) => value = Arc::new(new),
                Verdict::Hide if op == Op::Get => return Ok(Filtered::Hidden),
                Verdict::Hide => {
                    let refused = HookError::rejected("this property cannot be changed by this caller");
                    return Err(Stop::Failed(refused).into_failure(&hook.name));
                }
            }
        }
        Ok(Filtered::Value(Arc::unwrap_or_clone(value)))
    }

    /// Tells every hook of an event, all at the same time, and waits for all. Failures are logged already: they never
    /// undo what happened.
    pub async fn fire(&self, invocation: &Invocation, event: Event) -> Vec<HookRun> {
        let Some(hooks) = self.0.lifecycle.get(&event.kind()) else { return Vec::new() };
        let name = event.kind().as_str();
        let event = Arc::new(event);
        let running = hooks.iter().map(async |hook| HookRun {
            function: hook.signature.function,
            result: self.run(hook, invocation, name, None, Arc::clone(&event)).await,
        });
        join_all(running).await
    }

    /// Tells every subscription hook of a change at a peer, as [`fire`](Self::fire) tells of events.
    pub async fn tell_change(&self, invocation: &Invocation, change: PeerChange) -> Vec<HookRun> {
        let change = Arc::new(change);
        let running = self.0.subscriptions.all(&change.target).map(async |hook| HookRun {
            function: hook.signature.function,
            result: self.run(hook, invocation, &change.target, None, Arc::clone(&change)).await,
        });
        join_all(running).await
    }

    async fn run<K: Kind>(
        &self,
        hook: &Registered<K>,
        invocation: &Invocation,
        name: &str,
        op: Option<Op>,
        payload: Arc<K::Payload>,
    ) -> Result<K::Answer, HookFailure> {
        self.run_to(hook, invocation, name, op, payload, whole).await
    }

    async fn run_to<K: Kind, A: Send + 'static>(
        &self,
        hook: &Registered<K>,
        invocation: &Invocation,
        name: &str,
        op: Option<Op>,
        payload: Arc<K::Payload>,
        give: impl FnOnce(K::Answer) -> Step<A>,
    ) -> Result<A, HookFailure> {
        let deadline = self.0.engine.deadline(hook.about.deadline, invocation);
        self.run_until(hook, invocation, (name, op, payload), deadline, give).await
    }

    pub(crate) async fn run_until<K: Kind, A: Send + 'static>(
        &self,
        hook: &Registered<K>,
        invocation: &Invocation,
        (name, op, payload): (&str, Option<Op>, Arc<K::Payload>),
        deadline: Deadline,
        give: impl FnOnce(K::Answer) -> Step<A>,
    ) -> Result<A, HookFailure> {
        let Inner { engine, surroundings, .. } = &*self.0;
        let shared = Shared {
            surroundings: Arc::clone(surroundings),
            invocation: invocation.clone(),
            hook: Arc::clone(&hook.name),
            name: name.to_owned(),
            op,
            deadline,
            tasks: TaskSet::default(),
            runtime: tokio::runtime::Handle::current(),
        };
        engine.run(hook, Call { shared: Arc::new(shared), payload }, give).await
    }
}

/// The answer as it is.
fn whole<A>(answer: A) -> Step<A> {
    Step::Done(Ok(answer))
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { info, methods, actions, resources, properties, callbacks, subscriptions, bots, lifecycle, .. } =
            &*self.0;
        f.debug_struct("Hooks")
            .field("info", info)
            .field("methods", methods)
            .field("actions", actions)
            .field("resources", resources)
            .field("properties", properties)
            .field("callbacks", callbacks)
            .field("subscriptions", subscriptions)
            .field("bots", bots)
            .field("lifecycle", lifecycle)
            .finish_non_exhaustive()
    }
}
