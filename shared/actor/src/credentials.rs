//! What a request presents to say who is calling.

use std::fmt;

use actingweb_protocol::oauth::{TOKEN_PREFIX, Token};
use actingweb_store::PresentedSecret;

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
    /// The token in the cookie of an application's page, where the browser says that such a page made the request.
    Cookie(String),
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
            Self::Cookie(_) => "Cookie(..)",
            Self::Other => "Other",
        })
    }
}

impl Credentials {
    /// Whether anybody here could be known by them.
    pub(crate) const fn may_be_known(&self) -> bool {
        matches!(self, Self::Basic { .. } | Self::Bearer(_) | Self::Cookie(_))
    }

    /// What has to be looked up.
    pub(crate) fn presented_secret(&self) -> Option<PresentedSecret> {
        match self {
            // Telling tokens of ours apart by sight keeps recognition at one read.
            Self::Bearer(token) if token.starts_with(TOKEN_PREFIX) => {
                Token::parse(token).ok().map(PresentedSecret::Token)
            }
            Self::Cookie(token) => Token::parse(token).ok().map(PresentedSecret::Token),
            Self::Bearer(secret) => Some(PresentedSecret::Trust(secret.clone())),
            _ => None,
        }
    }
}
