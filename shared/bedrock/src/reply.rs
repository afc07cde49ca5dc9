//! What a model answered.

use std::time::Duration;

use aws_sdk_bedrockruntime::types::{StopReason, TokenUsage};
use serde::Serialize;

/// A model's complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The text, all text blocks joined.
    pub text: String,
    /// Why the model stopped: `EndTurn` when it had said what it had to say, `MaxTokens` when it was cut off.
    pub stop_reason: StopReason,
    /// Tokens read and written, which is what is paid for.
    pub usage: Usage,
    /// From sending the request to the last byte, as seen here, tries that failed included.
    pub latency: Duration,
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
}

impl From<&TokenUsage> for Usage {
    fn from(usage: &TokenUsage) -> Self {
        let count = |tokens: i32| u32::try_from(tokens).unwrap_or(0);
        Self { input_tokens: count(usage.input_tokens()), output_tokens: count(usage.output_tokens()) }
    }
}
