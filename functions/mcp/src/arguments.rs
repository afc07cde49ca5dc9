//! From what clients send to what hooks take.

use actingweb_hooks::McpItem;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use crate::catalog::{OfferedTool, WRAPPED};

/// The input of a tool's hook.
pub(crate) fn of_tool(tool: &OfferedTool, arguments: Option<JsonObject>) -> Value {
    let mut arguments = arguments.unwrap_or_default();
    if tool.is_wrapped { arguments.shift_remove(WRAPPED).unwrap_or_default() } else { Value::Object(arguments) }
}

/// The input of a prompt's or a resource's hook. Their values are texts on the wire; those that the hook takes as numbers
/// and booleans are read as such.
pub(crate) fn of_texts(item: &McpItem, mut values: JsonObject) -> Value {
    let members = item.input_schema.as_ref().and_then(|schema| schema.get("properties"));
    for (name, value) in &mut values {
        let Some(kinds) = members.and_then(|members| members.get(name)).and_then(|member| member.get("type")) else {
            continue;
        };
        let takes =
            |kind: &str| *kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind));
        let Some(text) = value.as_str() else { continue };
        let read = if takes("string") {
            None
        } else if takes("integer") || takes("number") {
            serde_json::from_str(text).ok().filter(Value::is_number)
        } else if takes("boolean") {
            text.parse::<bool>().ok().map(|flag| json!(flag))
        } else {
            None
        };
        if let Some(read) = read {
            *value = read;
        }
    }
    Value::Object(values)
}

/// A required argument that is missing.
pub(crate) fn missing<'a>(item: &'a McpItem, values: &JsonObject) -> Option<&'a str> {
    let required = item.input_schema.as_ref()?.get("required")?.as_array()?;
    required.iter().filter_map(Value::as_str).find(|name| !values.contains_key(*name))
}
