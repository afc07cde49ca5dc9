//! What handlers work with, as one value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actingweb_actor::{Actors, Publishing, RateLimits, Trusts};
use actingweb_hooks::{BotToken, Hooks};
use actingweb_protocol::Entropy;
use actingweb_providers::Providers;

/// Everything a group's handlers need, built once per process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The actors of this deployment.
    pub actors: Actors,
    /// Their relationships with other actors.
    pub trusts: Trusts,
    /// The application's hooks.
    pub hooks: Hooks,
    /// The deployment's URL, without a trailing slash: from configuration, never from the Host header.
    pub base_url: Arc<str>,
    /// Randomness for request ids.
    pub entropy: Arc<dyn Entropy>,
    /// How long a request may take when nothing else sets a deadline: API Gateway waits 30 s.
    pub time_limit: Duration,
    /// Whether test endpoints are served.
    pub devtest: bool,
    /// What hooks check messages to `/bot` by; without it there are none.
    pub bot_token: Option<BotToken>,
    /// The identity providers that people may sign in with.
    pub providers: Providers,
    /// How often an address may do what costs something.
    pub rate_limits: RateLimits,
    /// The name of the group in the log.
    pub group: &'static str,
    cold: Arc<AtomicBool>,
}

impl AppState {
    /// State for one process.
    #[must_use]
    pub fn new(
        (actors, trusts): (Actors, Trusts),
        hooks: Hooks,
        base_url: &str,
        entropy: Arc<dyn Entropy>,
        time_limit: Duration,
    ) -> Self {
        let cold = Arc::new(AtomicBool::new(true));
        Self {
            actors,
            trusts,
            hooks,
            base_url: base_url.trim_end_matches('/').into(),
            entropy,
            time_limit,
            devtest: false,
            bot_token: None,
            rate_limits: RateLimits::default(),
            providers: Providers::default(),
            group: "all",
            cold,
        }
    }

    /// The same state under a group's name.
    #[must_use]
    pub fn for_group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Who is told what of changes.
    #[must_use]
    pub fn publishing(&self) -> Publishing<'_> {
        let one_callback_per_change = self.hooks.app().one_callback_per_change;
        Publishing { policy: self.hooks.policy(), one_callback_per_change }
    }

    /// True for the first request of the process.
    pub(crate) fn take_cold(&self) -> bool {
        self.cold.swap(false, Ordering::Relaxed)
    }

    /// The host of the deployment's URL: the realm of challenges.
    #[must_use]
    pub fn realm(&self) -> &str {
        let (_, rest) = self.base_url.split_once("://").unwrap_or(("", &self.base_url));
        rest.split('/').next().unwrap_or(rest)
    }
}
