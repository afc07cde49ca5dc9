//! What a hook runs in: an actor, services, a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actingweb_actor::{Actors, CreateActor};
use actingweb_bedrock::Bedrock;
use actingweb_hooks::{Actor, CallOutcome, Caller, Directory, HookFailure, Hooks, Invocation, Limits, Op, Resources};
use actingweb_peer::{Guard, HttpSettings, PeerClient, http_client};
use actingweb_protocol::{Clock, Deadline, Entropy, Keys};
use actingweb_store::Store;
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

pub(crate) struct World {
    pub(crate) hooks: Hooks,
    pub(crate) actor: Actor,
    pub(crate) services: ServiceStandin,
    pub(crate) bedrock: BedrockStandin,
    pub(crate) clock: FakeClock,
    _engine: Engine,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::without(&[]).await
    }

    /// A world in which nobody listens where these services should be.
    pub(crate) async fn without(missing: &[&str]) -> Self {
        let engine = Engine::memory().unwrap();
        let services = ServiceStandin::start().unwrap();
        let bedrock = BedrockStandin::start(Script::new()).unwrap();
        let clock = FakeClock::new();
        let entropy = Arc::new(SeededEntropy::new(7));

        let store = Store::new(dynamodb_client(engine.url()), "actors", Arc::new(clock.clone()), entropy.clone());
        store.create_table().await.unwrap();
        let keys = Keys::parse(r#"{"k1": "0123456789abcdef0123456789abcdef"}"#).unwrap();
        let at_that_time = (Arc::new(clock.clone()) as Arc<dyn Clock>, entropy.clone() as Arc<dyn Entropy>);
        let actors = Actors::new(store, Arc::new(keys), at_that_time, "https://actors.example", false);

        let base_url = |name| if missing.contains(&name) { NOBODY } else { services.url() };
        let names = ["weather", "news", "quotes", "store", "notifications"];
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
        let hooks = actingweb_app::app().build(resources).await.unwrap();
        let ann = CreateActor { creator: CREATOR.into(), ..CreateActor::default() };
        let actor = actors.create(ann, None, in_time()).await.unwrap().actor;
        Self { hooks, actor, services, bedrock, clock, _engine: engine }
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
