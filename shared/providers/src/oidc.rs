//! OpenID Connect: the code flow with PKCE and nonce, and id_tokens of native apps.

use std::time::Duration;

use actingweb_protocol::{Timestamp, sha256_hex, sha256_hex_of_parts};
use chrono::DateTime;
use openidconnect::core::{
    CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreResponseType, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AuthType, AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    ConfigurationError, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, LocalizedClaim, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse,
};
use url::Url;

use crate::metadata::chain;
use crate::provider::{Leg, Provider};
use crate::{Assertion, Profile, ProviderError, ProviderKind};

/// How far clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// Apple says either; they are one issuer.
const APPLE_ISSUERS: [&str; 2] = ["https://appleid.apple.com", "https://account.apple.com"];

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

pub(crate) async fn authorization_url(
    provider: &Provider,
    redirect_uri: &str,
    leg: &Leg,
    choose: bool,
) -> Result<Url, ProviderError> {
    let client = client(provider, metadata(provider).await?, redirect_uri)?;
    let (state, nonce) = (CsrfToken::new(leg.state.clone()), Nonce::new(leg.nonce.clone()));
    let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(leg.verifier.clone()));
    // The library adds `openid` by itself.
    let scopes = provider.settings().scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
    let mut request = client.authorize_url(flow, || state, || nonce).add_scopes(scopes).set_pkce_challenge(challenge);
    if provider.answers_by_form() {
        request = request.add_extra_param("response_mode", "form_post");
    }
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
    let client = client(provider, metadata(provider).await?, redirect_uri)?;
    let tokens = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .map_err(|error| ProviderError::unavailable(name, error))?
        .set_pkce_verifier(PkceCodeVerifier::new(leg.verifier.clone()))
        .request_async(&provider.http)
        .await
        .map_err(|error| match error {
            RequestTokenError::ServerResponse(reason) => ProviderError::code(name, reason.error()),
            RequestTokenError::Request(error) => ProviderError::transport(name, &error),
            other => ProviderError::unavailable(name, chain(&other)),
        })?;
    let id_token = tokens.id_token().ok_or_else(|| ProviderError::identity(name, "there is no id_token"))?;
    let own = [provider.settings().client_id.as_str()];
    let claims = claims(provider, id_token, &own, |found| same_nonce(&leg.nonce, found)).await?;
    let profile = profile_of(provider, &claims);
    match profile.email {
        Some(_) => Ok(profile),
        None => Ok(with_user_info(&client, provider, &claims, tokens.access_token(), profile).await),
    }
}

pub(crate) async fn verify(provider: &Provider, id_token: &str, nonce: &str) -> Result<Assertion, ProviderError> {
    let name = provider.name();
    let token: CoreIdToken =
        id_token.parse().map_err(|_| ProviderError::identity(name, "it is no id_token: three parts of base64url"))?;
    let settings = provider.settings();
    let allowed: Vec<_> = settings.audiences.iter().chain([&settings.client_id]).map(String::as_str).collect();
    // Apple's own library hands on the nonce that the app gave it; most apps give it a digest.
    let hashed = (settings.kind == ProviderKind::Apple).then(|| sha256_hex(nonce));
    let claims = claims(provider, &token, &allowed, |found| {
        same_nonce(nonce, found).or_else(|reason| match &hashed {
            Some(hashed) => same_nonce(hashed, found),
            None => Err(reason),
        })
    })
    .await?;
    let profile = profile_of(provider, &claims);
    let expires = Timestamp::from_millis(claims.expiration().timestamp_millis()).plus(LEEWAY);
    // Not the text: a signature can be written in more than one way.
    let issued = claims.issue_time().timestamp().to_string();
    let found = claims.nonce().map(|nonce| nonce.secret().as_str()).unwrap_or_default();
    let parts = [profile.issuer.as_bytes(), profile.subject.as_bytes(), issued.as_bytes(), found.as_bytes()];
    Ok(Assertion { id: sha256_hex_of_parts(&parts), profile, expires })
}

/// What a provider says of itself.
async fn metadata(provider: &Provider) -> Result<CoreProviderMetadata, ProviderError> {
    let issuer = issuer(provider)?;
    provider.known.discovery.get((provider.name(), &issuer), &provider.http, provider.now()).await
}

/// The issuer as providers write it: without the slash that a URL has after its host.
fn issuer(provider: &Provider) -> Result<IssuerUrl, ProviderError> {
    let url = &provider.settings().issuer;
    let text = if url.path() == "/" { url.as_str().trim_end_matches('/') } else { url.as_str() };
    IssuerUrl::new(text.to_owned()).map_err(|error| ProviderError::unavailable(provider.name(), error))
}

fn client(provider: &Provider, metadata: CoreProviderMetadata, redirect_uri: &str) -> Result<Client, ProviderError> {
    let settings = provider.settings();
    let secret = match &settings.apple {
        Some(key) => {
            let made = key.client_secret(&settings.client_id, metadata.issuer(), provider.now());
            Some(made.ok_or_else(|| ProviderError::unavailable(provider.name(), "the client secret cannot be signed"))?)
        }
        None => settings.client_secret.clone(),
    };
    // Basic is what providers must support and what counts when they say nothing (OpenID Connect Discovery, 3).
    let basic = metadata
        .token_endpoint_auth_methods_supported()
        .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic))
        // Apple never took it.
        && settings.apple.is_none();
    let redirect = RedirectUrl::new(redirect_uri.to_owned())
        .map_err(|error| ProviderError::unavailable(provider.name(), error))?;
    let id = ClientId::new(settings.client_id.clone());
    Ok(CoreClient::from_provider_metadata(metadata, id, secret.map(ClientSecret::new))
        .set_redirect_uri(redirect)
        .set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
}

