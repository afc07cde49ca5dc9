//! What hooks can rely on, shown through the same calls the endpoints make.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails, panics")]

mod as_task;
mod bot;
mod build;
mod cancelled;
mod common;
mod errors;
mod extractors;
mod lifecycle;
mod limits;
mod matrix;
mod order;
mod properties;
mod retries;
mod schemas;
mod streams;
mod tasks;
mod watchdog;
