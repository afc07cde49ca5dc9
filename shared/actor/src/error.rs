//! What an operation on an actor can end in.

use std::time::Duration;

use actingweb_protocol::Name;
use actingweb_store::StoreError;

/// Why an operation on an actor did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ActorError {
    /// Storage is throttled, contended or out of reach: the same request may succeed later (503).
    #[error("storage is busy; try again in {} s", .retry_after.as_secs())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The actor was deleted meanwhile (404).
    #[error("there is no such actor; it may have been deleted")]
    Gone,
    /// More than can be held (413).
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large, for people.
        what: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The request cannot be carried out as it is, with the reason (400).
    #[error("{0}")]
    Invalid(String),
    /// It contradicts what is there, with the reason (409).
    #[error("{0}")]
    Conflict(String),
    /// A fault of ours or of the deployment (500). Its text is for logs, not for callers.
    #[error("internal error")]
    Internal(#[source] StoreError),
}

impl ActorError {
    pub(crate) fn is_list(name: &Name) -> Self {
        Self::Conflict(format!("property `{name}` is a list: change its items, or delete it first"))
    }
}

impl From<StoreError> for ActorError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy { retry_after, .. } => Self::Busy { retry_after },
            StoreError::Gone => Self::Gone,
            StoreError::TooLarge { what, limit } => Self::TooLarge { what, limit },
            other => Self::Internal(other),
        }
    }
}
