//! Where the tests take place.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::App;
use actingweb_protocol::{Clock, Deadline, Entropy, Keys, random_hex};
use actingweb_runtime::{Config, Environment, SystemClock, SystemEntropy};
use actingweb_testkit::bedrock_standin::{BedrockStandin, Script};
use actingweb_testkit::engine::Engine;
use actingweb_testkit::meter::Meter;
use actingweb_testkit::service_standin::ServiceStandin;
use actingweb_web::AppState;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Answer, Owner};

/// A site: an application that answers over HTTP.
pub struct Site {
    /// A client with a pool of its own, which follows no redirects.
    pub http: reqwest::Client,
    base_url: String,
    inside: Option<Inside>,
}

/// What a test reaches of a site in its own process.
struct Inside {
    state: AppState,
    meter: Meter,
    config: Config,
    services: Services,
    server: JoinHandle<()>,
    _engine: Option<Engine>,
}

/// The stand-ins that hooks call.
pub struct Services {
    /// Bedrock.
    pub bedrock: BedrockStandin,
    /// Everything else, under every name the demo knows.
    pub http: ServiceStandin,
}

impl Site {
    /// The demo application, where the environment says.
    pub async fn start() -> Self {
        match variable("ACTINGWEB_TEST_URL") {
            Some(url) => Self { http: client(), base_url: url.trim_end_matches('/').to_owned(), inside: None },
            None => Self::of(actingweb_app::app()).await,
        }
    }

    /// An application in this process.
    pub async fn of(app: App) -> Self {
        Self::with_clock(app, Arc::new(SystemClock)).await
    }

    /// An application in this process, at a time of the test's own.
    pub async fn with_clock(app: App, clock: Arc<dyn Clock>) -> Self {
        Self::build(app, clock, |_| {}).await
    }

    /// An application in this process whose requests have this long.
    pub async fn limited(app: App, time_limit: Duration) -> Self {
        Self::build(app, Arc::new(SystemClock), |state| state.time_limit = time_limit).await
    }

    /// An application in this process that serves its test endpoints.
    pub async fn with_devtest(app: App) -> Self {
        Self::build(app, Arc::new(SystemClock), |state| state.devtest = true).await
    }

    /// An application in this process whose state is changed before it is served.
    pub async fn adjusted(app: App, adjust: impl FnOnce(&mut AppState)) -> Self {
        Self::build(app, Arc::new(SystemClock), adjust).await
    }

    /// An application in this process, at a time of the test's own, whose state is changed before it is served.
    pub async fn adjusted_with_clock(app: App, clock: Arc<dyn Clock>, adjust: impl FnOnce(&mut AppState)) -> Self {
        Self::build(app, clock, adjust).await
    }

    async fn build(app: App, clock: Arc<dyn Clock>, adjust: impl FnOnce(&mut AppState)) -> Self {
        let external = external_dynamodb();
        let engine = external.is_none().then(|| Engine::memory().expect("an engine"));
        let engine_url = external.as_deref().or(engine.as_ref().map(Engine::url)).expect("an engine's URL");
        let meter = Meter::start(engine_url).expect("a meter");
        let services = Services {
            bedrock: BedrockStandin::start(Script::new()).expect("a stand-in"),
            http: ServiceStandin::start().expect("a stand-in"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let config = config(&base_url, meter.url(), &services, &random_hex(&*entropy, 4));
        let mut state = actingweb_runtime::build_with(&config, app, clock, entropy).await.expect("a state");
        adjust(&mut state);
        actingweb_runtime::create_table(&state).await.expect("a table");
        let router = actingweb_local::router(state.clone()).layer(axum::middleware::map_request(client_address));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        let inside = Inside { state, meter, config, services, server, _engine: engine };
        Self { http: client(), base_url, inside: Some(inside) }
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Whether the site runs elsewhere, so that a test which looks inside has nothing to look at.
    pub const fn is_elsewhere(&self) -> bool {
        self.inside.is_none()
    }

    /// The engine's meter, of a site in this process.
    pub fn meter(&self) -> &Meter {
        &self.inside().meter
    }

    /// The stand-ins, of a site in this process.
    pub fn services(&self) -> &Services {
        &self.inside().services
    }

    /// The state of a site in this process.
    pub fn state(&self) -> &AppState {
        &self.inside().state
    }

    /// The keys of a site in this process.
    pub fn keys(&self) -> &Keys {
        &self.inside().config.keys
    }

    fn inside(&self) -> &Inside {
        self.inside.as_ref().expect("a site in this process: start it with Site::of")
    }

    /// What a function does before its first request, on the same storage.
    pub async fn start_again(&self, app: App) {
        let state = actingweb_runtime::build(&self.inside().config, app).await.expect("a state");
        actingweb_runtime::prime(&state).await.expect("storage within reach");
    }

    /// Another process of the same deployment, as Lambda starts one beside the first: on the same storage, under the same
    /// public URL, with nothing in common in memory. Gives where it listens; it ends with the test's runtime.
    pub async fn another_process(&self, app: App) -> String {
        let state = actingweb_runtime::build(&self.inside().config, app).await.expect("a state");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = actingweb_local::router(state).layer(axum::middleware::map_request(client_address));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it")]
        tokio::task::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        url
    }

    /// Does the work that is due, as the worker would.
    pub async fn drain(&self) -> actingweb_worker::Drained {
        let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(60));
        actingweb_worker::drain(self.state(), deadline).await.expect("the work that is due")
    }

    /// Runs the tasks that are due, as the worker would; gives how many attempts came to an end.
    pub async fn run_tasks(&self) -> usize {
        let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(60));
        actingweb_worker::tasks::run_due(self.state(), deadline).await.expect("the tasks that are due")
    }

    /// Every item of the table as the engine has it, read behind the program's back.
    pub async fn table(&self) -> Vec<Value> {
        let inside = self.inside();
        let mut items = Vec::new();
        let mut scan = json!({ "TableName": inside.config.table, "ConsistentRead": true });
        loop {
            let page = self.engine("Scan", &scan).await;
            items.extend(page["Items"].as_array().into_iter().flatten().map(plain));
            match page.get("LastEvaluatedKey") {
                Some(key) => scan["ExclusiveStartKey"] = key.clone(),
                None => return items,
            }
        }
    }

    /// Writes an item, with the types of its attributes, behind the program's back.
    pub async fn put_item(&self, item: &Value) {
        self.engine("PutItem", &json!({ "TableName": self.inside().config.table, "Item": item })).await;
    }

    /// Removes an item, behind the program's back.
    pub async fn delete_item(&self, pk: &str, sk: &str) {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        self.engine("DeleteItem", &json!({ "TableName": self.inside().config.table, "Key": key })).await;
    }

    async fn engine(&self, operation: &str, body: &Value) -> Value {
        // Engines on this machine want the form of a signature, and check none.
        let signature = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, \
                         SignedHeaders=host, Signature=none";
        let request = self.http.post(self.inside().meter.url()).body(body.to_string());
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target.as_str()),
            ("x-amz-date", "20260101T000000Z"),
            ("authorization", signature),
        ];
        Answer::of(headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
            .await
            .expect(200)
            .json()
    }

