//! What an application is: its hooks, its shared state and what it says of itself.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actingweb_bedrock::BedrockBudget;
use actingweb_protocol::Name;
use actingweb_protocol::permission::{Policy, PolicyBuilder, TrustDefinition};
use actingweb_providers::{Service, ServiceCredentials};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::as_task::TaskRules;
use crate::build::Problem;
use crate::call::EventKind;
use crate::error::BoxError;
use crate::hook::Hook;
use crate::info::{Annotations, AppInfo};
use crate::kind::{Action, Bot, Callback, Kind, Lifecycle, Method, Property, Resource, Subscription};
use crate::registry::{About, Registered};
use crate::resources::Init;

/// A value shared by all invocations, not yet known by its type.
pub(crate) type AnyState = Arc<dyn Any + Send + Sync>;
type Factory = Box<dyn FnOnce(Init) -> BoxFuture<'static, Result<AnyState, BoxError>> + Send>;

/// An application, being put together. Registering only collects; [`build`](Self::build) checks and reports every
/// mistake at once.
///
/// `describe`, `annotate`, `deadline`, `tool`, `as_task` and `attempts` speak of the hook registered just before.
///
/// ```
/// use actingweb_hooks::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Add { a: f64, b: f64 }
///
/// fn add_numbers(Input(q): Input<Add>) -> Result<f64, HookError> {
///     Ok(q.a + q.b)
/// }
///
/// async fn welcome(actor: Actor, Now(now): Now) -> Result<(), HookError> {
///     Ok(actor.set_property("created_at", now.to_string()).await?)
/// }
///
/// pub fn app() -> App {
///     App::new("urn:actingweb:example.com:demo")
///         .describe_app("Adds numbers for its owner")
///         .method("add_numbers", add_numbers)
///         .describe("Adds two numbers")
///         .annotate(Annotations::read_only().idempotent())
///         .on(ActorCreated, welcome)
/// }
/// ```
#[must_use = "an application does nothing until it is built"]
pub struct App {
    pub(crate) info: AppInfo,
    pub(crate) methods: Vec<Registered<Method>>,
    pub(crate) actions: Vec<Registered<Action>>,
    pub(crate) resources: Vec<Registered<Resource>>,
    pub(crate) properties: Vec<Registered<Property>>,
    pub(crate) callbacks: Vec<Registered<Callback>>,
    pub(crate) subscriptions: Vec<Registered<Subscription>>,
    pub(crate) bots: Vec<Registered<Bot>>,
    pub(crate) lifecycle: Vec<(EventKind, Registered<Lifecycle>)>,
    pub(crate) indexed: Vec<String>,
    pub(crate) profile: Vec<String>,
    pub(crate) states: Vec<PendingState>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) policy: PolicyBuilder,
    pub(crate) budget: Option<BedrockBudget>,
    pub(crate) services: Vec<Service>,
    pub(crate) service_clients: BTreeMap<String, ServiceCredentials>,
    last: Option<Last>,
}

/// The kind of the hook registered last.
#[derive(Clone, Copy, Debug)]
enum Last {
    Method,
    Action,
    Resource,
    Property,
    Callback,
    Subscription,
    Bot,
    Lifecycle,
}

pub(crate) struct PendingState {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) source: StateSource,
}

pub(crate) enum StateSource {
    Ready(AnyState),
    Factory(Factory),
}

impl App {
    /// An application whose actors have this type, a URN: `urn:actingweb:example.com:demo`. It is what `/meta/type` says.
    pub fn new(actor_type: impl Into<String>) -> Self {
        Self {
            info: AppInfo::new(actor_type.into()),
            methods: Vec::new(),
            actions: Vec::new(),
            resources: Vec::new(),
            properties: Vec::new(),
            callbacks: Vec::new(),
            subscriptions: Vec::new(),
            bots: Vec::new(),
            lifecycle: Vec::new(),
            indexed: Vec::new(),
            profile: crate::peers::PROFILE.map(str::to_owned).to_vec(),
            states: Vec::new(),
            problems: Vec::new(),
            policy: Policy::builder(),
            budget: None,
            services: Vec::new(),
            service_clients: BTreeMap::new(),
            last: None,
        }
    }

