//! Streams that are carried out once: whoever asked may go away, and ask again for what came of it.

use actingweb_hooks::{Collected, StreamPart, Streaming};
use axum::body::Body;
use axum::response::Response;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::StatusCode;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::Pieces;
use crate::idempotency::Kept;
use crate::{Problem, json};

/// The parts of a stream as they come. It goes on to its end whether or not anybody reads them. Its end is told once the
/// whole is kept: whoever heard of it finds it when asking again, and Lambda, which may stop the process behind the last
/// event, cuts nothing off.
pub(super) fn to_its_end(
    mut streaming: Streaming,
    kept: Kept,
) -> impl Stream<Item = StreamPart> + Send + Unpin + 'static {
    let (reader, mut parts) = mpsc::channel(1);
    let carried_out = async move {
        let mut whole = Some(streaming.collected());
        while let Some(part) = streaming.next().await {
            match &part {
                StreamPart::Item(item) => {
                    let fits = whole.as_mut().is_some_and(|whole| whole.add(item.clone(), kept.limit()));
                    whole = whole.filter(|_| fits);
                }
                StreamPart::Done(summary) => {
                    let reply = reply(whole.take().map(Collected::value), summary);
                    drop(kept.keep(Ok(reply)).await);
                }
                StreamPart::Failed(failure) => drop(kept.keep(Err(Problem::from(failure.clone()))).await),
            }
            // Who went away may come back.
            let _ = reader.send(part).await;
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the reply ends after it, unless the caller goes away; the hook's deadline ends it in any case"
    )]
    tokio::spawn(carried_out.in_current_span());
    stream::poll_fn(move |cx| parts.poll_recv(cx))
}

/// What is kept of a stream that came to its end; a body of unknown length is what was too large.
fn reply(whole: Option<Value>, summary: &Value) -> Response {
    let mut response = match whole {
        Some(whole) => json(StatusCode::OK, &whole),
        None => Response::new(Body::from_stream(stream::empty::<Result<Vec<u8>, std::convert::Infallible>>())),
    };
    response.extensions_mut().insert(Pieces(summary.clone()));
    response
}
