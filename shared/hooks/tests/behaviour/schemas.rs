//! What hooks publish of themselves.

use actingweb_hooks::prelude::*;

use crate::common::{app, build};

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// First summand.
    a: f64,
    b: f64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: f64,
}

fn add(Input(q): Input<Add>) -> Result<Sum, HookError> {
    Ok(Sum { sum: q.a + q.b })
}

async fn anything(Input(_): Input<Value>) -> Result<Value, HookError> {
    Ok(Value::Null)
}

#[tokio::test]
async fn methods_are_listed_as_the_wire_wants_them() {
    let app = app()
        .method("*", anything)
        .method("add", add)
        .describe("Adds two numbers")
        .annotate(Annotations::read_only().idempotent().title("Add"))
        .method("anything", blocking(|Input(_): Input<Value>| Ok::<(), HookError>(())));
    let listed = serde_json::to_value(build(app).await.methods()).unwrap();
    assert_eq!(
        listed,
        json!([
            {
                "name": "add",
                "description": "Adds two numbers",
                "input_schema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "title": "Add",
                    "type": "object",
                    "properties": {
                        "a": {"description": "First summand.", "type": "number", "format": "double"},
                        "b": {"type": "number", "format": "double"},
                    },
                    "required": ["a", "b"],
                },
                "output_schema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "title": "Sum",
                    "type": "object",
                    "properties": {"sum": {"type": "number", "format": "double"}},
                    "required": ["sum"],
                },
                "annotations": {"title": "Add", "readOnlyHint": true, "idempotentHint": true},
            },
            {"name": "anything", "description": "", "input_schema": null, "output_schema": null, "annotations": null},
        ])
    );
    let names: Vec<_> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["name", "description", "input_schema", "output_schema", "annotations"]);
}

#[tokio::test]
async fn a_name_is_listed_once_with_its_first_hook_in_the_order_of_registration() {
    let app = app().action("z", add).action("a", anything).action("z", anything);
    let actions = build(app).await.actions();
    let listed: Vec<_> = actions.iter().map(|info| (info.name.as_str(), info.input_schema.is_some())).collect();
    assert_eq!(listed, [("z", true), ("a", false)]);
}

#[tokio::test]
async fn tools_are_the_hooks_offered_as_such() {
    let app = app()
        .action("tell", anything)
        .tool("Tell every friend")
        .method("add", add)
        .describe("Adds")
        .tool("Use this to add")
        .method("private", add);
    let hooks = build(app).await;
    let tools = hooks.tools();
    let described: Vec<_> = tools.iter().map(|tool| (tool.name.as_str(), tool.description.as_str())).collect();
    assert_eq!(described, [("add", "Use this to add"), ("tell", "Tell every friend")]);
    // The tool's description stands in where there is no other.
    assert_eq!(hooks.actions()[0].description, "Tell every friend");
    assert_eq!(hooks.methods()[0].description, "Adds");
}

#[tokio::test]
async fn an_optional_input_publishes_its_schema_too() {
    fn maybe(input: Option<Input<Add>>) -> Result<bool, HookError> {
        Ok(input.is_some())
    }
    let hooks = build(app().method("maybe", maybe)).await;
    assert_eq!(hooks.methods()[0].input_schema.as_ref().unwrap()["title"], "Add");
}
