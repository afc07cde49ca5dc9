//! Whose token a request brings, and what its bearer may do.

use actingweb_actor::{Credentials, Presented, TokenRefused, Wanted};
use actingweb_hooks::{Caller, Invocation};
use actingweb_protocol::oauth::{Audience, Token};
use actingweb_protocol::permission::Access;
use actingweb_web::{AppState, Problem, RequestContext};
use http::{HeaderMap, StatusCode, header};

/// The one scope there is.
const SCOPE: &str = "mcp";

/// Who calls.
pub(crate) struct Visitor {
    pub(crate) access: Access,
    /// What hooks learn of the request.
    pub(crate) invocation: Invocation,
    pub(crate) context: RequestContext,
    pub(crate) client_id: Option<String>,
    /// The name that the client registered under.
    pub(crate) client_name: Option<String>,
}

/// Recognises the caller, in one call to storage. The token names the actor.
///
/// # Errors
/// 401 with a challenge that says where tokens are to be had, 403 for a token whose scope does not do, storage errors.
pub(crate) async fn admit(state: &AppState, headers: &HeaderMap, context: &RequestContext) -> Result<Visitor, Problem> {
    let Some(bearer) = bearer(headers)? else {
        return Err(unauthorized(state, None, "present a token of this server"));
    };
    let invalid = |reason: &str| unauthorized(state, Some("invalid_token"), reason);
    // Any other bearer, such as a trust's secret, names no actor.
    let token = Token::parse(bearer).map_err(|error| invalid(&error.to_string()))?;
    let address = context.address.map(actingweb_actor::network);
    let credentials = Credentials::Bearer(bearer.to_owned());
    let from = Presented { credentials: &credentials, address: address.as_deref() };
    let visit = state.actors.visit_at(Audience::Mcp, &token.actor, &from, Wanted::default(), context.deadline).await?;
    // Of an actor that is gone nothing is said either.
    let visit = visit.ok_or_else(|| invalid(&TokenRefused::Unknown.to_string()))?;
    if let Some(refused) = visit.refused {
        return Err(invalid(&refused.to_string()));
    }
    let Caller::Peer { .. } = visit.caller else { return Err(invalid("the token gives no access here")) };
    let scope = visit.client.as_ref().map_or("", |client| client.scope.as_str());
    if !scope.split_whitespace().any(|one| one == SCOPE) {
        return Err(challenge(state, StatusCode::FORBIDDEN, Some("insufficient_scope"), "the token is not for `/mcp`"));
    }
    context.note_caller(visit.actor.id(), visit.caller.kind());
    let invocation = Invocation {
        actor: Some(visit.actor),
        caller: visit.caller.clone(),
        request_id: context.id.to_string(),
        deadline: context.deadline,
        mcp: None,
    };
    let (client_id, client_name) = visit.client.map(|client| (client.id, client.name)).unzip();
    Ok(Visitor {
        access: state.hooks.policy().access(visit.caller, visit.changed_by.as_ref()),
        invocation,
        context: context.clone(),
        client_id,
        client_name: client_name.filter(|name| !name.is_empty()),
    })
}

/// The bearer that a request presents; tokens in URLs and bodies are not looked for (OAuth 2.1, 5.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("there is more than one Authorization header"));
    }
    let (scheme, token) = value.to_str().unwrap_or_default().trim().split_once(' ').unwrap_or_default();
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

fn unauthorized(state: &AppState, error: Option<&str>, reason: &str) -> Problem {
    challenge(state, StatusCode::UNAUTHORIZED, error, reason)
}

/// A refusal that says where to get a token, and for what (RFC 6750, 3; RFC 9728, 5.1).
fn challenge(state: &AppState, status: StatusCode, error: Option<&str>, reason: &str) -> Problem {
    let about = format!("{}/.well-known/oauth-protected-resource/mcp", state.base_url);
    let mut challenge = format!("Bearer resource_metadata=\"{about}\", scope=\"{SCOPE}\"");
    if let Some(error) = error {
        challenge.push_str(&format!(", error=\"{error}\", error_description=\"{}\"", reason.replace(['"', '\\'], "'")));
    }
    Problem::new(status, reason).with(header::WWW_AUTHENTICATE, &challenge)
}