/// The claims of an id_token that holds: signature, issuer, audience, time and nonce. Keys are fetched anew once if it is
/// signed with one that is not known.
async fn claims(
    provider: &Provider,
    token: &CoreIdToken,
    audiences: &[&str],
    nonce: impl Fn(Option<&Nonce>) -> Result<(), String>,
) -> Result<CoreIdTokenClaims, ProviderError> {
    let name = provider.name();
    let now = provider.now();
    let known = metadata(provider).await?;
    let first = check(provider, token, &known, audiences, &nonce);
    let unknown = ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey);
    let checked = match first {
        Err(error) if error == unknown => {
            match provider.known.discovery.with_new_keys(name, &provider.http, now).await? {
                Some(renewed) => check(provider, token, &renewed, audiences, &nonce),
                None => Err(error),
            }
        }
        other => other,
    };
    checked.map_err(|error| ProviderError::identity(name, chain(&error)))
}

fn check(
    provider: &Provider,
    token: &CoreIdToken,
    metadata: &CoreProviderMetadata,
    audiences: &[&str],
    nonce: &impl Fn(Option<&Nonce>) -> Result<(), String>,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let mut last = ClaimsVerificationError::InvalidAudience("there is none".to_owned());
    for issuer in issuers(provider, metadata) {
        for audience in audiences {
            let keys = metadata.jwks().clone();
            let now = provider.now();
            let earlier = move || moment(now.as_millis() - i64::try_from(LEEWAY.as_millis()).unwrap_or_default());
            let later = moment(now.as_millis() + i64::try_from(LEEWAY.as_millis()).unwrap_or_default());
            let verifier =
                CoreIdTokenVerifier::new_public_client(ClientId::new((*audience).to_owned()), issuer.clone(), keys)
                    .set_allowed_algs([
                        CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                        CoreJwsSigningAlgorithm::EcdsaP256Sha256,
                    ])
                    .set_time_fn(earlier)
                    .set_issue_time_verifier_fn(move |issued| match issued > later {
                        true => Err("it was issued in the future".to_owned()),
                        false => Ok(()),
                    });
            match token.claims(&verifier, nonce) {
                Ok(claims) => return Ok(claims.clone()),
                // Another audience or issuer may be the one; anything else is wrong whichever is.
                Err(
                    error @ (ClaimsVerificationError::InvalidAudience(_) | ClaimsVerificationError::InvalidIssuer(_)),
                ) => {
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(last)
}

/// Whom an id_token may name as its issuer.
fn issuers(provider: &Provider, metadata: &CoreProviderMetadata) -> Vec<IssuerUrl> {
    let own = metadata.issuer().clone();
    let known = provider.settings().kind == ProviderKind::Apple && APPLE_ISSUERS.contains(&own.as_str());
    match known {
        true => APPLE_ISSUERS.iter().filter_map(|issuer| IssuerUrl::new((*issuer).to_owned()).ok()).collect(),
        false => vec![own],
    }
}

fn moment(millis: i64) -> DateTime<chrono::Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn same_nonce(wanted: &str, found: Option<&Nonce>) -> Result<(), String> {
    match found {
        // Digests, so that how long it takes tells nothing.
        Some(found) if sha256_hex(found.secret()) == sha256_hex(wanted) => Ok(()),
        Some(_) => Err("the nonce is another".to_owned()),
        None => Err("there is no nonce".to_owned()),
    }
}

/// A name in no language, or in the first there is.
fn first<T: std::ops::Deref<Target = String>>(claim: Option<&LocalizedClaim<T>>) -> Option<String> {
    claim?.iter().next().map(|(_, name)| name.to_string()).filter(|name| !name.is_empty())
}

fn profile_of(provider: &Provider, claims: &CoreIdTokenClaims) -> Profile {
    let settings = provider.settings();
    let issuer = match settings.kind {
        // One name for both, so that an identity stays the same when Apple changes which it says.
        ProviderKind::Apple => settings.issuer.as_str().trim_end_matches('/').to_owned(),
        _ => claims.issuer().as_str().to_owned(),
    };
    Profile {
        provider: settings.name.clone(),
        issuer,
        subject: claims.subject().as_str().to_owned(),
        email: None,
        name: first(claims.name()),
        given_name: first(claims.given_name()),
        family_name: first(claims.family_name()),
    }
    .with_email(claims.email().map(|email| email.as_str()), claims.email_verified() == Some(true))
}

/// Many providers tell e-mail addresses and names at the endpoint for them alone. Without its answer what the id_token says
/// is what is known.
async fn with_user_info(
    client: &Client,
    provider: &Provider,
    claims: &CoreIdTokenClaims,
    token: &AccessToken,
    profile: Profile,
) -> Profile {
    let subject = claims.subject().clone();
    let request = match client.user_info(token.clone(), Some(subject)) {
        Ok(request) => request,
        Err(ConfigurationError::MissingUrl(_)) => return profile,
        Err(error) => {
            tracing::warn!(provider = provider.name(), %error, "the provider cannot be asked for the user's address");
            return profile;
        }
    };
    let told: CoreUserInfoClaims = match request.request_async(&provider.http).await {
        Ok(told) => told,
        Err(error) => {
            let reason = chain(&error);
            tracing::warn!(provider = provider.name(), reason, "the provider did not tell the user's address");
            return profile;
        }
    };
    Profile {
        name: first(told.name()).or(profile.name.clone()),
        given_name: first(told.given_name()).or(profile.given_name.clone()),
        family_name: first(told.family_name()).or(profile.family_name.clone()),
        ..profile
    }
    .with_email(told.email().map(|email| email.as_str()), told.email_verified() == Some(true))
}
