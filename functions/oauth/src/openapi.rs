//! What this group answers.

use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

use crate::{authorize, identities, introspect, login, manage, register, revoke, token};

/// Describes `/oauth` and `/.well-known`, and an actor's clients and grants.
pub fn describe(document: &mut Document) {
    let mut group = document.group("oauth", "AI clients and people sign in: OAuth 2.1.");
    let server = group.schema("AuthorizationServer", metadata());
    let resource = group.schema("ProtectedResource", metadata());
    let about_server = |id: &str| {
        Operation::get(id, "What the authorization server does (RFC 8414)").reply(
            200,
            "Its endpoints and what they take.",
            [Content::json(server.clone())],
        )
    };
    let about_resource = |id: &str, summary: &str| {
        Operation::get(id, summary).reply(
            200,
            "Its name, and who gives tokens for it.",
            [Content::json(resource.clone())],
        )
    };
    let tokens = group.schema("Tokens", token::schema());
    let error = group.schema("OAuthError", oauth_error());
    group
        .path("/oauth/register", [register::describe(&error)])
        .path("/oauth/authorize", authorize::describe())
        .path("/oauth/login", login::describe_login())
        .path("/oauth/logout", login::describe_logout())
        .path("/oauth/token", [token::describe(&tokens, &error)])
        .path("/oauth/revoke", [revoke::describe(&error)])
        .path("/oauth/introspect", [introspect::describe(&error)])
        .path("/.well-known/oauth-authorization-server", [about_server("get_authorization_server")])
        .path("/.well-known/openid-configuration", [about_server("get_openid_configuration")])
        .path(
            "/.well-known/oauth-protected-resource",
            [about_resource("get_protected_resource", "Whose tokens the API takes (RFC 9728)")],
        )
        .path(
            "/.well-known/oauth-protected-resource/mcp",
            [about_resource("get_protected_mcp", "Whose tokens `/mcp` takes (RFC 9728)")],
        );
    crate::openapi_signin::describe(&mut group);
    crate::services_openapi::describe(&mut group);
    let client = group.schema("OwnedClient", manage::client_schema());
    let grant = group.schema("ClientGrant", manage::grant_schema());
    let identity = group.schema("Identity", identities::schema());
    group
        .path("/{actor}/clients", [manage::describe_clients(&client), manage::describe_new(&client)])
        .path("/{actor}/clients/{client}", [manage::describe_one(&client), manage::describe_end()])
        .path("/{actor}/clients/{client}/secret", [manage::describe_secret()])
        .path("/{actor}/grants", [manage::describe_grants(&grant)])
        .path("/{actor}/grants/{grant}", [manage::describe_revoke()])
        .path("/{actor}/identities", [identities::describe_all(&identity)])
        .path("/{actor}/identities/{identity}", [identities::describe_end()]);
}

fn oauth_error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": { "type": "string", "description": "A code of RFC 6749 or one of its extensions." },
            "error_description": { "type": "string", "description": "What was wrong, for the client's developers." },
        },
    })
}

fn metadata() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}
