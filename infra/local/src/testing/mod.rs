//! What tests of an application start with: its hooks, in memory, in one line.
//!
//! ```
//! use actingweb_hooks::prelude::*;
//! use actingweb_local::testing::TestApp;
//!
//! async fn greet(Input(name): Input<String>, actor: Actor) -> Result<String, HookError> {
//!     actor.set_property("greeted", name.clone()).await?;
//!     Ok(format!("Hello, {name}!"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app = TestApp::start(App::new("urn:actingweb:example.com:demo").method("greet", greet)).await;
//! let ann = app.actor("ann@example.org").await;
//!
//! // The hook alone, as the framework calls it ...
//! assert_eq!(ann.method("greet", json!("Bob")).await.answer(), "Hello, Bob!");
//! assert_eq!(ann.actor().property("greeted").await.unwrap(), Some(json!("Bob")));
//! // ... and over HTTP, with rights, statuses and all.
//! assert_eq!(ann.post("/methods/greet", &json!("Eve")).await.expect(200).json(), "Hello, Eve!");
//! # }
//! ```
//!
//! Everything is the real thing but time, randomness and what lies outside: DynamoDB is the embedded engine, Bedrock and
//! services are stand-ins with scripts. Whatever is not as expected fails the test: helpers panic, as tests do.
//! `docs/testing.md` is the guide.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what is not as expected is a failed test"
)]

mod actor;
mod answer;
mod app;
mod events;
mod outbox;
mod owner;

pub use actingweb_store::NoticeKind;
pub use actingweb_testkit::bedrock_standin::{BedrockStandin, Ending, Fault as BedrockFault, Gate, Script};
pub use actingweb_testkit::fakes::{FakeClock, SeededEntropy};
pub use actingweb_testkit::log::Log;
pub use actingweb_testkit::meter::{Calls, Fault, Faults, Meter};
pub use actingweb_testkit::service_standin::{Received, ServiceStandin};
pub use actor::{Called, TestActor};
pub use answer::Answer;
pub use app::{Setup, TestApp};
pub use events::{Event, Events};
pub use outbox::Owed;
pub use owner::Owner;
