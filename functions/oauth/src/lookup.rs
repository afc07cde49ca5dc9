//! Finding the client that a request names: one that registered, or one that says who it is in a document of its own
//! (client-id metadata documents, draft-ietf-oauth-client-id-metadata-document).

use std::time::Duration;

use actingweb_actor::{ClientAuthMethod, ClientRecord};
use actingweb_peer::{Guard, PeerAddress, PeerError};
use actingweb_protocol::oauth::ClientKey;
use actingweb_protocol::{Deadline, json};
use actingweb_web::{AppState, Incoming, Problem};
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::{Position, Url};

use crate::error::OAuthError;
use crate::metadata::ClientMetadata;

/// The largest document, in bytes: far more than the 5 KB that the draft asks servers to take at least.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// How long a client's server may take to send it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a document is taken to say what it said, where its server does not say.
const FRESH: Duration = Duration::from_secs(3600);

/// The least and the most of that, whatever its server says: whoever is asked often cannot have it fetched each time, and
/// redirect URIs that a client takes back are to be good no longer than a day.
const FRESH_WITHIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The longest id of a client, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// Why there is no such client, for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// It never registered, or was forgotten since.
    #[error("there is no client with this `client_id`: it must register again")]
    Unknown,
    /// Its document does not say what it must.
    #[error("the client's metadata document at its `client_id` {0}")]
    Document(String),
    /// Storage failed.
    #[error("storage failed")]
    Failed(Problem),
}

/// The client with this id: one call to storage; for a document that is not known to be fresh one request to the client's
/// server and another call.
pub(crate) async fn find(state: &AppState, incoming: &Incoming, id: &str) -> Result<ClientRecord, LookupError> {
    let deadline = incoming.context.deadline;
    if id.len() > MAX_ID_BYTES {
        return Err(LookupError::Unknown);
    }
    let clients = state.actors.clients();
    let known = clients.find(id, deadline).await.map_err(|error| LookupError::Failed(error.into()))?;
    if let Some(client) = known {
        return Ok(client);
    }
    let url = document_url(state.trusts.peers().guard(), id).ok_or(LookupError::Unknown)?;
    let (members, fresh_for) = fetch(state, incoming, &url, id).await?;
    let metadata = read(&members, id)?;
    let now = state.actors.store().now();
    let client = ClientRecord {
        metadata: metadata.kept(),
        key: ClientKey::of(id),
        id: id.to_owned(),
        name: metadata.name,
        redirect_uris: metadata.redirect_uris,
        auth: metadata.auth,
        secret_hash: None,
        grant_types: metadata.grant_types,
        owner: None,
        trust_type: None,
        created_at: now,
        expires: Some(now.plus(fresh_for)),
    };
    clients.keep(&client, deadline).await.map_err(|error| LookupError::Failed(error.into()))?;
    Ok(client)
}

/// The URL of a document, if the id can be one: https, with a path, and nothing in it that could be read in two ways. A
/// local stack, which may call itself, takes http, too.
fn document_url(guard: Guard, id: &str) -> Option<Url> {
    let url = Url::parse(id).ok()?;
    let is_plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    // What the parser would write otherwise is another text: dot segments, upper case, a default port.
    let is_exact = url.as_str() == id && url.path() != "/";
    let is_reachable = matches!((url.scheme(), guard), ("https", _) | ("http", Guard::Loopback));
    (is_plain && is_exact && is_reachable).then_some(url)
}

