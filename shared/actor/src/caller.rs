//! Who is calling: what a request presented, and what it was found to mean.

use std::fmt;

/// What a request presented to say who it is.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A name and a passphrase (RFC 7617).
    Basic {
        /// The creator's name.
        user: String,
        /// The passphrase.
        password: String,
    },
    /// A token (RFC 6750).
    Bearer(String),
    /// A scheme that nobody here issues credentials for.
    Other,
}

/// Never shows a secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Other => "Other",
        })
    }
}

/// Who a request was found to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: no credentials, or none that mean anything to this actor.
    Anonymous,
    /// The actor's creator.
    Creator,
    /// Another actor, in an approved relationship with this one.
    Peer {
        /// The peer's actor id.
        id: String,
        /// The relationship, such as `friend`.
        relationship: String,
    },
}

impl Caller {
    /// Whether this is the actor's creator.
    #[must_use]
    pub const fn is_creator(&self) -> bool {
        matches!(self, Self::Creator)
    }

    /// Whether this is another actor.
    #[must_use]
    pub const fn is_peer(&self) -> bool {
        matches!(self, Self::Peer { .. })
    }

    /// One word for logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Creator => "creator",
            Self::Peer { .. } => "peer",
        }
    }
}
