//! What subscribers are sent: all of it, in order, whatever befalls them; and nothing that they may not have.

mod breaker;
mod content;
mod dead;
mod fan_out;
mod faults;
mod notices;

use actingweb_hooks::App;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Publisher, Site, Subscribers};

fn app() -> App {
    App::new("urn:actingweb:example.com:publisher")
}

/// A site at a time of its own, and peers.
async fn scene() -> (FakeClock, Site, Subscribers) {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), std::sync::Arc::new(clock.clone())).await;
    (clock, site, Subscribers::start().await)
}

/// An actor who has had a relationship for a while: nobody waits for its change log to settle.
async fn publisher<'a>(site: &'a Site, clock: &FakeClock) -> Publisher<'a> {
    let publisher = Publisher::new(site).await;
    publisher.befriend("somebody", "http://127.0.0.1:9/somebody").await;
    clock.advance(std::time::Duration::from_secs(2));
    publisher
}
