//! Why nothing was granted, as the token endpoint says it.

use actingweb_store::StoreError;

use crate::ActorError;

/// Why a request for tokens, or about them, got nothing (RFC 6749, 5.2; RFC 8707, 2).
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A parameter is missing or malformed.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The client is unknown, or did not prove itself (401).
    #[error("{0}")]
    InvalidClient(&'static str),
    /// The code or the refresh token is not good, or not for this.
    #[error("{0}")]
    InvalidGrant(&'static str),
    /// This client may not ask for this.
    #[error("{0}")]
    UnauthorizedClient(&'static str),
    /// More than was granted.
    #[error("the scope is more than was granted")]
    InvalidScope,
    /// Another resource than was granted.
    #[error("the resource is not the one that was granted")]
    InvalidTarget,
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

impl GrantError {
    /// Its `error` code on the wire; `None` for what is no fault of the request.
    #[must_use]
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest(_) => Some("invalid_request"),
            Self::InvalidClient(_) => Some("invalid_client"),
            Self::InvalidGrant(_) => Some("invalid_grant"),
            Self::UnauthorizedClient(_) => Some("unauthorized_client"),
            Self::InvalidScope => Some("invalid_scope"),
            Self::InvalidTarget => Some("invalid_target"),
            Self::Actor(_) => None,
        }
    }
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        Self::Actor(error.into())
    }
}
