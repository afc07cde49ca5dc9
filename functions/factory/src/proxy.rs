//! `/{actor}/devtest/proxy/{peer}/{path}`: what a hook of this actor would get from one of its peers.

use actingweb_actor::peers::{NoPeer, Peer, PeerCallError};
use actingweb_hooks::PeerError;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, json, no_content};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

/// Passes a request on to one of the actor's peers, with its secret, and the peer's answer back: status, `Location` and
/// JSON. Of what a peer says of a refusal, the beginning is shown.
pub(crate) async fn proxy(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    peer: &str,
    path: &[&str],
) -> Reply {
    let invocation = incoming.invocation(admission);
    let peers = state.hooks.peers(&invocation, &admission.actor).map_err(|error| {
        tracing::error!(%error, "request failed");
        Problem::internal()
    })?;
    let peer = peers.find(peer).await.map_err(refusal)?;
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(incoming.params()).finish();
    let path = format!("{}{}{query}", path.join("/"), if query.is_empty() { "" } else { "?" });
    answer(send(incoming, &peer, &path).await?)
}

type Sent = Result<actingweb_hooks::PeerReply, PeerCallError>;

async fn send(incoming: &Incoming, peer: &Peer, path: &str) -> Result<Sent, Problem> {
    let body = || if incoming.payload.bytes.is_empty() { Ok(None) } else { incoming.payload.json().map(Some) };
    Ok(match incoming.verb {
        Verb::Get => peer.get(path).await,
        Verb::Delete => peer.delete(path).await,
        Verb::Put => peer.request(Method::PUT, path, body()?).await,
        Verb::Post => peer.request(Method::POST, path, body()?).await,
        Verb::Other => return Err(Problem::method_not_allowed("GET, POST, PUT, DELETE")),
    })
}

fn answer(sent: Sent) -> Reply {
    let reply = match sent {
        Ok(reply) => reply,
        Err(PeerCallError::Call(PeerError::Status { status, body_excerpt, .. })) => {
            let said = serde_json::from_str(&body_excerpt);
            let error = || json!({ "error": { "code": status.as_u16(), "message": body_excerpt } });
            return Ok(json(status, &said.unwrap_or_else(|_| error())));
        }
        Err(error) => return Err(refusal(error)),
    };
    let mut response: Response = match reply.json::<Value>() {
        Ok(body) => json(reply.status(), &body),
        Err(_) if reply.body().is_empty() && reply.status() == StatusCode::NO_CONTENT => no_content(),
        Err(_) if reply.body().is_empty() => reply.status().into_response(),
        Err(_) => json(reply.status(), &String::from_utf8_lossy(reply.body())),
    };
    if let Some(location) = reply.location().and_then(|location| HeaderValue::from_str(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Why the peer was not called, or did not answer.
fn refusal(error: PeerCallError) -> Problem {
    let detail = error.to_string();
    match error {
        PeerCallError::NoPeer(NoPeer::NotApproved(_)) => Problem::forbidden(detail),
        PeerCallError::NoPeer(_) => Problem::not_found(detail),
        PeerCallError::Call(PeerError::TimedOut) => Problem::new(StatusCode::GATEWAY_TIMEOUT, detail),
        PeerCallError::Call(PeerError::Refused { .. } | PeerError::Unsendable { .. }) => Problem::bad_request(detail),
        PeerCallError::Call(_) => Problem::new(StatusCode::BAD_GATEWAY, detail),
        PeerCallError::Actor(error) => error.into(),
    }
}
