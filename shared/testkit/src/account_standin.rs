//! A service with OAuth 2.0 and an API, on loopback: people's accounts, as actors connect them. It is strict: a code and a
//! refresh token count once, and a refresh token that comes a second time ends the authorization.
//!
//! | request | answer |
//! |---|---|
//! | `GET /authorize` | 303 back, with a code, at once |
//! | `POST /token` | tokens, for a code with its redirect URI and verifier (S256), or for a refresh token |
//! | `POST /revoke` | 200; the authorization has ended (RFC 7009) |
//! | any method `/api/{path}` | whose account it is, as `{"account", "path", "query", "body"}`; 401 without a good token |

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actingweb_protocol::oauth::CodeChallenge;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::background::Background;

/// The client that it knows.
pub const CLIENT_ID: &str = "the-client";
/// That client's secret.
pub const CLIENT_SECRET: &str = "the-secret-of-the-client";
/// What tokens begin with: by it a test finds those that are where they must not be.
pub const TOKEN_MARK: &str = "standin-token";

/// The running service, on a thread of its own. Dropping the value stops it.
#[derive(Debug)]
pub struct AccountStandin {
    url: String,
    shared: Arc<Mutex<Inner>>,
    _server: Background,
}

#[derive(Debug, Default)]
struct Inner {
    codes: HashMap<String, (String, String)>,
    /// The access and the refresh token that count, by authorization.
    live: HashMap<u64, (String, Option<String>)>,
    made: u64,
    lifetime: Option<u64>,
    without_refresh: bool,
    refuses_consent: bool,
    is_down: bool,
    renewals: usize,
    revocations: usize,
    calls: usize,
}

impl AccountStandin {
    /// Starts one on a free port of 127.0.0.1, whose access tokens count for an hour.
    ///
    /// # Errors
    /// What the system says when it has no port or no thread to give.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Inner { lifetime: Some(3600), ..Inner::default() }));
        let router = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/api/{*path}", any(api))
            .with_state(Arc::clone(&shared));
        let (url, server) = Background::serve("account-standin", router)?;
        Ok(Self { url, shared, _server: server })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it says that access tokens count for so many seconds.
    pub fn set_lifetime(&self, seconds: Option<u64>) {
        self.lock().lifetime = seconds;
    }

    /// From now on it gives no refresh tokens.
    pub fn give_no_refresh_tokens(&self) {
        self.lock().without_refresh = true;
    }

    /// Whether people refuse what they are asked.
    pub fn refuse_consent(&self, refuse: bool) {
        self.lock().refuses_consent = refuse;
    }

    /// Whether its token and revocation endpoints fail.
    pub fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    /// Makes all access tokens worthless that it gave; refresh tokens still count.
    pub fn end_access(&self) {
        self.lock().live.values_mut().for_each(|(access, _)| access.clear());
    }

    /// Makes all tokens worthless that it gave.
    pub fn end_all(&self) {
        self.lock().live.clear();
    }

    /// How many authorizations there are.
    #[must_use]
    pub fn authorizations(&self) -> usize {
        self.lock().live.len()
    }

    /// How many times tokens were renewed.
    #[must_use]
    pub fn renewals(&self) -> usize {
        self.lock().renewals
    }

    /// How many times it was asked to revoke.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.lock().revocations
    }

    /// How many calls its API let in.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn give(&mut self, authorization: u64) -> Response {
        let made = self.next();
        let access = format!("{TOKEN_MARK}-access-{made}");
        let refresh = (!self.without_refresh).then(|| format!("{TOKEN_MARK}-refresh-{authorization}-{made}"));
        let body = json!({
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": self.lifetime,
            "scope": "read",
        });
        self.live.insert(authorization, (access, refresh));
        reply(StatusCode::OK, &body)
    }
}

async fn authorize(State(shared): State<Arc<Mutex<Inner>>>, uri: Uri) -> Response {
    let params = pairs(uri.query().unwrap_or_default().as_bytes());
    let param = |name: &str| params.get(name).cloned().unwrap_or_default();
    if param("client_id") != CLIENT_ID || param("response_type") != "code" || param("code_challenge_method") != "S256" {
        return reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
    }
    let mut inner = lock(&shared);
    let mut back = vec![("state", param("state"))];
    if inner.refuses_consent {
        back.push(("error", "access_denied".to_owned()));
    } else {
        let code = format!("code-{}", inner.next());
        inner.codes.insert(code.clone(), (param("redirect_uri"), param("code_challenge")));
        back.push(("code", code));
    }
    match url::Url::parse_with_params(&param("redirect_uri"), &back) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location.to_string())]).into_response(),
        Err(_) => reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" })),
    }
}

async fn token(State(shared): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = pairs(&body);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let mut inner = lock(&shared);
    if inner.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !is_client(&headers) {
        return reply(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client" }));
    }
    let refused = || reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_grant" }));
    match field("grant_type") {
        "authorization_code" => {
            let asked = inner.codes.remove(field("code")).filter(|(redirect_uri, challenge)| {
                let proof = CodeChallenge::of(field("code_verifier"));
                redirect_uri == field("redirect_uri") && proof.is_ok_and(|proof| proof.as_str() == challenge)
            });
            if asked.is_none() {
                return refused();
            }
            let authorization = inner.next();
            inner.give(authorization)
        }
        "refresh_token" => {
            let sent = field("refresh_token");
            inner.renewals += 1;
            let parts = sent.strip_prefix(&format!("{TOKEN_MARK}-refresh-")).and_then(|rest| rest.split_once('-'));
            let Some(authorization) = parts.and_then(|(authorization, _)| authorization.parse().ok()) else {
                return refused();
            };
            match inner.live.get(&authorization) {
                Some((_, Some(current))) if current == sent => inner.give(authorization),
                _ => {
                    inner.live.remove(&authorization);
                    refused()
                }
            }
        }
        _ => reply(StatusCode::BAD_REQUEST, &json!({ "error": "unsupported_grant_type" })),
    }
}

async fn revoke(State(shared): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let sent = pairs(&body).remove("token").unwrap_or_default();
    let mut inner = lock(&shared);
    if inner.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !is_client(&headers) {
        return reply(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client" }));
    }
    inner.revocations += 1;
    inner.live.retain(|_, (access, refresh)| *access != sent && refresh.as_deref() != Some(sent.as_str()));
    StatusCode::OK.into_response()
}

async fn api(State(shared): State<Arc<Mutex<Inner>>>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.strip_prefix("Bearer ").unwrap_or_default().to_owned();
    let mut inner = lock(&shared);
    let account = inner.live.iter().find(|(_, (access, _))| !sent.is_empty() && *access == sent).map(|(id, _)| *id);
    let Some(account) = account else {
        // As careless services do: what was sent comes back.
        return reply(StatusCode::UNAUTHORIZED, &json!({ "error": "bad token", "sent": sent }));
    };
    inner.calls += 1;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    reply(StatusCode::OK, &json!({ "account": account, "path": uri.path(), "query": uri.query(), "body": body }))
}

fn is_client(headers: &HeaderMap) -> bool {
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == basic.as_bytes())
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn pairs(bytes: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}
