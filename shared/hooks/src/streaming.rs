//! Carries a streamed answer from its hook to whoever reads it: piece by piece, or whole.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::call::{Invocation, Op};
use crate::dispatch::{CallOutcome, Hooks};
use crate::error::{HookError, HookFailure, Stop};
use crate::hook::Step;
use crate::streamed::{Part, Parts};

/// The longest answer that is collected for a caller who takes no events, in bytes of JSON: what Lambda replies at most.
pub const MAX_COLLECTED_BYTES: usize = 6_000_000;

/// What a method hook gives.
#[doc(hidden)]
#[derive(Debug)]
pub enum MethodAnswer {
    /// All of it.
    Whole(Value),
    /// Where it comes from.
    Streamed(Parts),
}

impl MethodAnswer {
    /// All of it, once it is there.
    pub(crate) fn whole(self) -> Step<Value> {
        match self {
            Self::Whole(value) => Step::Done(Ok(value)),
            Self::Streamed(parts) => Step::Await(Box::pin(collect(parts))),
        }
    }

    /// All of it, unless it is streamed: then its items go to `reader`, and what is left is what its end says.
    fn sent_to(self, reader: mpsc::Sender<Sent>) -> Step<Value> {
        match self {
            Self::Whole(value) => Step::Done(Ok(value)),
            Self::Streamed(parts) => Step::Await(Box::pin(send(parts, reader))),
        }
    }
}

async fn collect(Parts { mut parts, are_texts }: Parts) -> Result<Value, HookError> {
    let mut whole = Collected::new(are_texts);
    while let Some(part) = parts.next().await {
        let Part::Item(item) = part? else { continue };
        if !whole.add(item, MAX_COLLECTED_BYTES) {
            return Err(HookError::TooLarge(format!(
                "this answer is larger than {MAX_COLLECTED_BYTES} bytes: have it streamed, with `Accept: text/event-stream`"
            )));
        }
    }
    Ok(whole.value())
}

/// A streamed answer as callers get it that take no events: of texts the one text, of anything else an array.
#[derive(Debug)]
pub struct Collected {
    are_texts: bool,
    text: String,
    items: Vec<Value>,
    bytes: usize,
}

impl Collected {
    /// Collects items, of a stream of texts if they are.
    #[must_use]
    pub fn new(are_texts: bool) -> Self {
        Self { are_texts, text: String::new(), items: Vec::new(), bytes: 2 }
    }

    /// Takes the next item. False, and it holds nothing any more, once it would have more than `limit` bytes of JSON.
    pub fn add(&mut self, item: Value, limit: usize) -> bool {
        let json = item.to_string().len();
        // Texts are joined, without their quotes; anything else gets a comma.
        let is_piece = self.are_texts && item.is_string();
        self.bytes = self.bytes.saturating_add(if is_piece { json.saturating_sub(2) } else { json.saturating_add(1) });
        if self.bytes > limit {
            (self.text, self.items) = (String::new(), Vec::new());
            return false;
        }
        match item {
            Value::String(piece) if self.are_texts => self.text.push_str(&piece),
            item => self.items.push(item),
        }
        true
    }

    /// All that it took.
    #[must_use]
    pub fn value(self) -> Value {
        if self.are_texts { Value::String(self.text) } else { Value::Array(self.items) }
    }
}

async fn send(Parts { mut parts, are_texts }: Parts, reader: mpsc::Sender<Sent>) -> Result<Value, HookError> {
    let mut summary = json!({});
    let gone = |_| HookError::terminal("nobody reads this stream any more");
    reader.send(Sent::Begin { are_texts }).await.map_err(gone)?;
    while let Some(part) = parts.next().await {
        match part? {
            Part::Item(item) => reader.send(Sent::Item(item)).await.map_err(gone)?,
            Part::Summary(said) => summary = said,
        }
    }
    Ok(summary)
}

/// What a running hook tells its reader.
enum Sent {
    /// What follows is streamed.
    Begin {
        are_texts: bool,
    },
    Item(Value),
}

/// How a method answers a caller that takes a stream.
#[derive(Debug)]
pub enum MethodReply {
    /// At once, or not at all.
    Whole(CallOutcome),
    /// Piece by piece. Its first item is there, or its end.
    Streaming(Streaming),
}

