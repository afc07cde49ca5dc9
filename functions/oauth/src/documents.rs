//! The well-known documents by which clients find everything else: RFC 8414, RFC 9728.

use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// The one scope there is. What a client may do is decided by the relationship it was granted.
pub(crate) const SCOPE: &str = "mcp";

/// How clients say who they are.
pub(crate) const AUTH_METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// How long the documents may be kept, in seconds: they change with a deployment.
const CACHE: &str = "public, max-age=300";

/// The routes of this part. The name of a document comes before the path of what it is about (RFC 8414, 3.1; RFC 9728,
/// 3.1), which is asked about by the handler, because it is configuration.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/.well-known/{*path}", any(document))
}

async fn document(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let (name, about) = match incoming.segments.as_slice() {
        [_, name, about @ ..] => (name.as_str(), about.iter().map(|part| format!("/{part}")).collect::<String>()),
        _ => ("", String::new()),
    };
    let base = state.base_url.as_ref();
    let prefix = path_of(base);
    // Behind a path the document is also asked for without it, where what stands in front has taken the path off.
    let below = about.strip_prefix(prefix).unwrap_or(&about);
    let body = match (name, below) {
        ("oauth-authorization-server" | "openid-configuration", "") => server(base),
        ("oauth-protected-resource", "") => resource(base, &format!("{base}/")),
        ("oauth-protected-resource", "/mcp") => resource(base, &format!("{base}/mcp")),
        _ => return Err(Problem::not_found("there is no such document")),
    };
    if incoming.verb != Verb::Get {
        return Err(Problem::method_not_allowed("GET, OPTIONS"));
    }
    let mut response = json(StatusCode::OK, &body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    Ok(response)
}

/// What the authorization server does.
fn server(base: &str) -> Value {
    json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "registration_endpoint": format!("{base}/oauth/register"),
        "revocation_endpoint": format!("{base}/oauth/revoke"),
        "introspection_endpoint": format!("{base}/oauth/introspect"),
        "scopes_supported": [SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "protected_resources": [format!("{base}/"), format!("{base}/mcp")],
        "service_documentation": format!("{base}/openapi.json"),
    })
}

/// Whom a protected resource trusts.
fn resource(base: &str, resource: &str) -> Value {
    json!({
        "resource": resource,
        "authorization_servers": [base],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_documentation": format!("{base}/openapi.json"),
    })
}

/// The path of a URL that has no slash at its end; empty for none.
fn path_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}
