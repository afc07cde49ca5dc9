//! A service's authorization server: where browsers are sent, and how tokens are had, renewed and given up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_peer::PeerClient;
use actingweb_protocol::{Clock, Deadline, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, header};
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::http::Transport;
use crate::metadata::chain;
use crate::service::{Revocation, Service, ServiceCredentials};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;
type TokenError = RequestTokenError<actingweb_peer::PeerError, oauth2::basic::BasicErrorResponse>;

/// What a service gave for an account. All of it but the time and the scope is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTokens {
    /// What calls are made with.
    pub access: String,
    /// What the next tokens are had with; services whose tokens do not end give none.
    pub refresh: Option<String>,
    /// When the access token ends, if the service says.
    pub expires_at: Option<Timestamp>,
    /// What was granted, if that is not what was asked for.
    pub scope: Option<String>,
}

/// A service that did not do what it was asked to. No variant holds a secret, a token or a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// It cannot be reached, or is not well. Trying later may help.
    #[error("{service} cannot be asked at the moment: {reason}")]
    Unavailable {
        /// The service's name.
        service: String,
        /// What went wrong, for the log.
        reason: String,
    },
    /// It does not accept the code or the refresh token: used, ended or revoked. The owner has to connect again.
    #[error("{service} does not accept the authorization any more: {reason}")]
    Refused {
        /// The service's name.
        service: String,
        /// What it says, for the log.
        reason: String,
    },
    /// It refuses this deployment: wrong credentials, or something about the service is set up wrong.
    #[error("{service} refuses this deployment's client: {reason}")]
    Client {
        /// The service's name.
        service: String,
        /// What it says, for the log.
        reason: String,
    },
}

/// One service, as this deployment's client sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    service: Arc<Service>,
    credentials: ServiceCredentials,
    http: Transport,
    clock: Arc<dyn Clock>,
}

impl ServiceClient {
    /// The client of a service, over this guarded HTTP client.
    #[must_use]
    pub fn new(service: Service, credentials: ServiceCredentials, http: &PeerClient, clock: &Arc<dyn Clock>) -> Self {
        Self { service: Arc::new(service), credentials, http: Transport(http.clone()), clock: Arc::clone(clock) }
    }

