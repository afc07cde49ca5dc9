//! What AI clients see of an application over the Model Context Protocol: tools, prompts and resources.

mod client;
mod content;
mod uri;

use serde::Serialize;

pub use client::{AiClient, Ask, McpCall, McpClient, Question, Reply};
pub use content::{PromptMessages, ResourceContent, ToolContent};
pub use uri::{UriTemplate, UriTemplateError};

use crate::app::App;
use crate::build::Problem;
use crate::info::Annotations;
use crate::kind::Kind;
use crate::registry::Registered;
use crate::schema::Schema;

/// A picture for a tool, a prompt or a resource, by its URL (`https:` or `data:`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Icon {
    /// Where it is.
    pub src: String,
    /// What it is: `image/svg+xml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
}

/// What the application says of its MCP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpInfo {
    /// Its name; the last part of the actors' type, unless the application says another.
    pub name: String,
    /// How models should use it.
    pub instructions: Option<String>,
    /// The origins of pages that may call it, beside the deployment's own.
    pub origins: Vec<String>,
}

/// What an author said of a hook for MCP alone, beside `.tool(..)`.
#[derive(Debug, Default)]
pub(crate) struct McpAbout {
    prompt: Option<String>,
    resource: Option<(String, String)>,
    mime_type: Option<String>,
    title: Option<String>,
    icons: Vec<Icon>,
    visible_to: Vec<AiClient>,
    descriptions: Vec<(AiClient, String)>,
}

/// What is called for a tool, a prompt or a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum McpHook {
    /// A method.
    Method,
    /// An action.
    Action,
}

/// The built-in tool that tells how a task stands. It is offered, as is [`CANCEL_TASK_TOOL`], where a tool of the
/// application runs as a task, to clients that know no tasks; no such application may have tools of these names.
pub const GET_TASK_TOOL: &str = "get_task";

/// The built-in tool that ends a task.
pub const CANCEL_TASK_TOOL: &str = "cancel_task";

/// A tool, a prompt or a resource.
#[derive(Clone, Debug)]
pub struct McpItem {
    /// Its name, which is its hook's.
    pub name: String,
    /// What is called.
    pub hook: McpHook,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is for, written for models.
    pub description: String,
    /// Its pictures.
    pub icons: Vec<Icon>,
    /// JSON Schema of what it takes; `None` when it takes anything or nothing.
    pub input_schema: Option<Schema>,
    /// JSON Schema of what it answers; `None` when that may be anything or nothing.
    pub output_schema: Option<Schema>,
    /// Hints on what calling it does.
    pub annotations: Option<Annotations>,
    /// A resource's URI, or those of a family of them.
    pub uri: Option<UriTemplate>,
    /// What a resource holds, if that is always the same.
    pub mime_type: Option<String>,
    visible_to: Vec<AiClient>,
    descriptions: Vec<(AiClient, String)>,
}

impl McpItem {
    /// Whether this kind of client gets to see it.
    #[must_use]
    pub fn is_visible_to(&self, client: AiClient) -> bool {
        self.visible_to.is_empty() || self.visible_to.contains(&client)
    }

    /// Its description for this kind of client.
    #[must_use]
    pub fn description_for(&self, client: AiClient) -> &str {
        let own = self.descriptions.iter().find(|(kind, _)| *kind == client);
        own.map_or(&self.description, |(_, description)| description)
    }

    fn of<K: Kind>(hook: &Registered<K>, kind: McpHook, description: &str) -> Self {
        let about = &hook.about;
        Self {
            name: hook.name.to_string(),
            hook: kind,
            title: about.mcp.title.clone(),
            description: description.to_owned(),
            icons: about.mcp.icons.clone(),
            input_schema: hook.signature.input.clone(),
            output_schema: hook.signature.output.clone(),
            annotations: about.annotations.clone(),
            uri: None,
            mime_type: about.mcp.mime_type.clone(),
            visible_to: about.mcp.visible_to.clone(),
            descriptions: about.mcp.descriptions.clone(),
        }
    }
}

/// Everything that AI clients may see of an application, each list in the order of names.
#[derive(Clone, Debug, Default)]
pub struct McpItems {
    /// Methods and actions that models call.
    pub tools: Vec<McpItem>,
    /// Methods that give people texts to begin with.
    pub prompts: Vec<McpItem>,
    /// Methods that clients read from.
    pub resources: Vec<McpItem>,
}

