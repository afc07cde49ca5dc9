//! From what clients send to what hooks take.

use std::collections::BTreeMap;

use actingweb_hooks::McpItem;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
        let takes = |kind: &str| *kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind));
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

/// The answers of a call's user so far: those that the client carried along for us, and those that it brings now.
///
/// The state is not signed. A client can put no more into it than it can answer in the first place.
pub(crate) fn answers(state: Option<&str>, brought: Option<BTreeMap<String, Value>>) -> Option<BTreeMap<String, Value>> {
    let mut answers: BTreeMap<String, Value> = match state {
        Some(state) => serde_json::from_slice(&URL_SAFE_NO_PAD.decode(state).ok()?).ok()?,
        None => BTreeMap::new(),
    };
    answers.extend(brought.unwrap_or_default());
    Some(answers)
}

/// What the client shall carry along, for [`answers`].
pub(crate) fn state(answers: &BTreeMap<String, Value>) -> Option<String> {
    (!answers.is_empty()).then(|| URL_SAFE_NO_PAD.encode(json!(answers).to_string()))
}
