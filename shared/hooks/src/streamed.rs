//! What a method hook returns when its answer comes piece by piece.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actingweb_bedrock::{ConverseStream, StreamEvent};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::error::HookError;

/// An answer of a method hook that comes piece by piece: `Result<Streamed<T>, HookError>`, `T: Serialize + JsonSchema`.
///
/// A caller that accepts `text/event-stream` gets each item as soon as it is there, any other caller all of them in one
/// reply: a JSON array, or for texts (`Streamed<String>`) one string. The hook's deadline, its place among
/// [`Limits::concurrent_hooks`](crate::Limits::concurrent_hooks), its tasks and the watchdog cover the stream to its end.
/// No more than a few items wait for a slow caller. When the caller goes away, the stream is dropped; one whose request has
/// an `Idempotency-Key` goes on to its end for whoever asks again, unless anybody could have sent it.
///
/// ```
/// use actingweb_hooks::prelude::*;
/// use futures_util::stream;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Launch { from: u32 }
///
/// async fn countdown(Input(launch): Input<Launch>) -> Result<Streamed<u32>, HookError> {
///     Ok(Streamed::new(stream::iter((0..=launch.from).rev().map(Ok))))
/// }
///
/// // What a model says, as it says it.
/// async fn draft(Input(topic): Input<String>, bedrock: Bedrock) -> Result<Streamed<String>, HookError> {
///     Ok(bedrock.converse_stream(format!("A headline on {topic}")).await?.into())
/// }
/// let app = App::new("urn:actingweb:example.com:demo").method("countdown", countdown).method("draft", draft);
/// ```
///
/// When not to use it: for what is there all at once, and for actions and resources, which answer whole.
#[must_use = "a stream that is not returned is not sent"]
pub struct Streamed<T>(BoxStream<'static, Result<Part<T>, HookError>>);

/// What a stream brings.
#[derive(Debug)]
pub(crate) enum Part<T> {
    Item(T),
    /// What is said of the whole at its end.
    Summary(Value),
}

impl<T: Send + 'static> Streamed<T> {
    /// The items of a stream. The first error ends it: before the first item it is the reply, after that the last event.
    pub fn new(items: impl Stream<Item = Result<T, HookError>> + Send + 'static) -> Self {
        Self(items.map(|item| item.map(Part::Item)).boxed())
    }

    /// For those who would rather push: what `work` sends. It runs as a part of the stream, so that it is dropped with it,
    /// and stops at each [`send`](Outlet::send) until the item before was taken.
    ///
    /// ```
    /// # use actingweb_hooks::prelude::*;
    /// async fn prices(services: Services, http: Http) -> Result<Streamed<Value>, HookError> {
    ///     Ok(Streamed::produce(|outlet| async move {
    ///         for share in ["ACME", "EMCA"] {
    ///             let url = services.join("quotes", share)?;
    ///             outlet.send(http.get(url).send().await?.json().await?).await?;
    ///         }
    ///         Ok(())
    ///     }))
    /// }
    /// ```
    pub fn produce<F, Fut>(work: F) -> Self
    where
        F: FnOnce(Outlet<T>) -> Fut,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(1);
        let work: BoxFuture<'static, _> = Box::pin(work(Outlet(sender)));
        Self::new(Produced { items, work: Some(work), failed: None })
    }
}

/// The text of a model's answer as it is written. Its `done` event says why the model stopped, and the tokens used:
/// `{"stop_reason", "usage": {"input_tokens", "output_tokens"}}`.
impl From<ConverseStream> for Streamed<String> {
    fn from(answer: ConverseStream) -> Self {
        let parts = stream::unfold((answer, json!({}), false), |(mut answer, mut summary, is_over)| async move {
            if is_over {
                return None;
            }
            loop {
                let (part, is_over) = match answer.next().await {
                    Some(Ok(StreamEvent::Text(text))) => (Ok(Part::Item(text)), false),
                    Some(Ok(StreamEvent::Stop(reason))) => {
                        note(&mut summary, "stop_reason", reason.as_str().into());
                        continue;
                    }
                    Some(Ok(StreamEvent::Usage(usage))) => {
                        note(&mut summary, "usage", json!(usage));
                        continue;
                    }
                    Some(Err(error)) => (Err(error.into()), true),
                    None => (Ok(Part::Summary(summary.take())), true),
                };
                return Some((part, (answer, summary, is_over)));
            }
        });
        Self(parts.boxed())
    }
}

fn note(summary: &mut Value, name: &str, value: Value) {
    if let Some(members) = summary.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// Its items: for tests of a hook that are written as a call of its function.
impl<T> Stream for Streamed<T> {
    type Item = Result<T, HookError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return match self.0.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Part::Item(item)))) => Poll::Ready(Some(Ok(item))),
                Poll::Ready(Some(Ok(Part::Summary(_)))) => continue,
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

impl<T> fmt::Debug for Streamed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streamed(..)")
    }
}

/// Where [`Streamed::produce`] puts its items.
#[derive(Debug)]
pub struct Outlet<T>(mpsc::Sender<T>);

impl<T: Send> Outlet<T> {
    /// Sends an item, once there is room: at most one waits to be taken.
    ///
    /// # Errors
    /// When nobody reads any more, which only work outside the stream can notice: inside, it is dropped then.
    pub async fn send(&self, item: T) -> Result<(), HookError> {
        self.0.send(item).await.map_err(|_| HookError::terminal("nobody reads this stream any more"))
    }
}

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What is sent, and the work that sends it.
struct Produced<T> {
    items: mpsc::Receiver<T>,
    work: Option<BoxFuture<'static, Result<(), HookError>>>,
    failed: Option<HookError>,
}

impl<T> Stream for Produced<T> {
    type Item = Result<T, HookError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(work) = &mut self.work
            && let Poll::Ready(ended) = work.as_mut().poll(cx)
        {
            self.work = None;
            self.failed = ended.err();
        }
        match self.items.poll_recv(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Some(Ok(item))),
            // What was sent before it failed comes before the error, which others that still may send do not delay.
            Poll::Ready(None) | Poll::Pending if self.failed.is_some() => Poll::Ready(self.failed.take().map(Err)),
            Poll::Ready(None) if self.work.is_none() => Poll::Ready(None),
            // All senders are gone, the work is not done.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// A stream's parts as JSON, whatever it streams.
#[doc(hidden)]
pub struct Parts {
    pub(crate) parts: BoxStream<'static, Result<Part<Value>, HookError>>,
    /// Whether its items are texts, of which the whole is a text, too.
    pub(crate) are_texts: bool,
}

impl Parts {
    pub(crate) fn of<T: Serialize + 'static>(streamed: Streamed<T>) -> Self {
        let json = |part: Result<Part<T>, HookError>| match part? {
            Part::Item(item) => Ok(Part::Item(serde_json::to_value(item)?)),
            Part::Summary(summary) => Ok(Part::Summary(summary)),
        };
        Self { parts: streamed.0.map(json).boxed(), are_texts: is_text::<T>() }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("are_texts", &self.are_texts).finish_non_exhaustive()
    }
}

/// Whether a stream of `T` is one text in pieces.
pub(crate) fn is_text<T: 'static>() -> bool {
    let texts = [
        TypeId::of::<String>(),
        TypeId::of::<&'static str>(),
        TypeId::of::<Cow<'static, str>>(),
        TypeId::of::<Box<str>>(),
        TypeId::of::<Arc<str>>(),
    ];
    texts.contains(&TypeId::of::<T>())
}
