//! What the black-box tests build on: a site to test, its owners, and what they get back.
//!
//! * [`Site::start`] is the demo application, wherever the environment says: `ACTINGWEB_TEST_URL` names one that runs
//!   already (under the real Lambda runtime loop, say), `ACTINGWEB_TEST_DYNAMODB` another engine than the embedded one.
//! * [`Party`] is one side of what two do together: a whole local stack, or the published Python library.
//! * [`Site::of`] is an application of the test's own, in this process, with a [`Meter`] between it and the engine.
// What is not as expected is a failed test.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod assistant;
mod browser;
mod eventually;
mod follower;
pub mod grants;
mod oauth_client;
mod odd_peer;
mod party;
mod poller;
mod providers;
mod publisher;
mod resident;
mod site;
mod source;
mod strange_peer;
mod subscribers;

pub use actingweb_local::testing::{Answer, Event, Events, Owner};
pub use actingweb_testkit::meter::{Calls, Faults, Meter};
pub use browser::{Browser, Form, form, with_form};
pub use eventually::eventually;
pub use follower::Follower;
pub use oauth_client::{Asking, OauthClient, REDIRECT_URI, Tokens, discover};
pub use odd_peer::{ENDLESS, OddPeers};
pub use party::Party;
pub use poller::Poller;
pub use providers::ProvidedSite;
pub use publisher::{Publisher, secret_of};
pub use resident::{Granularity, Resident, Subscription, Trust, diffs};
pub use site::{Services, Site, external_dynamodb};
pub use source::{SUBSCRIPTION, Source};
pub use strange_peer::{Asked, StrangePeer};
pub use subscribers::{Behaviour, Sent, Subscribers};
