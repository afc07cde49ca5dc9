//! What calls of hooks by name have in common.

use actingweb_hooks::HookInfo;
use serde_json::{Value, json};

use super::{Content, Group, Operation};

impl Group<'_> {
    /// Describes the verbs of `/{actor}/{group}/{name}`; `noun` is what is called.
    pub fn callable(&mut self, noun: &str) -> &mut Self {
        let path = format!("/{{actor}}/{noun}s/{{name}}");
        let answer = || [Content::any_json()];
        let nothing = "The hook returned nothing.";
        let deleted = match noun {
            "resource" | "callback" => call(Operation::delete(
                format!("delete_{noun}"),
                format!("Calls the {noun} with DELETE"),
            ))
            .reply(200, "What the hook returned.", answer()),
            _ => call(Operation::delete(format!("delete_{noun}"), format!("Calls the {noun} with DELETE"))).reply(
                204,
                "It was called.",
                [],
            ),
        };
        let get = call(Operation::get(format!("get_{noun}"), format!("Calls the {noun} with GET, without input")));
        let mut put = call(Operation::put(format!("put_{noun}"), format!("Calls the {noun} with PUT")));
        let mut post = call(Operation::post(format!("call_{noun}"), format!("Calls the {noun}")));
        if noun != "resource" {
            put = put.reply(204, nothing, []);
            post = post.reply(204, nothing, []);
        }
        let created = if noun == "resource" { 201 } else { 200 };
        let mut answers = vec![Content::any_json()];
        if noun == "method" {
            answers.push(Content::events());
        }
        post = post.reply(created, "What the hook returned.", answers).body(false, "The input.", input());
        if noun == "action" {
            put = accepted(put);
            post = accepted(post);
        }
        if matches!(noun, "method" | "action") {
            post = post.once();
        }
        self.path(
            &path,
            [
                get.reply(200, "What the hook returned.", answer()),
                put.reply(200, "What the hook returned.", answer()).body(false, "The input.", input()),
                post,
                deleted,
            ],
        )
    }

    /// Describes the calls of the application's own hooks, with what each takes and answers.
    pub fn hooks(&mut self, noun: &str, hooks: &[HookInfo]) -> &mut Self {
        for hook in hooks {
            let name = &hook.name;
            let mut schema = |direction: &str, schema: Option<&Value>| {
                schema.map(|schema| self.schema(&format!("{noun}.{name}.{direction}"), schema.clone()))
            };
            let input = schema("input", hook.input_schema.as_ref());
            let output = hook.output_schema.as_ref().filter(|_| !hook.task); // a task's result is shown by the task
            let output = schema("output", output).unwrap_or(Value::Bool(true));
            let summary = if hook.description.is_empty() { name } else { &hook.description };
            let mut answers = vec![Content::json(output)];
            if noun == "method" {
                answers.push(Content::events());
            }
            let mut operation = call(Operation::post(format!("{noun}_{name}"), summary.as_str()))
                .about(format!("A {noun} of this application. Other verbs: see `/{{actor}}/{noun}s/{{name}}`."));
            operation = if hook.task {
                accepted(operation)
            } else {
                operation.reply(200, "What it returned.", answers).reply(204, "It returned nothing.", [])
            };
            operation = operation.once();
            if let Some(input) = input {
                operation = operation.body(false, "The input.", [Content::json(input)]);
            }
            self.path(&format!("/{{actor}}/{noun}s/{name}"), [operation]);
        }
        self
    }

    /// The schema of a listing of hooks, kept in the document; gives a reference to it.
    pub fn hook_listing(&mut self, noun: &str) -> Value {
        let schema = json!({
            "type": "object",
            "required": ["name", "description", "input_schema", "output_schema", "annotations"],
            "properties": {
                "name": { "type": "string" },
                "description": { "type": "string" },
                "input_schema": { "type": ["object", "null"], "description": "JSON Schema; null for anything." },
                "output_schema": { "type": ["object", "null"], "description": "JSON Schema; null for anything." },
                "streams": { "const": true, "description": "On methods that answer `text/event-stream`, too." },
                "task": { "const": true, "description": "On actions that are answered with a task, whose result this is." },
                "annotations": { "type": ["object", "null"], "description": "Hints, in the words of MCP." },
            },
        });
        let hook = self.schema("Hook", schema);
        json!({
            "type": "object",
            "required": [format!("{noun}s")],
            "properties": { format!("{noun}s"): { "type": "array", "items": hook } },
        })
    }
}

/// What an action answers that runs as a task.
fn accepted(operation: Operation) -> Operation {
    let task = json!({ "$ref": "#/components/schemas/Task" });
    operation.accepted("The action runs as a task: this is it, before it has begun.", [Content::json(task)])
}

fn call(operation: Operation) -> Operation {
    operation.authorized().runs_hooks().problems(&[409, 413])
}

fn input() -> [Content; 2] {
    let fields = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    [Content::any_json(), Content::form(fields)]
}
