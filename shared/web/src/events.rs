//! Streamed answers as server-sent events (WHATWG HTML, 9.2), for callers that accept `text/event-stream`.
//!
//! Each item is one event without a name, its data the item as JSON on one line. The last event is named `done`, its data
//! an object with what is to be said of the whole, or `error`, its data a problem document. Comments keep the connection
//! open while nothing happens.

mod accept;
mod carried_out;

use std::time::Duration;

use actingweb_hooks::{HookFailure, MethodReply, StreamPart};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

pub use accept::Wish;

use crate::calls::{self, Callable};
use crate::idempotency::Turn;
use crate::observe::{EventStream, RequestContext};
use crate::{Admission, AppState, Incoming, Problem, Reply};

/// How long a connection may be silent: proxies commonly close those that are for a minute.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Marks the JSON of a reply as the whole of a stream, with what is said at its end: an array is told item by item.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(pub(crate) Value);

/// Calls the method named in the path, and answers with its items as they come. Its status is known with the first item:
/// what fails before is a problem as anywhere else. With an `Idempotency-Key` it is carried out once, from its beginning
/// to its end even if the caller goes away, and repeats get what came of it; a stranger's ends with its caller all the same.
///
/// # Errors
/// As [`calls::call_by_path`], and [`Incoming::once`].
pub async fn stream_by_path(state: &AppState, incoming: &Incoming, admission: &Admission, name: &str) -> Reply {
    let op = calls::operation(incoming)?;
    let data = calls::input(incoming)?;
    let (hooks, context) = (state.hooks.clone(), incoming.context.clone());
    let (invocation, method) = (incoming.invocation(admission), name.to_owned());
    let call = Box::pin(async move {
        let call = hooks.stream_method(&invocation, &method, op, data);
        context.in_hook("method", &method, call).await
    });
    let method = name.to_owned();
    let whole = move |outcome| calls::answer(outcome, Callable::Method, &method, op);
    match incoming.turn(state, Some(admission)).await? {
        Turn::Repeat(reply) => as_events(reply?).await,
        Turn::Unnamed => match call.await {
            MethodReply::Whole(outcome) => as_events(whole(outcome)?).await,
            MethodReply::Streaming(streaming) => Ok(reply(events(streaming, incoming.context.clone()))),
        },
        Turn::First(kept) => match carried_out::carry_out(kept, call, whole).await {
            carried_out::Answer::Whole(reply) => as_events(reply?).await,
            carried_out::Answer::Parts(parts) => Ok(reply(events(parts, incoming.context.clone()))),
        },
    }
}

/// Marks a reply with all items of a streamed answer, so that a repeat that takes events is told them one by one.
#[must_use]
pub fn in_pieces(mut response: Response) -> Response {
    response.extensions_mut().insert(Pieces(json!({})));
    response
}

/// A JSON reply as a stream: of the items of [`in_pieces`], else of one item. Others stay as they are.
///
/// # Errors
/// 500 when the body broke off.
pub async fn as_events(response: Response) -> Reply {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|of| of == "application/json");
    if response.status() != StatusCode::OK || !is_json {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let json = body.collect().await.map_err(|error| {
        tracing::error!(%error, "request failed");
        Problem::internal()
    })?;
    let json = json.to_bytes();
    let text = match parts.extensions.remove::<Pieces>() {
        Some(Pieces(summary)) => {
            let items = match serde_json::from_slice(&json) {
                Ok(Value::Array(items)) => items.iter().flat_map(item_of).collect(),
                // A text of no pieces.
                Ok(Value::String(text)) if text.is_empty() => Vec::new(),
                _ => item(&json),
            };
            [items, event("done", &summary).to_vec()].concat()
        }
        None => [item(&json), event("done", &json!({})).to_vec()].concat(),
    };
    let mut response = Response::from_parts(parts, Body::from(text));
    set_headers(&mut response);
    Ok(response)
}

fn item_of(value: &Value) -> Vec<u8> {
    item(value.to_string().as_bytes())
}

fn item(json: &[u8]) -> Vec<u8> {
    [b"data: ", json, b"\n\n"].concat()
}

fn reply(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(events.map(Ok::<_, std::convert::Infallible>)));
    set_headers(&mut response);
    response.extensions_mut().insert(EventStream);
    response
}

fn set_headers(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What nginx and those that follow it ask for to pass each event on at once.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

/// The events of a stream. Nothing is read ahead of whoever takes them.
fn events(
    streaming: impl Stream<Item = StreamPart> + Send + Unpin + 'static,
    context: RequestContext,
) -> impl Stream<Item = Bytes> + Send + 'static {
    context.note_events(0, "abandoned");
    stream::unfold((streaming, context, 0), |(mut streaming, context, mut sent)| async move {
        let bytes = match tokio::time::timeout(HEARTBEAT, streaming.next()).await {
            Err(_) => Bytes::from_static(b": \n\n"),
            Ok(part) => match part? {
                StreamPart::Item(item) => {
                    sent += 1;
                    context.note_events(sent, "abandoned");
                    Bytes::from(item_of(&item))
                }
                StreamPart::Done(summary) => {
                    context.note_events(sent, "done");
                    event("done", &summary)
                }
                StreamPart::Failed(failure) => {
                    context.note_events(sent, "failed");
                    event("error", &problem(failure, &context.id))
                }
            },
        };
        Some((bytes, (streaming, context, sent)))
    })
}

/// JSON has no line breaks of its own as it is written here, so that one line of data is all.
fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The problem document, with the seconds to wait that a reply has in its header.
fn problem(failure: HookFailure, request_id: &str) -> Value {
    let wait = failure.retry_after;
    let mut document = Problem::from(failure).document(request_id);
    if let (Some(members), Some(wait)) = (document.as_object_mut(), wait) {
        members.insert("retry_after".to_owned(), json!(wait.as_millis().div_ceil(1000).max(1)));
    }
    document
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_whole_is_told_in_the_pieces_it_was_made_of() {
        for (whole, items) in [
            (json!([1, ""]), "data: 1\n\ndata: \"\"\n\n"),
            (json!([]), ""),
            (json!("one two"), "data: \"one two\"\n\n"),
            (json!(""), ""),
        ] {
            let told = as_events(in_pieces(crate::json(StatusCode::OK, &whole))).await.unwrap();
            let told = told.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(told, format!("{items}event: done\ndata: {{}}\n\n"), "{whole}");
        }
        // What is no stream is one item, whatever it is.
        let told = as_events(crate::json(StatusCode::OK, &json!(""))).await.unwrap();
        let told = told.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(told, "data: \"\"\n\nevent: done\ndata: {}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_comments() {
        let parts = stream::unfold(0, |n| async move {
            // At once, after 10 s, after 40 s more.
            tokio::time::sleep(Duration::from_secs([0, 10, 40][n])).await;
            Some((if n < 2 { StreamPart::Item(json!(n)) } else { StreamPart::Done(json!({})) }, n + 1))
        });
        let begun = Instant::now();
        let events = events(Box::pin(parts.take(3)), RequestContext::unknown());
        let seen: Vec<_> = events.map(|event| (begun.elapsed().as_secs(), event)).collect().await;
        let expected: [(u64, &[u8]); 5] = [
            (0, b"data: 0\n\n"),
            (10, b"data: 1\n\n"),
            (25, b": \n\n"),
            (40, b": \n\n"),
            (50, b"event: done\ndata: {}\n\n"),
        ];
        assert_eq!(seen, expected.map(|(at, event)| (at, Bytes::from_static(event))));
    }
}
