//! The HTTP API from outside, as a client meets it: docs/api-design.md and the rows of docs/parity.md in action.
//!
//! Where it takes place is decided by the environment, see [`actingweb_tests::Site::start`]. A test that must look
//! inside, or that needs what the engine at hand has not got, says so and is skipped.
// What is not as expected is a failed test, also when a helper finds it.
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing, clippy::print_stderr)]

mod actors;
mod bad_input;
mod callbacks;
mod calls;
mod credentials;
mod events;
mod headers;
mod json_rpc;
mod mcp;
mod meta;
mod nested;
mod oauth;
mod properties;
mod raw;
mod repeats;
mod streams;
mod trust;
mod verbs;

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the storage engine is the one of the tests' own process; says why a test is skipped otherwise.
fn on_own_engine(why: &str) -> bool {
    let elsewhere = actingweb_tests::external_dynamodb().is_some();
    if elsewhere {
        eprintln!("skipped on this engine: {why}");
    }
    !elsewhere
}

/// Whether a body or header reaches the site as it is: `cargo lambda watch` fails on what is no text.
fn can_carry(site: &actingweb_tests::Site, bytes: &[u8]) -> bool {
    !site.is_elsewhere() || std::str::from_utf8(bytes).is_ok()
}

/// Whether the site is in the tests' own process; says why a test is skipped otherwise.
fn in_process(site: &actingweb_tests::Site, why: &str) -> bool {
    if site.is_elsewhere() {
        eprintln!("skipped on a site that runs elsewhere: {why}");
    }
    !site.is_elsewhere()
}
