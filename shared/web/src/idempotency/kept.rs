//! A reply as it is kept: a line of JSON with all but the body, then the body.

use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::Pieces;
use crate::{Problem, Reply};

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemText>,
    /// The body was too large to keep, or streamed.
    #[serde(default)]
    is_cut: bool,
    /// Of a reply that came in pieces: what was said at their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pieces: Option<Value>,
}

/// What a problem says; its body is made anew, with the id of the request that asks.
#[derive(Serialize, Deserialize)]
struct ProblemText {
    title: Option<String>,
    detail: String,
}

/// Writes a reply down, and gives it back. A body of more than `limit` bytes is left out, as is one that is a stream or
/// no text.
pub(super) async fn encode(reply: Reply, limit: usize) -> (Reply, String) {
    let response = match reply {
        Ok(response) => response,
        Err(problem) => {
            let title = problem.title.as_deref().map(str::to_owned);
            let text = ProblemText { title, detail: problem.detail().to_owned() };
            let headers = problem.headers.iter().map(|(name, value)| (name, value));
            let kept = head((problem.status(), headers), Some(text), None, false);
            return (Err(problem), kept);
        }
    };
    let (parts, body) = response.into_parts();
    let pieces = parts.extensions.get::<Pieces>();
    let short = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).is_some_and(|n| n <= limit);
    if !short {
        let kept = head((parts.status, &parts.headers), None, None, true);
        return (Ok(Response::from_parts(parts, body)), kept);
    }
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            tracing::error!(%error, "request failed");
            let kept = head((parts.status, &parts.headers), None, None, true);
            return (Err(Problem::internal()), kept);
        }
    };
    let text = std::str::from_utf8(&bytes);
    let mut kept = head((parts.status, &parts.headers), None, pieces, text.is_err());
    kept.push_str(text.unwrap_or_default());
    (Ok(Response::from_parts(parts, Body::from(bytes))), kept)
}

fn head<'a>(
    (status, headers): (StatusCode, impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>),
    problem: Option<ProblemText>,
    pieces: Option<&Pieces>,
    is_cut: bool,
) -> String {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)));
    let pieces = pieces.map(|Pieces(summary)| summary.clone());
    let head = Head { status: status.as_u16(), headers: headers.collect(), problem, is_cut, pieces };
    // A line of JSON has no line break in it. What has only texts and numbers can always be written.
    let mut line = serde_json::to_string(&head).unwrap_or_default();
    line.push('\n');
    line
}

/// The reply that was written down.
///
/// # Errors
/// The problem that was; 410 for a reply whose body was too large, 500 for what cannot be read.
pub(super) fn decode(kept: &str) -> Reply {
    let (line, body) = kept.split_once('\n').unwrap_or((kept, ""));
    let read = serde_json::from_str::<Head>(line).map_err(|error| error.to_string());
    let read = read.and_then(|head| Ok((StatusCode::from_u16(head.status).map_err(|error| error.to_string())?, head)));
    let (status, head) = read.map_err(|error| {
        tracing::error!(error, "a kept reply cannot be read");
        Problem::internal()
    })?;
    if head.is_cut {
        let detail = format!(
            "the request with this Idempotency-Key was carried out, with status {}; its reply was too large to keep",
            head.status
        );
        return Err(Problem::new(StatusCode::GONE, detail));
    }
    let named = head.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::from_str(value).ok()?))
    });
    if let Some(text) = head.problem {
        let mut problem = Problem::new(status, text.detail);
        problem.title = text.title.map(Into::into);
        problem.headers = named.collect();
        return Err(problem);
    }
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    for (name, value) in named {
        response.headers_mut().append(name, value);
    }
    if let Some(summary) = head.pieces {
        response.extensions_mut().insert(Pieces(summary));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use http::header;
    use serde_json::json;

    use super::*;

    async fn body(reply: Reply) -> String {
        String::from_utf8(reply.unwrap().into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_reply_comes_back_as_it_was() {
        let mut response = crate::json(StatusCode::CREATED, &json!({ "text": "one\ntwo" }));
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("https://example.com/1"));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let (first, kept) = encode(Ok(response), 100).await;
        let (first, again) = (first.unwrap(), decode(&kept).unwrap());
        assert_eq!((first.status(), first.headers()), (again.status(), again.headers()));
        assert_eq!(first.headers().len(), 3);
        assert_eq!(body(Ok(first)).await, body(Ok(again)).await);

        let nothing = decode(&encode(Ok(crate::no_content()), 100).await.1).unwrap();
        assert_eq!(nothing.status(), StatusCode::NO_CONTENT);
        assert_eq!(body(Ok(nothing)).await, "");
    }

    #[tokio::test]
    async fn a_problem_comes_back_as_it_was() {
        let problem = Problem::new(StatusCode::FORBIDDEN, "not on a \"Sunday\"").with(header::ALLOW, "GET");
        let again = decode(&encode(Err(problem.clone()), 100).await.1).unwrap_err();
        assert_eq!((again.status(), again.detail()), (problem.status(), problem.detail()));
        assert_eq!(again.headers, problem.headers);
    }

    #[tokio::test]
    async fn what_is_too_large_is_known_to_have_been_done() {
        let (first, kept) = encode(Ok(crate::text("a".repeat(101))), 100).await;
        assert_eq!(body(first).await.len(), 101, "the first reply is whole");
        let again = decode(&kept).unwrap_err();
        assert_eq!(again.status(), StatusCode::GONE);
        assert!(again.detail().contains("status 200"), "{}", again.detail());
        let (first, kept) = encode(Ok(Response::new(Body::from(vec![0xff]))), 100).await;
        assert!(first.is_ok());
        assert_eq!(decode(&kept).unwrap_err().status(), StatusCode::GONE);
    }

    #[test]
    fn what_cannot_be_read_is_a_fault_of_ours() {
        for odd in ["", "{}\n", "{\"status\":7,\"headers\":[]}\n"] {
            assert_eq!(decode(odd).unwrap_err().status(), StatusCode::INTERNAL_SERVER_ERROR, "{odd}");
        }
    }
}