    /// What the application is, in a sentence: `/meta/desc`.
    pub fn describe_app(mut self, description: impl Into<String>) -> Self {
        self.info.description = description.into();
        self
    }

    /// The application's version: `/meta/version`. `env!("CARGO_PKG_VERSION")` is a good choice; the default is `0.1.0`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.info.version = version.into();
        self
    }

    /// Where people can read more: `/meta/info`.
    pub fn info_url(mut self, url: impl Into<String>) -> Self {
        self.info.info_url = url.into();
        self
    }

    /// Whether a peer with several subscriptions that a change concerns is called back once, by the most specific of them,
    /// as the specification wants it; on unless switched off for peers that expect a callback for every subscription.
    pub const fn one_callback_per_change(mut self, once: bool) -> Self {
        self.info.one_callback_per_change = once;
        self
    }

    /// Whether a creator may have one actor only; off unless asked for.
    pub const fn unique_creator(mut self, unique: bool) -> Self {
        self.info.unique_creator = unique;
        self
    }

    /// The relationship meant when none is named, in requests of this application and of its peers: a registered trust
    /// type. It is `associate`, the one that permits least, unless asked for.
    pub fn default_relationship(mut self, relationship: impl Into<String>) -> Self {
        self.info.default_relationship = relationship.into();
        self
    }

    /// Whether peers that ask for the default relationship get it without anybody being asked, once they proved that they
    /// answer at their URL; off unless asked for. When not to use it: with a default relationship that permits anything
    /// a stranger must not do, since any server on the internet can prove that it answers at its URL.
    pub const fn auto_accept(mut self, accept: bool) -> Self {
        self.info.auto_accept = accept;
        self
    }

    /// Whether requests for relationships other than the registered trust types are refused; off unless asked for, as
    /// deployed peers use names of their own. One that is not registered permits nothing but what path rules say.
    pub const fn strict_relationships(mut self, strict: bool) -> Self {
        self.info.strict_relationships = strict;
        self
    }

    /// Which trust types a client may be granted by its user, from the one that permits least to the one that permits
    /// most: the first is chosen unless the user chooses another. Only `mcp_client` unless asked for. When not to use it:
    /// with `admin`, or another type that may do what a user does not expect of the assistant it talks to.
    pub fn oauth_trust_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.info.oauth_trust_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Lets hooks find actors by the value of this property, through the [`Directory`](crate::Directory). The look-up row
    /// changes in the same transaction as the value, whoever writes it. Values written before are found once they are
    /// written again.
    ///
    /// For strings and numbers (found by their JSON text) that tell actors apart, such as `email` or an id at a provider;
    /// other values are stored and not found. When not to use it: for what very many actors share, such as a country, whose
    /// look-up rows would all be in one partition; and for what nobody looks up, as each change of a value writes twice.
    pub fn indexed(mut self, property: impl Into<String>) -> Self {
        self.indexed.push(property.into());
        self
    }

    /// What the application says of itself and decides for its actors.
    #[must_use]
    pub const fn info(&self) -> &AppInfo {
        &self.info
    }

    /// The names given to [`indexed`](Self::indexed), apart from those that [`build`](Self::build) refuses.
    #[must_use]
    pub fn indexed_properties(&self) -> Vec<Name> {
        self.indexed.iter().filter_map(|name| Name::parse(name).ok()).collect()
    }

    /// Adds a kind of relationship, or redefines a built-in one.
    pub fn trust_type(mut self, definition: TrustDefinition) -> Self {
        self.policy = self.policy.trust_type(definition);
        self
    }

    /// Adds a path rule (role, path, methods, `a` to allow or `r` to reject), before the default ones and behind those
    /// added earlier. When not to use it: for properties, methods, actions and resources of peers, whose trust type
    /// decides.
    pub fn path_rule(mut self, role: &str, path: &str, methods: &str, access: &str) -> Self {
        self.policy = self.policy.path_rule(role, path, methods, access);
        self
    }

    /// Shares a value with every hook that takes [`State<S>`](crate::State): built once per process, reused by every
    /// invocation. One value per type; wrap two of the same type in types of their own.
    pub fn state<S: Send + Sync + 'static>(self, state: S) -> Self {
        self.pending::<S>(StateSource::Ready(Arc::new(state)))
    }

    /// As [`state`](Self::state), for a value that takes I/O to make: a connection pool, a file's content. Factories run
    /// once, at start, all at the same time; an error stops the start.
    ///
    /// ```
    /// # use actingweb_hooks::{App, Init};
    /// struct Motto(String);
    ///
    /// async fn read_motto(_: Init) -> std::io::Result<Motto> {
    ///     Ok(Motto(tokio::fs::read_to_string("motto.txt").await?))
    /// }
    /// let app = App::new("urn:actingweb:example.com:demo").state_from(read_motto);
    /// ```
    pub fn state_from<S, E, F, Fut>(self, factory: F) -> Self
    where
        S: Send + Sync + 'static,
        E: Into<BoxError>,
        F: FnOnce(Init) -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, E>> + Send + 'static,
    {
        let make = |init: Init| {
            let made = factory(init);
            async move { made.await.map(|state| Arc::new(state) as AnyState).map_err(Into::into) }.boxed()
        };
        self.pending::<S>(StateSource::Factory(Box::new(make)))
    }

    fn pending<S: 'static>(mut self, source: StateSource) -> Self {
        self.states.push(PendingState { id: TypeId::of::<S>(), name: std::any::type_name::<S>(), source });
        self
    }

    /// A method: `/{actor}/methods/{name}`. The name `*` serves every name that has no hook of its own.
    pub fn method<M>(mut self, name: impl Into<String>, hook: impl Hook<Method, M>) -> Self {
        self.methods.push(Registered::new(name.into(), hook));
        self.just(Last::Method)
    }

    /// An action: `/{actor}/actions/{name}`. The name `*` serves every name that has no hook of its own.
    pub fn action<M>(mut self, name: impl Into<String>, hook: impl Hook<Action, M>) -> Self {
        self.actions.push(Registered::new(name.into(), hook));
        self.just(Last::Action)
    }

    /// A REST resource: `/{actor}/resources/{name}`. The name `*` serves every name that has no hook of its own. Take
    /// [`Op`](crate::Op) to tell `GET`, `PUT`, `POST` and `DELETE` apart.
    pub fn resource<M>(mut self, name: impl Into<String>, hook: impl Hook<Resource, M>) -> Self {
        self.resources.push(Registered::new(name.into(), hook));
        self.just(Last::Resource)
    }

    /// Watches over a property: called for each read and write over HTTP, after hooks of the same property registered
    /// earlier. The name `*` watches every property, after the property's own hooks.
    pub fn property<M>(mut self, name: impl Into<String>, hook: impl Hook<Property, M>) -> Self {
        self.properties.push(Registered::new(name.into(), hook));
        self.just(Last::Property)
    }

    /// What others send an actor unasked: `/{actor}/callbacks/{name}`, from whoever has the right to (see
    /// [`path_rule`](Self::path_rule); the creator always has). The name `*` serves every name that has no hook of its
    /// own. Of what the framework answers itself `permissions` is told, too: `{"granting_actor_id", "permission_changes"}`.
    pub fn callback<M>(mut self, name: impl Into<String>, hook: impl Hook<Callback, M>) -> Self {
        self.callbacks.push(Registered::new(name.into(), hook));
        self.just(Last::Callback)
    }

    /// Is told of each change at peers that an actor is subscribed to, under this target (`properties`, or what the peer
    /// declares); `*` of those under any target. It takes [`PeerChange`](crate::PeerChange). All hooks of a change run at
    /// the same time, after it was stored; one that fails is logged and changes nothing. Changes of a subscription come
    /// one after the other.
    pub fn subscription<M>(mut self, target: impl Into<String>, hook: impl Hook<Subscription, M>) -> Self {
        self.subscriptions.push(Registered::new(target.into(), hook));
        self.just(Last::Subscription)
    }

    /// Takes what a service sends to the application as a whole: `POST /bot`, served when the deployment sets
    /// `ACTINGWEB_BOT_TOKEN`. Several are asked in the order of registration until one takes it. There is no actor in such
    /// a call: find it with [`Directory`](crate::Directory). When not to use it: for what is about one actor, which is a
    /// [`callback`](Self::callback).
    ///
    /// ```
    /// # use actingweb_hooks::{App, BotMessage, HookError};
    /// async fn on_message(message: BotMessage) -> Result<bool, HookError> {
    ///     if !message.bears_token() {
    ///         return Ok(false);
    ///     }
    ///     let sent: serde_json::Value = message.json()?;
    ///     Ok(sent.get("text").is_some())
    /// }
    /// let app = App::new("urn:actingweb:example.com:demo").bot(on_message);
    /// ```
    pub fn bot<M>(mut self, hook: impl Hook<Bot, M>) -> Self {
        self.bots.push(Registered::new("bot".to_owned(), hook));
        self.just(Last::Bot)
    }

    /// Is told when something happens to an actor. All hooks of an event run at the same time; one that fails is logged
    /// and changes nothing for the others.
    pub fn on<M>(mut self, event: EventKind, hook: impl Hook<Lifecycle, M>) -> Self {
        self.lifecycle.push((event, Registered::new(event.as_str().to_owned(), hook)));
        self.just(Last::Lifecycle)
    }

    const fn just(mut self, kind: Last) -> Self {
        self.last = Some(kind);
        self
    }

    /// Says what the hook does, for people and models: in `/methods`, `/actions` and lists of tools.
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.about("describe", |about| about.description = Some(description.into()))
    }

    /// Hints on what calling the hook does.
    pub fn annotate(self, annotations: Annotations) -> Self {
        self.about("annotate", |about| about.annotations = Some(annotations))
    }

    /// How long the hook may run. What the invocation has left, if that is less, counts.
    pub fn deadline(self, deadline: Duration) -> Self {
        self.about("deadline", |about| about.deadline = Some(deadline))
    }

    /// Offers the action or method as a tool to models, with a description written for them.
    pub fn tool(mut self, description: impl Into<String>) -> Self {
        if let Some(kind) = self.last.filter(|kind| !matches!(kind, Last::Method | Last::Action)) {
            self.problems.push(Problem::NotATool { kind: kind.name(), hook: self.last_name() });
            return self;
        }
        self.about("tool", |about| about.tool = Some(description.into()))
    }

    /// Lets the action run after its caller has gone: a `POST` is answered 202 with a task, whose status and result are
    /// under `/{actor}/actions/{name}/tasks/{id}`, and a worker runs the hook, once the input and the caller's rights
    /// were found good. It may take what the worker has, fifteen minutes on AWS, or its own
    /// [`deadline`](Self::deadline). Take [`Task`](crate::Task) to tell how far it has come.
    ///
    /// A hook that fails in a way that may pass ([`HookError::Retryable`](crate::HookError::Retryable),
    /// [`Exhausted`](crate::HookError::Exhausted), a panic, its deadline), or whose worker dies, is run again, five times
    /// in all unless [`attempts`](Self::attempts) says otherwise. So what it does must bear being done twice.
    ///
    /// When not to use it: for what takes less than a few seconds, since whoever asks must ask again for the result.
    pub fn as_task(mut self) -> Self {
        if let Some(kind) = self.last.filter(|kind| !matches!(kind, Last::Action)) {
            self.problems.push(Problem::NoTask { kind: kind.name(), hook: self.last_name() });
            return self;
        }
        self.about("as_task", |about| about.task = Some(TaskRules::default()))
    }

    /// How often a task is tried, the first time included; 0 counts as 1. Follows [`as_task`](Self::as_task).
    pub fn attempts(mut self, attempts: u32) -> Self {
        let mut is_task = false;
        let rules = TaskRules { attempts: attempts.max(1) };
        let change = |about: &mut About| {
            is_task = about.task.is_some();
            about.task = about.task.map(|_| rules);
        };
        self = self.about("attempts", change);
        if let Some(kind) = self.last.filter(|_| !is_task) {
            self.problems.push(Problem::NoTask { kind: kind.name(), hook: self.last_name() });
        }
        self
    }

    /// Says something of a method for MCP; of any other hook it is a mistake.
    pub(crate) fn for_methods(mut self, what: &'static str, change: impl FnOnce(&mut crate::mcp::McpAbout)) -> Self {
        if let Some(kind) = self.last.filter(|kind| !matches!(kind, Last::Method)) {
            self.problems.push(Problem::NotForMethods { what, kind: kind.name(), hook: self.last_name() });
            return self;
        }
        self.about(what, |about| change(&mut about.mcp))
    }

    fn last_name(&self) -> String {
        let name = match self.last {
            Some(Last::Method) => self.methods.last().map(|hook| &hook.name),
            Some(Last::Action) => self.actions.last().map(|hook| &hook.name),
            Some(Last::Resource) => self.resources.last().map(|hook| &hook.name),
            Some(Last::Property) => self.properties.last().map(|hook| &hook.name),
            Some(Last::Callback) => self.callbacks.last().map(|hook| &hook.name),
            Some(Last::Subscription) => self.subscriptions.last().map(|hook| &hook.name),
            Some(Last::Bot) => self.bots.last().map(|hook| &hook.name),
            Some(Last::Lifecycle) => self.lifecycle.last().map(|(_, hook)| &hook.name),
            None => None,
        };
        name.map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn about(mut self, what: &'static str, change: impl FnOnce(&mut About)) -> Self {
        let about = match self.last {
            Some(Last::Method) => self.methods.last_mut().map(|hook| &mut hook.about),
            Some(Last::Action) => self.actions.last_mut().map(|hook| &mut hook.about),
            Some(Last::Resource) => self.resources.last_mut().map(|hook| &mut hook.about),
            Some(Last::Property) => self.properties.last_mut().map(|hook| &mut hook.about),
            Some(Last::Callback) => self.callbacks.last_mut().map(|hook| &mut hook.about),
            Some(Last::Subscription) => self.subscriptions.last_mut().map(|hook| &mut hook.about),
            Some(Last::Bot) => self.bots.last_mut().map(|hook| &mut hook.about),
            Some(Last::Lifecycle) => self.lifecycle.last_mut().map(|(_, hook)| &mut hook.about),
            None => None,
        };
        match about {
            Some(about) => change(about),
            None => self.problems.push(Problem::NoHookYet { what }),
        }
        self
    }
}

impl Last {
    const fn name(self) -> &'static str {
        match self {
            Self::Method => Method::NAME,
            Self::Action => Action::NAME,
            Self::Resource => Resource::NAME,
            Self::Property => Property::NAME,
            Self::Callback => Callback::NAME,
            Self::Subscription => Subscription::NAME,
            Self::Bot => Bot::NAME,
            Self::Lifecycle => Lifecycle::NAME,
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("info", &self.info)
            .field("methods", &self.methods)
            .field("actions", &self.actions)
            .field("resources", &self.resources)
            .field("properties", &self.properties)
            .field("callbacks", &self.callbacks)
            .field("subscriptions", &self.subscriptions)
            .field("bots", &self.bots)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}
