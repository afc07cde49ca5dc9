//! Tools whose actions run as tasks.
//!
//! Clients that know the extension for tasks (`io.modelcontextprotocol/tasks`, SEP-2663) get a task for an answer, and look
//! after it by `tasks/get` and `tasks/cancel`. To all others the answer is a text that names the task, and they are offered
//! two tools more that do the same. The task is the one that a POST to the action makes: a row, which a worker runs.

use actingweb_actor::{ActorError, AskTask};
use actingweb_hooks::{AiClient, CANCEL_TASK_TOOL, GET_TASK_TOOL, McpHook, Op};
use actingweb_protocol::Name;
use actingweb_protocol::permission::Category;
use actingweb_protocol::task::{TaskId, TaskStatus};
use actingweb_store::{Cancel, TaskKey, TaskRecord};
use actingweb_web::Problem;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, DetailedTask, JsonObject, Task, TaskPayload,
    Tool, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, model};
use serde_json::{Value, json};

use crate::answers;
use crate::catalog::OfferedTool;
use crate::revision::Revision;
use crate::server::Server;

/// The one argument of the two tools.
const TASK: &str = "task";

/// How long clients are to wait before they look again, in milliseconds.
const LOOK_AGAIN_MS: u64 = 2_000;

/// Whether whoever sent a request can take a task for an answer. The revisions before 2026-07-28 have other tasks, or none.
pub(crate) fn knows(context: &RequestContext<RoleServer>) -> bool {
    let says_so = || context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks());
    Revision::of(context).is_stateless() && says_so()
}

/// How a task stands, and what came of it.
pub(crate) fn view(record: &TaskRecord, result: Option<Value>, revision: &Revision) -> Result<DetailedTask, ErrorData> {
    let payload = match outcome(record, result, revision) {
        Some(Ok(outcome)) => TaskPayload::Completed { result: members(&outcome)? },
        Some(Err(error)) => TaskPayload::Failed { error: members(&error)? },
        None if record.status == TaskStatus::Cancelled => TaskPayload::Cancelled,
        None => TaskPayload::Working,
    };
    let mut task = Task::new(
        name_of(&record.key),
        model::TaskStatus::Working,
        record.created_at.to_string(),
        record.updated_at.to_string(),
    );
    task.status_message = message(record);
    let kept = record.expires.map(|expires| expires.as_millis().saturating_sub(record.created_at.as_millis()));
    task.ttl_ms = kept.and_then(|kept| u64::try_from(kept).ok());
    task.poll_interval_ms = Some(LOOK_AGAIN_MS);
    Ok(DetailedTask::new(task, payload))
}

/// What came of the tool: its result, which also is what a hook says when it fails, for models to read; or an error of the
/// protocol where nobody said anything. `None` while it may still come to either, and once it was cancelled.
fn outcome(
    record: &TaskRecord,
    result: Option<Value>,
    revision: &Revision,
) -> Option<Result<CallToolResult, ErrorData>> {
    match record.status {
        TaskStatus::Completed => Some(Ok(answers::of_tool(result.unwrap_or_default(), revision))),
        TaskStatus::Failed => {
            let problem = problem(record);
            let detail = detail(&problem).unwrap_or_default();
            Some(if problem.get("status").and_then(Value::as_u64) == Some(500) {
                Err(ErrorData::internal_error(detail, None))
            } else {
                Ok(failed(detail))
            })
        }
        TaskStatus::Queued | TaskStatus::Running | TaskStatus::Cancelled => None,
    }
}

/// What a task is at, for people.
fn message(record: &TaskRecord) -> Option<String> {
    let is_over = record.status.is_over();
    match (record.status, &record.progress) {
        _ if record.cancel_at.is_some() && !is_over => Some("somebody asked for its end".to_owned()),
        (TaskStatus::Running, Some(progress)) => {
            let percent = format!("{:.0} %", progress.fraction * 100.0);
            Some(if progress.text.is_empty() { percent } else { format!("{percent}: {}", progress.text) })
        }
        (TaskStatus::Queued, _) if record.attempts > 0 => {
            let why = detail(&problem(record)).unwrap_or_default();
            Some(format!("attempt {} failed ({why}); the next one is due at {}", record.attempts, record.due_at))
        }
        (TaskStatus::Failed, _) => detail(&problem(record)),
        _ => None,
    }
}

/// What the last attempt met: a problem document; null for none.
fn problem(record: &TaskRecord) -> Value {
    record.problem.as_deref().and_then(|problem| serde_json::from_str(problem).ok()).unwrap_or_default()
}

fn detail(problem: &Value) -> Option<String> {
    problem.get("detail").or(problem.get("title"))?.as_str().map(str::to_owned)
}

fn failed(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn members(result: &impl serde::Serialize) -> Result<JsonObject, ErrorData> {
    match serde_json::to_value(result) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => {
            tracing::error!("request failed: the outcome of a task is no object");
            Err(ErrorData::internal_error("an internal error; the log says which", None))
        }
    }
}

/// What a task is called here: the tool, a dot, and its id, which is unique among those of its action.
fn name_of(key: &TaskKey) -> String {
    format!("{}.{}", key.action, key.id)
}

fn unknown() -> ErrorData {
    ErrorData::invalid_params("there is no such task", None)
}

fn refused(error: ActorError) -> ErrorData {
    let problem = Problem::from(error);
    let detail = problem.detail().to_owned();
    if problem.status().is_server_error() {
        ErrorData::internal_error(detail, None)
    } else {
        ErrorData::invalid_params(detail, None)
    }
}

