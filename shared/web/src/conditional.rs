//! Conditional requests (RFC 9110, 13): `ETag`, `If-None-Match`, `If-Match`.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::{Incoming, Problem};

/// Answers a read of something that has this version: 304 when the client has it already, else `response` with its ETag.
#[must_use]
pub fn tagged(incoming: &Incoming, version: &str, response: Response) -> Response {
    let mut response = match incoming.tags(&header::IF_NONE_MATCH) {
        Some(tags) if matches(&tags, Some(version)) => StatusCode::NOT_MODIFIED.into_response(),
        _ => response,
    };
    response.headers_mut().extend(HeaderValue::from_str(&format!("\"{version}\"")).ok().map(|tag| (header::ETAG, tag)));
    // The same version reads differently for who asks for JSON, and for callers with other rights.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    response
}

/// Whether a write names the version it expects, so that what was read must still be there when it happens.
#[must_use]
pub fn is_conditional(incoming: &Incoming) -> bool {
    incoming.tags(&header::IF_MATCH).is_some() || incoming.tags(&header::IF_NONE_MATCH).is_some()
}

/// Checks a write against what is there now (`None`: nothing).
///
/// # Errors
/// 412 when it is not what the client expects.
pub fn check_preconditions(incoming: &Incoming, version: Option<&str>) -> Result<(), Problem> {
    let failed = |detail: &str| Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    if incoming.tags(&header::IF_MATCH).is_some_and(|tags| !matches(&tags, version)) {
        return failed("it is not the version named in If-Match: read it again");
    }
    if incoming.tags(&header::IF_NONE_MATCH).is_some_and(|tags| matches(&tags, version)) {
        return failed("it exists already, in a version that If-None-Match excludes");
    }
    Ok(())
}

/// Whether one of the tags is this version; `*` is any that exists. Weak tags name the same versions.
fn matches(tags: &str, version: Option<&str>) -> bool {
    let Some(version) = version else { return false };
    tags.split(',').map(str::trim).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || opaque.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(version)
    })
}

impl Incoming {
    fn tags(&self, name: &HeaderName) -> Option<String> {
        let values: Vec<&str> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn tags_are_compared_as_a_list() {
        assert!(matches("\"a\", W/\"b\"", Some("b")));
        assert!(matches("*", Some("b")));
        assert!(!matches("*", None));
        assert!(!matches("\"ab\", b", Some("b")));
    }
}