/// The document, and how long it may be kept.
async fn fetch(
    state: &AppState,
    incoming: &Incoming,
    url: &Url,
    id: &str,
) -> Result<(Map<String, Value>, Duration), LookupError> {
    let wrong = |reason: String| LookupError::Document(reason);
    let server = PeerAddress::new(&url[..Position::BeforePath]).map_err(|error| wrong(error.to_string()))?;
    let patience = Deadline::after(Instant::now().into_std(), PATIENCE).earlier(incoming.context.deadline);
    let peers = state.trusts.peers().clone().with_deadline(patience).with_request_id(&incoming.context.id);
    let reply = peers.get(&server, id).reply_limit(MAX_DOCUMENT_BYTES).send().await.map_err(|error| {
        // What a server of somebody's says is not repeated to whoever makes us ask it.
        wrong(match error {
            PeerError::Refused { reason } => format!("may not be read: {reason}"),
            PeerError::TooLarge { limit } => format!("is larger than {limit} bytes"),
            PeerError::Status { status, .. } => format!("is answered with {status}"),
            PeerError::TimedOut => "did not come in time".to_owned(),
            _ => "is out of reach".to_owned(),
        })
    })?;
    let (least, most) = FRESH_WITHIN;
    let fresh_for = reply.fresh_for().unwrap_or(FRESH).clamp(least, most);
    match json::parse(reply.body()) {
        Ok(Value::Object(members)) => Ok((members, fresh_for)),
        Ok(_) => Err(wrong("is not a JSON object".to_owned())),
        Err(error) => Err(wrong(format!("is {error}"))),
    }
}

/// What the document says, if it may be believed: it names itself, and needs no secret, which a public document could not
/// keep.
fn read(members: &Map<String, Value>, id: &str) -> Result<ClientMetadata, LookupError> {
    let wrong = |reason: &str| LookupError::Document(reason.to_owned());
    if members.get("client_id").and_then(Value::as_str) != Some(id) {
        return Err(wrong("has another `client_id`"));
    }
    if members.contains_key("client_secret") || members.contains_key("client_secret_expires_at") {
        return Err(wrong("has a `client_secret`, which it must not"));
    }
    // Unless they say otherwise such clients are public here: there is no secret to share.
    let mut members = members.clone();
    members.entry("token_endpoint_auth_method").or_insert_with(|| Value::String("none".to_owned()));
    let metadata = ClientMetadata::read(&members)
        .map_err(|error: OAuthError| LookupError::Document(format!("is wrong: {}", error.description())))?;
    if metadata.auth != ClientAuthMethod::None {
        return Err(wrong("must have `token_endpoint_auth_method` none"));
    }
    Ok(metadata)
}

/// The host that answers for a client with a document; `None` for one that registered.
pub(crate) fn document_host(client: &ClientRecord) -> Option<String> {
    if client.key.is_registered() {
        return None;
    }
    Some(Url::parse(&client.id).ok()?.host_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_exact_urls_of_documents_are_fetched() {
        let taken = |guard, id: &str| document_url(guard, id).is_some();
        assert!(taken(Guard::Strict, "https://client.example/oauth/client.json"));
        assert!(taken(Guard::Loopback, "http://127.0.0.1:3000/client.json"));
        for id in [
            "http://client.example/client.json",
            "https://client.example",
            "https://client.example/",
            "https://client.example/a/../client.json",
            "https://client.example/./client.json",
            "https://client.example/client.json#x",
            "https://ann@client.example/client.json",
            "https://CLIENT.example/client.json",
            "https://client.example:443/client.json",
            "ftp://client.example/client.json",
            "mcp_0123",
            "client.example/client.json",
        ] {
            assert!(!taken(Guard::Strict, id), "{id}");
        }
    }

    #[test]
    fn a_document_speaks_for_itself_alone() {
        let id = "https://client.example/client.json";
        let document = |extra: Value| {
            let mut members = json!({ "client_id": id, "redirect_uris": ["https://client.example/cb"] });
            members.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            read(members.as_object().unwrap(), id).map_err(|error| error.to_string())
        };
        assert_eq!(document(json!({})).unwrap().auth, ClientAuthMethod::None);
        for (extra, reason) in [
            (json!({ "client_id": "https://other.example/client.json" }), "another `client_id`"),
            (json!({ "client_id": format!("{id}/") }), "another `client_id`"),
            (json!({ "client_secret": "x" }), "client_secret"),
            (json!({ "token_endpoint_auth_method": "client_secret_post" }), "token_endpoint_auth_method"),
            (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "token_endpoint_auth_method"),
            (json!({ "redirect_uris": ["http://client.example/cb"] }), "redirect_uris[0]"),
            (json!({ "redirect_uris": [] }), "redirect_uris"),
        ] {
            let error = document(extra.clone()).unwrap_err();
            assert!(error.contains(reason), "{extra}: {error}");
        }
    }
}
