//! Reading what a peer answered, without trusting it.

use std::time::Duration;

use actingweb_protocol::retry::parse_retry_after;
use bytes::{Bytes, BytesMut};
use http::header::{DATE, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::error::PeerError;
use crate::peer::Secret;

/// How much of an error's body is read to make the excerpt.
const ERROR_BYTES: usize = 16 * 1024;
/// How many characters of it are shown.
const EXCERPT_CHARS: usize = 256;

/// A peer's 2xx answer, read completely.
#[derive(Clone, Debug)]
pub struct PeerReply {
    status: StatusCode,
    location: Option<String>,
    fresh_for: Option<Duration>,
    body: Bytes,
}

impl PeerReply {
    /// A 200 with this JSON, from a peer that was asked without HTTP.
    #[must_use]
    pub fn of_json(value: &serde_json::Value) -> Self {
        Self { status: StatusCode::OK, location: None, fresh_for: None, body: value.to_string().into() }
    }

    /// The status, always 2xx.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The `Location` header, as sent: the peer may name any place in it.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// How long the answer may be kept, as its sender says (RFC 9111); `None` where it does not say.
    #[must_use]
    pub const fn fresh_for(&self) -> Option<Duration> {
        self.fresh_for
    }

    /// The body as it came, after decompression.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON of the type asked for; `serde_json::Value` takes any.
    ///
    /// # Errors
    /// [`PeerError::NotJson`] when it is not.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PeerError> {
        serde_json::from_slice(&self.body).map_err(|error| PeerError::NotJson { reason: describe(&error) })
    }
}

/// Where and what kind, without repeating the body as serde_json's own messages may.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Syntax | Category::Io => "a syntax error",
        Category::Eof => "it ends too early",
        Category::Data => "a value of an unexpected type or shape",
    };
    format!("{what} at line {}, column {}", error.line(), error.column())
}

/// Reads a response: a 2xx completely, up to `limit` bytes; of anything else enough for an excerpt.
pub(crate) async fn read_reply<'s>(
    response: reqwest::Response,
    limit: usize,
    secrets: impl Iterator<Item = &'s Secret>,
) -> Result<PeerReply, PeerError> {
    let status = response.status();
    if status.is_success() {
        let location = text(response.headers(), LOCATION).map(str::to_owned);
        let fresh_for = crate::freshness::of(response.headers());
        let (body, complete) = read_up_to(response, limit).await?;
        return match complete {
            true => Ok(PeerReply { status, location, fresh_for, body }),
            false => Err(PeerError::TooLarge { limit }),
        };
    }
    let headers = response.headers();
    let retry_after = text(headers, RETRY_AFTER).and_then(|value| parse_retry_after(value, text(headers, DATE)));
    // The status is what counts: a body that breaks off makes a shorter excerpt, nothing more.
    let body = read_up_to(response, limit.min(ERROR_BYTES)).await.map(|(body, _)| body).unwrap_or_default();
    Err(PeerError::Status { status, retry_after, body_excerpt: excerpt(&body, secrets) })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The body, and whether it was all of it. Counts what arrives; `Content-Length` is only a claim, and says nothing
/// about a compressed body.
pub(crate) async fn read_up_to(mut response: reqwest::Response, limit: usize) -> Result<(Bytes, bool), PeerError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(PeerError::from_transport)? {
        let room = limit.saturating_sub(body.len());
        if chunk.len() > room {
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return Ok((body.freeze(), false));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), true))
}

/// One line from the beginning of an error's body. A peer may echo the header it was sent, so the secret is cut out
/// (before shortening: half a secret is no better).
fn excerpt<'s>(body: &[u8], secrets: impl Iterator<Item = &'s Secret>) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets.map(Secret::expose).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[secret]");
    }
    let line: String =
        text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).take(EXCERPT_CHARS).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line_without_the_secret() {
        let secret = Secret::new("s3cret");
        let body = "\r\n{\"got\": \"Bearer s3cret\"}\u{7}\n";
        assert_eq!(excerpt(body.as_bytes(), std::iter::once(&secret)), r#"{"got": "Bearer [secret]"}"#);
        let straddling = format!("{}s3cret", "x".repeat(EXCERPT_CHARS - 3));
        assert!(excerpt(straddling.as_bytes(), std::iter::once(&secret)).ends_with("x[se"));
        assert_eq!(excerpt(&[0xff, b'a'], std::iter::empty()), "\u{fffd}a");
        assert_eq!(
            excerpt("é".repeat(1000).as_bytes(), std::iter::once(&Secret::new(""))).chars().count(),
            EXCERPT_CHARS
        );
    }

    #[test]
    fn what_is_not_the_json_asked_for_is_described_not_repeated() {
        let reply = |body: &'static str| PeerReply {
            status: StatusCode::OK,
            location: None,
            fresh_for: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(reply("[1, 2]").json::<Vec<u8>>(), Ok(vec![1, 2]));
        for (body, part) in
            [("<html>", "syntax"), ("[1,", "too early"), ("\"p4ssword\"", "type or shape"), ("", "early")]
        {
            let error = reply(body).json::<Vec<u8>>().unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(!error.to_string().contains("p4ssword"), "{error}");
        }
    }
}
