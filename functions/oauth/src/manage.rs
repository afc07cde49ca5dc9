//! `/{actor}/clients` and `/{actor}/grants`: what an actor's owner sees and ends.
//!
//! For the creator alone, whatever an application's path rules say: whoever could make clients here could give itself any
//! rights.

use actingweb_actor::{Actor, Caller, ClientAuthMethod, ClientGrant, ClientRecord, NewClient, Registered};
use actingweb_protocol::oauth::{ClientKey, GrantId};
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json, no_content, not_allowed, subtree};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::metadata::{check_name, redirect_uris};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    subtree("clients", clients).merge(subtree("grants", grants))
}

async fn clients(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    let allow = match path.as_slice() {
        [] => "GET, POST",
        [_, "secret"] => "POST",
        [_] => "GET, DELETE",
        _ => "",
    };
    let (actor, admission) = admit(&state, &incoming, allow).await?;
    let all = state.actors.clients();
    match (path.as_slice(), incoming.verb) {
        ([], Verb::Get) => {
            let mut owned = all.list(&actor).await?;
            owned.sort_by_key(|client| client.created_at);
            let shown: Vec<Value> = owned.iter().map(show_client).collect();
            Ok(json(StatusCode::OK, &json!({ "clients": shown })))
        }
        ([], _) => incoming.once(&state, Some(&admission), create(&state, &incoming, &actor)).await,
        ([id], Verb::Get) => {
            let key = key(id)?;
            let owned = all.list(&actor).await?;
            let client = owned.iter().find(|client| client.key == key).ok_or_else(no_client)?;
            Ok(json(StatusCode::OK, &show_client(client)))
        }
        ([id], _) => match all.delete(&actor, &key(id)?).await? {
            true => Ok(no_content()),
            false => Err(no_client()),
        },
        ([id, "secret"], _) => {
            let secret = all.rotate_secret(&actor, &key(id)?).await?;
            let secret = secret.ok_or_else(|| Problem::not_found("there is no such client, or it has no secret"))?;
            Ok(private(StatusCode::OK, &json!({ "client_id": id, "client_secret": secret })))
        }
        _ => Err(Problem::not_found("there is nothing at this path of /clients")),
    }
}

async fn grants(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    let allow = match path.as_slice() {
        [] => "GET",
        [_] => "DELETE",
        _ => "",
    };
    let (actor, _) = admit(&state, &incoming, allow).await?;
    let all = state.actors.grants();
    match path.as_slice() {
        [] => {
            let mut standing = all.list(&actor).await?;
            standing.sort_by_key(|grant| grant.created_at);
            let shown: Vec<Value> = standing.iter().map(|grant| show_grant(&state, grant)).collect();
            Ok(json(StatusCode::OK, &json!({ "grants": shown })))
        }
        [id] => {
            // Grants have ids of their own below their client's; both are in what the listing says.
            let (client, grant) = grant_id(id).ok_or_else(no_grant)?;
            let standing = all.list(&actor).await?;
            if !standing.iter().any(|known| known.client == client && known.id == grant) {
                return Err(no_grant());
            }
            all.end(&actor, &client, &grant).await?;
            Ok(no_content())
        }
        _ => Err(Problem::not_found("there is nothing at this path of /grants")),
    }
}

/// Lets in the creator, and nobody else; then asks whether the path takes the verb.
pub(crate) async fn admit(
    state: &AppState,
    incoming: &Incoming,
    allow: &'static str,
) -> Result<(Actor, actingweb_web::Admission), Problem> {
    let admission = incoming.admit(state, &[]).await?;
    if !matches!(admission.access.caller(), Caller::Creator) {
        return Err(not_allowed());
    }
    let verb = incoming.verb.op().map_or("", actingweb_hooks::Op::as_str);
    if !allow.is_empty() && !allow.split(", ").any(|allowed| allowed == verb) {
        return Err(Problem::method_not_allowed(allow));
    }
    Ok((admission.actor.clone(), admission))
}

async fn create(state: &AppState, incoming: &Incoming, actor: &Actor) -> Reply {
    let members = incoming.payload.object()?;
    let (new, trust_type) = wanted(state, &members)?;
    let Registered { client, secret } = state.actors.clients().create_owned(actor, new, &trust_type).await?;
    let mut shown = show_client(&client);
    if let (Some(members), Some(secret)) = (shown.as_object_mut(), secret) {
        members.insert("client_secret".to_owned(), json!(secret));
    }
    let mut response = private(StatusCode::CREATED, &shown);
    let location = format!("{}/{}/clients/{}", state.base_url, actor.id(), client.key);
    response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|url| (header::LOCATION, url)));
    Ok(response)
}

