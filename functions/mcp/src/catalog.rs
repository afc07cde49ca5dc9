//! What AI clients are shown, in the protocol's own types: made once per process.

use std::sync::Arc;

use actingweb_hooks::{Hooks, McpHook, McpItem, UriTemplate};
use rmcp::model::{Icon, JsonObject, Prompt, PromptArgument, Resource, ResourceTemplate, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::schema;

/// The one argument of a tool whose hook takes no object.
pub(crate) const WRAPPED: &str = "input";

/// Everything on offer, each list in the order of names.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) tools: Vec<OfferedTool>,
    pub(crate) prompts: Vec<OfferedPrompt>,
    /// Single resources.
    pub(crate) resources: Vec<OfferedResource<Resource>>,
    /// Families of resources.
    pub(crate) templates: Vec<OfferedResource<ResourceTemplate>>,
}

#[derive(Debug)]
pub(crate) struct OfferedTool {
    pub(crate) item: McpItem,
    pub(crate) shown: Tool,
    /// Whether the hook takes no object, so that what it takes is the argument [`WRAPPED`].
    pub(crate) is_wrapped: bool,
    /// Whether it is an action that runs as a task, never while its caller waits.
    pub(crate) is_task: bool,
}

#[derive(Debug)]
pub(crate) struct OfferedPrompt {
    pub(crate) item: McpItem,
    pub(crate) shown: Prompt,
}

#[derive(Debug)]
pub(crate) struct OfferedResource<T> {
    pub(crate) item: McpItem,
    pub(crate) uri: UriTemplate,
    pub(crate) shown: T,
}

/// What all lists have in common.
pub(crate) trait Offered {
    fn item(&self) -> &McpItem;
}

impl Offered for OfferedTool {
    fn item(&self) -> &McpItem {
        &self.item
    }
}

impl Offered for OfferedPrompt {
    fn item(&self) -> &McpItem {
        &self.item
    }
}

impl<T> Offered for OfferedResource<T> {
    fn item(&self) -> &McpItem {
        &self.item
    }
}

