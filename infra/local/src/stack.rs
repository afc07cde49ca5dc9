//! Everything in one process.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::App;
use actingweb_runtime::{Config, Environment, SystemEntropy, build, create_table, is_aws, prime};
use actingweb_store::StoreError;
use actingweb_testkit::bedrock_standin::BedrockStandin;
use actingweb_testkit::engine::{Engine, Storage};
use actingweb_testkit::service_standin::ServiceStandin;
use actingweb_web::{AppState, serve};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use crate::standins::Standins;
use crate::{Options, StartError, background, data, deliveries, env_file, server, tasks as worker_tasks};

const DYNAMODB_ENDPOINT: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// Where `cargo lambda watch` listens unless told otherwise.
const WATCH_URL: &str = "http://127.0.0.1:9000";

/// The routes of every group as one service.
pub fn router(state: AppState) -> Router {
    let routes = actingweb_factory::routes()
        .merge(actingweb_meta::routes())
        .merge(actingweb_properties::routes())
        .merge(actingweb_resources::routes())
        .merge(actingweb_methods::routes())
        .merge(actingweb_actions::routes())
        .merge(actingweb_trust::routes())
        .merge(actingweb_subscriptions::routes())
        .merge(actingweb_callbacks::routes())
        .merge(actingweb_mcp::routes())
        .merge(actingweb_oauth::routes());
    serve(routes, state)
}

/// A running stack. Dropping it stops it at once; [`Running::stop`] lets requests finish.
#[derive(Debug)]
pub struct Running {
    /// The address it answers at, without a slash at the end; with `--engine-only` that of `cargo lambda watch`.
    pub url: String,
    /// What handlers and the worker use: for tests.
    pub state: AppState,
    /// The address of DynamoDB.
    pub dynamodb_url: String,
    /// What stand-ins stand in for, for people.
    pub stood_in: Vec<&'static str>,
    // Dropped in this order: whoever calls before whoever is called.
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    standins: Standins,
    engine: Option<Arc<Engine>>,
}

impl Running {
    /// The stand-in for the services, if any of them is stood in for.
    #[must_use]
    pub const fn services(&self) -> Option<&ServiceStandin> {
        self.standins.services.as_ref()
    }

    /// The stand-in for Bedrock, if there is one.
    #[must_use]
    pub const fn bedrock(&self) -> Option<&BedrockStandin> {
        self.standins.bedrock.as_ref()
    }

    /// Stops: no new requests, those under way may finish within ten seconds, then everything is closed.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(server::GRACE + Duration::from_secs(1), all).await;
        self.tasks.shutdown().await;
        if let Some(engine) = self.engine.take().and_then(Arc::into_inner) {
            engine.stop().await;
        }
    }
}

/// Starts the application of this workspace, with the environment of this process.
///
/// # Errors
/// [`StartError`], in one line that says what to do.
pub async fn start(options: Options) -> Result<Running, StartError> {
    start_app(options, Environment::of_process(), actingweb_app::app()).await
}

/// Starts an application.
///
/// # Errors
/// [`StartError`], in one line that says what to do.
pub async fn start_app(options: Options, environment: Environment, app: App) -> Result<Running, StartError> {
    // Ports first: a second stack started by mistake stops here, before it touches any file.
    let listener = if options.engine_only { None } else { Some(listen(options.port)?) };
    let own_url = match &listener {
        Some(listener) => address(listener).map_err(|source| StartError::Listen { port: options.port, source })?,
        None => WATCH_URL.to_owned(),
    };
    let environment = with_settings(environment, &options, &own_url)?;
    let (engine, environment) = with_engine(environment, &options)?;
    let (standins, environment) = Standins::start(environment)?;

    let config = Config::read(&environment)?;
    let state = Box::pin(build(&config, app)).await?;
    open_table(&state, &config).await?;
    if options.engine_only {
        env_file::write(&environment)?;
    }

    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        tasks.spawn(server::serve(listener, router(state.clone()), stopped.clone()));
    }
    tasks.spawn(background::work(state.clone().for_group("worker"), stopped.clone()));
    let tap = engine.as_ref().map(|engine| engine.tap(&config.table));
    tasks.spawn(worker_tasks::run(state.clone().for_group("worker"), tap, stopped.clone()));
    if let Some(engine) = &engine {
        let tap = engine.tap(&config.table);
        tasks.spawn(deliveries::deliver(state.clone().for_group("deliver"), tap, stopped.clone()));
        tasks.spawn(background::sweep(state.clone(), Arc::clone(engine), stopped));
    }
    let dynamodb_url = config.aws.dynamodb_endpoint.as_ref().map_or_else(String::new, shown);
    let url = if options.engine_only { config.base_url } else { own_url };
    Ok(Running { url, state, dynamodb_url, stood_in: standins.names.clone(), tasks, stop, standins, engine })
}

