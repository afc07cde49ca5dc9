//! Amazon Bedrock for hooks.
//!
//! [`Bedrock`] wraps `aws-sdk-bedrockruntime`: [`converse`](Bedrock::converse), [`converse_stream`](Bedrock::converse_stream)
//! and [`invoke_model`](Bedrock::invoke_model), each within the invocation's deadline, with typed errors and one retry
//! policy. What is not wrapped is reached through [`Bedrock::client`].
//!
//! The settings: `ACTINGWEB_BEDROCK_MODEL` (the model or inference profile), `AWS_REGION` and AWS credentials, and
//! `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` to call a stand-in.

mod client;
mod error;
mod ledger;
mod prompt;
mod reply;
mod stream;
mod tokens;

pub use actingweb_protocol::budget::{Allowance, BedrockBudget, BudgetSpent, Cost, Counted, Per, Reservation};
pub use actingweb_protocol::retry::Retry;
pub use aws_sdk_bedrockruntime::types::StopReason;

pub use client::Bedrock;
pub use error::BedrockError;
pub use ledger::{Hold, Ledger};
pub use prompt::Prompt;
pub use reply::{Reply, Usage};
pub use stream::{ConverseStream, StreamEvent};
