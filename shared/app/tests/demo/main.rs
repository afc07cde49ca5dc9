//! The demo's hooks, called the way the framework's endpoints call them: an actor on the embedded engine, services and
//! Bedrock as stand-ins on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod at_once;
mod examples;
mod log;
mod mixed;
mod peers;
mod plain;
mod properties;
mod world;
