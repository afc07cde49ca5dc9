//! Two actors meet, every step asserted on both ends: ours with ours, and ours with the published Python library, whoever
//! begins.
//!
//! Whoever begins is the one who asks for the relationship and who subscribes. The scenarios are told of no party's
//! nature but where docs/interop.md says that the library differs.
//!
//! Pairs with Python are skipped unless `ACTINGWEB_TEST_PYTHON_PEER` names a peer that runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may panic as tests do"
)]

mod endings;
mod permissions;
mod subscriptions;
mod trust;

use actingweb_hooks::prelude::*;
use actingweb_tests::{Party, Resident};

/// An application that leaves everything to the framework, but suspends and resumes when its owner says so.
fn app() -> App {
    App::new("urn:actingweb:example.com:rust-peer").action("suspend", suspend).action("resume", resume)
}

async fn suspend(actor: Actor) -> Result<bool, HookError> {
    Ok(actor.suspend("properties", None).await?)
}

async fn resume(actor: Actor) -> Result<bool, HookError> {
    Ok(actor.resume("properties", None).await?)
}

/// Whoever begins, and the other. The parties live as long as the pair.
struct Pair {
    first: Resident,
    second: Resident,
    _parties: [Party; 2],
}

impl Pair {
    async fn of(first: Option<Party>, second: Option<Party>) -> Option<Self> {
        let (Some(first), Some(second)) = (first, second) else {
            eprintln!("skipped: {}", Party::how_to_have_python());
            return None;
        };
        let (one, other) = (first.actor("first").await, second.actor("second").await);
        Some(Self { first: one, second: other, _parties: [first, second] })
    }
}

/// Every scenario as a test of every pair.
macro_rules! pairs {
    ($($theme:ident: $($scenario:ident),+;)+) => {
        pairs!(@ ours_with_ours, Some(Party::ours(app()).await), Some(Party::ours(app()).await), $($theme: $($scenario),+;)+);
        pairs!(@ ours_with_python, Some(Party::ours(app()).await), Party::python(), $($theme: $($scenario),+;)+);
        pairs!(@ python_with_ours, Party::python(), Some(Party::ours(app()).await), $($theme: $($scenario),+;)+);
        // The scenarios themselves are true of the library.
        pairs!(@ python_with_python, Party::python(), Party::python(), $($theme: $($scenario),+;)+);
    };
    (@ $pair:ident, $first:expr, $second:expr, $($theme:ident: $($scenario:ident),+;)+) => {
        mod $pair {
            use super::*;
            $($(
                #[tokio::test]
                async fn $scenario() {
                    if let Some(pair) = Pair::of($first, $second).await {
                        Box::pin($theme::$scenario(&pair.first, &pair.second)).await;
                    }
                }
            )+)+
        }
    };
}

pairs! {
    trust: a_request_is_verified_and_waits_for_approval, nobody_there_leaves_no_trust, a_repeated_request_starts_afresh,
        properties_are_read_both_ways;
    subscriptions: high_changes_arrive_in_order, low_changes_are_fetched_and_cleared, changes_are_polled_and_cleared,
        both_subscribe_to_each_other, a_suspended_publisher_has_its_subscriber_start_afresh;
    permissions: rights_taken_away_hide_at_once_and_come_back;
    endings: the_subscriber_unsubscribes, the_publisher_ends_a_subscription, whoever_asked_ends_the_trust,
        whoever_approved_ends_the_trust;
}
