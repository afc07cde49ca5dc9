//! API Gateway events (payload format 2.0) as HTTP requests, and HTTP responses as replies to them.
//!
//! Function URLs and `cargo lambda watch` use the same format. An event is read leniently: whatever stands in a header,
//! a cookie or a path is a request that the router answers, never a failure of the function.

use std::collections::BTreeMap;

use actingweb_web::ClientAddress;
use axum::body::{Body, BodyDataStream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use lambda_runtime::{MetadataPrelude, StreamResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::path;

/// An event, as far as it is used.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GatewayEvent {
    raw_path: String,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    headers: Option<BTreeMap<String, Option<String>>>,
    request_context: GatewayContext,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct GatewayContext {
    stage: Option<String>,
    http: GatewayHttp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayHttp {
    method: String,
    source_ip: Option<String>,
}

/// A reply to an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GatewayReply {
    status_code: u16,
    headers: BTreeMap<String, String>,
    /// Always there: `cargo lambda watch` answers 500 to a reply without it.
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

/// An event that no gateway sends, or a reply that broke off.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not a payload of format 2.0.
    #[error("the event is no API Gateway event of payload format 2.0: {0}")]
    Format(#[from] serde_json::Error),
    /// Not a verb of HTTP.
    #[error("the event's method is no HTTP method")]
    Method,
    /// Too long for a URI.
    #[error("the event's path is too long: {0}")]
    Path(#[from] http::uri::InvalidUri),
    /// Declared as base64, and is not.
    #[error("the event's body is not the base64 it is declared to be: {0}")]
    Body(#[from] base64::DecodeError),
    /// The body of the reply broke off.
    #[error("the reply broke off: {0}")]
    Reply(#[from] axum::Error),
}

impl GatewayEvent {
    /// The request that the client sent.
    pub(crate) fn into_request(self) -> Result<Request<Body>, EventError> {
        let body = match self.body {
            Some(body) if self.is_base64_encoded == Some(true) => Bytes::from(STANDARD.decode(body)?),
            body => Bytes::from(body.unwrap_or_default()),
        };
        let query = self.raw_query_string.unwrap_or_default();
        let mut request = Request::new(Body::from(body));
        *request.method_mut() =
            Method::from_bytes(self.request_context.http.method.as_bytes()).map_err(|_| EventError::Method)?;
        *request.uri_mut() = path::target(&self.raw_path, &query, self.request_context.stage.as_deref())?;
        // The gateway's own word, unlike `X-Forwarded-For`, of which the client writes the beginning.
        let client = self.request_context.http.source_ip.and_then(|address| address.parse().ok());
        if let Some(client) = client {
            request.extensions_mut().insert(ClientAddress(client));
        }
        *request.headers_mut() = headers(self.headers.unwrap_or_default(), &self.cookies.unwrap_or_default());
        Ok(request)
    }
}

/// The headers, and the cookies that the gateway took out of them. What cannot stand in a header is left out.
fn headers(given: BTreeMap<String, Option<String>>, cookies: &[String]) -> HeaderMap {
    let header = |(name, value): (String, Option<String>)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value?.as_bytes()).ok()?))
    };
    let mut headers: HeaderMap = given.into_iter().filter_map(header).collect();
    if !cookies.is_empty()
        && let Ok(cookie) = HeaderValue::from_bytes(cookies.join("; ").as_bytes())
    {
        headers.insert(COOKIE, cookie);
    }
    headers
}

/// The most bytes of a reply as Lambda counts them: its JSON, in which every quote of the body takes two.
const MAX_REPLY_BYTES: usize = 6_000_000;

impl GatewayReply {
    /// The reply, or a 413 in its place when Lambda could not carry it and the client would get a bare 5xx.
    pub(crate) fn within_limits(self) -> Self {
        // Escaping makes a byte six at most.
        if self.body.len() < MAX_REPLY_BYTES / 6 {
            return self;
        }
        match serde_json::to_vec(&self) {
            Ok(bytes) if bytes.len() <= MAX_REPLY_BYTES => self,
            _ => self.too_large(),
        }
    }

    fn too_large(mut self) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": format!("the reply is larger than {MAX_REPLY_BYTES} bytes: ask for a part of it with ?limit"),
            "request_id": self.headers.get("x-request-id"),
        });
        self.headers.retain(|name, _| name == "x-request-id");
        self.headers.insert("content-type".to_owned(), "application/problem+json".to_owned());
        Self {
            status_code: status.as_u16(),
            headers: self.headers,
            cookies: Vec::new(),
            body: body.to_string(),
            is_base64_encoded: false,
        }
    }

    /// The response as the gateway takes it: cookies apart, other repeated headers joined (RFC 9110, 5.3), a body that
    /// is text as it is and any other in base64.
    pub(crate) async fn from_response(response: Response<Body>) -> Result<Self, EventError> {
        let (parts, body) = response.into_parts();
        // One more than can be carried, which says that it cannot be: a stream may have no end.
        let body = match Limited::new(body, MAX_REPLY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => Bytes::from(vec![b' '; MAX_REPLY_BYTES + 1]),
            Err(error) => return Err(EventError::Reply(axum::Error::new(error))),
        };
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut headers = BTreeMap::new();
        for name in parts.headers.keys().filter(|name| **name != SET_COOKIE) {
            let values: Vec<_> = parts.headers.get_all(name).iter().map(text).collect();
            headers.insert(name.to_string(), values.join(", "));
        }
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(binary) => (STANDARD.encode(binary.as_bytes()), true),
        };
        let cookies = parts.headers.get_all(SET_COOKIE).iter().map(text).collect();
        Ok(Self { status_code: parts.status.as_u16(), headers, cookies, body, is_base64_encoded })
    }
}

/// The response as Lambda streams it: a prelude, then the body as it comes.
pub(crate) fn streamed(response: Response<Body>) -> StreamResponse<BodyDataStream> {
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    let cookies =
        headers.get_all(SET_COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let cookies = cookies.collect();
    headers.remove(SET_COOKIE);
    // It goes out in chunks, beside which a length is an error (RFC 9112, 6.2).
    headers.remove(CONTENT_LENGTH);
    let metadata_prelude = MetadataPrelude { status_code: parts.status, headers, cookies };
    StreamResponse { metadata_prelude, stream: body.into_data_stream() }
}