    /// This client for work that must end by `deadline`.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { http: Transport(self.http.0.clone().with_deadline(deadline)), ..self.clone() }
    }

    /// What the application says of the service.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Where to send the owner's browser. `state` and `verifier` (PKCE, 43 to 128 characters) are random and secret.
    ///
    /// # Errors
    /// [`ServiceError::Client`] when the service's URLs are none.
    pub fn authorization_url(&self, redirect_uri: &str, state: &str, verifier: &str) -> Result<Url, ServiceError> {
        let client = self.client(redirect_uri)?;
        let state = CsrfToken::new(state.to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned()));
        let scopes = self.service.wanted_scopes().iter().cloned().map(Scope::new);
        let mut request = client.authorize_url(|| state).add_scopes(scopes).set_pkce_challenge(challenge);
        for (name, value) in self.service.parameters() {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        Ok(request.url().0)
    }

    /// The tokens for a code that a browser brought.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn redeem(&self, redirect_uri: &str, code: &str, verifier: &str) -> Result<ServiceTokens, ServiceError> {
        let client = self.client(redirect_uri)?;
        let exchange = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        let reply = exchange.request_async(&self.http).await.map_err(|error| self.failed(error))?;
        Ok(self.tokens(&reply, None))
    }

    /// The tokens that come after `before`; services that do not rotate refresh tokens leave the one there was.
    ///
    /// # Errors
    /// [`ServiceError`]; [`ServiceError::Refused`] also when there is no refresh token.
    pub async fn refresh(&self, before: &ServiceTokens) -> Result<ServiceTokens, ServiceError> {
        let Some(refresh) = &before.refresh else { return Err(self.refused("there is no refresh token")) };
        // No redirect URI goes along with a refresh; any that parses will do.
        let client = self.client(self.service.token_url())?;
        let token = RefreshToken::new(refresh.clone());
        let reply = client.exchange_refresh_token(&token).request_async(&self.http).await;
        Ok(self.tokens(&reply.map_err(|error| self.failed(error))?, Some(before)))
    }

    /// Has the service take its tokens back. False when it has no way to.
    ///
    /// # Errors
    /// [`ServiceError`]; the tokens may still be good.
    pub async fn revoke(&self, tokens: &ServiceTokens) -> Result<bool, ServiceError> {
        let unusable = |error: http::Error| self.misused(error);
        // Without the refresh token there is nothing to come after; the other ends with it, or soon.
        let token = tokens.refresh.as_deref().unwrap_or(&tokens.access);
        let ServiceCredentials { client_id, client_secret } = &self.credentials;
        let request = match self.service.how_to_revoke() {
            Revocation::None => return Ok(false),
            Revocation::Standard(url) => {
                let mut form = vec![("token", token)];
                let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                match client_secret {
                    Some(secret) if !self.service.wants_secret_in_body() => {
                        request = request.header(header::AUTHORIZATION, basic(client_id, secret));
                    }
                    secret => {
                        form.push(("client_id", client_id));
                        form.extend(secret.as_deref().map(|secret| ("client_secret", secret)));
                    }
                }
                let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
                request.body(body.into_bytes())
            }
            Revocation::Bearer(url) => {
                Request::post(url).header(header::AUTHORIZATION, format!("Bearer {}", tokens.access)).body(Vec::new())
            }
            Revocation::GitHub(api) => {
                let secret = client_secret.as_deref().unwrap_or_default();
                Request::delete(format!("{api}/applications/{client_id}/grant"))
                    .header(header::AUTHORIZATION, basic(client_id, secret))
                    .header(header::ACCEPT, "application/vnd.github+json")
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(serde_json::json!({ "access_token": tokens.access }).to_string().into_bytes())
            }
        };
        let reply = self.http.0.exchange(request.map_err(unusable)?).await;
        let status = reply.map_err(|error| self.unavailable(error))?.status();
        match status.as_u16() {
            200..=299 => Ok(true),
            // RFC 7009 says 200 for tokens that are none any more; others say so.
            400 | 404 | 422 => Err(self.refused(format!("its revocation answered {status}"))),
            401 | 403 => Err(self.misused(format!("its revocation answered {status}"))),
            _ => Err(self.unavailable(format!("its revocation answered {status}"))),
        }
    }

    fn tokens(&self, reply: &BasicTokenResponse, before: Option<&ServiceTokens>) -> ServiceTokens {
        let kept = || before.and_then(|before| before.refresh.clone());
        // A year at most: whoever says more means that it does not end.
        let lifetime = reply.expires_in().map(|lifetime| lifetime.min(Duration::from_secs(366 * 24 * 3600)));
        let granted = reply.scopes().map(|scopes| {
            let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            words.join(" ")
        });
        ServiceTokens {
            access: reply.access_token().secret().clone(),
            refresh: reply.refresh_token().map(|token| token.secret().clone()).or_else(kept),
            expires_at: lifetime.map(|lifetime| self.clock.now().plus(lifetime)),
            scope: granted.or_else(|| before.and_then(|before| before.scope.clone())),
        }
    }

    fn client(&self, redirect_uri: &str) -> Result<Client, ServiceError> {
        let unusable = |error| self.misused(chain(&error));
        let by = if self.service.wants_secret_in_body() { AuthType::RequestBody } else { AuthType::BasicAuth };
        let client = BasicClient::new(ClientId::new(self.credentials.client_id.clone()))
            .set_auth_uri(AuthUrl::new(self.service.authorization_url().clone()).map_err(unusable)?)
            .set_token_uri(TokenUrl::new(self.service.token_url().clone()).map_err(unusable)?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(unusable)?)
            .set_auth_type(by);
        Ok(match &self.credentials.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
            None => client,
        })
    }

    fn failed(&self, error: TokenError) -> ServiceError {
        /// What GitHub says, with 200.
        #[derive(Deserialize)]
        struct Plain {
            error: String,
        }
        match error {
            RequestTokenError::ServerResponse(reply) => self.said(reply.error().as_ref()),
            RequestTokenError::Request(error) => self.unavailable(error),
            // The text of the reply may hold a token: it stays out.
            RequestTokenError::Parse(_, body) => match serde_json::from_slice::<Plain>(&body) {
                Ok(Plain { error }) => self.said(&error),
                Err(_) => self.unavailable("its token endpoint does not answer as it should"),
            },
            RequestTokenError::Other(_) => self.unavailable("its token endpoint answered an error without a reason"),
        }
    }

    fn said(&self, code: &str) -> ServiceError {
        // A code of OAuth's is short and plain; anything else is not repeated.
        let is_plain = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let reason = if is_plain { code } else { "an error" };
        match code {
            "invalid_grant" | "bad_refresh_token" | "bad_verification_code" | "access_denied" => self.refused(reason),
            "temporarily_unavailable" | "server_error" | "slow_down" => self.unavailable(reason),
            _ => self.misused(reason),
        }
    }

    fn unavailable(&self, reason: impl ToString) -> ServiceError {
        ServiceError::Unavailable { service: self.service.name().to_owned(), reason: reason.to_string() }
    }

    fn refused(&self, reason: impl ToString) -> ServiceError {
        ServiceError::Refused { service: self.service.name().to_owned(), reason: reason.to_string() }
    }

    fn misused(&self, reason: impl ToString) -> ServiceError {
        ServiceError::Client { service: self.service.name().to_owned(), reason: reason.to_string() }
    }
}

/// As RFC 6749, 2.3.1 has it: both parts encoded as in forms, first.
fn basic(client_id: &str, secret: &str) -> String {
    let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", part(client_id), part(secret))))
}

/// Shows no token.
impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokens")
            .field("expires_at", &self.expires_at)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
