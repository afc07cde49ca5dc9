//! An identity provider on loopback: OpenID Connect with id_tokens that are really signed, and GitHub's endpoints. It does
//! what a test tells it to, also what no provider should do.
//!
//! | request | answer |
//! |---|---|
//! | `GET /.well-known/openid-configuration`, `GET /jwks` | as OpenID Connect has them |
//! | `GET /authorize`, `GET /login/oauth/authorize` | 303 back, with a code, at once; with `response_mode=form_post` 200 and the form's fields as JSON |
//! | `POST /token`, `POST /login/oauth/access_token` | tokens, for a code once, with its redirect URI and its verifier (S256) |
//! | `GET /userinfo`, `GET /api/v3/user`, `GET /api/v3/user/emails` | who it is |

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actingweb_protocol::Clock;
use actingweb_protocol::oauth::CodeChallenge;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::background::Background;

/// The client that it knows.
pub const CLIENT_ID: &str = "the-client";
/// That client's secret.
pub const CLIENT_SECRET: &str = "the-secret-of-the-client";
/// What the access tokens that it gives begin with: by it a test finds those that are where they must not be.
pub const TOKEN_MARK: &str = "provider-standin-token";
/// How long its id_tokens count, in seconds.
const LIFETIME: i64 = 300;

/// Who signs in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The subject; for GitHub's endpoints a number.
    pub subject: String,
    /// An e-mail address.
    pub email: Option<String>,
    /// Whether it is verified.
    pub verified: bool,
    /// A name.
    pub name: String,
}

impl Person {
    /// Somebody with a verified address.
    #[must_use]
    pub fn new(subject: &str, email: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            email: Some(email.to_owned()),
            verified: true,
            name: "Ann Example".to_owned(),
        }
    }

    /// The same, but the address is not verified.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.verified = false;
        self
    }

    /// The same, without an address.
    #[must_use]
    pub fn without_email(mut self) -> Self {
        self.email = None;
        self
    }
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mischief {
    /// Nothing.
    #[default]
    None,
    /// The person does not allow it.
    Refused,
    /// It fails where tokens are to be had.
    TokenDown,
    /// It answers nothing at all.
    Down,
    /// The id_token has another nonce.
    OtherNonce,
    /// The id_token is for another client.
    OtherAudience,
    /// The id_token is of another issuer.
    OtherIssuer,
    /// The id_token has ended.
    Expired,
    /// The id_token was issued in the future.
    Future,
    /// The id_token is signed with another key than the one it names.
    OtherKey,
    /// The id_token is not signed.
    Unsigned,
    /// There is no id_token.
    NoIdToken,
    /// Says at the callback that it is another issuer.
    OtherIssuerParameter,
    /// It takes the code, and never answers where tokens are to be had.
    TokenSilent,
    /// It answers with a page where tokens are to be had.
    TokenGarbage,
    /// Its discovery document is a page.
    DiscoveryGarbage,
    /// Its discovery document is another issuer's.
    OtherDiscovery,
    /// The id_token is of no subject.
    NoSubject,
    /// The id_token is cut off.
    CutToken,
    /// The id_token is signed with the client's secret (HS256), as one is that was made by whoever knows that.
    SharedKey,
}

/// The running provider, on a thread of its own. Dropping the value stops it.
#[derive(Debug)]
pub struct ProviderStandin {
    url: String,
    shared: Arc<Shared>,
    _server: Background,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    other: EcdsaKeyPair,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    url: String,
    /// Its key, with the name that it goes by.
    key: Arc<(String, EcdsaKeyPair)>,
    person: Person,
    mischief: Mischief,
    codes: HashMap<String, Asked>,
    made: u64,
    exchanges: usize,
}

/// What a code was asked for with.
#[derive(Clone, Debug)]
struct Asked {
    redirect_uri: String,
    nonce: String,
    challenge: String,
    person: Person,
}

impl ProviderStandin {
    /// Starts one on a free port of 127.0.0.1, at which this person signs in.
    ///
    /// # Errors
    /// What the system says when it has no port, no thread or no randomness to give.
    pub fn start(clock: Arc<dyn Clock>, person: Person) -> io::Result<Self> {
        let inner = Inner {
            url: String::new(),
            key: Arc::new(("key-1".to_owned(), new_key()?)),
            person,
            mischief: Mischief::None,
            codes: HashMap::new(),
            made: 0,
            exchanges: 0,
        };
        let shared = Arc::new(Shared { clock, other: new_key()?, inner: Mutex::new(inner) });
        let (url, server) = Background::serve("provider-standin", router(&shared))?;
        shared.lock().url.clone_from(&url);
        Ok(Self { url, shared, _server: server })
    }

