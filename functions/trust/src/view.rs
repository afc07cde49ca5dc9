//! A relationship as it is shown.

use actingweb_actor::{ActorError, TrustRecord, Trusts};
use actingweb_protocol::ActorId;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// A relationship as JSON. `with_secrets` is for the two who share them and for the creator.
///
/// # Errors
/// An internal error when the secret cannot be opened.
pub(crate) fn show(
    trusts: &Trusts,
    actor: &ActorId,
    trust: &TrustRecord,
    with_secrets: bool,
) -> Result<Value, ActorError> {
    let created_at = trust.created_at.to_string();
    let mut shown = json!({
        "id": actor,
        "peerid": trust.peer,
        "baseuri": trust.base_uri,
        "type": trust.kind,
        "relationship": trust.relationship,
        "desc": trust.desc,
        "approved": trust.approved,
        "peer_approved": trust.peer_approved,
        "verified": trust.verified,
        "established_via": trust.established_via,
        "created_at": created_at,
        "last_connected_at": created_at,
        "last_connected_via": trust.established_via,
    });
    if let (Some(client), Some(members)) = (&trust.client, shown.as_object_mut()) {
        members.insert("oauth_client_id".to_owned(), json!(client.id));
        members.insert("client_name".to_owned(), json!(client.name));
        members.insert("client_version".to_owned(), json!(client.version));
        members.insert("client_platform".to_owned(), json!(client.platform));
        // To the day: a relationship is not written to whenever it is used.
        let seen = client.last_accessed.unwrap_or(trust.created_at).to_string();
        members.insert("last_accessed".to_owned(), json!(seen));
        members.insert("last_connected_at".to_owned(), json!(seen));
        members.insert("last_connected_via".to_owned(), json!("oauth"));
    }
    // A client has none.
    let with_secrets = with_secrets && !trust.secret.is_empty();
    if let (true, Some(members)) = (with_secrets, shown.as_object_mut()) {
        let secret = trusts.open(actor, &trust.peer, &trust.secret)?;
        members.insert("secret".to_owned(), json!(secret.expose()));
        // The Python library reads the first spelling, the specification has the second.
        members.insert("verification_token".to_owned(), json!(trust.verification_token));
        members.insert("verificationToken".to_owned(), json!(trust.verification_token));
    }
    Ok(shown)
}

/// A reply that says where the relationship is. It holds a secret.
pub(crate) fn located(
    trusts: &Trusts,
    status: StatusCode,
    actor: &ActorId,
    trust: &TrustRecord,
    body: &Value,
) -> Response {
    let mut response = private(actingweb_web::json(status, body));
    let location = format!("{}/trust/{}/{}", trusts.root_of(actor), trust.relationship, trust.peer);
    response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|value| (header::LOCATION, value)));
    response
}

/// A reply that no cache may keep.
pub(crate) fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
