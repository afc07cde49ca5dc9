//! An application in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::{Credentials, Presented};
use actingweb_hooks::{App, BotMessage, BotToken, Caller, HookFailure, Hooks, Invocation};
use actingweb_protocol::{ActorId, Clock, Deadline, Entropy, Keys};
use actingweb_runtime::{Config, Environment, build_with, create_table};
use actingweb_testkit::bedrock_standin::{BedrockStandin, Script};
use actingweb_testkit::engine::Engine;
use actingweb_testkit::fakes::{FakeClock, SeededEntropy};
use actingweb_testkit::meter::Meter;
use actingweb_testkit::service_standin::ServiceStandin;
use actingweb_testkit::stream::Tap;
use actingweb_web::AppState;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Answer, Owner, TestActor};

/// Nobody listens on port 1.
const NOBODY: &str = "http://127.0.0.1:1";

/// The services that stand-ins take the place of without being asked: those of the demo.
const SERVICES: [&str; 5] = ["weather", "news", "quotes", "store", "notifications"];

const TABLE: &str = "actors";

/// How long one delivery or round of work may take.
const WORK_LIMIT: Duration = Duration::from_secs(60);

/// An application that runs in memory and answers on a port of its own. Dropping it stops it.
///
/// Nothing happens in it by itself: time stands still until [`clock`](Self::clock) is advanced, and what actors owe peers
/// is delivered by [`settle`](Self::settle).
#[derive(Debug)]
pub struct TestApp {
    /// The application's hooks, to be called directly.
    pub hooks: Hooks,
    /// What the handlers use.
    pub state: AppState,
    /// The time, from 2026-01-01 on.
    pub clock: FakeClock,
    /// What stands between the application and DynamoDB: counts calls, injects faults.
    pub dynamodb: Meter,
    /// What stands in for Bedrock: plays a script, remembers calls.
    pub bedrock: BedrockStandin,
    /// What stands in for all services that hooks call.
    pub services: ServiceStandin,
    url: String,
    http: reqwest::Client,
    pub(super) keys: Arc<Keys>,
    tap: Mutex<Tap>,
    // Dropped before what it calls.
    _server: JoinSet<()>,
    _engine: Engine,
}

/// How a [`TestApp`] is to be; from [`TestApp::setup`].
#[must_use = "nothing runs until it is started"]
pub struct Setup {
    app: App,
    /// The path of each at the stand-in; `None` where nobody answers.
    services: BTreeMap<String, Option<String>>,
    seed: u64,
    time_limit: Option<Duration>,
    base_url: Option<String>,
    devtest: bool,
    bot_token: Option<BotToken>,
}

impl TestApp {
    /// Runs an application. Takes some ten milliseconds.
    pub async fn start(app: App) -> Arc<Self> {
        Self::setup(app).start().await
    }

    /// An application to be run with other settings than usual.
    pub fn setup(app: App) -> Setup {
        Setup {
            app,
            services: SERVICES.map(|name| (name.to_owned(), Some(String::new()))).into(),
            seed: 7,
            time_limit: None,
            base_url: None,
            devtest: false,
            bot_token: None,
        }
    }

    /// A new actor, created over HTTP as its creator would, so that hooks of `ActorCreated` have run.
    pub async fn actor(self: &Arc<Self>, creator: &str) -> TestActor {
        let owner = Owner::create(self.http.clone(), &self.url, creator).await;
        let id = ActorId::parse(&owner.id).expect("an id");
        let nobody = Presented { credentials: &Credentials::None, address: None };
        let visit = self.state.actors.visit(&id, &nobody, &[], self.in_time()).await.expect("storage");
        TestActor::new(Arc::clone(self), visit.expect("the actor that was created").actor, owner)
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A request that nobody signed; the path begins with a slash. Send it with [`Answer::of`].
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// GET of a path that begins with a slash, by nobody in particular.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(reqwest::Method::GET, path)).await
    }

    /// Gives a message to the bot hooks, past HTTP; whether one took it.
    ///
    /// # Errors
    /// The failure of the hook that failed.
    pub async fn bot(&self, message: BotMessage) -> Result<bool, HookFailure> {
        let invocation = self.invocation(None, Caller::Anonymous);
        self.hooks.call_bot(&invocation, message).await
    }

    /// Delivers what actors owe their peers, does the work and runs the tasks that are due, until none is left. What is to be tried
    /// again later, is due once the clock was advanced.
    pub async fn settle(&self) {
        loop {
            let owing = self.owing().await;
            for actor in &owing {
                let deadline = Deadline::after(Instant::now().into_std(), WORK_LIMIT);
                Box::pin(actingweb_deliver::deliver(&self.state, actor, deadline)).await.expect("a delivery");
            }
            let deadline = Deadline::after(Instant::now().into_std(), WORK_LIMIT);
            let drained = actingweb_worker::drain(&self.state, deadline).await.expect("the work that is due");
            assert_eq!(drained.failed, 0, "work that is due failed: the log says why");
            let deadline = Deadline::after(Instant::now().into_std(), WORK_LIMIT);
            let ran = actingweb_worker::tasks::run_due(&self.state, deadline).await.expect("the tasks that are due");
            if owing.is_empty() && drained.done == 0 && ran == 0 {
                return;
            }
        }
    }