/// What the owner asks for: `client_name` and `trust_type`, which is any that there is; without `redirect_uris` a client
/// that acts by itself, with them one that others may let in, too.
fn wanted(state: &AppState, members: &Map<String, Value>) -> Result<(NewClient, String), Problem> {
    const KNOWN: [&str; 4] = ["client_name", "trust_type", "redirect_uris", "token_endpoint_auth_method"];
    if let Some(unknown) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(Problem::bad_request(format!("`{unknown}` is not known here: {} are", KNOWN.join(", "))));
    }
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Problem::bad_request(format!("`{name}` must be a string"))),
    };
    let oauth = |error: crate::error::OAuthError| Problem::bad_request(error.description().to_owned());
    let name = text("client_name")?.ok_or_else(|| Problem::bad_request("`client_name` is missing"))?;
    let name = check_name(name).map_err(oauth)?;
    let trust_type = text("trust_type")?.ok_or_else(|| Problem::bad_request("`trust_type` is missing"))?;
    let types = state.hooks.policy().trust_types();
    if !types.iter().any(|known| known.name == trust_type) {
        let names: Vec<&str> = types.iter().map(|known| known.name).collect();
        return Err(Problem::bad_request(format!("`trust_type` must be one of {}", names.join(", "))));
    }
    let uris = match members.get("redirect_uris") {
        None => Vec::new(),
        value => redirect_uris(value).map_err(oauth)?,
    };
    let auth = match text("token_endpoint_auth_method")? {
        None => ClientAuthMethod::SecretBasic,
        Some(word) => ClientAuthMethod::parse(word)
            .filter(|auth| *auth != ClientAuthMethod::None || !uris.is_empty())
            .ok_or_else(|| {
                Problem::bad_request(
                    "`token_endpoint_auth_method` must be client_secret_basic or client_secret_post, or, for a client \
                     with redirect URIs, none",
                )
            })?,
    };
    // Its own rights are for whom can prove to be the client.
    let mut grant_types: Vec<&str> = Vec::new();
    if auth != ClientAuthMethod::None {
        grant_types.push("client_credentials");
    }
    if !uris.is_empty() {
        grant_types.extend(["authorization_code", "refresh_token"]);
    }
    let new = NewClient {
        name,
        redirect_uris: uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
        auth,
        grant_types: grant_types.into_iter().map(str::to_owned).collect(),
        metadata: None,
    };
    Ok((new, trust_type.to_owned()))
}

/// A client as its owner sees it, without its secret.
fn show_client(client: &ClientRecord) -> Value {
    json!({
        "client_id": client.id,
        "client_name": client.name,
        "trust_type": client.trust_type,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "token_endpoint_auth_method": client.auth.as_str(),
        "created_at": client.created_at.to_string(),
    })
}

/// A grant as the owner sees it.
fn show_grant(state: &AppState, grant: &ClientGrant) -> Value {
    let is_session = grant.client.is_of_users();
    json!({
        "id": format!("{}.{}", grant.client, grant.id),
        "kind": grant.kind.as_str(),
        "client_id": (!is_session).then_some(&grant.client_id),
        "client_name": (!is_session).then_some(&grant.client_name),
        "peerid": (!is_session).then(|| grant.client.peer()),
        "resource": grant.audience.uri(&state.base_url),
        "scope": grant.scope,
        "created_at": grant.created_at.to_string(),
        "refreshed_at": grant.rotated_at.to_string(),
        "expires_at": grant.ends.to_string(),
    })
}

fn grant_id(text: &str) -> Option<(ClientKey, GrantId)> {
    let (client, grant) = text.split_once('.')?;
    Some((ClientKey::parse(client).ok()?, GrantId::parse(grant).ok()?))
}

fn key(id: &str) -> Result<ClientKey, Problem> {
    ClientKey::parse(id).map_err(|_| no_client())
}

fn no_client() -> Problem {
    Problem::not_found("you have no such client")
}

fn no_grant() -> Problem {
    Problem::not_found("there is no such grant, or no longer")
}

/// A reply that no cache may keep: it holds a secret.
fn private(status: StatusCode, body: &Value) -> Response {
    crate::error::private(status, body)
}