/// The state alone, for a command that serves nothing.
pub(crate) struct Opened {
    pub(crate) state: AppState,
    /// The embedded engine, if it is in use. A running stack over the same file goes on beside it.
    pub(crate) engine: Option<Arc<Engine>>,
    config: Config,
}

impl Opened {
    /// The address of DynamoDB.
    pub(crate) fn endpoint(&self) -> String {
        self.config.aws.dynamodb_endpoint.as_ref().map_or_else(String::new, shown)
    }
}

/// Opens the table without serving anything.
pub(crate) async fn open(options: &Options, environment: Environment, app: App) -> Result<Opened, StartError> {
    let own_url = format!("http://127.0.0.1:{}", options.port);
    let environment = with_settings(environment, options, &own_url)?;
    let (engine, environment) = with_engine(environment, options)?;
    let config = Config::read(&environment)?;
    let state = Box::pin(build(&config, app)).await?;
    open_table(&state, &config).await?;
    Ok(Opened { state, engine, config })
}

fn listen(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::from_std(server::listen(port)?).map_err(|source| StartError::Listen { port, source })
}

fn address(listener: &TcpListener) -> std::io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// What the flags say goes before the environment, and that before what suits local use.
fn with_settings(environment: Environment, options: &Options, own_url: &str) -> Result<Environment, StartError> {
    let mut environment = environment;
    if let Some(url) = &options.base_url {
        environment = environment.with("ACTINGWEB_BASE_URL", shown(url));
    }
    if options.devtest {
        environment = environment.with("ACTINGWEB_DEVTEST", "true");
    }
    if let Some(url) = &options.dynamodb_endpoint {
        environment = environment.with(DYNAMODB_ENDPOINT, shown(url));
    }
    if environment.get("ACTINGWEB_KEYS").is_none() {
        let entropy = SystemEntropy::new();
        let keys = if options.memory {
            data::new_keys(&entropy)
        } else {
            data::prepare(&options.data)?;
            data::keys(&options.data, &entropy)?
        };
        environment = environment.with("ACTINGWEB_KEYS", keys);
    }
    Ok(environment.with_default("ACTINGWEB_BASE_URL", own_url).with_default("ACTINGWEB_OUTBOUND", "loopback"))
}

/// Starts the embedded engine, unless another DynamoDB is asked for.
fn with_engine(environment: Environment, options: &Options) -> Result<(Option<Arc<Engine>>, Environment), StartError> {
    if !options.engine_only && environment.get(DYNAMODB_ENDPOINT).is_some() {
        return Ok((None, environment));
    }
    let storage = if options.memory {
        Storage::Memory
    } else {
        data::prepare(&options.data)?;
        Storage::File(data::engine_file(&options.data))
    };
    let engine = Engine::start(&storage, options.engine_port())?;
    let environment = environment.with(DYNAMODB_ENDPOINT, engine.url());
    Ok((Some(Arc::new(engine)), environment))
}

/// Makes the table where that is ours to do; on AWS it comes from the template, and must be there.
async fn open_table(state: &AppState, config: &Config) -> Result<(), StartError> {
    let endpoint = config.aws.dynamodb_endpoint.as_ref();
    let opened = if endpoint.is_some_and(is_aws) { prime(state).await } else { create_table(state).await };
    let endpoint = || endpoint.map_or_else(String::new, shown);
    opened.map_err(|source| match source {
        StoreError::Busy { reason, .. } => StartError::Unreachable { endpoint: endpoint(), reason },
        source => StartError::Table { endpoint: endpoint(), source },
    })
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
