//! What the black-box tests build on: a site to test, its owners, and what they get back.
//!
//! * [`Site::start`] is the demo application, wherever the environment says: `ACTINGWEB_TEST_URL` names one that runs
//!   already (under the real Lambda runtime loop, say), `ACTINGWEB_TEST_DYNAMODB` another engine than the embedded one.
//! * [`Site::of`] is an application of the test's own, in this process, with a [`Meter`] between it and the engine.
// What is not as expected is a failed test.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answer;
mod owner;
mod site;

pub use actingweb_testkit::meter::{Calls, Faults, Meter};
pub use answer::Answer;
pub use owner::Owner;
pub use site::{Services, Site, external_dynamodb};