impl Catalog {
    pub(crate) fn of(hooks: &Hooks) -> Self {
        let items = hooks.mcp();
        let (single, families) = items
            .resources
            .iter()
            .filter_map(|item| Some((item, item.uri.clone()?)))
            .partition::<Vec<_>, _>(|(_, uri)| uri.is_fixed());
        Self {
            tools: items.tools.iter().map(|item| tool(item, hooks)).collect(),
            prompts: items
                .prompts
                .iter()
                .map(|item| OfferedPrompt { item: item.clone(), shown: prompt(item) })
                .collect(),
            resources: single.into_iter().map(|(item, uri)| resource(item, uri)).collect(),
            templates: families.into_iter().map(|(item, uri)| template(item, uri)).collect(),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && !self.has_resources()
    }

    /// Whether any tool runs as a task.
    pub(crate) fn has_tasks(&self) -> bool {
        self.tools.iter().any(|tool| tool.is_task)
    }

    pub(crate) const fn has_resources(&self) -> bool {
        !self.resources.is_empty() || !self.templates.is_empty()
    }
}

fn tool(item: &McpItem, hooks: &Hooks) -> OfferedTool {
    let (input, is_wrapped) = input_schema(item.input_schema.clone().map(schema::portable).as_ref());
    let mut shown = Tool::new(item.name.clone(), item.description.clone(), Arc::new(input));
    shown.title.clone_from(&item.title);
    let output = item.output_schema.clone().map(schema::portable);
    shown.output_schema = output.as_ref().and_then(Value::as_object).cloned().map(Arc::new);
    shown.annotations = annotations(item);
    shown.icons = icons(item);
    let is_task = item.hook == McpHook::Action && hooks.task_rules(&item.name).is_some();
    OfferedTool { item: item.clone(), shown, is_wrapped, is_task }
}

/// The schema of a tool's arguments, which are an object always. Whatever else a hook takes becomes the one member of
/// such an object.
fn input_schema(schema: Option<&Value>) -> (JsonObject, bool) {
    let object = || json!({ "type": "object" }).as_object().cloned().unwrap_or_default();
    let Some(Value::Object(schema)) = schema else { return (object(), false) };
    match schema.get("type") {
        Some(kind) if kind == "object" => (schema.clone(), false),
        // Choices between objects, of which schemars does not say that they are.
        None if ["oneOf", "anyOf", "allOf", "$ref", "properties"].iter().any(|key| schema.contains_key(*key)) => {
            let mut schema = schema.clone();
            schema.insert("type".to_owned(), json!("object"));
            (schema, false)
        }
        _ => {
            let mut inner = schema.clone();
            let definitions = inner.shift_remove("$defs");
            let dialect = inner.shift_remove("$schema");
            let mut wrapped = object();
            wrapped.insert("properties".to_owned(), json!({ WRAPPED: inner }));
            wrapped.insert("required".to_owned(), json!([WRAPPED]));
            // References lead to definitions at the top.
            wrapped.extend(definitions.map(|definitions| ("$defs".to_owned(), definitions)));
            wrapped.extend(dialect.map(|dialect| ("$schema".to_owned(), dialect)));
            (wrapped, true)
        }
    }
}

fn annotations(item: &McpItem) -> Option<ToolAnnotations> {
    // Both sides write the protocol's own words.
    serde_json::to_value(item.annotations.as_ref()?).and_then(serde_json::from_value).ok()
}

fn icons(item: &McpItem) -> Option<Vec<Icon>> {
    let icon = |icon: &actingweb_hooks::Icon| {
        let mut shown = Icon::new(icon.src.clone());
        shown.mime_type.clone_from(&icon.mime_type);
        shown
    };
    (!item.icons.is_empty()).then(|| item.icons.iter().map(icon).collect())
}

fn prompt(item: &McpItem) -> Prompt {
    let schema = item.input_schema.as_ref();
    let required = |name: &str| {
        let names = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let argument = |(name, about): (&String, &Value)| {
        let mut argument = PromptArgument::new(name.clone()).with_required(required(name));
        let text = |key: &str| about.get(key).and_then(Value::as_str).map(str::to_owned);
        argument.description = text("description");
        argument.title = text("title");
        argument
    };
    let members = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let arguments: Vec<_> = members.into_iter().flatten().map(argument).collect();
    let mut shown = Prompt::new(item.name.clone(), described(item), (!arguments.is_empty()).then_some(arguments));
    shown.title.clone_from(&item.title);
    shown.icons = icons(item);
    shown
}

fn resource(item: &McpItem, uri: UriTemplate) -> OfferedResource<Resource> {
    let mut shown = Resource::new(uri.as_str(), item.name.clone());
    shown.title.clone_from(&item.title);
    shown.description = described(item);
    shown.mime_type.clone_from(&item.mime_type);
    shown.icons = icons(item);
    OfferedResource { item: item.clone(), uri, shown }
}

fn template(item: &McpItem, uri: UriTemplate) -> OfferedResource<ResourceTemplate> {
    let mut shown = ResourceTemplate::new(uri.as_str(), item.name.clone());
    shown.title.clone_from(&item.title);
    shown.description = described(item);
    shown.mime_type.clone_from(&item.mime_type);
    shown.icons = icons(item);
    OfferedResource { item: item.clone(), uri, shown }
}

fn described(item: &McpItem) -> Option<String> {
    (!item.description.is_empty()).then(|| item.description.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_whatever_the_hook_takes() {
        assert_eq!(Value::Object(input_schema(None).0), json!({ "type": "object" }));
        let object = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        assert_eq!(input_schema(Some(&object)), (object.as_object().unwrap().clone(), false));
        let (choice, is_wrapped) = input_schema(Some(&json!({ "oneOf": [] })));
        assert_eq!((choice["type"].as_str(), is_wrapped), (Some("object"), false));
    }

    #[test]
    fn what_is_no_object_becomes_a_member() {
        let list = json!({ "$schema": "x", "type": "array", "items": { "$ref": "#/$defs/A" }, "$defs": { "A": {} } });
        let (schema, is_wrapped) = input_schema(Some(&list));
        assert!(is_wrapped);
        assert_eq!(
            Value::Object(schema),
            json!({
                "type": "object",
                "properties": { "input": { "type": "array", "items": { "$ref": "#/$defs/A" } } },
                "required": ["input"],
                "$defs": { "A": {} },
                "$schema": "x",
            })
        );
    }
}
