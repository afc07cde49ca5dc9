//! Why a service was not called, or what came of it.

use std::time::Duration;

use actingweb_peer::PeerError;
use actingweb_providers::ServiceError;

use crate::ActorError;

/// A call to a service at which an actor has an account that did not give what was asked for. No variant holds a token.
#[derive(Debug, thiserror::Error)]
pub enum ServiceCallError {
    /// The application does not know the service.
    #[error("there is no service `{service}`: register it with `.service(..)` (registered: {known})")]
    Unknown {
        /// What was asked for.
        service: String,
        /// The services that there are.
        known: String,
    },
    /// The deployment says nothing of its client at the service.
    #[error("this deployment has no client at `{0}`: set ACTINGWEB_OAUTH_SERVICE_<NAME>_CLIENT_ID and _CLIENT_SECRET")]
    NotConfigured(String),
    /// The application does not say where the service's API is.
    #[error("`{0}` has no API to call: say where it is with `.api(..)`")]
    NoApi(String),
    /// The owner has no account there, or gave it up.
    #[error("the actor has no account at {service}: its owner has to connect one")]
    NotConnected {
        /// What people call the service.
        service: String,
    },
    /// The service took its tokens back, or does not renew them.
    #[error("{service} does not accept the actor's account any more: its owner has to connect it again")]
    ReconnectNeeded {
        /// What people call the service.
        service: String,
    },
    /// Somebody else is renewing the tokens, and did not come to an end in time.
    #[error("the tokens for {service} are being renewed; try again in {} s", .retry_after.as_secs())]
    Renewing {
        /// The service's name.
        service: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The service's authorization server did not do what it was asked to.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The call itself failed.
    #[error("the call of {service} failed: {error}")]
    Call {
        /// The service's name.
        service: String,
        /// How.
        error: PeerError,
    },
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl ServiceCallError {
    /// What the service answered, when it answered.
    #[must_use]
    pub const fn status(&self) -> Option<http::StatusCode> {
        match self {
            Self::Call { error, .. } => error.status(),
            _ => None,
        }
    }
}
