//! From a configuration to everything a process needs.

use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::{Actors, Directory, TrustRules, Trusts};
use actingweb_bedrock::Bedrock;
use actingweb_hooks::{App, BuildError, Resources};
use actingweb_peer::{HttpClientError, HttpSettings, PeerClient, http_client};
use actingweb_protocol::{Clock, Deadline, Entropy};
use actingweb_providers::Providers;
use actingweb_store::{Store, StoreError};
use actingweb_web::AppState;
use tokio::time::Instant;

use crate::clients::AwsClients;
use crate::{Config, ConfigError, SystemClock, SystemEntropy};

/// How long a request may take: API Gateway stops waiting at 30 s, and functions stop at 29 s.
const TIME_LIMIT: Duration = Duration::from_secs(29);

/// How long the first contact with the table may take, retries included. Lambda allows ten seconds for a start.
const FIRST_CONTACT: Duration = Duration::from_secs(3);

/// What the store keeps free before any deadline, to answer in.
const STORE_RESERVE: Duration = Duration::from_secs(5);

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The application has mistakes.
    #[error(transparent)]
    App(#[from] BuildError),
    /// A function was started by hand.
    #[error(
        "this program is a function: it runs on AWS Lambda or under `cargo lambda watch`; `cargo run` serves all of them"
    )]
    NotOnLambda,
    /// An HTTP client could not be built.
    #[error(transparent)]
    Http(#[from] HttpClientError),
}

/// Builds every client and the application, once per process. Calls nobody; see [`prime`].
///
/// # Errors
/// [`StartError`].
pub async fn build(config: &Config, app: App) -> Result<AppState, StartError> {
    build_with(config, app, Arc::new(SystemClock), Arc::new(SystemEntropy::new())).await
}

/// [`build`] with another time and randomness: for tests.
///
/// # Errors
/// As [`build`].
pub async fn build_with(
    config: &Config,
    app: App,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<AppState, StartError> {
    let aws = AwsClients::build(&config.aws).await;
    let store = Store::new(aws.dynamodb, &config.table, Arc::clone(&clock), Arc::clone(&entropy));
    let store = store.indexing(app.indexed_properties());
    let directory = Directory::new(store.clone());
    let surroundings = (Arc::clone(&clock), Arc::clone(&entropy));
    let unique_creator = app.info().unique_creator;
    let actors = Actors::new(store, Arc::clone(&config.keys), surroundings, &config.base_url, unique_creator);
    let settings = HttpSettings::default();
    let peers = PeerClient::new(&settings, config.outbound, actingweb_peer::Limits::default())?;
    let providers = Providers::new(config.providers.clone(), &peers, &clock);
    let resources = Resources {
        http: http_client(&settings)?,
        peers: peers.clone(),
        actors: Some(actors.clone()),
        bedrock: Bedrock::new(Some(aws.bedrock), config.bedrock_model.clone(), Arc::clone(&entropy)),
        directory,
        services: config.services.clone(),
        clock,
        entropy: Arc::clone(&entropy),
        limits: actingweb_hooks::Limits::default(),
    };
    // Those that the application brought along itself, as tests do, stay where the environment says nothing.
    let hooks = match config.service_clients.is_empty() {
        true => app.build(resources).await?,
        false => app.service_clients(config.service_clients.clone()).build(resources).await?,
    };
    let info = hooks.app();
    let rules = TrustRules {
        actor_type: info.actor_type.clone(),
        default_relationship: info.default_relationship.clone(),
        auto_accept: info.auto_accept,
        strict: info.strict_relationships,
        policy: hooks.policy().clone(),
    };
    let trusts = Trusts::new(&actors, peers, rules);
    let mut state = AppState::new((actors, trusts), hooks, &config.base_url, entropy, TIME_LIMIT);
    state.devtest = config.devtest;
    state.providers = providers;
    state.bot_token.clone_from(&config.bot_token);
    Ok(state)
}

/// Opens the connection to the table by one cheap read, so that the first request does not pay for it. Tries for
/// three seconds at most.
///
/// # Errors
/// [`StoreError`] when the table is out of reach, does not exist, or must not be read.
pub async fn prime(state: &AppState) -> Result<(), StoreError> {
    first_contact(state.actors.store()).prime().await
}

/// Makes the table on a local engine if it is not there. Tries for three seconds at most. On AWS the template makes it.
///
/// # Errors
/// [`StoreError`] when the engine is out of reach or refuses.
pub async fn create_table(state: &AppState) -> Result<(), StoreError> {
    first_contact(state.actors.store()).create_table().await
}

/// The store with a deadline that leaves it [`FIRST_CONTACT`].
fn first_contact(store: &Store) -> Store {
    let span = FIRST_CONTACT + STORE_RESERVE;
    store.with_deadline(Deadline::after(Instant::now().into_std(), span))
}
