//! The demo in memory, and an actor of it.

use std::ops::Deref;
use std::sync::Arc;

use actingweb_hooks::{Actor, App, CallOutcome, Caller, HookFailure, Invocation, Peers};
use actingweb_local::testing::{Called, Setup, TestActor, TestApp};
use actingweb_store::TrustRecord;
use serde_json::Value;

pub(crate) const CREATOR: &str = "ann@example.org";
/// Of the actor's: the fake clock does not move by itself.
pub(crate) const CREATED_AT: &str = "2026-01-01T00:00:00.000Z";

/// Where nobody serves the actors that are said to be there.
pub(crate) const BASE_URL: &str = "https://actors.example";

pub(crate) struct World {
    pub(crate) app: Arc<TestApp>,
    pub(crate) ann: TestActor,
    /// Ann's, as hooks have it.
    pub(crate) actor: Actor,
}

impl Deref for World {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::without(&[]).await
    }

    /// A world in which nobody listens where these services should be.
    pub(crate) async fn without(missing: &[&str]) -> Self {
        Self::of(actingweb_app::app(), missing).await
    }

    /// The world of another application.
    pub(crate) async fn of(app: App, missing: &[&str]) -> Self {
        let setup = TestApp::setup(app).service("objects").service_below("processor", "/inbox");
        Self::set_up(missing.iter().fold(setup, |setup, name| setup.without_service(name))).await
    }

    /// A world whose actors are said to be at [`BASE_URL`].
    pub(crate) async fn elsewhere() -> Self {
        Self::set_up(TestApp::setup(actingweb_app::app()).base_url(BASE_URL)).await
    }

    async fn set_up(setup: Setup) -> Self {
        let app = setup.start().await;
        let ann = app.actor(CREATOR).await;
        Self { actor: ann.actor(), app, ann }
    }

    /// Gives the actor a relationship with a peer, as if both had approved it; `change` says what is different.
    pub(crate) async fn knows(&self, peer: &str, base_uri: &str, change: impl FnOnce(&mut TrustRecord)) {
        self.ann.knows(peer, base_uri, change).await;
    }

    /// The actor's peers, as a hook gets them.
    pub(crate) fn peers(&self) -> Peers {
        self.ann.peers()
    }

    pub(crate) fn invocation(&self, caller: Caller) -> Invocation {
        self.ann.called_by(caller).invocation()
    }

    /// What a method answers to the creator.
    pub(crate) async fn method(&self, name: &str, data: Value) -> Value {
        self.ann.method(name, data).await.answer()
    }

    /// How a method refuses the creator.
    pub(crate) async fn refusal(&self, name: &str, data: Value) -> HookFailure {
        self.ann.method(name, data).await.failure()
    }

    /// What an action answers to the creator.
    pub(crate) async fn action(&self, name: &str, data: Value) -> Value {
        self.ann.action(name, data).await.answer()
    }
}

pub(crate) fn peer() -> Caller {
    Caller::Peer { id: "4f2a".into(), relationship: "friend".into() }
}

pub(crate) fn answer(outcome: CallOutcome) -> Value {
    Called(outcome).answer()
}

pub(crate) fn failure(outcome: CallOutcome) -> HookFailure {
    Called(outcome).failure()
}