    /// A new actor.
    pub async fn actor(&self, creator: &str) -> Owner {
        Owner::create(self.http.clone(), &self.base_url, creator).await
    }

    /// A request that nobody signed, to be filled and sent with [`Answer::of`].
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// A request that nobody signed.
    pub async fn send(&self, method: Method, path: &str) -> Answer {
        Answer::of(self.request(method, path)).await
    }

    /// The host and port, as in a `Host` header.
    pub fn host(&self) -> &str {
        self.base_url.split_once("://").map_or("", |(_, host)| host)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Lets a test speak from any address, as the gateway lets its clients.
async fn client_address(mut request: axum::extract::Request) -> axum::extract::Request {
    let address = request.headers().get("x-test-address").and_then(|value| value.to_str().ok()?.parse().ok());
    let local = std::net::IpAddr::from([127, 0, 0, 1]);
    request.extensions_mut().insert(actingweb_web::ClientAddress(address.unwrap_or(local)));
    request
}

/// An item without the types of its attributes.
fn plain(item: &Value) -> Value {
    let attributes = item.as_object().expect("an item");
    let value = |typed: &Value| typed.as_object().and_then(|typed| typed.values().next()).cloned().unwrap_or_default();
    attributes.iter().map(|(name, typed)| (name.clone(), value(typed))).collect::<serde_json::Map<_, _>>().into()
}

/// The engine the tests are told to use instead of the embedded one.
pub fn external_dynamodb() -> Option<String> {
    variable("ACTINGWEB_TEST_DYNAMODB")
}

fn config(base_url: &str, dynamodb: &str, services: &Services, table: &str) -> Config {
    let service = services.http.url();
    let environment: Environment = [
        ("ACTINGWEB_TABLE", format!("test-{table}")),
        ("ACTINGWEB_BASE_URL", base_url.to_owned()),
        ("ACTINGWEB_KEYS", r#"{"k1":"0123456789abcdef0123456789abcdef"}"#.to_owned()),
        ("ACTINGWEB_OUTBOUND", "loopback".to_owned()),
        ("ACTINGWEB_BEDROCK_MODEL", "test.model".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.to_owned()),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", services.bedrock.url().to_owned()),
        ("ACTINGWEB_SERVICE_WEATHER", service.to_owned()),
        ("ACTINGWEB_SERVICE_NEWS", service.to_owned()),
        ("ACTINGWEB_SERVICE_QUOTES", service.to_owned()),
        ("ACTINGWEB_SERVICE_STORE", service.to_owned()),
        ("ACTINGWEB_SERVICE_NOTIFICATIONS", service.to_owned()),
    ]
    .into_iter()
    .collect();
    Config::read(&environment).expect("a configuration")
}

pub(crate) fn client() -> reqwest::Client {
    let settings = actingweb_peer::HttpSettings { follow_redirects: false, ..actingweb_peer::HttpSettings::default() };
    actingweb_peer::http_client(&settings).expect("a client")
}

#[expect(clippy::disallowed_methods, reason = "the environment decides where the tests take place")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
