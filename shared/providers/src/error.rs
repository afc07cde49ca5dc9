//! What can go wrong with a provider.

use actingweb_peer::PeerError;

/// A provider that did not say who somebody is. No variant holds a secret, a token or a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider cannot be reached, is not well, or says of itself what cannot be used. Trying later may help.
    #[error("{provider} cannot be asked at the moment: {reason}")]
    Unavailable {
        /// The provider's name.
        provider: String,
        /// What went wrong, for the log.
        reason: String,
    },
    /// The provider took the code for none of its own, for one used before, or for another client's.
    #[error("{provider} does not accept the code: {reason}")]
    Code {
        /// The provider's name.
        provider: String,
        /// What the provider says, or what is wrong, for the log.
        reason: String,
    },
    /// The provider's statement does not hold: signature, issuer, audience, time or nonce.
    #[error("what {provider} says of the user does not hold: {reason}")]
    Identity {
        /// The provider's name.
        provider: String,
        /// What does not hold, for the log.
        reason: String,
    },
}

impl ProviderError {
    pub(crate) fn unavailable(provider: &str, reason: impl ToString) -> Self {
        Self::Unavailable { provider: provider.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn code(provider: &str, reason: impl ToString) -> Self {
        Self::Code { provider: provider.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn identity(provider: &str, reason: impl ToString) -> Self {
        Self::Identity { provider: provider.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn transport(provider: &str, error: &PeerError) -> Self {
        Self::unavailable(provider, error)
    }

    /// Whether the same may well succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
