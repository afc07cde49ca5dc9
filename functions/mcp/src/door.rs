//! What every request to `/mcp` passes before the protocol begins: where it comes from, and whether it is a message.

use actingweb_web::{AppState, MAX_BODY_BYTES, Problem, json};
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rmcp::model::ProtocolVersion;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const UNSUPPORTED_VERSION: i32 = -32022;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The headers of the protocol that pages may send.
const ALLOWED_HEADERS: &str = "authorization, content-type, accept, last-event-id, mcp-protocol-version, mcp-method, \
                               mcp-name, mcp-session-id, traceparent, tracestate, x-request-id";
const EXPOSED_HEADERS: &str = "WWW-Authenticate, Retry-After, X-Request-ID";

/// An error of JSON-RPC, of a request whose id is known or not.
pub(crate) fn rpc_error(status: StatusCode, id: Value, code: i32, message: &str, data: Option<Value>) -> Response {
    let mut error = json!({ "code": code, "message": message });
    if let (Some(error), Some(data)) = (error.as_object_mut(), data) {
        error.insert("data".to_owned(), data);
    }
    json(status, &json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

/// Where a request may come from.
///
/// A page of another origin could use a user's access to this address. Tokens do not travel by themselves, as cookies
/// would, so that this is the second wall; and the protocol demands it.
pub(crate) struct Origins<'a> {
    base: &'a str,
    allowed: &'a [String],
}

impl<'a> Origins<'a> {
    pub(crate) fn of(state: &'a AppState) -> Self {
        Self { base: &state.base_url, allowed: &state.hooks.app().mcp.origins }
    }

    /// Checks `Host`, for requests that do something, where the deployment has no TLS, as on a developer's machine: there a
    /// page can let its own name lead here (DNS rebinding). With TLS that name would need our certificate, and proxies in
    /// front of the function, such as a CDN, may rightly call it otherwise.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(own) = self.base.strip_prefix("http://") else { return Ok(()) };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_none_or(|host| host == own) {
            return Ok(());
        }
        let named = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        // The port is that of whoever forwards the request.
        if named.is_some_and(|named| self.is_own_host(&named)) {
            return Ok(());
        }
        Err(Problem::forbidden("this server answers under its own name only"))
    }

    /// Checks `Origin`.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match headers.get(header::ORIGIN) {
            Some(origin) if !origin.to_str().is_ok_and(|origin| self.allows(origin)) => {
                Err(Problem::forbidden("pages of this origin may not use this server"))
            }
            _ => Ok(()),
        }
    }

    /// The deployment's own origin, one that the application names, or, where the deployment is on the same machine as its
    /// user, any other on that machine.
    fn allows(&self, origin: &str) -> bool {
        let Ok(origin) = Url::parse(origin) else { return false };
        let base = Url::parse(self.base).ok();
        let same = |other: &Url| other.origin() == origin.origin() && origin.origin().is_tuple();
        let named = |other: &String| Url::parse(other).is_ok_and(|other| same(&other));
        let on_this_machine = base.as_ref().is_some_and(is_loopback) && is_loopback(&origin);
        base.as_ref().is_some_and(same) || self.allowed.iter().any(named) || on_this_machine
    }

    fn is_own_host(&self, named: &Url) -> bool {
        let same = |base: &Url| base.host() == named.host() || (is_loopback(base) && is_loopback(named));
        Url::parse(self.base).is_ok_and(|base| same(&base))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What a browser asks before a page may send the request.
pub(crate) fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Lets the page that asked read the reply. Its origin was checked.
pub(crate) fn readable(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let varies = (header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS)),
        varies,
    ];
    // The body of a problem is written further out, where its headers are added.
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let with = |problem: Problem, (name, value): (HeaderName, HeaderValue)| match value.to_str() {
            Ok(value) => problem.with(name, value),
            Err(_) => problem,
        };
        return headers.into_iter().fold(problem, with).into_response();
    }
    response.headers_mut().extend(headers);
    response
}

/// Reads the body.
///
/// # Errors
/// 413 above 4 MB, 400 for one that ends early.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(format!("the body is larger than {MAX_BODY_BYTES} bytes")))
        }
        Err(_) => Err(Problem::bad_request("the body ended before it was complete")),
    }
}

/// Whether the body is declared as what it must be; the transport refuses it otherwise.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Checks that a body is one message of JSON-RPC, of a revision that is known.
///
/// # Errors
/// 400 with an error of JSON-RPC.
pub(crate) fn check_message(parts: &request::Parts, bytes: &[u8]) -> Result<(), Box<Response>> {
    let named = parts.headers.get(VERSION).map(|version| version.to_str().unwrap_or_default());
    let unknown = named.filter(|named| !ProtocolVersion::KNOWN_VERSIONS.iter().any(|known| known.as_str() == *named));
    if unknown.is_none() && is_message(bytes) {
        return Ok(());
    }
    let refused = |id, code, message: &str, data| Box::new(rpc_error(StatusCode::BAD_REQUEST, id, code, message, data));
    let message: Value = match serde_json::from_slice(bytes) {
        Ok(message) => message,
        Err(error) => return Err(refused(Value::Null, PARSE_ERROR, &format!("the body is no JSON: {error}"), None)),
    };
    let id = message.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
    if message.is_array() {
        return Err(refused(id, INVALID_REQUEST, "send messages one by one: there are no batches", None));
    }
    if message.get("jsonrpc").is_none_or(|version| version != "2.0") {
        return Err(refused(id, INVALID_REQUEST, "a message is an object with `\"jsonrpc\": \"2.0\"`", None));
    }
    // A request that says in its body which revision it speaks is answered by the protocol itself.
    let in_body = message.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion").is_some();
    if let Some(requested) = unknown.filter(|_| !in_body) {
        let known = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect::<Vec<_>>();
        let data = json!({ "supported": known, "requested": requested });
        return Err(refused(id, UNSUPPORTED_VERSION, "unsupported protocol version", Some(data)));
    }
    Ok(())
}

/// Whether a body is an object that says it is JSON-RPC: found out without making anything of the rest, which the protocol
/// reads itself.
fn is_message(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Message<'a> {
        jsonrpc: &'a str,
    }
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    let text = str::from_utf8(bytes).ok().filter(|_| is_object);
    text.is_some_and(|text| serde_json::from_str::<Message<'_>>(text).is_ok_and(|message| message.jsonrpc == "2.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_objects_that_say_so() {
        for message in [r#"{"jsonrpc":"2.0"}"#, " {\"id\":1,\"jsonrpc\":\"2.0\",\"params\":{\"jsonrpc\":1}}\n"] {
            assert!(is_message(message.as_bytes()), "{message}");
        }
        // An array would do for a structure.
        for other in ["", "{", "{}", "[]", r#"["2.0"]"#, r#"{"jsonrpc":"1.0"}"#, r#"{"jsonrpc":2.0}"#, r#""jsonrpc""#] {
            assert!(!is_message(other.as_bytes()), "{other}");
        }
        assert!(!is_message(b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\"}"), "not UTF-8");
    }
}
