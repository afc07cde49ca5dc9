//! `/{actor}`: the actor itself.

use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json, no_content};
use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

pub(crate) async fn actor(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => get_actor(&state, &incoming).await,
        Verb::Delete => delete_actor(&state, &incoming).await,
        // What is no id is no actor, whatever the verb.
        _ => Err(incoming.actor_id().map_or_else(|unknown| unknown, |_| Problem::method_not_allowed("GET, DELETE"))),
    }
}

/// `{"id","creator"[,"trustee_root"]}`. The passphrase is not among them: it was shown once, when the actor was created.
async fn get_actor(state: &AppState, incoming: &Incoming) -> Reply {
    let admission = match incoming.admit(state, &[]).await {
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && incoming.accepts_html() => {
            return Ok(redirect(&format!("{}/login", state.base_url)));
        }
        admission => admission?,
    };
    let mut body = json!({ "id": admission.actor.id(), "creator": admission.actor.creator() });
    if let (Some(members), Some(root)) = (body.as_object_mut(), admission.actor.trustee_root()) {
        members.insert("trustee_root".to_owned(), json!(root));
    }
    Ok(json(StatusCode::OK, &body))
}

/// 204 as soon as the tombstone is written; the worker removes what the actor owned.
async fn delete_actor(state: &AppState, incoming: &Incoming) -> Reply {
    let admission = incoming.admit(state, &[]).await?;
    match admission.actor.bury().await? {
        Some(_) => Ok(no_content()),
        None => Err(Problem::not_found("there is no such actor")),
    }
}

fn redirect(location: &str) -> axum::response::Response {
    let headers: Vec<(HeaderName, HeaderValue)> =
        HeaderValue::from_str(location).ok().map(|value| (header::LOCATION, value)).into_iter().collect();
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().extend(headers);
    response
}
