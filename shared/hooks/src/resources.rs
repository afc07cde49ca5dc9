//! What hooks are given to work with, and how far they may go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::peers::Peering;
use actingweb_actor::{Actors, Directory};
use actingweb_bedrock::{Bedrock, BedrockBudget};
use actingweb_peer::PeerClient;
use actingweb_protocol::{Clock, Entropy};
use url::Url;

use crate::extract::{GuardedHttp, Http, Random, Services, States};
use crate::schedules::Scheduling;

/// How much hooks may use, per process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most async hooks under way at once. Further ones wait, until their deadline.
    pub concurrent_hooks: usize,
    /// The most threads of [`blocking`](crate::blocking) hooks. Further ones wait, until their deadline.
    pub blocking_threads: usize,
    /// How long a hook may run that has no deadline of its own.
    pub hook_deadline: Duration,
    /// How much earlier than the invocation hooks end, so that a reply can still be written and logged.
    pub reserve: Duration,
    /// How long a hook may keep the runtime from other work before it is logged; `None` switches the watchdog off.
    pub watchdog: Option<Duration>,
}

impl Default for Limits {
    /// 1024 async hooks, 32 threads, 25 s per hook, 500 ms in reserve, a warning after 100 ms.
    fn default() -> Self {
        Self {
            concurrent_hooks: 1024,
            blocking_threads: 32,
            hook_deadline: Duration::from_secs(25),
            reserve: Duration::from_millis(500),
            watchdog: Some(Duration::from_millis(100)),
        }
    }
}

/// What [`App::build`](crate::App::build) needs from its surroundings. Clients are built once, outside.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The pooled HTTP client for services.
    pub http: reqwest::Client,
    /// The guarded client for peers, and for URLs that strangers chose.
    pub peers: PeerClient,
    /// All actors, whose relationships say who their peers are. Without, for tests of hooks alone, nobody has any.
    pub actors: Option<Actors>,
    /// Amazon Bedrock.
    pub bedrock: Bedrock,
    /// All actors, by their indexed properties.
    pub directory: Directory,
    /// Base URLs of services, by name.
    pub services: BTreeMap<String, Url>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How far hooks may go.
    pub limits: Limits,
}

/// What a factory of shared state may use: see [`App::state_from`](crate::App::state_from).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Init {
    /// The pooled HTTP client for services.
    pub http: Http,
    /// The guarded client for URLs that strangers chose.
    pub guarded: GuardedHttp,
    /// Amazon Bedrock.
    pub bedrock: Bedrock,
    /// The configured base URLs of services.
    pub services: Services,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Random,
}

impl Init {
    pub(crate) fn new(resources: &Resources) -> Self {
        Self {
            http: Http(resources.http.clone()),
            guarded: GuardedHttp::retrying(&resources.peers, &resources.entropy),
            bedrock: resources.bedrock.clone(),
            services: Services::new(resources.services.clone()),
            clock: Arc::clone(&resources.clock),
            random: Random::new(Arc::clone(&resources.entropy)),
        }
    }
}

/// What extractors hand out, once the application is built.
pub(crate) struct Surroundings {
    pub(crate) http: reqwest::Client,
    pub(crate) peers: PeerClient,
    pub(crate) peering: Option<Peering>,
    pub(crate) scheduling: Option<Scheduling>,
    pub(crate) bedrock: Bedrock,
    pub(crate) budget: Option<Arc<BedrockBudget>>,
    pub(crate) directory: Directory,
    pub(crate) services: Services,
    pub(crate) accounts: Option<actingweb_actor::services::Services>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) states: States,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("services", &self.services).finish_non_exhaustive()
    }
}
