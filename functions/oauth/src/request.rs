//! An authorization request (RFC 6749, 4.1.1), checked in the order that matters: first whether there is such a client and
//! whether it may be answered at all, and where; only what is wrong after that is told to the client.

use actingweb_actor::ClientRecord;
use actingweb_protocol::oauth::{Audience, CodeChallenge, RedirectUri};
use actingweb_web::AppState;
use axum::response::Response;

use crate::pages::see_other;
use crate::params::{Params, Repeated};

/// The longest `state`, in bytes.
const MAX_STATE_BYTES: usize = 2048;

/// Where the answer to a request goes.
#[derive(Clone, Debug)]
pub(crate) struct ReturnTo {
    /// The redirect URI, as the request named it.
    pub(crate) uri: RedirectUri,
    state: Option<String>,
    issuer: String,
}

/// Why a request is answered with a page, and never with a redirect: whoever made the link could send people anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrusted {
    /// `redirect_uri` is missing or malformed.
    #[error("{0}")]
    Malformed(String),
    /// It is none of the client's.
    #[error("`redirect_uri` is none of those that the client registered: it must be the same, character by character")]
    NotRegistered,
}

/// What a client asks for, in good form.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What the token is to be good for.
    pub(crate) audience: Audience,
    /// The challenge that the code is bound to.
    pub(crate) challenge: CodeChallenge,
    /// `prompt`, in its words.
    pub(crate) prompt: Vec<String>,
}

/// What is told to the client in place of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    code: &'static str,
    description: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }
}

impl From<Repeated> for Refused {
    fn from(repeated: Repeated) -> Self {
        Self::new("invalid_request", repeated.to_string())
    }
}

impl ReturnTo {
    /// Where this client may be answered.
    pub(crate) fn read(state: &AppState, client: &ClientRecord, params: &Params) -> Result<Self, Untrusted> {
        let malformed = |reason: String| Untrusted::Malformed(reason);
        let text = params.get("redirect_uri").map_err(|repeated| malformed(repeated.to_string()))?;
        let text = text.ok_or_else(|| malformed("`redirect_uri` is missing".to_owned()))?;
        let uri = RedirectUri::parse(text).map_err(|error| malformed(format!("`redirect_uri`: {error}")))?;
        let registered = client.redirect_uris.iter().filter_map(|text| RedirectUri::parse(text).ok());
        if !registered.into_iter().any(|registered| registered.allows(&uri)) {
            return Err(Untrusted::NotRegistered);
        }
        // A state given twice is reported with the first, so that the client knows which request failed.
        let returned = Some(params.first("state")).filter(|state| !state.is_empty() && state.len() <= MAX_STATE_BYTES);
        Ok(Self { uri, state: returned.map(str::to_owned), issuer: state.base_url.to_string() })
    }

    /// Leads the browser back to the client with a code.
    pub(crate) fn with_code(&self, code: &str) -> Response {
        self.redirect(&[("code", code)])
    }

    /// Leads the browser back to the client with an error (RFC 6749, 4.1.2.1).
    pub(crate) fn refused(&self, refused: &Refused) -> Response {
        self.redirect(&[("error", refused.code), ("error_description", &refused.description)])
    }

    /// The registered URI stays as it is, character by character; what it says already stays before what is added.
    fn redirect(&self, answer: &[(&str, &str)]) -> Response {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(answer);
        if let Some(state) = &self.state {
            pairs.append_pair("state", state);
        }
        pairs.append_pair("iss", &self.issuer);
        let uri = self.uri.as_str();
        let joint = if uri.contains('?') { '&' } else { '?' };
        see_other(&format!("{uri}{joint}{}", pairs.finish()))
    }
}

impl Asked {
    /// Reads everything else.
    pub(crate) fn read(state: &AppState, params: &Params) -> Result<Self, Refused> {
        for name in ["request", "request_uri", "registration"] {
            if params.get(name)?.is_some() {
                let code = match name {
                    "request" => "request_not_supported",
                    "request_uri" => "request_uri_not_supported",
                    _ => "registration_not_supported",
                };
                return Err(Refused::new(code, format!("`{name}` is not supported: send the parameters themselves")));
            }
        }
        match params.get("response_type")? {
            Some("code") => {}
            None => return Err(Refused::new("invalid_request", "`response_type` is missing")),
            Some(_) => return Err(Refused::new("unsupported_response_type", "`response_type` must be code")),
        }
        if params.get("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(Refused::new("invalid_request", "`response_mode` must be query"));
        }
        if params.get("state")?.is_some_and(|state| state.len() > MAX_STATE_BYTES) {
            return Err(Refused::new("invalid_request", format!("`state` is longer than {MAX_STATE_BYTES} bytes")));
        }
        // There is one scope; what else is asked for is not given, which the token says (RFC 6749, 3.3).
        params.get("scope")?;
        let challenge = CodeChallenge::parse(params.get("code_challenge")?, params.get("code_challenge_method")?)
            .map_err(|error| Refused::new("invalid_request", error.to_string()))?;
        let audience = match params.get("resource") {
            // Clients that know no resources are those of MCP before 2025-06-18.
            Ok(None) => Audience::Mcp,
            Ok(Some(resource)) => Audience::parse(&state.base_url, resource)
                .map_err(|error| Refused::new("invalid_target", error.to_string()))?,
            Err(_) => return Err(Refused::new("invalid_target", "`resource` must name one resource")),
        };
        let prompt: Vec<String> =
            params.get("prompt")?.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        if prompt.len() > 1 && prompt.iter().any(|word| word == "none") {
            return Err(Refused::new("invalid_request", "`prompt` none excludes all others"));
        }
        Ok(Self { audience, challenge, prompt })
    }

    /// Whether the client wants this.
    pub(crate) fn prompts(&self, word: &str) -> bool {
        self.prompt.iter().any(|prompt| prompt == word)
    }
}
