//! From what hooks answer to what clients get.

use actingweb_hooks::{CallOutcome, HookFailure, McpItem};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ContentBlock, GetPromptResult, JsonObject, PromptMessage, ReadResourceResult, ResourceContents,
    Role,
};
use serde_json::{Value, json};

use crate::revision::Revision;

/// What a hook gave, or its failure.
pub(crate) fn value_of(outcome: CallOutcome) -> Result<Value, HookFailure> {
    match outcome {
        CallOutcome::Answer(value) => Ok(value),
        // Names were looked up before, so that `Unknown` does not happen.
        CallOutcome::Nothing | CallOutcome::Unknown => Ok(Value::Null),
        CallOutcome::Failed(failure) => Err(failure),
    }
}

/// The result of a tool: its blocks if it answers with such, else its JSON, as text for models and as it is for programs.
pub(crate) fn of_tool(value: Value, revision: &Revision) -> CallToolResult {
    let (content, structured, is_error) = match blocks(&value) {
        Some(content) => {
            let structured = value.get("structuredContent").filter(|value| !value.is_null()).cloned();
            (content, structured, value.get("isError") == Some(&Value::Bool(true)))
        }
        None if value.is_null() => (Vec::new(), None, false),
        None => (vec![ContentBlock::text(text_of(&value))], Some(value), false),
    };
    let mut result = if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = structured.filter(|_| revision.has_structured_content());
    result
}

/// The blocks of an answer that is a tool's content, and nothing but that: a value of the application's own that has a
/// member called `content` stays what it is.
fn blocks(value: &Value) -> Option<Vec<ContentBlock>> {
    let members = value.as_object()?;
    let known = |key: &String| matches!(key.as_str(), "content" | "structuredContent" | "isError" | "_meta");
    if !members.keys().all(known) {
        return None;
    }
    let blocks = members.get("content")?.as_array()?;
    blocks.iter().map(|block| serde_json::from_value(block.clone()).ok()).collect()
}

/// A failed tool, which is a result: models read it and may mend their call.
pub(crate) fn of_failed_tool(failure: &HookFailure) -> CallToolResult {
    let text = match failure.retry_after {
        Some(wait) => format!("{} (try again in {} s)", failure.detail, wait.as_millis().div_ceil(1000).max(1)),
        None => failure.detail.clone(),
    };
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// The failure of what has no results of that kind: a prompt, or a resource.
pub(crate) fn of_failure(failure: &HookFailure) -> ErrorData {
    let detail = failure.detail.clone();
    match failure.status {
        400 | 413 => ErrorData::invalid_params(detail, None),
        404 => ErrorData::resource_not_found(detail, None),
        _ => ErrorData::internal_error(detail, None),
    }
}

/// The messages of a prompt: those it answers with, else one of the user's.
pub(crate) fn of_prompt(item: &McpItem, description: &str, value: &Value) -> GetPromptResult {
    let messages = value.get("messages").and_then(Value::as_array);
    let messages = messages.and_then(|all| all.iter().map(|one| serde_json::from_value(one.clone()).ok()).collect());
    let messages: Vec<PromptMessage> = messages.unwrap_or_else(|| {
        // What prompts ported from the Python library answer.
        let text = value.get("prompt").unwrap_or(value);
        vec![PromptMessage::new_text(Role::User, text_of(text))]
    });
    let own = value.get("description").and_then(Value::as_str).filter(|_| value.get("messages").is_some());
    let described = own.unwrap_or(description);
    let result = GetPromptResult::new(messages);
    if described.is_empty() { result.with_description(item.name.clone()) } else { result.with_description(described) }
}

/// The contents of a resource: those it answers with, else its text or JSON.
pub(crate) fn of_resource(item: &McpItem, uri: &str, value: &Value) -> ReadResourceResult {
    let given = value.get("contents").and_then(Value::as_array);
    let given = given.and_then(|all| all.iter().map(|one| contents(one, uri, item)).collect());
    ReadResourceResult::new(given.unwrap_or_else(|| {
        let by_value = if value.is_string() { "text/plain" } else { "application/json" };
        let mime_type = item.mime_type.as_deref().unwrap_or(by_value);
        vec![ResourceContents::text(text_of(value), uri).with_mime_type(mime_type)]
    }))
}

/// One entry of `contents`; the resource's own URI stands in where it names none.
fn contents(value: &Value, uri: &str, item: &McpItem) -> Option<ResourceContents> {
    let mut members: JsonObject = value.as_object()?.clone();
    members.entry("uri").or_insert_with(|| json!(uri));
    if let Some(mime_type) = &item.mime_type {
        members.entry("mimeType").or_insert_with(|| json!(mime_type));
    }
    serde_json::from_value(Value::Object(members)).ok()
}

/// A text as it is, anything else as JSON.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value) -> Value {
        serde_json::to_value(of_tool(value, &Revision::newest())).unwrap()
    }

    #[test]
    fn values_are_text_for_models_and_data_for_programs() {
        let answer = shown(json!({ "sum": 3 }));
        assert_eq!(answer["content"], json!([{ "type": "text", "text": "{\"sum\":3}" }]));
        assert_eq!(answer["structuredContent"], json!({ "sum": 3 }));
        assert_eq!(shown(json!("hello"))["content"][0]["text"], "hello");
        assert_eq!(shown(Value::Null)["content"], json!([]));
    }

    #[test]
    fn blocks_are_taken_as_they_are() {
        let answer = shown(json!({ "content": [{ "type": "text", "text": "no" }], "isError": true }));
        assert_eq!((&answer["content"][0]["text"], &answer["isError"]), (&json!("no"), &json!(true)));
        assert!(answer.get("structuredContent").is_none());
    }

    #[test]
    fn a_value_that_has_content_of_its_own_is_a_value() {
        for value in [
            json!({ "content": [{ "type": "text", "text": "x" }], "author": "ann" }),
            json!({ "content": "text" }),
            json!({ "content": [{ "type": "page" }] }),
        ] {
            assert_eq!(shown(value.clone())["structuredContent"], value);
        }
    }
}
