//! Tokens that ended are renewed: once, whoever needs it.

use std::time::Duration;

use actingweb_peer::Secret;
use actingweb_protocol::Timestamp;
use actingweb_protocol::retry::Backoff;
use actingweb_providers::{ServiceError, ServiceTokens};
use actingweb_store::NewServiceTokens;
use tokio::time::Instant;

use super::ServiceCallError;
use super::account::{Account, Held};
use crate::ActorError;

/// A token that ends within this time, or within half of what it counts for if that is shorter, is renewed before a call: it
/// is to last until the service looks at it.
const MARGIN: Duration = Duration::from_secs(30);
/// How long whoever claimed a renewal has for it. More than a call to the service may take, so that nobody else begins
/// another meanwhile: of a refresh token that counts once, the second use may end the whole authorization.
const LEASE: Duration = Duration::from_secs(30);
/// The least time for a renewal that is to begin. One that is cut off in the middle loses what the service gave.
const ENOUGH: Duration = Duration::from_secs(1);
/// How whoever waits for somebody else's renewal looks for it.
const LOOKS: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(1) };

impl Held {
    pub(super) fn is_ending(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|at| {
            let half = at.as_millis().saturating_sub(self.renewed_at.as_millis()) / 2;
            let margin = MARGIN.min(Duration::from_millis(u64::try_from(half).unwrap_or_default()));
            at <= now.plus(margin)
        })
    }
}

impl Account {
    /// The token that counts now, renewed if it ended, or if it is the one that was `refused`.
    pub(super) async fn current(&self, refused: Option<&str>) -> Result<Held, ServiceCallError> {
        let (store, actor, service) = (self.actor.store(), self.actor.id(), self.service());
        let mut looks = 0;
        loop {
            let record = store.service(actor, service).await.map_err(ActorError::from)?;
            let record = record.ok_or_else(|| ServiceCallError::NotConnected { service: self.label() })?;
            let tokens = record.sealed.as_deref().and_then(|sealed| self.services.open(actor, service, sealed));
            // Sealed with a key that is gone counts as taken back.
            let tokens = tokens.ok_or_else(|| self.reconnect())?;
            let held = held(record.version.clone(), &tokens, record.renewed_at);
            if refused != Some(held.version.as_str()) && !held.is_ending(store.now()) {
                return Ok(held);
            }
            let left = self.deadline.remaining(Instant::now().into_std());
            if left < ENOUGH {
                return Err(self.renewing());
            }
            let claim = store.claim_service_renewal(actor, service, &record.version, LEASE).await;
            match claim.map_err(ActorError::from)? {
                // However soon they end: a service whose tokens never last would be asked for ever.
                Some(claim) => match self.renew(&claim, &tokens).await? {
                    Some(renewed) => return Ok(renewed),
                    None => continue,
                },
                None => {
                    let entropy = self.services.actors.parts().entropy;
                    let wait = LOOKS.base / 2 + LOOKS.delay(looks, &*entropy);
                    looks += 1;
                    if wait >= left {
                        return Err(self.renewing());
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Renews what this claim is about, and writes down what came of it. `None` when the claim ended meanwhile.
    async fn renew(&self, claim: &str, tokens: &ServiceTokens) -> Result<Option<Held>, ServiceCallError> {
        let (store, actor, service) = (self.actor.store(), self.actor.id(), self.service());
        let error = match self.client.refresh(tokens).await {
            Ok(renewed) => {
                let sealed = self.services.seal(actor, service, &renewed)?;
                let version = store.renew_service(actor, service, claim, &sealed).await.map_err(ActorError::from)?;
                tracing::debug!(service, "tokens of a service were renewed");
                return Ok(version.map(|version| held(version, &renewed, store.now())));
            }
            Err(error) => error,
        };
        if matches!(error, ServiceError::Refused { .. }) {
            tracing::info!(service, %error, "an account has to be connected again");
            let none = NewServiceTokens::default();
            store.renew_service(actor, service, claim, &none).await.map_err(ActorError::from)?;
            return Err(self.reconnect());
        }
        // Others may try at once; if this fails, they may when the claim ends.
        if let Err(failed) = store.release_service_renewal(actor, service, claim).await {
            tracing::warn!(service, error = %failed, "the claim of a renewal could not be given up");
        }
        Err(error.into())
    }

    fn label(&self) -> String {
        self.client.service().label().to_owned()
    }

    fn reconnect(&self) -> ServiceCallError {
        ServiceCallError::ReconnectNeeded { service: self.label() }
    }

    fn renewing(&self) -> ServiceCallError {
        ServiceCallError::Renewing { service: self.service().to_owned(), retry_after: Duration::from_secs(1) }
    }
}

fn held(version: String, tokens: &ServiceTokens, renewed_at: Timestamp) -> Held {
    Held { version, access: Secret::new(tokens.access.as_str()), ends_at: tokens.expires_at, renewed_at }
}
