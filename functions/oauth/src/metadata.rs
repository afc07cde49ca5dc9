//! What a client says of itself, in a registration (RFC 7591, 2) or in its own metadata document.

use actingweb_actor::{ClientAuthMethod, NewClient};
use actingweb_protocol::oauth::RedirectUri;
use serde_json::{Map, Value};

use crate::error::OAuthError;

/// The most redirect URIs of one client.
const MAX_REDIRECT_URIS: usize = 20;

/// The longest name of a client, in characters.
const MAX_NAME_CHARS: usize = 100;

/// The longest of its other texts, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// What such clients may ask the token endpoint for. A client's own rights (`client_credentials`) are for those that an
/// actor's owner made.
const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];

/// What is kept of the rest, for whoever looks at the client later.
const KEPT: [&str; 6] = ["client_uri", "logo_uri", "policy_uri", "tos_uri", "software_id", "software_version"];

/// A client's account of itself, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientMetadata {
    pub(crate) name: String,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) auth: ClientAuthMethod,
    pub(crate) grant_types: Vec<String>,
    pub(crate) more: Map<String, Value>,
}

fn wrong(reason: impl Into<String>) -> OAuthError {
    OAuthError::bad("invalid_client_metadata", reason)
}

impl ClientMetadata {
    /// Reads it. What is not known is left out (RFC 7591, 2), a kind of relationship among it.
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, OAuthError> {
        let redirect_uris = redirect_uris(members.get("redirect_uris"))?;
        // What RFC 7591 says of a client that does not say.
        let auth = text(members, "token_endpoint_auth_method")?.unwrap_or("client_secret_basic");
        let auth = ClientAuthMethod::parse(auth).ok_or_else(|| {
            wrong("`token_endpoint_auth_method` must be none, client_secret_basic or client_secret_post")
        })?;
        let asked = texts(members, "grant_types")?.unwrap_or_else(|| vec!["authorization_code"]);
        if !asked.contains(&"authorization_code") {
            return Err(wrong("`grant_types` must have authorization_code"));
        }
        if texts(members, "response_types")?.is_some_and(|types| !types.contains(&"code")) {
            return Err(wrong("`response_types` must have code"));
        }
        let mut more = Map::new();
        for name in KEPT {
            if let Some(value) = text(members, name)? {
                if name.ends_with("_uri") && !is_web_url(value) {
                    return Err(wrong(format!("`{name}` must be an https URL")));
                }
                more.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
        let name = match text(members, "client_name")? {
            Some(name) => check_name(name)?,
            // Whoever reads a name should know at least where it leads.
            None => redirect_uris.first().map(RedirectUri::destination).unwrap_or_default(),
        };
        Ok(Self {
            name,
            redirect_uris: redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            auth,
            grant_types: GRANT_TYPES.into_iter().filter(|known| asked.contains(known)).map(str::to_owned).collect(),
            more,
        })
    }

    /// What is kept of the rest, as JSON text.
    pub(crate) fn kept(&self) -> Option<String> {
        (!self.more.is_empty()).then(|| Value::Object(self.more.clone()).to_string())
    }

    /// As a client about to be kept.
    pub(crate) fn into_new(self) -> NewClient {
        NewClient {
            metadata: self.kept(),
            name: self.name,
            redirect_uris: self.redirect_uris,
            auth: self.auth,
            grant_types: self.grant_types,
        }
    }
}

/// A name that people can read, and that looks like nothing else on a page.
pub(crate) fn check_name(name: &str) -> Result<String, OAuthError> {
    let name = name.trim();
    let length = name.chars().count();
    // Among them those that turn the direction of text around.
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
    };
    if length == 0 || length > MAX_NAME_CHARS || name.chars().any(odd) {
        return Err(wrong(format!(
            "`client_name` must be 1 to {MAX_NAME_CHARS} characters, none of which controls how others are shown"
        )));
    }
    Ok(name.to_owned())
}

/// Reads `redirect_uris`.
pub(crate) fn redirect_uris(value: Option<&Value>) -> Result<Vec<RedirectUri>, OAuthError> {
    let invalid = |reason: String| OAuthError::bad("invalid_redirect_uri", reason);
    let Some(Value::Array(values)) = value else {
        return Err(invalid("`redirect_uris` must be a list of URIs".to_owned()));
    };
    if values.is_empty() || values.len() > MAX_REDIRECT_URIS {
        return Err(invalid(format!("`redirect_uris` must have 1 to {MAX_REDIRECT_URIS} entries")));
    }
    let parse = |(at, value): (usize, &Value)| {
        let text = value.as_str().ok_or_else(|| invalid(format!("`redirect_uris[{at}]` must be a string")))?;
        RedirectUri::parse(text).map_err(|error| invalid(format!("`redirect_uris[{at}]`: {error}")))
    };
    values.iter().enumerate().map(parse).collect()
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, OAuthError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text)),
        Some(_) => Err(wrong(format!("`{name}` must be a string of at most {MAX_TEXT_BYTES} bytes"))),
    }
}

