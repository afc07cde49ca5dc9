//! What an application asks for when it signs a person in: where to go afterwards, and how it wants its tokens.

use actingweb_protocol::oauth::{CodeChallenge, PkceError};
use actingweb_web::{AppState, Incoming};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// Where applications go on unless they say otherwise.
const RETURN_PATH: &str = "/app";

/// The longest of each, in bytes.
const MAX_BYTES: usize = 2048;

/// How an application gets its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Delivery {
    /// All of them in the body.
    #[default]
    Json,
    /// All of them in cookies that no script can read.
    Cookie,
    /// The access token in the body, the one to refresh it with in a cookie.
    Hybrid,
}

impl Delivery {
    /// The name of it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cookie => "cookie",
            Self::Hybrid => "hybrid",
        }
    }

    /// The one of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Cookie, Self::Hybrid].into_iter().find(|delivery| delivery.as_str() == name)
    }
}

/// A sign-in for an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageRequest {
    /// Where the browser is sent afterwards: a page of an allowed origin, or a link of a native app.
    pub(crate) redirect_uri: String,
    /// Whether that is a link of a native app.
    pub(crate) is_app: bool,
    /// Where the application goes on then; it is told of it with its tokens.
    pub(crate) return_path: String,
    /// How it gets its tokens.
    pub(crate) delivery: Delivery,
    /// What only it can answer, so that nobody else picks up what is for it (S256).
    pub(crate) challenge: Option<String>,
    /// What it is given back as it is.
    pub(crate) state: Option<String>,
}

/// Why a request for a sign-in is none (400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    /// `redirect_uri` leads where nobody allowed it to.
    #[error(
        "Invalid redirect_uri: it must be of this site, of an origin that the application allows (`App::spa_origin`), or \
         one of its deep links (`App::deep_link`)"
    )]
    Redirect,
    /// Any program on a device may take a link for its own.
    #[error("a native app needs PKCE: send `code_challenge` with `code_challenge_method` S256")]
    AppWithoutChallenge,
    /// The challenge is none.
    #[error("{0}")]
    Challenge(#[from] PkceError),
    /// `token_delivery` is none of the three.
    #[error("`token_delivery` must be json, cookie or hybrid")]
    Delivery,
    /// A native app has no cookies.
    #[error("a native app gets its tokens as json")]
    AppDelivery,
    /// `return_path` leads elsewhere.
    #[error("`return_path` must be a path that begins with one slash")]
    ReturnPath,
    /// Something is too long, or no text.
    #[error("`{0}` must be a string of at most {MAX_BYTES} bytes")]
    Text(&'static str),
}

impl PageRequest {
    /// Reads the query of `/oauth/login/{provider}`.
    pub(crate) fn of_query(state: &AppState, incoming: &Incoming) -> Result<Self, BadRequest> {
        Self::read(state, |name| Ok(incoming.param(name)))
    }

    /// Reads the body of `/oauth/spa/authorize`.
    pub(crate) fn of_json(state: &AppState, body: &Map<String, Value>) -> Result<Self, BadRequest> {
        Self::read(state, |name| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(BadRequest::Text(name)),
        })
    }

    fn read<'a>(
        state: &AppState,
        get: impl Fn(&'static str) -> Result<Option<&'a str>, BadRequest>,
    ) -> Result<Self, BadRequest> {
        let get = |name| match get(name)? {
            Some(text) if text.len() > MAX_BYTES => Err(BadRequest::Text(name)),
            text => Ok(text.filter(|text| !text.is_empty())),
        };
        let (redirect_uri, is_app) = allowed(state, get("redirect_uri")?.unwrap_or("/"))?;
        let challenge = match get("code_challenge")? {
            Some(challenge) => Some(CodeChallenge::parse(Some(challenge), get("code_challenge_method")?)?),
            None if is_app => return Err(BadRequest::AppWithoutChallenge),
            None => None,
        };
        let delivery = match get("token_delivery")? {
            Some(name) => Delivery::parse(name).ok_or(BadRequest::Delivery)?,
            None => Delivery::default(),
        };
        if is_app && delivery != Delivery::Json {
            return Err(BadRequest::AppDelivery);
        }
        let return_path = get("return_path")?.unwrap_or(RETURN_PATH);
        let plain = return_path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !return_path.starts_with('/') || return_path.starts_with("//") || !plain {
            return Err(BadRequest::ReturnPath);
        }
        Ok(Self {
            redirect_uri,
            is_app,
            return_path: return_path.to_owned(),
            delivery,
            challenge: challenge.map(|challenge| challenge.as_str().to_owned()),
            state: get("state")?.map(str::to_owned),
        })
    }

    /// The address of ours at which such a sign-in begins.
    pub(crate) fn start(&self, state: &AppState, provider: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("redirect_uri", &self.redirect_uri);
        query.append_pair("return_path", &self.return_path);
        query.append_pair("token_delivery", self.delivery.as_str());
        if let Some(challenge) = &self.challenge {
            query.append_pair("code_challenge", challenge).append_pair("code_challenge_method", "S256");
        }
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        format!("{}/oauth/login/{provider}?{}", state.base_url, query.finish())
    }

    /// Where to send the browser, with these parameters added to those that the address has.
    pub(crate) fn back(&self, params: &[(&str, &str)]) -> String {
        let Ok(mut url) = Url::parse(&self.redirect_uri) else { return self.redirect_uri.clone() };
        {
            let mut query = url.query_pairs_mut();
            for (name, value) in params {
                query.append_pair(name, value);
            }
            if let Some(state) = &self.state {
                query.append_pair("state", state);
            }
        }
        url.to_string()
    }
}

/// The address in full, and whether it is a native app's.
fn allowed(state: &AppState, text: &str) -> Result<(String, bool), BadRequest> {
    let app = state.hooks.app();
    if app.deep_links.iter().any(|link| link == text) {
        return Ok((text.to_owned(), true));
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') || text.contains('#') {
        return Err(BadRequest::Redirect);
    }
    let own = Url::parse(&state.base_url).map_err(|_| BadRequest::Redirect)?;
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let url = if is_path { own.join(text) } else { Url::parse(text) };
    let url = url.map_err(|_| BadRequest::Redirect)?;
    let origin = url.origin();
    let known = origin == own.origin() || app.spa_origins.contains(&origin.ascii_serialization());
    let plain = url.username().is_empty() && url.password().is_none() && origin.is_tuple();
    if known && plain { Ok((url.to_string(), false)) } else { Err(BadRequest::Redirect) }
}
