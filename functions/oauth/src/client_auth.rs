//! Which client makes a request, and what it proves that with (RFC 6749, 2.3.1).

use actingweb_actor::Rate;
use actingweb_actor::grants::{ClientAuthentication, GrantError};
use actingweb_web::{AppState, Incoming, Verb};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::error::OAuthError;
use crate::limits;
use crate::params::{Params, Repeated};

/// The longest id, secret, code or token that is looked at, in bytes.
const MAX_PARAMETER_BYTES: usize = 4096;

/// A request to an endpoint that clients call by themselves: its form, and who sends it.
pub(crate) struct ClientRequest<'a> {
    state: &'a AppState,
    incoming: &'a Incoming,
    form: Params,
    id: String,
    secret: Option<String>,
    by_header: bool,
}

impl<'a> ClientRequest<'a> {
    /// Reads a POST of a form. Nothing is taken from the URL, which ends up in logs.
    pub(crate) fn read(state: &'a AppState, incoming: &'a Incoming, allow: &'static str) -> Result<Self, OAuthError> {
        if incoming.verb != Verb::Post {
            return Err(OAuthError::method_not_allowed(allow));
        }
        let form = incoming.form().ok_or_else(|| {
            OAuthError::invalid_request("the body must be a form: Content-Type: application/x-www-form-urlencoded")
        })?;
        let form = Params::new(form);
        let (in_header, by_header) = match basic(incoming.headers()) {
            Ok(found) => (found, true),
            Err(reason) => return Err(refused(state, true, reason)),
        };
        let in_form = (form.get("client_id")?, form.get("client_secret")?);
        let (id, secret, by_header) = match (in_header, in_form) {
            (Some((id, _)), (Some(other), _)) if id != other => {
                return Err(OAuthError::invalid_request("`client_id` is not the one in the Authorization header"));
            }
            (Some(_), (_, Some(_))) => {
                return Err(OAuthError::invalid_request("the client proves itself in two ways at once: use one"));
            }
            (Some((id, secret)), _) => (id, Some(secret), by_header),
            (None, (Some(id), secret)) => (id.to_owned(), secret.map(str::to_owned), false),
            (None, (None, _)) => return Err(refused(state, false, "`client_id` is missing")),
        };
        Ok(Self { state, incoming, form, id, secret, by_header })
    }

    /// What the client presents.
    pub(crate) fn client(&self) -> ClientAuthentication<'_> {
        ClientAuthentication { id: &self.id, secret: self.secret.as_deref() }
    }

    /// A parameter that may be left out.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let value = self.form.get(name)?;
        match value.filter(|value| value.len() > MAX_PARAMETER_BYTES) {
            Some(_) => Err(OAuthError::invalid_request(format!("`{name}` is longer than {MAX_PARAMETER_BYTES} bytes"))),
            None => Ok(value),
        }
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name)?.ok_or_else(|| OAuthError::invalid_request(format!("`{name}` is missing")))
    }

    /// What a refusal is on the wire. One that could be a guess is counted, and answered with 429 when there were many.
    pub(crate) async fn refused(&self, error: GrantError) -> OAuthError {
        let could_be_a_guess = matches!(error, GrantError::InvalidClient(_) | GrantError::InvalidGrant(_));
        if could_be_a_guess
            && let Err(too_many) = limits::count(self.state, self.incoming, Rate::TokenFailure, "").await
        {
            return too_many;
        }
        let description = error.to_string();
        match (error.code(), error) {
            (_, GrantError::Actor(error)) => error.into(),
            (Some("invalid_client"), _) => refused(self.state, self.by_header, &description),
            (code, _) => OAuthError::bad(code.unwrap_or("invalid_request"), description),
        }
    }
}

/// 401 `invalid_client`, with a challenge for one that used the header (RFC 6749, 5.2).
fn refused(state: &AppState, by_header: bool, reason: &str) -> OAuthError {
    let error = OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_client", reason);
    match by_header {
        true => error.with(header::WWW_AUTHENTICATE, &format!("Basic realm=\"{}\"", state.realm())),
        false => error,
    }
}

/// Id and secret of the Authorization header, each of them form-encoded.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, &'static str> {
    const SHAPE: &str = "the Authorization header must be `Basic base64(client_id:client_secret)`, both form-encoded";
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().map_err(|_| SHAPE)?.trim();
    let (scheme, encoded) = value.split_once(' ').ok_or(SHAPE)?;
    if values.next().is_some() || !scheme.eq_ignore_ascii_case("basic") {
        return Err(SHAPE);
    }
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(SHAPE)?;
    let (id, secret) = decoded.split_once(':').ok_or(SHAPE)?;
    Ok(Some((form_decoded(id).ok_or(SHAPE)?, form_decoded(secret).ok_or(SHAPE)?)))
}

/// A text without its form encoding; `None` when it holds what would be more than one value.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    let decoded = url::form_urlencoded::parse(text.as_bytes()).next();
    Some(decoded.map(|(name, _)| name.into_owned()).unwrap_or_default())
}

impl From<Repeated> for OAuthError {
    fn from(repeated: Repeated) -> Self {
        Self::invalid_request(repeated.to_string())
    }
}

/// What clients send about a token, as the OpenAPI document describes it.
pub(crate) fn token_form() -> Value {
    json!({
        "type": "object",
        "required": ["token"],
        "properties": {
            "token": { "type": "string" },
            "token_type_hint": { "type": "string" },
            "client_id": { "type": "string" },
            "client_secret": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<(String, String)>, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        basic(&headers)
    }

    #[test]
    fn id_and_secret_are_form_encoded_in_the_header() {
        let encoded = STANDARD.encode("https%3A%2F%2Fclient.example%2Fid:a%2Bb+c");
        let expected = ("https://client.example/id".to_owned(), "a+b c".to_owned());
        assert_eq!(read(&format!("bAsIc {encoded}")), Ok(Some(expected)));
        assert_eq!(read(&format!("Basic {}", STANDARD.encode("id:"))), Ok(Some(("id".to_owned(), String::new()))));
        assert_eq!(basic(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn whatever_else_is_there_is_refused() {
        for odd in ["Bearer x", "Basic", "Basic !", "Basic aWQ=", &format!("Basic {}", STANDARD.encode("a=b:c"))] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
