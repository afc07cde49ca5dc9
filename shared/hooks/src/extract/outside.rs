//! What lies outside: HTTP services, peers, Bedrock.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use actingweb_actor::services::Account;
use actingweb_peer::PeerClient;
use actingweb_protocol::Entropy;
use actingweb_protocol::retry::Retry;
use url::Url;

use super::FromCall;
use crate::budget::ActorLedger;
use crate::call::Call;
use crate::error::HookError;
use crate::kind::Kind;
use crate::services::Acting;

/// The process's one pooled HTTP client, for services whose URLs the application chose. It is a [`reqwest::Client`].
///
/// For URLs that came from a caller or a peer use [`GuardedHttp`]: it refuses those that lead into your own network.
///
/// ```
/// # use actingweb_hooks::{HookError, Http, Services};
/// async fn temperature(http: Http, services: Services) -> Result<f64, HookError> {
///     let reply = http.get(services.url("weather")?.clone()).send().await?.error_for_status()?;
///     Ok(reply.json().await?)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Http(pub reqwest::Client);

impl Deref for Http {
    type Target = reqwest::Client;
    fn deref(&self) -> &reqwest::Client {
        &self.0
    }
}

impl<K: Kind> FromCall<K> for Http {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(call.shared.surroundings.http.clone()))
    }
}

/// The guarded client for URLs that strangers chose: a [`PeerClient`] with this hook's deadline and this request's id. It
/// refuses URLs that lead into your own network, follows no redirect, and bounds time and size.
///
/// What may pass is tried up to three times, as [`PeerRequest::send`](actingweb_peer::PeerRequest::send) says;
/// `.retry(Retry::OFF)` on a request tries it once.
///
/// It signs nothing. The actor's own peers are called through [`Peers`](crate::Peers).
#[derive(Clone, Debug)]
pub struct GuardedHttp(pub PeerClient);

impl Deref for GuardedHttp {
    type Target = PeerClient;
    fn deref(&self) -> &PeerClient {
        &self.0
    }
}

impl<K: Kind> FromCall<K> for GuardedHttp {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let shared = &call.shared;
        let Self(client) = Self::retrying(&shared.surroundings.peers, &shared.surroundings.entropy);
        Ok(Self(client.with_deadline(shared.deadline).with_request_id(&shared.invocation.request_id)))
    }
}

impl GuardedHttp {
    pub(crate) fn retrying(client: &PeerClient, entropy: &Arc<dyn Entropy>) -> Self {
        Self(client.clone().with_retry(Retry::default(), Arc::clone(entropy)))
    }
}

/// With this hook's deadline, and within the actor's budget.
impl<K: Kind> FromCall<K> for crate::Bedrock {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let shared = &call.shared;
        let bedrock = shared.surroundings.bedrock.clone().with_deadline(shared.deadline);
        Ok(match (&shared.surroundings.budget, &shared.invocation.actor) {
            (Some(budget), Some(actor)) => {
                let spending = actor.with_deadline(shared.deadline).spending(Arc::clone(budget));
                bedrock.with_ledger(Arc::new(ActorLedger(spending)))
            }
            _ => bedrock,
        })
    }
}

/// Services: at those of the application the actor's accounts, and the configured base URLs of others, by name.
#[derive(Clone, Debug, Default)]
pub struct Services {
    urls: Arc<BTreeMap<String, Url>>,
    acting: Option<Arc<Acting>>,
}

impl<K: Kind> FromCall<K> for Services {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let shared = &call.shared;
        let acting = shared.surroundings.accounts.as_ref().map(|accounts| Acting {
            accounts: accounts.clone(),
            actor: shared.invocation.actor.clone(),
            request_id: shared.invocation.request_id.clone(),
            deadline: shared.deadline,
        });
        Ok(Self { urls: Arc::clone(&shared.surroundings.services.urls), acting: acting.map(Arc::new) })
    }
}

impl Services {
    /// These services.
    #[must_use]
    pub fn new(services: BTreeMap<String, Url>) -> Self {
        Self { urls: Arc::new(services), acting: None }
    }

    /// The actor's account at a service that [`App::service`](crate::App::service) registered: a client that is
    /// authenticated, goes to that service alone, and ends by this hook's deadline.
    ///
    /// ```
    /// # use actingweb_hooks::prelude::*;
    /// async fn star(Input(name): Input<String>, services: Services) -> Result<(), HookError> {
    ///     services.get("github")?.put(format!("user/starred/{name}")).send().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`HookError::Terminal`] for a service that was not registered, is not configured or has no API, and for requests
    /// that address no actor. Whether there is an account shows with the first call: [`HookError::Rejected`] if there is
    /// none, or the owner has to connect it again.
    pub fn get(&self, service: &str) -> Result<Account, HookError> {
        let none = || HookError::terminal("there is no storage, so nobody has an account");
        self.acting.as_ref().ok_or_else(none)?.account(service)
    }

    /// The base URL of a service.
    ///
    /// # Errors
    /// [`HookError::Terminal`] when none of that name is configured; it lists those that are.
    pub fn url(&self, service: &str) -> Result<&Url, HookError> {
        self.urls.get(service).ok_or_else(|| {
            let known = self.urls.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            HookError::terminal(format!("no URL is configured for the service `{service}` (configured: {known})"))
        })
    }

    /// The URL of `path` below a service's base URL, whether or not that ends in a slash. A query may follow the path.
    ///
    /// # Errors
    /// [`HookError::Terminal`] when no such service is configured, or base and path make no URL.
    pub fn join(&self, service: &str, path: &str) -> Result<Url, HookError> {
        let mut base = self.url(service)?.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.join(path.trim_start_matches('/')).map_err(HookError::terminal)
    }
}