impl McpItems {
    /// Whether there is nothing at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty()
    }

    /// Collects what the hooks of an application are offered as.
    pub(crate) fn of(app: &App, problems: &mut Vec<Problem>) -> Self {
        let mut items = Self::default();
        for hook in crate::info::first_of_each(&app.methods) {
            items.tools.extend(tool(hook, McpHook::Method));
            let mcp = &hook.about.mcp;
            items.prompts.extend(mcp.prompt.as_ref().map(|about| McpItem::of(hook, McpHook::Method, about)));
            if let Some((uri, description)) = &mcp.resource {
                match UriTemplate::parse(uri) {
                    Ok(uri) => {
                        let item = McpItem::of(hook, McpHook::Method, description);
                        items.resources.push(McpItem { uri: Some(uri), ..item });
                    }
                    Err(reason) => {
                        let (hook, uri) = (hook.name.to_string(), uri.clone());
                        problems.push(Problem::ResourceUri { hook, uri, reason });
                    }
                }
            }
        }
        for hook in crate::info::first_of_each(&app.actions) {
            items.tools.extend(tool(hook, McpHook::Action));
        }
        for list in [&mut items.tools, &mut items.prompts, &mut items.resources] {
            list.sort_by(|left, right| left.name.cmp(&right.name));
        }
        for item in items.tools.iter().chain(&items.prompts) {
            if !is_name(&item.name) {
                problems.push(Problem::McpName(item.name.clone()));
            }
        }
        for pair in items.tools.windows(2) {
            if let [left, right] = pair
                && left.name == right.name
            {
                problems.push(Problem::DuplicateTool(left.name.clone()));
            }
        }
        check_task_tools(app, &items.tools, problems);
        items
    }
}

/// Where a tool runs as a task, the names of the tools that look after tasks are taken: the answer to a call names them, and
/// clients were promised what they do.
fn check_task_tools(app: &App, tools: &[McpItem], problems: &mut Vec<Problem>) {
    let runs_as_task = |tool: &&McpItem| {
        let mut hooks = app.actions.iter().filter(|hook| *hook.name == *tool.name);
        tool.hook == McpHook::Action && hooks.any(|hook| hook.about.task.is_some())
    };
    let Some(task) = tools.iter().find(runs_as_task) else { return };
    for tool in tools.iter().filter(|tool| [GET_TASK_TOOL, CANCEL_TASK_TOOL].contains(&tool.name.as_str())) {
        let kind = match tool.hook {
            McpHook::Method => "method",
            McpHook::Action => "action",
        };
        let (name, task) = (tool.name.clone(), task.name.clone());
        problems.push(Problem::TaskToolName { kind, name, task });
    }
}

fn tool<K: Kind>(hook: &Registered<K>, kind: McpHook) -> Option<McpItem> {
    hook.about.tool.as_ref().map(|description| McpItem::of(hook, kind, description))
}

/// What clients take as a name of a tool (MCP 2025-11-25, "Tool Names").
fn is_name(name: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=128).contains(&name.len()) && name.bytes().all(usable)
}

/// What AI clients are offered. `title`, `icon`, `mime_type`, `visible_to` and `describe_for` speak of the hook registered
/// just before, whatever it is offered as.
impl App {
    /// Offers the method as a prompt: a text, or [messages](PromptMessages), that people begin with. Its arguments are the
    /// members of its input.
    pub fn prompt(self, description: impl Into<String>) -> Self {
        let description = description.into();
        self.for_methods("prompt", |mcp| mcp.prompt = Some(description))
    }

    /// Offers the method as a resource that clients read: one (`notes://all`), or a family of them (`notes://{id}`) whose
    /// places are members of its input. It answers with a `String`, with any other value, which is shown as JSON, or with
    /// [`ResourceContent`].
    pub fn mcp_resource(self, uri: impl Into<String>, description: impl Into<String>) -> Self {
        let resource = (uri.into(), description.into());
        self.for_methods("mcp_resource", |mcp| mcp.resource = Some(resource))
    }

    /// What the resource holds, as lists of resources say it: `text/markdown`.
    pub fn mime_type(self, mime_type: impl Into<String>) -> Self {
        self.about("mime_type", |about| about.mcp.mime_type = Some(mime_type.into()))
    }

    /// The name that people see.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.about("title", |about| about.mcp.title = Some(title.into()))
    }

    /// A picture that people see, by its URL, and what it is if the URL does not tell: `Some("image/svg+xml")`.
    pub fn icon(self, src: impl Into<String>, mime_type: Option<&str>) -> Self {
        let icon = Icon { src: src.into(), mime_type: mime_type.map(str::to_owned) };
        self.about("icon", |about| about.mcp.icons.push(icon))
    }

    /// Offers the hook to these kinds of clients only; to all others it does not exist. Clients say themselves what they
    /// are, so this makes lists shorter and guards nothing: permissions do.
    pub fn visible_to(self, clients: impl IntoIterator<Item = AiClient>) -> Self {
        self.about("visible_to", |about| about.mcp.visible_to.extend(clients))
    }

    /// Describes the hook otherwise to this kind of client.
    pub fn describe_for(self, client: AiClient, description: impl Into<String>) -> Self {
        self.about("describe_for", |about| about.mcp.descriptions.push((client, description.into())))
    }

    /// The name of the application's MCP server.
    pub fn mcp_name(mut self, name: impl Into<String>) -> Self {
        self.info.mcp.name = name.into();
        self
    }

    /// Tells models how to use the application: clients put it into their prompts.
    pub fn mcp_instructions(mut self, instructions: impl Into<String>) -> Self {
        self.info.mcp.instructions = Some(instructions.into());
        self
    }

    /// Lets pages of this origin, such as `https://chat.example.com`, call `/mcp` from browsers. Those of the deployment's
    /// own may. Programs that are no browsers are not concerned.
    pub fn mcp_origin(mut self, origin: impl Into<String>) -> Self {
        self.info.mcp.origins.push(origin.into());
        self
    }
}

/// Compiles the examples of the guide to AI clients.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/mcp.md")]
struct Guide;
