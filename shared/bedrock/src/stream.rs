//! An answer as it is being written.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamOutput as Response;
use aws_sdk_bedrockruntime::types::{ContentBlockDelta, ConverseStreamOutput as Event, StopReason};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::time::Instant;

use crate::error::BedrockError;
use crate::ledger::Hold;
use crate::reply::{Reply, Usage};

/// One event of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The next piece of text.
    Text(String),
    /// The model stopped, and why. No text follows.
    Stop(StopReason),
    /// Tokens read and written; the last event.
    Usage(Usage),
}

/// A streamed answer. An actor's budget is settled when its last event arrives; one that is not read to its end, or breaks
/// off, counts as what was reserved for it. Ends after the model's last event, or with one error: an answer that broke off, or was not
/// complete at the deadline.
pub struct ConverseStream {
    begun: Instant,
    events: Pin<Box<dyn Stream<Item = Result<StreamEvent, BedrockError>> + Send>>,
}

struct State {
    response: Response,
    end: Instant,
    stopped: bool,
    over: bool,
    hold: Option<Hold>,
}

impl ConverseStream {
    pub(crate) fn new(response: Response, begun: Instant, end: Instant, hold: Hold) -> Self {
        let state = State { response, end, stopped: false, over: false, hold: Some(hold) };
        let events = stream::unfold(state, |mut state| async move {
            let event = state.next().await?;
            state.over = event.is_err();
            Some((event, state))
        });
        Self { begun, events: Box::pin(events) }
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// [`BedrockError::Stream`] when it breaks off, [`BedrockError::TimedOut`] at the deadline. To keep what came
    /// until then, read the events instead.
    pub async fn collect(mut self) -> Result<Reply, BedrockError> {
        let mut text = String::new();
        let mut stop_reason = None;
        let mut usage = Usage::default();
        while let Some(event) = self.next().await {
            match event? {
                StreamEvent::Text(piece) => text.push_str(&piece),
                StreamEvent::Stop(reason) => stop_reason = Some(reason),
                StreamEvent::Usage(tokens) => usage = tokens,
            }
        }
        // The stream itself fails when it ends without a stop event.
        let stop_reason = stop_reason.unwrap_or(StopReason::EndTurn);
        Ok(Reply { text, stop_reason, usage, latency: self.begun.elapsed() })
    }
}

impl State {
    async fn next(&mut self) -> Option<Result<StreamEvent, BedrockError>> {
        while !self.over {
            let Ok(received) = tokio::time::timeout_at(self.end, self.response.stream.recv()).await else {
                return Some(Err(BedrockError::TimedOut));
            };
            match received {
                Err(error) => return Some(Err(BedrockError::from_stream(&error))),
                Ok(None) if self.stopped => return None,
                Ok(None) => {
                    let cause = BedrockError::Unavailable { message: "it ended without a stop event".into() };
                    return Some(Err(cause.in_stream()));
                }
                Ok(Some(event)) => {
                    self.stopped |= event.is_message_stop();
                    // Other kinds of content (tool use, reasoning) are for those who use the SDK's client.
                    if let Some(event) = translate(event) {
                        if let StreamEvent::Usage(usage) = &event
                            && let Some(hold) = self.hold.take()
                        {
                            hold.settle(*usage).await;
                        }
                        return Some(Ok(event));
                    }
                }
            }
        }
        None
    }
}

fn translate(event: Event) -> Option<StreamEvent> {
    match event {
        Event::ContentBlockDelta(block) => match block.delta {
            Some(ContentBlockDelta::Text(text)) => Some(StreamEvent::Text(text)),
            _ => None,
        },
        Event::MessageStop(stop) => Some(StreamEvent::Stop(stop.stop_reason)),
        Event::Metadata(metadata) => metadata.usage.as_ref().map(|usage| StreamEvent::Usage(usage.into())),
        _ => None,
    }
}

impl Stream for ConverseStream {
    type Item = Result<StreamEvent, BedrockError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

impl fmt::Debug for ConverseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConverseStream").field("begun", &self.begun).finish_non_exhaustive()
    }
}
