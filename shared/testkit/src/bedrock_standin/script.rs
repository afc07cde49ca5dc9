//! What the stand-in does with the calls it gets.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Call, Gate};

/// How calls are answered. The default answers at once, with a text that depends on the prompt alone.
#[derive(Clone, Debug, Default)]
pub struct Script {
    reply: Option<String>,
    invocation: Option<Value>,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    pub(super) delay: Duration,
    pub(super) pace: Duration,
    pub(super) ending: Ending,
    pub(super) gate: Option<Gate>,
}

impl Script {
    /// Every call is answered at once with a short summary that counts the prompt's words.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Converse and ConverseStream answer with this text.
    #[must_use]
    pub fn reply(mut self, text: impl Into<String>) -> Self {
        self.reply = Some(text.into());
        self
    }

    /// InvokeModel answers with this JSON.
    #[must_use]
    pub fn invocation(mut self, reply: Value) -> Self {
        self.invocation = Some(reply);
        self
    }

    /// Every call, failing ones too, waits this long before the first byte of its answer.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Streamed answers wait this long before each frame.
    #[must_use]
    pub const fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// Each piece of text of a streamed answer waits for this gate.
    #[must_use]
    pub fn gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The next call fails so. Given several times, as many calls fail, in this order; then calls work again.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push_back(fault);
        self
    }

    /// Every call fails so, after those of [`fault`](Self::fault).
    #[must_use]
    pub fn always(mut self, fault: Fault) -> Self {
        self.always = Some(fault);
        self
    }

    /// How streamed answers end.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    pub(super) fn next_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front().or_else(|| self.always.clone())
    }

    pub(super) fn delay_ms(&self) -> u64 {
        u64::try_from(self.delay.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn text_for(&self, request: &Value) -> String {
        if let Some(reply) = &self.reply {
            return reply.clone();
        }
        let (messages, words) = prompt_size(request);
        format!("Summary: {words} words in {messages} message(s).")
    }

    pub(super) fn answer_invocation(&self, call: &Call) -> Value {
        self.invocation.clone().unwrap_or_else(|| {
            let words = words(&call.body.to_string());
            json!({"model": call.model, "completion": format!("Summary: {words} words."), "input": call.body})
        })
    }
}

/// What the API would report: here a token is a word.
pub(super) fn usage(request: &Value, reply: &str) -> Value {
    let (input, output) = (prompt_size(request).1, words(reply));
    json!({"inputTokens": input, "outputTokens": output, "totalTokens": input + output})
}

/// The same of an invocation: the words of what was sent and of what is answered.
pub(super) fn invocation_usage(request: &Value, reply: &Value) -> [usize; 2] {
    [words(&request.to_string()), words(&reply.to_string())]
}

/// The messages of a Converse request, and the words in them and in the system prompt.
fn prompt_size(request: &Value) -> (usize, usize) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts =
        |blocks: &Value| list(blocks).iter().filter_map(|block| block["text"].as_str().map(words)).sum::<usize>();
    let messages = list(&request["messages"]);
    let said: usize = messages.iter().map(|message| texts(&message["content"])).sum();
    (messages.len(), said + texts(&request["system"]))
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// How a streamed answer ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    #[default]
    Complete,
    /// With an exception frame, after this many pieces of text.
    Exception {
        /// Pieces of text sent before.
        after: usize,
        /// The exception.
        fault: Fault,
    },
    /// The connection is cut after this many pieces of text.
    HangUp {
        /// Pieces of text sent before.
        after: usize,
    },
    /// The stream ends in order, but before the model's stop event.
    Short {
        /// Pieces of text sent before.
        after: usize,
    },
    /// Nothing more comes after this many pieces of text, and the connection stays open.
    Stall {
        /// Pieces of text sent before.
        after: usize,
    },
}

/// A failure as Bedrock reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 `ThrottlingException`.
    Throttled {
        /// Sent as `Retry-After`, rounded up to seconds.
        retry_after: Option<Duration>,
    },
    /// 403 `AccessDeniedException`.
    Denied,
    /// 404 `ResourceNotFoundException`.
    NoSuchModel,
    /// 400 `ValidationException`.
    Invalid,
    /// 429 `ModelNotReadyException`.
    NotReady,
    /// 503 `ServiceUnavailableException`.
    Unavailable,
    /// 500 `InternalServerException`.
    Internal,
    /// 424 `ModelErrorException`, in a stream `ModelStreamErrorException`.
    Model,
    /// 404 without a meaning of its own: a path nobody serves.
    Unknown,
}

impl Fault {
    /// Throttling that names no time to wait.
    #[must_use]
    pub const fn throttled() -> Self {
        Self::Throttled { retry_after: None }
    }

    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Throttled { retry_after } => retry_after.map(|wait| wait.as_millis().div_ceil(1000) as u64),
            _ => None,
        }
    }

    pub(super) const fn answer(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Throttled { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", "Too many requests, please wait.")
            }
            Self::Denied => (StatusCode::FORBIDDEN, "AccessDeniedException", "You don't have access to this model."),
            Self::NoSuchModel => {
                (StatusCode::NOT_FOUND, "ResourceNotFoundException", "Could not resolve the foundation model.")
            }
            Self::Invalid => (StatusCode::BAD_REQUEST, "ValidationException", "The request is not valid."),
            Self::NotReady => (StatusCode::TOO_MANY_REQUESTS, "ModelNotReadyException", "The model is not ready."),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "The service is unavailable.")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", "An internal error occurred.")
            }
            Self::Model => (StatusCode::FAILED_DEPENDENCY, "ModelErrorException", "The model failed."),
            Self::Unknown => (StatusCode::NOT_FOUND, "UnknownOperationException", "There is no such operation."),
        }
    }

    /// The exception's name inside a stream.
    pub(super) const fn in_stream(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttlingException",
            Self::Unavailable | Self::NotReady => "serviceUnavailableException",
            Self::Model => "modelStreamErrorException",
            Self::Invalid | Self::Denied | Self::NoSuchModel | Self::Unknown => "validationException",
            Self::Internal => "internalServerException",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_answer_counts_and_never_changes() {
        let request = json!({
            "system": [{"text": "Be brief."}],
            "messages": [{"content": [{"text": "one two"}, {"image": {}}]}, {"content": [{"text": "three"}]}],
        });
        let script = Script::new();
        assert_eq!(script.text_for(&request), "Summary: 5 words in 2 message(s).");
        assert_eq!(script.text_for(&request), script.text_for(&request));
        assert_eq!(script.text_for(&Value::Null), "Summary: 0 words in 0 message(s).");
    }

    #[test]
    fn faults_come_in_order_and_then_the_lasting_one() {
        let mut script = Script::new().fault(Fault::Internal).fault(Fault::Denied);
        assert_eq!(script.next_fault(), Some(Fault::Internal));
        assert_eq!(script.next_fault(), Some(Fault::Denied));
        assert_eq!(script.next_fault(), None);
        let mut script = script.always(Fault::Model);
        assert_eq!([script.next_fault(), script.next_fault()], [Some(Fault::Model), Some(Fault::Model)]);
    }

    #[test]
    fn a_wait_is_rounded_up_to_seconds() {
        let wait = |millis| Fault::Throttled { retry_after: Some(Duration::from_millis(millis)) }.retry_after_seconds();
        assert_eq!([wait(0), wait(1), wait(1000), wait(1001)], [Some(0), Some(1), Some(1), Some(2)]);
        assert_eq!(Fault::throttled().retry_after_seconds(), None);
    }
}