/// The schema of a client as its owner sees it.
pub(crate) fn client_schema() -> Value {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "type": "object",
        "required": ["client_id", "client_name", "trust_type", "redirect_uris", "grant_types"],
        "properties": {
            "client_id": text(),
            "client_name": text(),
            "client_secret": { "type": "string", "description": "Only in the reply that made it." },
            "trust_type": { "type": "string", "description": "What it may do at its owner's actor." },
            "redirect_uris": texts(),
            "grant_types": texts(),
            "token_endpoint_auth_method": text(),
            "created_at": { "type": "string", "format": "date-time" },
        },
    })
}

/// The schema of a grant.
pub(crate) fn grant_schema() -> Value {
    let text = || json!({ "type": "string" });
    let maybe = || json!({ "type": ["string", "null"] });
    let time = || json!({ "type": "string", "format": "date-time" });
    json!({
        "type": "object",
        "required": ["id", "kind", "resource", "scope", "created_at", "refreshed_at", "expires_at"],
        "properties": {
            "id": text(),
            "kind": { "enum": ["client", "credentials", "session", "page", "browser"] },
            "client_id": maybe(),
            "client_name": maybe(),
            "peerid": { "type": ["string", "null"], "description": "The client below `/trust`." },
            "resource": { "type": "string", "format": "uri", "description": "What its tokens are good for." },
            "scope": text(),
            "created_at": time(),
            "refreshed_at": time(),
            "expires_at": time(),
        },
    })
}

/// Describes the listing of clients.
pub(crate) fn describe_clients(client: &Value) -> Operation {
    let listing = json!({
        "type": "object", "required": ["clients"],
        "properties": { "clients": { "type": "array", "items": client } },
    });
    Operation::get("get_clients", "The clients that the owner made").authorized().reply(
        200,
        "Clients, the oldest first.",
        [Content::json(listing)],
    )
}

/// Describes how one is made.
pub(crate) fn describe_new(client: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let wanted = json!({
        "type": "object",
        "required": ["client_name", "trust_type"],
        "properties": {
            "client_name": { "type": "string", "minLength": 1, "maxLength": 100 },
            "trust_type": { "type": "string", "description": "What it may do at this actor: any trust type." },
            "redirect_uris": { "type": "array", "items": text(), "description": "For one that others may let in, too." },
            "token_endpoint_auth_method": text(),
        },
    });
    let example = json!({ "client_name": "Night job", "trust_type": "friend" });
    Operation::post("create_client", "Makes a client that acts for itself at this actor")
        .authorized()
        .body(true, "Its name, and what it may do.", [Content::json(wanted).example(example)])
        .reply(201, "The client, with its secret, which is shown this once.", [Content::json(client.clone())])
        .with_headers(&["Cache-Control"])
        .with_location(201)
        .once()
}

/// Describes one client.
pub(crate) fn describe_one(client: &Value) -> Operation {
    Operation::get("get_client", "A client that the owner made").authorized().reply(
        200,
        "The client.",
        [Content::json(client.clone())],
    )
}

/// Describes its end.
pub(crate) fn describe_end() -> Operation {
    Operation::delete("delete_client", "Ends a client, with all that was granted to it anywhere").authorized().reply(
        204,
        "It is gone, and its tokens are worthless.",
        [],
    )
}

/// Describes its next secret.
pub(crate) fn describe_secret() -> Operation {
    let secret = json!({
        "type": "object", "required": ["client_id", "client_secret"],
        "properties": { "client_id": { "type": "string" }, "client_secret": { "type": "string" } },
    });
    Operation::post("rotate_client_secret", "Gives a client another secret; the one before is worthless")
        .authorized()
        .reply(200, "The secret, which is shown this once.", [Content::json(secret)])
        .with_headers(&["Cache-Control"])
}

/// Describes the listing of grants.
pub(crate) fn describe_grants(grant: &Value) -> Operation {
    let listing = json!({
        "type": "object", "required": ["grants"],
        "properties": { "grants": { "type": "array", "items": grant } },
    });
    Operation::get("get_grants", "Who may act for the owner: clients, sessions and browsers").authorized().reply(
        200,
        "Grants, the oldest first.",
        [Content::json(listing)],
    )
}

/// Describes the end of one.
pub(crate) fn describe_revoke() -> Operation {
    Operation::delete("delete_grant", "Ends a grant").authorized().reply(204, "Its tokens are worthless.", [])
}