/// A streamed answer under way. Dropping it ends the hook.
pub struct Streaming {
    are_texts: bool,
    first: Option<Value>,
    items: mpsc::Receiver<Sent>,
    run: Run,
    is_over: bool,
}

/// One thing a streamed answer tells.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamPart {
    /// The next item.
    Item(Value),
    /// That was all; an object with what is to be said of the whole.
    Done(Value),
    /// It broke off. The failure was logged already.
    Failed(HookFailure),
}

/// The hook's run: a task of its own, so that its deadline holds also while nobody reads. Aborted when dropped.
struct Run {
    hook: String,
    task: JoinSet<CallOutcome>,
}

impl Run {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CallOutcome> {
        Poll::Ready(match ready!(self.task.poll_join_next(cx)) {
            Some(Ok(outcome)) => outcome,
            // Panics of hooks are caught in the engine: this is the runtime's end, or a flaw of the framework's own.
            Some(Err(error)) => CallOutcome::Failed(Stop::Panicked(error.to_string()).into_failure(&self.hook)),
            None => CallOutcome::Nothing,
        })
    }
}

impl Hooks {
    /// Whether a hook of this method streams its answer.
    #[must_use]
    pub fn streams(&self, method: &str) -> bool {
        self.0.methods.answering(method).iter().any(|hook| hook.signature.streams)
    }

    /// Calls a method for a caller that takes a stream. What fails before the first item is a [`MethodReply::Whole`].
    pub async fn stream_method(&self, invocation: &Invocation, name: &str, op: Op, data: Value) -> MethodReply {
        if !self.streams(name) {
            return MethodReply::Whole(self.call_method(invocation, name, op, data).await);
        }
        // One item may wait, one more is in the hand of the hook.
        let (reader, mut items) = mpsc::channel(1);
        let mut run = Run { hook: name.to_owned(), task: JoinSet::new() };
        let (hooks, invocation, name) = (self.clone(), invocation.clone(), name.to_owned());
        let work = async move {
            let table = &hooks.0.methods;
            hooks.first_answer(table, &invocation, &name, op, data, |answer| answer.sent_to(reader.clone())).await
        };
        run.task.spawn(work.in_current_span());
        let mut begun = None;
        let first = loop {
            match items.recv().await {
                Some(Sent::Begin { are_texts }) => begun = Some(are_texts),
                Some(Sent::Item(item)) => break Some(item),
                None => break None,
            }
        };
        let are_texts = begun.unwrap_or_default();
        if first.is_some() {
            return MethodReply::Streaming(Streaming { are_texts, first, items, run, is_over: false });
        }
        match std::future::poll_fn(|cx| run.poll(cx)).await {
            CallOutcome::Answer(summary) if begun.is_some() => {
                // A stream without items. The run is over, so it is put back as one that ends with this.
                run.task.spawn(async move { CallOutcome::Answer(summary) });
                MethodReply::Streaming(Streaming { are_texts, first: None, items, run, is_over: false })
            }
            outcome => MethodReply::Whole(outcome),
        }
    }
}

impl Streaming {
    /// What collects its items, for a caller that will not have read them one by one.
    #[must_use]
    pub fn collected(&self) -> Collected {
        Collected::new(self.are_texts)
    }
}

impl Stream for Streaming {
    type Item = StreamPart;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StreamPart>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(item) = self.first.take() {
            return Poll::Ready(Some(StreamPart::Item(item)));
        }
        loop {
            match ready!(self.items.poll_recv(cx)) {
                Some(Sent::Begin { .. }) => {}
                Some(Sent::Item(item)) => return Poll::Ready(Some(StreamPart::Item(item))),
                None => break,
            }
        }
        let outcome = ready!(self.run.poll(cx));
        self.is_over = true;
        Poll::Ready(Some(match outcome {
            CallOutcome::Answer(summary) => StreamPart::Done(summary),
            CallOutcome::Failed(failure) => StreamPart::Failed(failure),
            CallOutcome::Nothing | CallOutcome::Unknown => StreamPart::Done(json!({})),
        }))
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("hook", &self.run.hook).finish_non_exhaustive()
    }
}
