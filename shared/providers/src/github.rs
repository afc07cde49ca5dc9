//! GitHub: OAuth, and its API for who somebody is.

use http::{Request, header};
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::metadata::chain;
use crate::provider::{Leg, Provider};
use crate::{Profile, ProviderError};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: String,
    primary: bool,
    verified: bool,
}

pub(crate) fn authorization_url(
    provider: &Provider,
    redirect_uri: &str,
    leg: &Leg,
    choose: bool,
) -> Result<Url, ProviderError> {
    let client = client(provider, redirect_uri)?;
    let state = CsrfToken::new(leg.state.clone());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(leg.verifier.clone()));
    let scopes = provider.settings().scopes.iter().cloned().map(Scope::new);
    let mut request = client.authorize_url(|| state).add_scopes(scopes).set_pkce_challenge(challenge);
    if choose {
        request = request.add_extra_param("prompt", "select_account");
    }
    Ok(request.url().0)
}

pub(crate) async fn finish(
    provider: &Provider,
    redirect_uri: &str,
    leg: &Leg,
    code: &str,
) -> Result<Profile, ProviderError> {
    let name = provider.name();
    let tokens = client(provider, redirect_uri)?
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(leg.verifier.clone()))
        .request_async(&provider.http)
        .await
        .map_err(|error| match error {
            RequestTokenError::ServerResponse(reason) => ProviderError::code(name, reason.error()),
            RequestTokenError::Request(error) => ProviderError::transport(name, &error),
            // GitHub says 200 and an error where others say 400.
            other => ProviderError::code(name, chain(&other)),
        })?;
    let token = tokens.access_token().secret();
    let user: User = ask(provider, "user", token).await?;
    let emails: Vec<Email> = ask(provider, "user/emails", token).await?;
    let email = emails.into_iter().find(|email| email.primary && email.verified).map(|email| email.email);
    let settings = provider.settings();
    let profile = Profile {
        provider: settings.name.clone(),
        issuer: settings.issuer.as_str().trim_end_matches('/').to_owned(),
        // Not the login, which people change, and others then take.
        subject: user.id.to_string(),
        name: user.name.filter(|name| !name.is_empty()).or(Some(user.login)),
        ..Profile::default()
    };
    Ok(profile.with_email(email.as_deref(), true))
}

async fn ask<T: DeserializeOwned>(provider: &Provider, path: &str, token: &str) -> Result<T, ProviderError> {
    let name = provider.name();
    let unavailable = |error: &dyn std::error::Error| ProviderError::unavailable(name, chain(error));
    let request = Request::get(format!("{}/{path}", api(&provider.settings().issuer)))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .body(Vec::new())
        .map_err(|error| unavailable(&error))?;
    let reply = provider.http.0.exchange(request).await.map_err(|error| ProviderError::transport(name, &error))?;
    if !reply.status().is_success() {
        return Err(ProviderError::unavailable(name, format!("its API answered {} to {path}", reply.status())));
    }
    serde_json::from_slice(reply.body())
        .map_err(|_| ProviderError::unavailable(name, format!("{path} is not as expected")))
}

/// Where the API is: a host of its own for github.com, a path for GitHub Enterprise Server.
fn api(base: &Url) -> String {
    match base.host_str() {
        Some("github.com") => "https://api.github.com".to_owned(),
        _ => format!("{}/api/v3", base.as_str().trim_end_matches('/')),
    }
}

fn client(provider: &Provider, redirect_uri: &str) -> Result<Client, ProviderError> {
    let settings = provider.settings();
    let base = settings.issuer.as_str().trim_end_matches('/');
    let unusable = |error| ProviderError::unavailable(provider.name(), chain(&error));
    let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_auth_uri(AuthUrl::new(format!("{base}/login/oauth/authorize")).map_err(unusable)?)
        .set_token_uri(TokenUrl::new(format!("{base}/login/oauth/access_token")).map_err(unusable)?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(unusable)?)
        .set_auth_type(AuthType::RequestBody);
    Ok(match &settings.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
        None => client,
    })
}