    /// Those that have something new to tell.
    async fn owing(&self) -> BTreeSet<ActorId> {
        let mut tap = self.tap.lock().await;
        let mut owing = BTreeSet::new();
        while let Some(page) = tap.next().await.expect("the table's stream") {
            owing.extend(page.iter().filter_map(crate::deliveries::woken));
        }
        owing
    }

    pub(super) fn in_time(&self) -> Deadline {
        Deadline::after(Instant::now().into_std(), self.state.time_limit)
    }

    /// What hooks learn of a request.
    #[must_use]
    pub fn invocation(&self, actor: Option<actingweb_hooks::Actor>, caller: Caller) -> Invocation {
        Invocation { actor, caller, request_id: "request-1".to_owned(), deadline: self.in_time(), mcp: None }
    }
}

impl Setup {
    /// Another service that hooks call by this name: the stand-in takes its place.
    pub fn service(self, name: &str) -> Self {
        self.service_below(name, "")
    }

    /// As [`service`](Self::service), below this path of the stand-in, such as `/inbox`, which keeps what it is sent.
    pub fn service_below(mut self, name: &str, path: &str) -> Self {
        self.services.insert(name.to_owned(), Some(path.to_owned()));
        self
    }

    /// Nobody answers where this service should be.
    pub fn without_service(mut self, name: &str) -> Self {
        self.services.insert(name.to_owned(), None);
        self
    }

    /// Other ids and passphrases. The same seed gives the same.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How long requests have, in real time.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// A public URL where nobody answers: for what must not go over HTTP. Otherwise it is the application's own address.
    pub fn base_url(mut self, url: &str) -> Self {
        self.base_url = Some(url.to_owned());
        self
    }

    /// Serves the test endpoints, `/{actor}/devtest`.
    pub const fn devtest(mut self) -> Self {
        self.devtest = true;
        self
    }

    /// Serves `/bot`, with this token.
    pub fn bot_token(mut self, token: &str) -> Self {
        self.bot_token = Some(BotToken::new(token));
        self
    }

    /// Runs it.
    pub async fn start(self) -> Arc<TestApp> {
        let clock = FakeClock::new();
        let engine = Engine::memory_at(Arc::new(clock.clone())).expect("an engine");
        let dynamodb = Meter::start(engine.url()).expect("a meter");
        let bedrock = BedrockStandin::start(Script::new()).expect("a stand-in for Bedrock");
        let services = ServiceStandin::start().expect("a stand-in for services");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));

        let mut environment: Environment = [
            ("ACTINGWEB_TABLE", TABLE),
            ("ACTINGWEB_BASE_URL", self.base_url.as_deref().unwrap_or(&url)),
            ("ACTINGWEB_KEYS", r#"{"k1":"0123456789abcdef0123456789abcdef"}"#),
            ("ACTINGWEB_OUTBOUND", "loopback"),
            ("ACTINGWEB_BEDROCK_MODEL", "test.model"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.url()),
            ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url()),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into_iter()
        .collect();
        for (name, path) in &self.services {
            let address = path.as_ref().map_or(NOBODY.to_owned(), |path| format!("{}{path}", services.url()));
            environment = environment.with(format!("ACTINGWEB_SERVICE_{}", name.to_ascii_uppercase()), address);
        }
        let config = Config::read(&environment).expect("settings");
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(self.seed));
        let now: Arc<dyn Clock> = Arc::new(clock.clone());
        let built = Box::pin(build_with(&config, self.app, now, entropy)).await;
        let mut state = built.unwrap_or_else(|error| panic!("{error}"));
        state.devtest = self.devtest;
        state.bot_token = self.bot_token;
        state.time_limit = self.time_limit.unwrap_or(state.time_limit);
        create_table(&state).await.expect("a table");

        let mut server = JoinSet::new();
        let router = crate::router(state.clone());
        server.spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        let settings = actingweb_peer::HttpSettings { follow_redirects: false, ..Default::default() };
        Arc::new(TestApp {
            hooks: state.hooks.clone(),
            state,
            clock,
            dynamodb,
            bedrock,
            services,
            url,
            http: actingweb_peer::http_client(&settings).expect("a client"),
            keys: config.keys,
            tap: Mutex::new(engine.tap(TABLE)),
            _server: server,
            _engine: engine,
        })
    }
}