    /// Its issuer, and where it is: without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on this person signs in.
    pub fn set_person(&self, person: Person) {
        self.shared.lock().person = person;
    }

    /// From now on it does this wrong.
    pub fn set_mischief(&self, mischief: Mischief) {
        self.shared.lock().mischief = mischief;
    }

    /// From now on it signs with another key, and names that alone.
    ///
    /// # Errors
    /// What the system says when it has no randomness to give.
    pub fn rotate_keys(&self) -> io::Result<()> {
        let mut inner = self.shared.lock();
        inner.made += 1;
        inner.key = Arc::new((format!("key-of-{}", inner.made), new_key()?));
        Ok(())
    }

    /// How often a code was to be exchanged, with success or without.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.shared.lock().exchanges
    }

    /// An id_token, as its own library gives one to a native app.
    #[must_use]
    pub fn id_token(&self, audience: &str, nonce: &str) -> String {
        let person = self.shared.lock().person.clone();
        self.shared.id_token(&person, audience, nonce)
    }
}

#[expect(clippy::disallowed_methods, reason = "keys of a stand-in; no test depends on which")]
fn randomness() -> SystemRandom {
    SystemRandom::new()
}

fn new_key() -> io::Result<EcdsaKeyPair> {
    let failed = || io::Error::other("there is no randomness for a key");
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &randomness()).map_err(|_| failed())?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &randomness()).map_err(|_| failed())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id_token(&self, person: &Person, audience: &str, nonce: &str) -> String {
        let (mischief, url, own) = {
            let inner = self.lock();
            (inner.mischief, inner.url.clone(), Arc::clone(&inner.key))
        };
        let (key_id, own) = own.as_ref();
        let now = self.clock.now().as_secs();
        let issued = match mischief {
            Mischief::Expired => now - 10 * LIFETIME,
            Mischief::Future => now + 10 * LIFETIME,
            _ => now,
        };
        let mut claims = json!({
            "iss": if mischief == Mischief::OtherIssuer { format!("{url}/other") } else { url },
            "aud": if mischief == Mischief::OtherAudience { "another-client" } else { audience },
            "nonce": if mischief == Mischief::OtherNonce { "another-nonce" } else { nonce },
            "sub": if mischief == Mischief::NoSubject { Value::Null } else { json!(person.subject) },
            "iat": issued,
            "exp": issued + LIFETIME,
            "name": person.name,
        });
        if let (Some(email), Some(members)) = (&person.email, claims.as_object_mut()) {
            members.insert("email".to_owned(), json!(email));
            members.insert("email_verified".to_owned(), json!(person.verified));
        }
        let unsigned = mischief == Mischief::Unsigned;
        let shared_key = mischief == Mischief::SharedKey;
        let algorithm = if unsigned {
            "none"
        } else if shared_key {
            "HS256"
        } else {
            "ES256"
        };
        let head = json!({ "alg": algorithm, "kid": key_id, "typ": "JWT" });
        let text =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        if unsigned {
            return format!("{text}.");
        }
        if mischief == Mischief::CutToken {
            return text;
        }
        if shared_key {
            let key = hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes());
            return format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes())));
        }
        let key = if mischief == Mischief::OtherKey { &self.other } else { own };
        let signature = key.sign(&randomness(), text.as_bytes()).map(|signature| signature.as_ref().to_vec());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap_or_default()))
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize))
        .route("/login/oauth/authorize", get(authorize))
        .route("/token", post(token))
        .route("/login/oauth/access_token", post(token))
        .route("/userinfo", get(user_info))
        .route("/api/v3/user", get(github_user))
        .route("/api/v3/user/emails", get(github_emails))
        .with_state(Arc::clone(shared))
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    let inner = shared.lock();
    if inner.mischief == Mischief::Down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if inner.mischief == Mischief::DiscoveryGarbage {
        return Html("<html>Welcome to the hotel's network").into_response();
    }
    let url = &inner.url;
    let issuer = if inner.mischief == Mischief::OtherDiscovery { "https://another.example" } else { url };
    reply(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }),
    )
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    let key = Arc::clone(&shared.lock().key);
    let (key_id, key) = key.as_ref();
    let point = key.public_key().as_ref();
    let part = |from: usize, to: usize| URL_SAFE_NO_PAD.encode(point.get(from..to).unwrap_or_default());
    let key = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key_id,
        "x": part(1, 33), "y": part(33, 65),
    });
    reply(StatusCode::OK, &json!({ "keys": [key] }))
}

