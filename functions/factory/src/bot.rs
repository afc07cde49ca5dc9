//! `POST /bot`: what a service sends to the application as a whole.

use actingweb_hooks::{BotMessage, Caller, Invocation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, no_content};
use axum::extract::State;
use http::HeaderMap;

/// The largest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// 204 when a hook took the message; 404 when none did, and where there is no token or no hook.
pub(crate) async fn bot(State(state): State<AppState>, headers: HeaderMap, incoming: Incoming) -> Reply {
    if incoming.verb != Verb::Post {
        return Err(Problem::method_not_allowed("POST"));
    }
    let Some(token) = state.bot_token.as_ref().filter(|_| state.hooks.has_bot_hooks()) else {
        return Err(Problem::not_found("this application takes no messages"));
    };
    if incoming.payload.bytes.len() > MAX_MESSAGE_BYTES {
        return Err(Problem::too_large(format!("the body is larger than {MAX_MESSAGE_BYTES} bytes")));
    }
    let invocation = Invocation {
        actor: None,
        caller: Caller::Anonymous,
        request_id: incoming.context.id.to_string(),
        deadline: incoming.context.deadline,
        mcp: None,
    };
    let message = BotMessage::new(token.clone(), headers, &incoming.payload.bytes);
    let taken = state.hooks.call_bot(&invocation, message);
    match incoming.context.in_hook("bot", "bot", taken).await? {
        true => Ok(no_content()),
        false => Err(Problem::not_found("no hook took this message")),
    }
}
