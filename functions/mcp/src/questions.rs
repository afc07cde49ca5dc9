//! Questions of hooks to the users of AI clients, over as many requests as it takes (MCP 2026-07-28, "Multi round-trip
//! requests").
//!
//! Between two requests nothing is stored here: the client carries the answers so far, sealed for the hook, the actor and
//! the client that they were given to.

use std::collections::BTreeMap;

use actingweb_hooks::{HookFailure, McpItem};
use actingweb_web::AppState;
use rmcp::model::{
    ClientCapabilities, ElicitRequest, ElicitRequestParams, ElicitationCapability, InputRequest, InputRequiredResult,
    InputResponses,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::caller::Visitor;
use crate::revision::Revision;

/// What a user answered to a hook's questions so far, by their keys.
pub(crate) struct Answers<'a> {
    visitor: &'a Visitor,
    item: &'a McpItem,
    pub(crate) given: BTreeMap<String, Value>,
}

impl<'a> Answers<'a> {
    /// The answers that the client carried along, and those that it brings now.
    ///
    /// # Errors
    /// Invalid parameters for a state that was not sealed for this.
    pub(crate) fn read(
        app: &AppState,
        visitor: &'a Visitor,
        item: &'a McpItem,
        carried: Option<&str>,
        brought: Option<InputResponses>,
    ) -> Result<Self, ErrorData> {
        let mut given: BTreeMap<String, Value> = match carried {
            None => BTreeMap::new(),
            Some(sealed) => {
                let opened = app.actors.open_carried(&place(visitor, item), sealed);
                let read = opened.and_then(|text| serde_json::from_str(&text).ok());
                read.ok_or_else(|| {
                    ErrorData::invalid_params("`requestState` is none of ours, or of another request", None)
                })?
            }
        };
        given.extend(brought.unwrap_or_default());
        Ok(Self { visitor, item, given })
    }

    /// What becomes of a hook's question: one to the client, if it can put it to its user. `None` where the failure says all
    /// there is to say.
    pub(crate) fn ask(
        &self,
        app: &AppState,
        failure: &HookFailure,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<InputRequiredResult, ErrorData>> {
        let question = failure.question.as_ref()?;
        if !Revision::of(context).is_stateless() {
            return None;
        }
        if !shows_forms(context.meta.client_capabilities().as_ref()) {
            let mut needed = ClientCapabilities::default();
            needed.elicitation = Some(ElicitationCapability::default());
            return Some(Err(ErrorData::missing_required_client_capability(needed)));
        }
        let schema = question.schema.clone().unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
        let params = json!({ "mode": "form", "message": question.message, "requestedSchema": schema });
        let asked = serde_json::from_value::<ElicitRequestParams>(params).map_err(|error| {
            tracing::error!(%error, question = question.key, "a hook asks for more than texts, numbers, booleans, choices");
            ErrorData::internal_error("the question of this tool is no form; the log says why", None)
        });
        let place = place(self.visitor, self.item);
        let carried = app.actors.seal_carried(&place, &json!(self.given).to_string()).map_err(|error| {
            tracing::error!(%error, "request failed");
            ErrorData::internal_error("an internal error; the log says which", None)
        });
        let asked = asked.and_then(|params| {
            let request = InputRequest::Elicitation(ElicitRequest::new(params));
            Ok(InputRequiredResult::new(Some([(question.key.clone(), request)].into()), Some(carried?)))
        });
        Some(asked)
    }
}

/// What the answers so far are sealed for: the actor, the client and the hook.
fn place(visitor: &Visitor, item: &McpItem) -> String {
    let actor = visitor.invocation.actor.as_ref().map_or("", |actor| actor.id().as_str());
    let client = visitor.client_id.as_deref().unwrap_or_default();
    json!(["mcp", actor, client, item.name]).to_string()
}

/// Whether a client shows its user forms: it says so, or says nothing of which kind of question it shows.
pub(crate) fn shows_forms(capabilities: Option<&ClientCapabilities>) -> bool {
    capabilities
        .and_then(|capabilities| capabilities.elicitation.as_ref())
        .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none())
}
