//! One request's server: what this caller may see and use, and how.

use std::borrow::Cow;
use std::sync::Arc;

use actingweb_hooks::{AiClient, CallOutcome, HookFailure, McpCall, McpClient, McpHook, McpItem, Op, UriTemplate};
use actingweb_protocol::permission::{Category, Operation};
use actingweb_web::AppState;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, CustomRequest,
    CustomResult, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, Implementation,
    InputResponses, JsonObject, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, Prompt, PromptsCapability, ReadResourceRequestParams, ReadResourceResponse,
    ResourcesCapability, ServerCapabilities, ServerConfig, TASKS_EXTENSION_ID, Tool, ToolsCapability, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::caller::Visitor;
use crate::catalog::{Catalog, Offered, OfferedTool};
use crate::paging::{Listed, page};
use crate::questions::{self, Answers};
use crate::revision::Revision;
use crate::{answers, arguments, tasks};

/// How long a client may keep a list, in milliseconds. Rights change at any moment; whoever calls what it has lost learns
/// so then.
const LIST_TTL_MS: u64 = 60_000;

/// The methods that are there whatever the revision and the application: one whose parameters cannot be read is a method all
/// the same.
const METHODS: [&str; 8] = [
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// A tool in a list.
enum ListedTool<'a> {
    /// One of the application's.
    Offered(&'a OfferedTool),
    /// One of those that look after tasks.
    BuiltIn(Box<Tool>),
}

impl Listed for ListedTool<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Offered(tool) => &tool.item.name,
            Self::BuiltIn(tool) => &tool.name,
        }
    }
}

/// The server that one request meets. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) state: AppState,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) visitor: Visitor,
    /// The request's span, for what runs in tasks of the transport.
    span: tracing::Span,
}

impl Server {
    pub(crate) fn new(state: AppState, catalog: Arc<Catalog>, visitor: Visitor) -> Self {
        Self(Arc::new(Inner { state, catalog, visitor, span: tracing::Span::current() }))
    }

    /// Whether the caller may use this, by the rights of MCP and by those that count for the same call over REST.
    pub(crate) fn may(&self, category: Category, target: &str, item: &McpItem) -> bool {
        let access = &self.0.visitor.access;
        let operation = match category {
            Category::Tools => Operation::Use,
            Category::Prompts => Operation::Invoke,
            _ => Operation::Read,
        };
        let over_rest = match item.hook {
            McpHook::Method => access.check(Category::Methods, &item.name, Operation::Call),
            McpHook::Action => access.check(Category::Actions, &item.name, Operation::Execute),
        };
        let allowed = access.check(category, target, operation).and(over_rest);
        if let Err(denied) = &allowed {
            tracing::debug!(%denied, "not shown");
        }
        allowed.is_ok()
    }

    /// Whether the caller gets to see this tool, so that it may use it.
    pub(crate) fn offers(&self, tool: &OfferedTool, kind: AiClient) -> bool {
        tool.item.is_visible_to(kind) && self.may(Category::Tools, &tool.item.name, &tool.item)
    }

    /// Which kind of client this is: by the name it registered under, so that lists do not depend on what a single request
    /// says; by that only where there is no other.
    fn kind_of(&self, context: &RequestContext<RoleServer>) -> AiClient {
        let registered = self.0.visitor.client_name.as_deref();
        registered.map_or_else(
            || context.meta.client_info().map_or(AiClient::Other, |info| AiClient::of(&info.name)),
            AiClient::of,
        )
    }

