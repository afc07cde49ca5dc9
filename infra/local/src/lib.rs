//! The local stack: every function in one process on 127.0.0.1, over an embedded DynamoDB engine, with stand-ins for
//! what the demo calls. The same routers and the same AWS SDK as on Lambda.
//!
//! `cargo run` starts it; tests call [`start_app`] with [`Options::in_memory`], tests of an application start with
//! [`testing`].

mod background;
mod data;
mod dead_letters;
mod deliveries;
mod env_file;
mod error;
mod openapi;
mod options;
mod server;
mod stack;
mod standins;
mod tasks;
pub mod testing;
mod welcome;

/// Compiles and runs the examples of the guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Guide;

pub use dead_letters::dead_letters;
pub use error::StartError;
pub use openapi::openapi;
pub use options::Options;
pub use stack::{Running, router, start, start_app};
pub use welcome::welcome;
