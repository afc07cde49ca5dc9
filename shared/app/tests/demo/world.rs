//! What a hook runs in: an actor, services, a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actingweb_actor::{Actors, CreateActor};
use actingweb_bedrock::Bedrock;
use actingweb_hooks::{
    Actor, App, CallOutcome, Caller, Directory, HookFailure, Hooks, Invocation, Limits, Op, Peers, Resources,
};
use actingweb_peer::{Guard, HttpSettings, PeerClient, http_client};
use actingweb_protocol::{Clock, Deadline, Entropy, Keys, PeerId, sha256_hex};
use actingweb_store::{Breaker, Store, TrustOutcome, TrustRecord};
use actingweb_testkit::bedrock_standin::{BedrockStandin, Script};
use actingweb_testkit::engine::Engine;
use actingweb_testkit::fakes::{FakeClock, SeededEntropy};
use actingweb_testkit::service_standin::ServiceStandin;
use aws_credential_types::Credentials;
use serde_json::Value;

pub(crate) const CREATOR: &str = "ann@example.org";
/// Of the actor's: the fake clock does not move by itself.
pub(crate) const CREATED_AT: &str = "2026-01-01T00:00:00.000Z";
/// Nobody listens on port 1.
const NOBODY: &str = "http://127.0.0.1:1";

/// Where the actors are, if anybody served them.
pub(crate) const BASE_URL: &str = "https://actors.example";

pub(crate) struct World {
    pub(crate) hooks: Hooks,
    pub(crate) actors: Actors,
    pub(crate) actor: Actor,
    pub(crate) services: ServiceStandin,
    pub(crate) bedrock: BedrockStandin,
    pub(crate) clock: FakeClock,
    keys: Arc<Keys>,
    _engine: Engine,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::without(&[]).await
    }

    /// A world in which nobody listens where these services should be.
    pub(crate) async fn without(missing: &[&str]) -> Self {
        Self::of(actingweb_app::app(), missing).await
    }

    /// A world with another application than the demo, and none of the missing services.
    pub(crate) async fn of(app: App, missing: &[&str]) -> Self {
        let engine = Engine::memory().unwrap();
        let services = ServiceStandin::start().unwrap();
        let bedrock = BedrockStandin::start(Script::new()).unwrap();
        let clock = FakeClock::new();
        let entropy = Arc::new(SeededEntropy::new(7));

        let store = Store::new(dynamodb_client(engine.url()), "actors", Arc::new(clock.clone()), entropy.clone());
        store.create_table().await.unwrap();
        let keys = Arc::new(Keys::parse(r#"{"k1": "0123456789abcdef0123456789abcdef"}"#).unwrap());
        let at_that_time = (Arc::new(clock.clone()) as Arc<dyn Clock>, entropy.clone() as Arc<dyn Entropy>);
        let actors = Actors::new(store, Arc::clone(&keys), at_that_time, BASE_URL, false);

        let inbox = format!("{}/inbox", services.url());
        let base_url = |name| match name {
            _ if missing.contains(&name) => NOBODY,
            "processor" => &inbox,
            _ => services.url(),
        };
        let names = ["weather", "news", "quotes", "store", "notifications", "objects", "processor"];
        let settings = HttpSettings::default();
        let resources = Resources {
            http: http_client(&settings).unwrap(),
            peers: PeerClient::new(&settings, Guard::Loopback, actingweb_peer::Limits::default()).unwrap(),
            bedrock: Bedrock::new(Some(bedrock_client(bedrock.url())), Some("model".into()), entropy.clone()),
            actors: Some(actors.clone()),
            directory: Directory::default(),
            services: names.map(|name| (name.to_owned(), base_url(name).parse().unwrap())).into(),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            limits: Limits::default(),
        };
        let hooks = app.build(resources).await.unwrap();
        let ann = CreateActor { creator: CREATOR.into(), ..CreateActor::default() };
        let actor = actors.create(ann, None, in_time()).await.unwrap().actor;
        Self { hooks, actors, actor, services, bedrock, clock, keys, _engine: engine }
    }

    /// Gives an actor a relationship with a peer, as if both had approved it; `change` says what is different.
    pub(crate) async fn trust(&self, actor: &Actor, peer: &str, base_uri: &str, change: impl FnOnce(&mut TrustRecord)) {
        let secret = format!("secret of {} and {peer}", actor.id()).replace(' ', "-");
        let context = format!("trust/{}/{peer}", actor.id());
        let mut record = TrustRecord {
            peer: PeerId::parse(peer).unwrap(),
            base_uri: base_uri.to_owned(),
            kind: "urn:actingweb:example.com:demo".to_owned(),
            relationship: "friend".to_owned(),
            agreed: "friend".to_owned(),
            desc: String::new(),
            approved: true,
            peer_approved: true,
            verified: true,
            verification_token: String::new(),
            secret: self.keys.seal(&context, &secret, &SeededEntropy::new(1)).unwrap(),
            secret_hash: sha256_hex(&secret),
            next: None,
            established_via: "trust".to_owned(),
            created_at: self.clock.now(),
            permissions: None,
            initiated: true,
            expires: None,
            breaker: Breaker::default(),
            version: String::new(),
        };
        change(&mut record);
        let outcome = self.actors.store().put_trust(actor.id(), None, record, &[]).await.unwrap();
        assert!(matches!(outcome, TrustOutcome::Written(_)), "{outcome:?}");
    }

    /// The actor's peers, as a hook gets them.
    pub(crate) fn peers(&self) -> Peers {
        self.hooks.peers(&self.invocation(Caller::Creator), &self.actor).unwrap()
    }

    pub(crate) fn invocation(&self, caller: Caller) -> Invocation {
        Invocation { actor: Some(self.actor.clone()), caller, request_id: "request-1".into(), deadline: in_time() }
    }

    /// What a method answers to the creator.
    pub(crate) async fn method(&self, name: &str, data: Value) -> Value {
        answer(self.hooks.call_method(&self.invocation(Caller::Creator), name, Op::Post, data).await)
    }

    /// How a method refuses the creator.
    pub(crate) async fn refusal(&self, name: &str, data: Value) -> HookFailure {
        failure(self.hooks.call_method(&self.invocation(Caller::Creator), name, Op::Post, data).await)
    }

    /// What an action answers to the creator.
    pub(crate) async fn action(&self, name: &str, data: Value) -> Value {
        answer(self.hooks.call_action(&self.invocation(Caller::Creator), name, Op::Post, data).await)
    }
}

pub(crate) fn peer() -> Caller {
    Caller::Peer { id: "4f2a".into(), relationship: "friend".into() }
}

pub(crate) fn answer(outcome: CallOutcome) -> Value {
    match outcome {
        CallOutcome::Answer(answer) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

pub(crate) fn failure(outcome: CallOutcome) -> HookFailure {
    match outcome {
        CallOutcome::Failed(failure) => failure,
        other => panic!("no failure but {other:?}"),
    }
}

fn in_time() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(60))
}

fn dynamodb_client(url: &str) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Region, retry::RetryConfig};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-north-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

fn bedrock_client(url: &str) -> aws_sdk_bedrockruntime::Client {
    use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, Region};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-north-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .endpoint_url(url);
    aws_sdk_bedrockruntime::Client::from_conf(config.build())
}