    fn answers<'a>(
        &'a self,
        item: &'a McpItem,
        carried: Option<&str>,
        brought: Option<InputResponses>,
    ) -> Result<Answers<'a>, ErrorData> {
        Answers::read(&self.0.state, &self.0.visitor, item, carried, brought)
    }

    /// Calls the hook behind an item.
    async fn call(
        &self,
        item: &McpItem,
        input: Value,
        answers: &Answers<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Result<Value, HookFailure>, ErrorData> {
        let inner = &*self.0;
        let revision = Revision::of(context);
        // Legacy requests do not say who asks; the transport would fill in its own name.
        let info = context.meta.client_info();
        let client = McpClient {
            name: info.as_ref().map(|info| info.name.clone()).or_else(|| inner.visitor.client_name.clone()),
            version: info.map(|info| info.version),
            client_id: inner.visitor.client_id.clone(),
            protocol_version: revision.as_str().to_owned(),
        };
        let mut invocation = inner.visitor.invocation.clone();
        let can_ask = revision.is_stateless() && questions::shows_forms(context.meta.client_capabilities().as_ref());
        invocation.mcp = Some(Arc::new(McpCall { client, can_ask, answers: answers.given.clone() }));
        let (kind, name) = (item.hook, item.name.as_str());
        let calling = async {
            match kind {
                McpHook::Method => inner.state.hooks.call_method(&invocation, name, Op::Post, input).await,
                McpHook::Action => inner.state.hooks.call_action(&invocation, name, Op::Post, input).await,
            }
        };
        let noun = match kind {
            McpHook::Method => "method",
            McpHook::Action => "action",
        };
        let calling = inner.visitor.context.in_hook(noun, name, calling).instrument(inner.span.clone());
        let outcome: CallOutcome = tokio::select! {
            outcome = calling => outcome,
            // The client is gone: nobody waits for the answer.
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("the client went away", None)),
        };
        Ok(answers::value_of(outcome))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let app = self.0.state.hooks.app();
        let catalog = &self.0.catalog;
        let mut capabilities = ServerCapabilities::default();
        capabilities.tools = (!catalog.tools.is_empty()).then(ToolsCapability::default);
        capabilities.prompts = (!catalog.prompts.is_empty()).then(PromptsCapability::default);
        capabilities.resources = catalog.has_resources().then(ResourcesCapability::default);
        if catalog.has_tasks() {
            let extensions = capabilities.extensions.get_or_insert_default();
            extensions.insert(TASKS_EXTENSION_ID.to_owned(), JsonObject::new());
        }
        let implementation = Implementation::new(app.mcp.name.clone(), app.version.clone())
            .with_description(app.description.clone())
            .with_website_url(app.info_url.clone());
        let info = ServerConfig::new(capabilities).with_server_info(implementation);
        match &app.mcp.instructions {
            Some(instructions) => info.with_instructions(instructions.clone()),
            None => info,
        }
    }

    async fn on_initialized(&self, _: NotificationContext<RoleServer>) {}

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = request.method;
        let is_missing = match method.as_str() {
            "initialize" | "ping" => Revision::of(&context).is_stateless(),
            "tasks/get" | "tasks/update" | "tasks/cancel" => !self.0.catalog.has_tasks(),
            other => !METHODS.contains(&other),
        };
        if !is_missing {
            // Whoever is not to use a method is told so before its parameters matter, as where they can be read.
            let knows_tasks = || context.client_capabilities().is_some_and(|known| known.supports_tasks());
            if method.starts_with("tasks/") && !knows_tasks() {
                let needed = ClientCapabilities::builder().enable_tasks().build();
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            return Err(ErrorData::invalid_params(format!("these are no parameters of `{method}`"), None));
        }
        Err(ErrorData::new(
            rmcp::model::ErrorCode::METHOD_NOT_FOUND,
            Cow::Owned(format!("there is no method `{method}`")),
            None,
        ))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (kind, revision) = (self.kind_of(&context), Revision::of(&context));
        let knows_tasks = tasks::knows(&context);
        let offered = self.0.catalog.tools.iter().filter(|tool| self.offers(tool, kind));
        let built_in = if knows_tasks { Vec::new() } else { self.task_tools(kind) };
        let built_in = built_in.into_iter().map(Box::new).map(ListedTool::BuiltIn);
        let mut all: Vec<_> = offered.map(ListedTool::Offered).chain(built_in).collect();
        all.sort_by(|left, right| left.name().cmp(right.name()));
        let (page, next) = page(all.into_iter(), request.as_ref())?;
        let shown = |tool: ListedTool<'_>| {
            let tool = match tool {
                ListedTool::Offered(tool) => tool,
                ListedTool::BuiltIn(tool) => return *tool,
            };
            let mut shown: Tool = tool.shown.clone();
            shown.description = Some(Cow::Owned(tool.item.description_for(kind).to_owned()));
            // A note on a task is not what the task gives.
            if !revision.has_structured_content() || (tool.is_task && !knows_tasks) {
                shown.output_schema = None;
            }
            shown
        };
        let mut result = ListToolsResult::with_all_items(page.into_iter().map(shown).collect())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private);
        result.next_cursor = next;
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tool = self.0.catalog.tools.iter().find(|tool| tool.item.name == name)?;
        self.may(Category::Tools, name, &tool.item).then(|| tool.shown.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let CallToolRequestParams { name, arguments: given, input_responses, request_state, .. } = request;
        let kind = self.kind_of(&context);
        let tool = self.0.catalog.tools.iter().find(|tool| tool.item.name == name && self.offers(tool, kind));
        if tool.is_none()
            && let Some(own) = self.task_tools(kind).into_iter().find(|own| own.name == name)
        {
            return self.call_task_tool(&own.name, given.as_ref(), &Revision::of(&context)).await.map(Into::into);
        }
        // What may not be used and what is not there look alike.
        let tool = tool.ok_or_else(|| ErrorData::invalid_params(format!("unknown tool: {name}"), None))?;
        let revision = Revision::of(&context);
        let input = arguments::of_tool(tool, given);
        if tool.is_task {
            return match self.0.state.hooks.check_input(&name, &input) {
                Ok(()) => self.start_task(tool, &input, &context).await,
                Err(failure) => failed(failure, &revision),
            };
        }
        let so_far = self.answers(&tool.item, request_state.as_deref(), input_responses)?;
        match self.call(&tool.item, input, &so_far, &context).await? {
            Ok(value) => Ok(answers::of_tool(value, &revision).into()),
            Err(failure) => match so_far.ask(&self.0.state, &failure, &context) {
                Some(question) => Ok(question?.into()),
                None => failed(failure, &revision),
            },
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let (record, result) = self.task(&request.task_id).await?;
        tasks::view(&record, result, &Revision::of(&context)).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        // Tasks ask nothing, so that whatever a client brings answers no question that is open.
        self.task(&request.task_id).await.map(drop)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.end_task(&request.task_id).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let kind = self.kind_of(&context);
        let visible = self.0.catalog.prompts.iter().filter(|prompt| {
            prompt.item.is_visible_to(kind) && self.may(Category::Prompts, &prompt.item.name, &prompt.item)
        });
        let (page, next) = page(visible, request.as_ref())?;
        let shown = |prompt: &&crate::catalog::OfferedPrompt| {
            let mut shown: Prompt = prompt.shown.clone();
            let description = prompt.item.description_for(kind);
            shown.description = (!description.is_empty()).then(|| description.to_owned());
            shown
        };
        let mut result = ListPromptsResult::with_all_items(page.iter().map(shown).collect())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Private);
        result.next_cursor = next;
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let GetPromptRequestParams { name, arguments: given, input_responses, request_state, .. } = request;
        let kind = self.kind_of(&context);
        let prompt = self.0.catalog.prompts.iter().find(|prompt| {
            let item = &prompt.item;
            item.name == name && item.is_visible_to(kind) && self.may(Category::Prompts, &item.name, item)
        });
        let prompt = prompt.ok_or_else(|| ErrorData::invalid_params(format!("unknown prompt: {name}"), None))?;
        let given = given.unwrap_or_default();
        if let Some(missing) = arguments::missing(&prompt.item, &given) {
            return Err(ErrorData::invalid_params(format!("the prompt needs the argument `{missing}`"), None));
        }
        let so_far = self.answers(&prompt.item, request_state.as_deref(), input_responses)?;
        let input = arguments::of_texts(&prompt.item, given);
        match self.call(&prompt.item, input, &so_far, &context).await? {
            Ok(value) => Ok(answers::of_prompt(&prompt.item, prompt.item.description_for(kind), &value).into()),
            Err(failure) => match so_far.ask(&self.0.state, &failure, &context) {
                Some(question) => Ok(question?.into()),
                None => Err(answers::of_failure(&failure)),
            },
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let kind = self.kind_of(&context);
        let visible = self.0.catalog.resources.iter().filter(|resource| {
            resource.item.is_visible_to(kind) && self.may(Category::Resources, resource.uri.as_str(), resource.item())
        });
        let (page, next) = page(visible, request.as_ref())?;
        let mut result =
            ListResourcesResult::with_all_items(page.iter().map(|resource| resource.shown.clone()).collect())
                .with_ttl_ms(LIST_TTL_MS)
                .with_cache_scope(CacheScope::Private);
        result.next_cursor = next;
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let kind = self.kind_of(&context);
        let visible = self.0.catalog.templates.iter().filter(|family| {
            family.item.is_visible_to(kind) && self.may(Category::Resources, family.uri.as_str(), family.item())
        });
        let (page, next) = page(visible, request.as_ref())?;
        let mut result =
            ListResourceTemplatesResult::with_all_items(page.iter().map(|one| one.shown.clone()).collect())
                .with_ttl_ms(LIST_TTL_MS)
                .with_cache_scope(CacheScope::Private);
        result.next_cursor = next;
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let ReadResourceRequestParams { uri, input_responses, request_state, .. } = request;
        let kind = self.kind_of(&context);
        let catalog = &self.0.catalog;
        let single = catalog.resources.iter().map(|one| (&one.item, &one.uri));
        let families = catalog.templates.iter().map(|family| (&family.item, &family.uri));
        let plain = UriTemplate::decoded(&uri);
        let found = single.chain(families).find_map(|(item, template)| {
            let values = template.read(&uri)?;
            let may = |uri: &str| self.may(Category::Resources, uri, item);
            let usable = item.is_visible_to(kind) && may(&uri) && may(&plain);
            usable.then_some((item, values))
        });
        let Some((item, values)) = found else {
            return Err(ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri }))));
        };
        let so_far = self.answers(item, request_state.as_deref(), input_responses)?;
        match self.call(item, arguments::of_texts(item, values), &so_far, &context).await? {
            Ok(Value::Null) => Err(ErrorData::resource_not_found("resource not found", Some(json!({ "uri": uri })))),
            Ok(value) => Ok(answers::of_resource(item, &uri, &value).into()),
            Err(failure) => match so_far.ask(&self.0.state, &failure, &context) {
                Some(question) => Ok(question?.into()),
                None => Err(answers::of_failure(&failure)),
            },
        }
    }
}

/// A tool's failure, for those that are to read it in this revision.
fn failed(failure: HookFailure, revision: &Revision) -> Result<CallToolResponse, ErrorData> {
    if failure.status == 400 && !revision.shows_bad_arguments_to_models() {
        return Err(ErrorData::invalid_params(failure.detail, None));
    }
    Ok(answers::of_failed_tool(&failure).into())
}
