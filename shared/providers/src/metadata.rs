//! What a provider says of itself, and its keys, kept in the process.

use std::time::Duration;

use actingweb_protocol::Timestamp;
use openidconnect::IssuerUrl;
use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use tokio::sync::Mutex;

use crate::ProviderError;
use crate::http::Transport;

/// How long it counts.
const FRESH: Duration = Duration::from_secs(3600);
/// How long it is used when the provider cannot be asked again.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How soon a provider that failed, or that signs with a key nobody knows, is asked again at the earliest.
const AGAIN: Duration = Duration::from_secs(5);

/// The one document and set of keys of a provider. One asks at a time, and all others wait for its answer.
#[derive(Debug, Default)]
pub(crate) struct Discovery(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<CoreProviderMetadata>,
    /// When it was fetched.
    at: Option<Timestamp>,
    /// When it was asked for last, with success or without.
    tried: Option<Timestamp>,
    /// Why the last try failed.
    failure: Option<String>,
}

impl State {
    fn age(&self, now: Timestamp) -> Option<Duration> {
        self.at.map(|at| since(at, now))
    }

    fn may_try(&self, now: Timestamp) -> bool {
        self.tried.is_none_or(|tried| since(tried, now) >= AGAIN)
    }
}

impl Discovery {
    /// The document with keys, fetched if it is older than an hour.
    pub(crate) async fn get(
        &self,
        (name, issuer): (&str, &IssuerUrl),
        http: &Transport,
        now: Timestamp,
    ) -> Result<CoreProviderMetadata, ProviderError> {
        let mut state = self.0.lock().await;
        if let Some(known) = state.known.as_ref().filter(|_| state.age(now).is_some_and(|age| age < FRESH)) {
            return Ok(known.clone());
        }
        if state.may_try(now) {
            state.tried = Some(now);
            match CoreProviderMetadata::discover_async(issuer.clone(), http).await {
                Ok(found) => {
                    state.known = Some(found.clone());
                    state.at = Some(now);
                    state.failure = None;
                    return Ok(found);
                }
                Err(error) => {
                    let reason = chain(&error);
                    tracing::warn!(provider = name, reason, "the provider's discovery document cannot be had");
                    state.failure = Some(reason);
                }
            }
        }
        let usable = state.age(now).is_some_and(|age| age < STALE);
        let stale = state.known.clone().filter(|_| usable);
        stale.ok_or_else(|| ProviderError::unavailable(name, state.failure.as_deref().unwrap_or("it did not answer")))
    }

    /// The document with its keys fetched anew, because a statement was signed with one that is not among them. None if they
    /// were asked for a moment ago.
    pub(crate) async fn with_new_keys(
        &self,
        name: &str,
        http: &Transport,
        now: Timestamp,
    ) -> Result<Option<CoreProviderMetadata>, ProviderError> {
        let mut state = self.0.lock().await;
        let Some(known) = state.known.clone().filter(|_| state.may_try(now)) else { return Ok(None) };
        state.tried = Some(now);
        let keys = CoreJsonWebKeySet::fetch_async(known.jwks_uri(), http)
            .await
            .map_err(|error| ProviderError::unavailable(name, chain(&error)))?;
        let renewed = known.set_jwks(keys);
        state.known = Some(renewed.clone());
        Ok(Some(renewed))
    }
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.as_millis() - then.as_millis()).unwrap_or_default())
}

/// An error with what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
