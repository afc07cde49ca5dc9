//! A streamed answer as `application/vnd.amazon.eventstream` frames.

use std::io;
use std::time::Duration;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use axum::body::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::{Value, json};

use super::Gate;
use super::script::{Ending, Script};

/// What goes over the connection next.
#[derive(Debug)]
pub(super) enum Frame {
    Bytes(Bytes),
    /// A piece of text, which waits for the gate.
    Text(Bytes),
    HangUp,
    Stall,
}

/// The frames of an answer: one piece of text per word.
pub(super) fn answer(text: &str, usage: &Value, script: &Script) -> Vec<Frame> {
    let sent = match &script.ending {
        Ending::Complete => usize::MAX,
        Ending::Exception { after, .. }
        | Ending::HangUp { after }
        | Ending::Short { after }
        | Ending::Stall { after } => *after,
    };
    let mut frames = vec![event("messageStart", &json!({"role": "assistant"}))];
    frames.extend(
        text.split_inclusive(' ').take(sent).map(|piece| {
            event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": piece}})).gated()
        }),
    );
    match &script.ending {
        Ending::Complete => frames.extend([
            event("contentBlockStop", &json!({"contentBlockIndex": 0})),
            event("messageStop", &json!({"stopReason": "end_turn"})),
            event("metadata", &json!({"usage": usage, "metrics": {"latencyMs": script.delay_ms()}})),
        ]),
        Ending::Exception { fault, .. } => {
            let (_, _, message) = fault.answer();
            frames.push(frame("exception", ":exception-type", fault.in_stream(), &json!({"message": message})));
        }
        Ending::HangUp { .. } => frames.push(Frame::HangUp),
        Ending::Stall { .. } => frames.push(Frame::Stall),
        Ending::Short { .. } => {}
    }
    frames
}

/// The frames as a body, each after a wait, pieces of text once the gate lets them through.
pub(super) fn paced(
    frames: Vec<Frame>,
    pace: Duration,
    gate: Option<Gate>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::iter(frames).then(move |frame| {
        let gate = gate.clone();
        async move {
            tokio::time::sleep(pace).await;
            match (frame, gate) {
                (Frame::Bytes(bytes), _) | (Frame::Text(bytes), None) => Ok(bytes),
                (Frame::Text(bytes), Some(gate)) => {
                    gate.pass().await;
                    Ok(bytes)
                }
                (Frame::HangUp, _) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "the script hangs up here")),
                (Frame::Stall, _) => std::future::pending().await,
            }
        }
    })
}

/// Lets the first piece of text pass whatever gate there is.
pub(super) fn release_first(frames: &mut [Frame]) {
    if let Some(frame) = frames.iter_mut().find(|frame| matches!(frame, Frame::Text(_)))
        && let Frame::Text(bytes) = frame
    {
        *frame = Frame::Bytes(bytes.clone());
    }
}

impl Frame {
    fn gated(self) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Text(bytes),
            other => other,
        }
    }
}

fn event(kind: &'static str, payload: &Value) -> Frame {
    frame("event", ":event-type", kind, payload)
}

fn frame(message_type: &'static str, kind_header: &'static str, kind: &'static str, payload: &Value) -> Frame {
    let text = |value: &'static str| HeaderValue::String(value.into());
    let message = Message::new(Bytes::from(payload.to_string()))
        .add_header(Header::new(":message-type", text(message_type)))
        .add_header(Header::new(kind_header, text(kind)))
        .add_header(Header::new(":content-type", text("application/json")));
    let mut buffer = Vec::new();
    match write_message_to(&message, &mut buffer) {
        Ok(()) => Frame::Bytes(buffer.into()),
        // Only a payload of more than 16 MB cannot be framed; the client then sees the stream break off.
        Err(_) => Frame::HangUp,
    }
}