fn texts<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<Vec<&'a str>>, OAuthError> {
    let list = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(values)) => values.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(_) => None,
    };
    list.map(Some).ok_or_else(|| wrong(format!("`{name}` must be a list of strings")))
}

fn is_web_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ClientMetadata, (&'static str, String)> {
        ClientMetadata::read(value.as_object().unwrap()).map_err(|error| (error.code(), error.description().to_owned()))
    }

    #[test]
    fn what_is_not_said_has_the_values_of_the_standard() {
        let read = read(json!({ "redirect_uris": ["https://client.example/cb"] })).unwrap();
        assert_eq!(read.name, "client.example");
        assert_eq!(read.auth, ClientAuthMethod::SecretBasic);
        assert_eq!(read.grant_types, ["authorization_code"]);
    }

    #[test]
    fn more_than_there_is_is_not_given() {
        let read = read(json!({
            "redirect_uris": ["http://127.0.0.1/"], "client_name": " Editor ", "trust_type": "admin",
            "grant_types": ["refresh_token", "authorization_code", "client_credentials", "implicit"],
            "response_types": ["token", "code"], "software_id": "editor", "jwks": {},
        }))
        .unwrap();
        assert_eq!((read.name.as_str(), read.grant_types.as_slice()), ("Editor", &GRANT_TYPES.map(str::to_owned)[..]));
        assert_eq!(Value::Object(read.more), json!({ "software_id": "editor" }));
    }

    #[test]
    fn each_fault_has_its_code() {
        let uris = json!(["https://client.example/cb"]);
        for (metadata, code, place) in [
            (json!({}), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": [] }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": "https://a.example/" }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": vec!["https://a.example/"; 21] }), "invalid_redirect_uri", "redirect_uris"),
            (json!({ "redirect_uris": ["https://a.example/", 1] }), "invalid_redirect_uri", "redirect_uris[1]"),
            (json!({ "redirect_uris": ["http://a.example/"] }), "invalid_redirect_uri", "redirect_uris[0]"),
            (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri", "redirect_uris[0]"),
            (json!({ "redirect_uris": uris, "client_name": 1 }), "invalid_client_metadata", "client_name"),
            (json!({ "redirect_uris": uris, "client_name": "" }), "invalid_client_metadata", "client_name"),
            (json!({ "redirect_uris": uris, "client_name": "a\u{202e}b" }), "invalid_client_metadata", "client_name"),
            (
                json!({ "redirect_uris": uris, "grant_types": ["client_credentials"] }),
                "invalid_client_metadata",
                "grant_types",
            ),
            (json!({ "redirect_uris": uris, "grant_types": "code" }), "invalid_client_metadata", "grant_types"),
            (
                json!({ "redirect_uris": uris, "response_types": ["token"] }),
                "invalid_client_metadata",
                "response_types",
            ),
            (
                json!({ "redirect_uris": uris, "token_endpoint_auth_method": "private_key_jwt" }),
                "invalid_client_metadata",
                "token_endpoint_auth_method",
            ),
            (json!({ "redirect_uris": uris, "client_uri": "javascript:1" }), "invalid_client_metadata", "client_uri"),
        ] {
            let (found, description) = read(metadata.clone()).unwrap_err();
            assert_eq!(found, code, "{metadata}: {description}");
            assert!(description.contains(place), "{metadata}: {description}");
        }
    }
}
