//! Streams that are carried out once: whoever asked may go away, and ask again for what came of it.

use std::panic::resume_unwind;
use std::time::Duration;

use actingweb_hooks::{CallOutcome, Collected, HookFailure, MethodReply, StreamPart};
use axum::body::Body;
use axum::response::Response;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::StatusCode;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::Pieces;
use crate::idempotency::Kept;
use crate::{Problem, Reply, json};

/// How long a part may wait for its reader. A connection whose other end is gone without a word looks like a slow one, and
/// the hook's deadline does not wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a call that is carried out once answers.
pub(super) enum Answer<S> {
    /// At once, or not at all; it is kept.
    Whole(Reply),
    /// Piece by piece.
    Parts(S),
}

/// The call as a task of its own. It ends with whoever holds this, unless it outlives its caller.
struct Run {
    task: JoinSet<()>,
    outlives: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.outlives {
            self.task.detach_all();
        }
    }
}

/// Carries a call out, from its beginning to its end whether or not anybody waits for it, reads it or is still there; that
/// of a stranger, who could leave any number behind, ends with its connection. Its end is told once the whole is kept:
/// whoever heard of it finds it when asking again, and Lambda, which may stop the process behind the last event, cuts
/// nothing off.
pub(super) async fn carry_out(
    kept: Kept,
    call: impl Future<Output = MethodReply> + Send + 'static,
    whole: impl FnOnce(CallOutcome) -> Reply + Send + 'static,
) -> Answer<impl Stream<Item = StreamPart> + Send + Unpin + 'static> {
    let mut run = Run { task: JoinSet::new(), outlives: !kept.is_of_a_stranger() };
    let (begun, answer) = oneshot::channel();
    let work = async move {
        let mut streaming = match kept.guard(call).await {
            MethodReply::Streaming(streaming) => streaming,
            MethodReply::Whole(outcome) => {
                let reply = kept.keep(whole(outcome)).await;
                // Whoever is not there any more may ask again.
                drop(begun.send(Answer::Whole(reply)));
                return;
            }
        };
        let (reader, parts) = mpsc::channel(1);
        drop(begun.send(Answer::Parts(parts)));
        let mut reader = Reader { parts: reader, listens: true };
        let whole = streaming.collected();
        if let Some((end, reply)) = read(&mut streaming, &mut reader, whole, kept.limit()).await {
            drop(kept.keep(reply).await);
            reader.tell(end).await;
        }
    };
    run.task.spawn(work.in_current_span());
    match answer.await {
        Ok(Answer::Whole(reply)) => Answer::Whole(reply),
        Ok(Answer::Parts(mut parts)) => Answer::Parts(stream::poll_fn(move |cx| {
            // Held as long as somebody reads.
            let _held = &run;
            parts.poll_recv(cx)
        })),
        Err(_) => Answer::Whole(match run.task.join_next().await {
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime's end.
            _ => Err(Problem::internal()),
        }),
    }
}

/// Reads a call's parts to its end: gives the last, and what is to be kept of the whole.
async fn read(
    parts: &mut (impl Stream<Item = StreamPart> + Unpin),
    reader: &mut Reader,
    whole: Collected,
    limit: usize,
) -> Option<(StreamPart, Reply)> {
    let mut whole = Some(whole);
    while let Some(part) = parts.next().await {
        let reply = match &part {
            StreamPart::Item(item) => {
                let fits = whole.as_mut().is_some_and(|whole| whole.add(item.clone(), limit));
                whole = whole.filter(|_| fits);
                reader.tell(part).await;
                continue;
            }
            StreamPart::Done(summary) => Ok(reply(whole.take().map(Collected::value), summary)),
            StreamPart::Failed(failure) => Err(Problem::from(HookFailure::clone(failure))),
        };
        return Some((part, reply));
    }
    None
}

/// Whoever takes the parts as they come. Its reply ends with this, and not when it is given up: Lambda may stop the process
/// behind a reply.
struct Reader {
    parts: mpsc::Sender<StreamPart>,
    listens: bool,
}

impl Reader {
    /// Waits for it, until it has gone away or kept the call waiting for too long. Then it is told nothing more, not even
    /// the end.
    async fn tell(&mut self, part: StreamPart) {
        if self.listens {
            self.listens = matches!(timeout(PATIENCE, self.parts.send(part)).await, Ok(Ok(())));
        }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    /// A call of 1.2 MB in twelve items, for a reader that takes as many parts as it says and then stalls; gives what it
    /// took, the last part, whether the whole was kept, and the seconds it all took.
    async fn read_by(takes: usize, limit: usize) -> (Vec<StreamPart>, StreamPart, bool, u64) {
        let items = (0..12).map(|n| StreamPart::Item(json!(n.to_string().repeat(100_000))));
        let mut parts = stream::iter(items.chain([StreamPart::Done(json!({}))]));
        let (sender, mut taken) = mpsc::channel(1);
        let mut reader = Reader { parts: sender, listens: true };
        let begun = Instant::now();
        let carried_out = async {
            let (end, reply) = read(&mut parts, &mut reader, Collected::new(true), limit).await.expect("an end");
            reader.tell(end.clone()).await;
            (end, reply.is_ok_and(|reply| reply.headers().contains_key("content-type")))
        };
        let stalls = async {
            let mut took = Vec::new();
            while took.len() < takes {
                took.push(taken.recv().await.expect("a part"));
            }
            took
        };
        let ((end, is_kept), took) = tokio::join!(carried_out, stalls);
        let elapsed = begun.elapsed().as_secs();
        // Whoever looks again later finds what waited, and no end.
        drop(reader);
        let mut rest = took;
        while let Some(part) = taken.recv().await {
            rest.push(part);
        }
        (rest, end, is_kept, elapsed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_keeps_nothing_from_its_end() {
        let whole = StreamPart::Done(json!({}));
        for (takes, found) in [(0, 1), (3, 4), (11, 12)] {
            let (parts, end, is_kept, waited) = read_by(takes, 10_000_000).await;
            assert_eq!((parts.len(), &end, is_kept), (found, &whole, true), "{takes}");
            assert!(!parts.contains(&whole), "{takes}: what it missed is not all");
            assert_eq!(waited, PATIENCE.as_secs(), "{takes}: it is waited for once");
        }
        let (parts, _, is_kept, waited) = read_by(13, 10_000_000).await;
        assert_eq!((parts.last(), is_kept, waited), (Some(&whole), true, 0));
        let (_, end, is_kept, _) = read_by(0, 1_000_000).await;
        assert_eq!((&end, is_kept), (&whole, false), "more than is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_away_is_not_waited_for() {
        let (sender, parts) = mpsc::channel(1);
        drop(parts);
        let mut reader = Reader { parts: sender, listens: true };
        let mut parts = stream::iter((0..3).map(|n| StreamPart::Item(json!(n))).chain([StreamPart::Done(json!({}))]));
        let begun = Instant::now();
        let read = read(&mut parts, &mut reader, Collected::new(false), 100).await;
        assert!(read.is_some_and(|(end, reply)| end == StreamPart::Done(json!({})) && reply.is_ok()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