impl Server {
    /// Writes a call down, for a worker to run. Its input was checked.
    pub(crate) async fn start_task(
        &self,
        tool: &OfferedTool,
        input: &Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let visitor = &self.0.visitor;
        let named = Name::parse(&tool.item.name).ok().zip(visitor.invocation.actor.as_ref());
        let (action, actor) = named.ok_or_else(unknown)?;
        let caller = visitor.access.caller();
        let ask = AskTask { actor, action: &action, caller, op: Op::Post.as_str(), input };
        let record = self.0.state.actors.ask_task(&ask, visitor.context.deadline).await.map_err(refused)?;
        if knows(context) {
            let seed = view(&record, None, &Revision::of(context))?;
            return Ok(CreateTaskResult::new(seed.task).into());
        }
        let task = name_of(&record.key);
        let text = format!(
            "The task `{task}` was started, and goes on by itself. \
             Call the tool `{GET_TASK_TOOL}` with {} to see how it stands, and what came of it.",
            json!({ TASK: task })
        );
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    /// A task that the caller asked for, and its result, if it has one.
    ///
    /// # Errors
    /// Invalid parameters for one that there is not, or that is another's; storage errors.
    pub(crate) async fn task(&self, name: &str) -> Result<(TaskRecord, Option<Value>), ErrorData> {
        let (key, visitor) = (self.task_key(name)?, &self.0.visitor);
        let found = self.0.state.actors.task(&key, visitor.access.caller(), visitor.context.deadline).await;
        found.map_err(refused)?.ok_or_else(unknown)
    }

    /// Ends a task that the caller asked for, or asks whoever runs it to end. One that is over stays what it is.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    pub(crate) async fn end_task(&self, name: &str) -> Result<(), ErrorData> {
        let (key, visitor) = (self.task_key(name)?, &self.0.visitor);
        let ended = self.0.state.actors.cancel_task(&key, visitor.access.caller(), visitor.context.deadline).await;
        match ended.map_err(refused)? {
            Cancel::Done | Cancel::Asked | Cancel::Over(_) => Ok(()),
            Cancel::Gone => Err(unknown()),
        }
    }

    fn task_key(&self, name: &str) -> Result<TaskKey, ErrorData> {
        let key = || {
            let (action, id) = name.rsplit_once('.')?;
            let tool = self.0.catalog.tools.iter().find(|tool| tool.item.name == action)?;
            // Who may not call the tool any more may not look at what it asked for either.
            let is_usable = tool.item.hook == McpHook::Action && self.may(Category::Tools, action, &tool.item);
            if !is_usable {
                return None;
            }
            let actor = self.0.visitor.invocation.actor.as_ref()?.id().clone();
            Some(TaskKey { actor, action: Name::parse(action).ok()?, id: TaskId::parse(id).ok()? })
        };
        key().ok_or_else(unknown)
    }

    /// The tools of those clients that do not know tasks: none where no tool that they may use runs as a task. An application
    /// with one has no tools of these names.
    pub(crate) fn task_tools(&self, kind: AiClient) -> Vec<Tool> {
        let tools = &self.0.catalog.tools;
        if !tools.iter().any(|tool| tool.is_task && self.offers(tool, kind)) {
            return Vec::new();
        }
        let built_in = [
            (
                CANCEL_TASK_TOOL,
                "Ends a task that another tool started",
                ToolAnnotations::new().destructive(true).idempotent(true),
            ),
            (
                GET_TASK_TOOL,
                "Tells how a task stands that another tool started, and what came of it",
                ToolAnnotations::new().read_only(true),
            ),
        ];
        let tool = |(name, description, annotations): (&'static str, &'static str, ToolAnnotations)| {
            let schema = json!({
                "type": "object",
                "properties": { TASK: { "type": "string", "description": "What the task is called" } },
                "required": [TASK],
            });
            let schema = schema.as_object().cloned().unwrap_or_default();
            Tool::new(name, description, schema).with_annotations(annotations.open_world(false))
        };
        built_in.map(tool).into()
    }

    /// Calls one of them.
    pub(crate) async fn call_task_tool(
        &self,
        tool: &str,
        arguments: Option<&JsonObject>,
        revision: &Revision,
    ) -> Result<CallToolResult, ErrorData> {
        let Some(task) = arguments.and_then(|arguments| arguments.get(TASK)?.as_str()) else {
            return Ok(failed(format!("`{TASK}` must be a text: what the task is called")));
        };
        let seen = async {
            if tool == CANCEL_TASK_TOOL {
                self.end_task(task).await?;
            }
            self.task(task).await
        };
        let (record, result) = match seen.await {
            Ok(seen) => seen,
            // Models read results, and may mend their call.
            Err(error) if error.code == model::ErrorCode::INVALID_PARAMS => {
                return Ok(failed(error.message.into_owned()));
            }
            Err(error) => return Err(error),
        };
        if let Some(outcome) = outcome(&record, result, revision) {
            return Ok(outcome.unwrap_or_else(|error| failed(error.message.into_owned())));
        }
        let what = if record.status == TaskStatus::Cancelled { "was cancelled" } else { "is under way" };
        let more = message(&record).map(|message| format!(": {message}")).unwrap_or_default();
        Ok(CallToolResult::success(vec![ContentBlock::text(format!("The task `{task}` {what}{more}"))]))
    }
}