async fn authorize(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let params = pairs(uri.query().unwrap_or_default().as_bytes());
    let param = |name: &str| params.get(name).cloned().unwrap_or_default();
    let mut inner = shared.lock();
    if param("client_id") != CLIENT_ID || param("response_type") != "code" || param("code_challenge_method") != "S256" {
        return reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
    }
    let mut back: Vec<(&str, String)> = vec![("state", param("state"))];
    if inner.mischief == Mischief::Refused {
        back.push(("error", "access_denied".to_owned()));
    } else {
        inner.made += 1;
        let code = format!("code-{}", inner.made);
        let asked = Asked {
            redirect_uri: param("redirect_uri"),
            nonce: param("nonce"),
            challenge: param("code_challenge"),
            person: inner.person.clone(),
        };
        inner.codes.insert(code.clone(), asked);
        back.push(("code", code));
    }
    if inner.mischief == Mischief::OtherIssuerParameter {
        back.push(("iss", "https://another.example".to_owned()));
    }
    if param("response_mode") == "form_post" {
        let fields: serde_json::Map<String, Value> =
            back.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        return reply(StatusCode::OK, &json!({ "action": param("redirect_uri"), "fields": fields }));
    }
    match url::Url::parse_with_params(&param("redirect_uri"), &back) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location.to_string())]).into_response(),
        Err(_) => reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" })),
    }
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields = pairs(&body);
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let (asked, mischief) = {
        let mut inner = shared.lock();
        inner.exchanges += 1;
        if matches!(inner.mischief, Mischief::TokenDown | Mischief::Down) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        (inner.codes.remove(&field("code")), inner.mischief)
    };
    match mischief {
        Mischief::TokenSilent => std::future::pending::<()>().await,
        Mischief::TokenGarbage => return Html("<html>Welcome to the hotel's network").into_response(),
        _ => {}
    }
    let basic =
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let authorized = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == basic.as_bytes())
        || (field("client_id") == CLIENT_ID && !field("client_secret").is_empty());
    if !authorized {
        return reply(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_client" }));
    }
    let good = asked.filter(|asked| {
        let proof = CodeChallenge::of(&field("code_verifier"));
        asked.redirect_uri == field("redirect_uri") && proof.is_ok_and(|proof| proof.as_str() == asked.challenge)
    });
    let Some(asked) = good else {
        return reply(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_grant" }));
    };
    let mut tokens = json!({ "access_token": format!("{TOKEN_MARK}-access"), "refresh_token": format!("{TOKEN_MARK}-refresh"), "token_type": "Bearer", "expires_in": 300 });
    if let Some(members) = tokens.as_object_mut().filter(|_| mischief != Mischief::NoIdToken) {
        members.insert("id_token".to_owned(), json!(shared.id_token(&asked.person, CLIENT_ID, &asked.nonce)));
    }
    reply(StatusCode::OK, &tokens)
}

async fn user_info(State(shared): State<Arc<Shared>>) -> Response {
    let person = shared.lock().person.clone();
    let verified = person.email.is_some() && person.verified;
    let body = json!({ "sub": person.subject, "email": person.email, "email_verified": verified, "name": person.name });
    reply(StatusCode::OK, &body)
}

async fn github_user(State(shared): State<Arc<Shared>>) -> Response {
    let person = shared.lock().person.clone();
    let id: u64 = person.subject.parse().unwrap_or_default();
    reply(StatusCode::OK, &json!({ "id": id, "login": "ann", "name": person.name, "email": null }))
}

async fn github_emails(State(shared): State<Arc<Shared>>) -> Response {
    let person = shared.lock().person.clone();
    let other = json!({ "email": "other@example.org", "primary": false, "verified": true });
    let own = person.email.map(|email| json!({ "email": email, "primary": true, "verified": person.verified }));
    let all: Vec<Value> = own.into_iter().chain([other]).collect();
    reply(StatusCode::OK, &json!(all))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn pairs(bytes: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}
