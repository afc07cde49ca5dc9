//! `/oauth`, `/.well-known`, `/{actor}/clients` and `/{actor}/grants`: the authorization server.
//!
//! ```text
//! GET       /.well-known/oauth-authorization-server   what this server does (RFC 8414), also as openid-configuration
//! GET       /.well-known/oauth-protected-resource     whom the API trusts (RFC 9728); `/mcp` below it for `/mcp`
//! POST      /oauth/register                           a client introduces itself (RFC 7591)
//! GET POST  /oauth/authorize                          a person lets a client act for it (RFC 6749, 4.1)
//! POST      /oauth/token                              a code, a refresh token or a client's own secret for tokens
//! POST      /oauth/revoke                             a token ends (RFC 7009)
//! POST      /oauth/introspect                         what a token means (RFC 7662)
//! GET POST  /oauth/login                              a person signs in at this browser
//! GET POST  /oauth/logout                             and out again
//! GET POST  /oauth/login/{provider}                   by the word of an identity provider
//! GET       /oauth/callback                           back from it; POST …/apple from Apple
//! GET POST  /oauth/email                              an e-mail address, where the provider says none
//! GET       /oauth/config, /oauth/session             what single-page applications ask
//! POST      /oauth/spa/…                              how they sign people in and out
//! GET POST  /{actor}/clients                          the owner's own clients
//! GET DELETE /{actor}/clients/{client}                one of them; POST …/secret makes a new secret
//! GET       /{actor}/grants                           who may act for the owner
//! DELETE    /{actor}/grants/{grant}                   and no longer
//! GET       /{actor}/identities                       who signs in to the actor
//! DELETE    /{actor}/identities/{identity}            and no longer
//! GET       /{actor}/services                         the owner's accounts at services
//! GET POST DELETE /{actor}/services/{service}         one of them: looked at, connected, given up
//! GET       /oauth/services/callback                  back from a service; also …/{service}/callback
//! ```

mod authorize;
mod callback;
mod client_auth;
mod consent;
mod cors;
mod documents;
mod email;
mod error;
mod identities;
mod introspect;
mod limits;
mod login;
mod lookup;
mod manage;
mod metadata;
pub mod openapi;
mod openapi_signin;
mod pages;
mod params;
mod people;
mod register;
mod request;
mod revoke;
mod services;
mod services_openapi;
mod session;
mod signin;
mod signin_admit;
mod signin_leg;
mod spa;
mod spa_cookies;
mod spa_cors;
mod spa_error;
mod spa_request;
mod spa_return;
mod spa_token;
mod token;

use actingweb_web::{AppState, Problem, serve};
use axum::Router;
use axum::routing::any;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    let open = Router::new()
        .merge(documents::routes())
        .merge(register::routes())
        .merge(token::routes())
        .merge(revoke::routes());
    let pages = Router::new()
        .merge(authorize::routes())
        .merge(login::routes())
        .merge(signin::routes())
        .merge(callback::routes())
        .merge(services::routes());
    let nothing = || std::future::ready(Problem::not_found("there is nothing at this path of /oauth"));
    cors::open(open)
        .merge(introspect::routes())
        .merge(people::readable(pages))
        .merge(email::routes())
        .merge(spa::routes())
        .merge(manage::routes())
        .merge(identities::routes())
        .route("/oauth", any(nothing))
        .route("/oauth/", any(nothing))
        // Words that are groups of an actor elsewhere mean nothing here.
        .route("/oauth/{*path}", any(nothing))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("oauth"))
}
