//! An actor of a test.

use std::ops::Deref;
use std::sync::Arc;

use actingweb_actor::peers::Peers;
use actingweb_hooks::{Actor, CallOutcome, Caller, Event, Filtered, HookFailure, HookRun, Invocation, Op, PeerChange};
use actingweb_protocol::{PeerId, sha256_hex};
use actingweb_store::{Breaker, TrustOutcome, TrustRecord};
use actingweb_testkit::fakes::SeededEntropy;
use serde_json::{Value, json};

use super::{Owner, TestApp};

/// An actor: its hooks called directly, and, as its [`Owner`], over HTTP.
///
/// Directly called hooks are run by the framework's engine, with its deadline and isolation. What comes before it is left
/// out: rights, and what HTTP makes of data and outcomes.
#[derive(Clone, Debug)]
pub struct TestActor {
    app: Arc<TestApp>,
    actor: Actor,
    owner: Owner,
    caller: Caller,
}

/// Requests are signed by the creator.
impl Deref for TestActor {
    type Target = Owner;

    fn deref(&self) -> &Owner {
        &self.owner
    }
}

impl TestActor {
    pub(super) const fn new(app: Arc<TestApp>, actor: Actor, owner: Owner) -> Self {
        Self { app, actor, owner, caller: Caller::Creator }
    }

    /// The application it lives in.
    #[must_use]
    pub fn app(&self) -> &TestApp {
        &self.app
    }

    /// The same actor, with hooks called on behalf of somebody else than its creator. Requests stay the creator's.
    #[must_use]
    pub fn called_by(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// The same actor, with hooks called on behalf of this peer.
    #[must_use]
    pub fn called_by_peer(&self, id: &str, relationship: &str) -> Self {
        self.called_by(Caller::Peer { id: id.to_owned(), relationship: relationship.to_owned() })
    }

    /// The actor as hooks have it: to prepare what they find, and to see what they left.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor.with_deadline(self.app.in_time())
    }

    /// Its peers as hooks have them.
    #[must_use]
    pub fn peers(&self) -> Peers {
        self.app.hooks.peers(&self.invocation(), &self.actor()).expect("storage")
    }

    /// What hooks learn of a request to this actor.
    #[must_use]
    pub fn invocation(&self) -> Invocation {
        self.app.invocation(Some(self.actor()), self.caller.clone())
    }

    /// Calls a method, as POST does.
    pub async fn method(&self, name: &str, data: Value) -> Called {
        Called(self.app.hooks.call_method(&self.invocation(), name, Op::Post, data).await)
    }

    /// Calls an action, as POST does.
    pub async fn action(&self, name: &str, data: Value) -> Called {
        Called(self.app.hooks.call_action(&self.invocation(), name, Op::Post, data).await)
    }

    /// Calls a resource.
    pub async fn resource(&self, name: &str, op: Op, data: Value) -> Called {
        Called(self.app.hooks.call_resource(&self.invocation(), name, op, data).await)
    }

    /// Calls a callback, as POST does.
    pub async fn callback(&self, name: &str, data: Value) -> Called {
        Called(self.app.hooks.call_callback(&self.invocation(), name, Op::Post, data).await)
    }

    /// What the property's hooks make of a value that is read or written. Nothing is stored.
    ///
    /// # Errors
    /// The failure of the hook that failed or refused.
    pub async fn property_hooks(&self, op: Op, name: &str, value: Value) -> Result<Filtered, HookFailure> {
        self.app.hooks.filter_property(&self.invocation(), op, name, value, &[]).await
    }

    /// Tells the hooks of an event, and how each of them ended.
    pub async fn fire(&self, event: Event) -> Vec<HookRun> {
        self.app.hooks.fire(&self.invocation(), event).await
    }

    /// Tells the subscription hooks of a change at a peer, and how each of them ended.
    pub async fn tell_change(&self, change: PeerChange) -> Vec<HookRun> {
        self.app.hooks.tell_change(&self.invocation(), change).await
    }

    /// Makes two actors of this application friends, or whatever the relationship is: asked for by this one, approved by
    /// the other, over HTTP.
    pub async fn befriend(&self, other: &Self, relationship: &str) {
        let request = json!({ "url": other.url, "relationship": relationship });
        self.post("/trust", &request).await.expect(201);
        let approval = json!({ "approved": true });
        other.put(&format!("/trust/{relationship}/{}", self.id), &approval).await.expect(204);
        self.app.settle().await;
    }

    /// Gives the actor a relationship with a peer that answers, or does not, at this URL, as if both had approved it as
    /// friends; `change` says what is different. The secret they share is [`secret_of`](Self::secret_of).
    pub async fn knows(&self, peer: &str, base_uri: &str, change: impl FnOnce(&mut TrustRecord)) {
        let secret = self.secret_of(peer);
        let context = format!("trust/{}/{peer}", self.id);
        let mut record = TrustRecord {
            peer: PeerId::parse(peer).expect("the id of a peer"),
            base_uri: base_uri.to_owned(),
            kind: self.app.hooks.app().actor_type.clone(),
            relationship: "friend".to_owned(),
            agreed: "friend".to_owned(),
            desc: String::new(),
            approved: true,
            peer_approved: true,
            verified: true,
            verification_token: String::new(),
            secret: self.app.keys.seal(&context, &secret, &SeededEntropy::new(1)).expect("a sealed secret"),
            secret_hash: sha256_hex(&secret),
            next: None,
            established_via: "trust".to_owned(),
            created_at: self.app.state.actors.store().now(),
            permissions: None,
            initiated: true,
            expires: None,
            breaker: Breaker::default(),
            client: None,
            version: String::new(),
        };
        change(&mut record);
        let store = self.app.state.actors.store();
        let outcome = store.put_trust(self.actor.id(), None, record, &[]).await.expect("storage");
        assert!(matches!(outcome, TrustOutcome::Written(_)), "{peer}: {outcome:?}");
    }

    /// What a peer that the actor [`knows`](Self::knows) presents: `ann.with_secret(&ann.secret_of("bob"), ..)`.
    #[must_use]
    pub fn secret_of(&self, peer: &str) -> String {
        format!("secret-of-{}-and-{peer}", self.id)
    }
}

/// How a directly called method, action, resource or callback ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Called(pub CallOutcome);

impl Called {
    /// What it answered.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    #[track_caller]
    pub fn answer(self) -> Value {
        match self.0 {
            CallOutcome::Answer(answer) => answer,
            other => panic!("no answer but {other:?}"),
        }
    }

    /// How it failed.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    #[track_caller]
    pub fn failure(self) -> HookFailure {
        match self.0 {
            CallOutcome::Failed(failure) => failure,
            other => panic!("no failure but {other:?}"),
        }
    }

    /// Asserts that hooks were asked and returned nothing.
    ///
    /// # Panics
    /// When they did.
    #[track_caller]
    pub fn nothing(self) {
        assert_eq!(self.0, CallOutcome::Nothing);
    }
}
