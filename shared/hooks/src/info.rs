//! What the framework and its callers can learn about an application and its hooks.

use std::collections::HashSet;

use actingweb_protocol::trust_types::{CLIENT, DEFAULT};
use serde::Serialize;

use crate::kind::Kind;
use crate::mcp::McpInfo;
use crate::registry::{Registered, WILDCARD};
use crate::schema::Schema;

/// One hook as `GET /{actor}/methods` and `/actions` list it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookInfo {
    /// Its name.
    pub name: String,
    /// What it does, for people and for models; empty when the author said nothing.
    pub description: String,
    /// JSON Schema (draft 2020-12) of what it takes; `null` when it takes anything or nothing.
    pub input_schema: Option<Schema>,
    /// JSON Schema of what it answers; `null` when that may be anything or nothing.
    pub output_schema: Option<Schema>,
    /// Whether callers may have its answer piece by piece, as `text/event-stream`; left out when not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
    /// Whether it is answered with a task, whose result has the schema of its output; left out when not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub task: bool,
    /// Hints on what calling it does; `null` when the author gave none.
    pub annotations: Option<Annotations>,
}

impl HookInfo {
    /// What `/methods` and `/actions` say: the hook's own description, else its tool's.
    pub(crate) fn of<K: Kind>(hook: &Registered<K>) -> Self {
        let about = &hook.about;
        Self::described(hook, about.description.as_ref().or(about.tool.as_ref()))
    }

    /// What tool lists say: the tool's description. `None` for a hook that is no tool.
    pub(crate) fn of_tool<K: Kind>(hook: &Registered<K>) -> Option<Self> {
        hook.about.tool.as_ref().map(|description| Self::described(hook, Some(description)))
    }

    fn described<K: Kind>(hook: &Registered<K>, description: Option<&String>) -> Self {
        Self {
            name: hook.name.to_string(),
            description: description.cloned().unwrap_or_default(),
            input_schema: hook.signature.input.clone(),
            output_schema: hook.signature.output.clone(),
            streams: hook.signature.streams,
            task: hook.about.task.is_some(),
            annotations: hook.about.annotations.clone(),
        }
    }
}

impl crate::App {
    /// The methods to list, as [`Hooks::methods`](crate::Hooks::methods) does once the application is built.
    #[must_use]
    pub fn methods(&self) -> Vec<HookInfo> {
        listed(&self.methods)
    }

    /// The actions to list, as [`Hooks::actions`](crate::Hooks::actions) does once the application is built.
    #[must_use]
    pub fn actions(&self) -> Vec<HookInfo> {
        listed(&self.actions)
    }
}

fn listed<K: Kind>(hooks: &[Registered<K>]) -> Vec<HookInfo> {
    first_of_each(hooks).map(HookInfo::of).collect()
}

/// The first hook of each name; wildcards are not listed.
pub(crate) fn first_of_each<K: Kind>(hooks: &[Registered<K>]) -> impl Iterator<Item = &Registered<K>> {
    let mut seen = HashSet::from([WILDCARD]);
    hooks.iter().filter(move |hook| seen.insert(&*hook.name))
}

/// Hints on what calling a hook does, in the words of MCP's tool annotations. Hints: nothing enforces them.
///
/// ```
/// # use actingweb_hooks::Annotations;
/// let hints = Annotations::read_only().idempotent().title("Add numbers");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_world_hint: Option<bool>,
}

impl Annotations {
    /// It changes nothing.
    #[must_use]
    pub fn read_only() -> Self {
        Self { read_only_hint: Some(true), ..Self::default() }
    }

    /// It changes something, but only adds.
    #[must_use]
    pub fn additive() -> Self {
        Self { read_only_hint: Some(false), destructive_hint: Some(false), ..Self::default() }
    }

    /// It may overwrite or delete.
    #[must_use]
    pub fn destructive() -> Self {
        Self { read_only_hint: Some(false), destructive_hint: Some(true), ..Self::default() }
    }

    /// Calling it again with the same input changes nothing more.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent_hint = Some(true);
        self
    }

    /// It reaches beyond the actor: services, peers, models.
    #[must_use]
    pub const fn open_world(mut self) -> Self {
        self.open_world_hint = Some(true);
        self
    }

    /// It stays within the actor.
    #[must_use]
    pub const fn closed_world(mut self) -> Self {
        self.open_world_hint = Some(false);
        self
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
}

/// What the application says of itself, for `/meta`, and what it decides for all its actors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppInfo {
    /// The actors' type, a URN: `urn:actingweb:example.com:demo`.
    pub actor_type: String,
    /// The application's own version.
    pub version: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Where people can read more.
    pub info_url: String,
    /// Whether a creator may have one actor only.
    pub unique_creator: bool,
    /// Whether a peer is called back once for a change, by the most specific of its subscriptions.
    pub one_callback_per_change: bool,
    /// The relationship meant when none is named.
    pub default_relationship: String,
    /// The trust types that a client may be granted, from the one that permits least.
    pub oauth_trust_types: Vec<String>,
    /// Origins of single-page applications that may use the actors' API and sign people in: `https://app.example.com`.
    pub spa_origins: Vec<String>,
    /// Where native apps may be led back to after a sign-in: `com.example.app:/signed-in`.
    pub deep_links: Vec<String>,
    /// Whether verified peers get the default relationship without being asked about.
    pub auto_accept: bool,
    /// Whether only registered trust types are relationships.
    pub strict_relationships: bool,
    /// What it says of itself to AI clients.
    pub mcp: McpInfo,
}

impl AppInfo {
    pub(crate) fn new(actor_type: String) -> Self {
        let name = actor_type.rsplit(':').next().unwrap_or_default().to_owned();
        Self {
            mcp: McpInfo { name, ..McpInfo::default() },
            description: format!("ActingWeb app: {actor_type}"),
            actor_type,
            version: "0.1.0".to_owned(),
            info_url: "http://actingweb.org/".to_owned(),
            unique_creator: false,
            one_callback_per_change: true,
            default_relationship: DEFAULT.to_owned(),
            oauth_trust_types: vec![CLIENT.to_owned()],
            spa_origins: Vec::new(),
            deep_links: Vec::new(),
            auto_accept: false,
            strict_relationships: false,
        }
    }
}
