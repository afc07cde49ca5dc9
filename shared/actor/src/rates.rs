//! How often somebody may do what costs us or others something.

use std::net::IpAddr;
use std::time::Duration;

use actingweb_protocol::Deadline;

use crate::{ActorError, Actors};

/// What is counted, for each address and minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rate {
    /// Clients that introduce themselves.
    Register,
    /// Requests for a person's consent.
    Authorize,
    /// Requests for tokens that fail.
    TokenFailure,
    /// Attempts to sign in.
    SignIn,
    /// Messages sent to an address that somebody typed.
    Email,
}

impl Rate {
    /// The word that stands for it in rows.
    const fn word(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Authorize => "authorize",
            Self::TokenFailure => "token",
            Self::SignIn => "sign-in",
            Self::Email => "email",
        }
    }
}

/// How many of each are taken from one address in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// See [`Rate::Register`]. Services that register a client for each of their users do it from few addresses.
    pub register: u32,
    /// See [`Rate::Authorize`].
    pub authorize: u32,
    /// See [`Rate::TokenFailure`].
    pub token_failure: u32,
    /// See [`Rate::SignIn`].
    pub sign_in: u32,
    /// See [`Rate::Email`].
    pub email: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { register: 30, authorize: 60, token_failure: 60, sign_in: 30, email: 5 }
    }
}

impl RateLimits {
    const fn of(&self, rate: Rate) -> u32 {
        match rate {
            Rate::Register => self.register,
            Rate::Authorize => self.authorize,
            Rate::TokenFailure => self.token_failure,
            Rate::SignIn => self.sign_in,
            Rate::Email => self.email,
        }
    }
}

impl Actors {
    /// Counts one more of `rate` from an address: one call to storage. Gives how long to wait when it was one too many.
    /// Where the address is not known, all share one count. Clients that share an address, too, such as a company's behind
    /// its proxy; `who` tells them apart further where that is known.
    ///
    /// # Errors
    /// [`ActorError`]; it is not known then whether it was counted.
    pub async fn count_rate(
        &self,
        limits: &RateLimits,
        rate: Rate,
        (address, who): (Option<IpAddr>, &str),
        deadline: Deadline,
    ) -> Result<Option<Duration>, ActorError> {
        let address = address.map_or_else(|| "unknown".to_owned(), network);
        let store = self.store().with_deadline(deadline);
        let counted = store.count_request(rate.word(), &format!("{address} {who}"), limits.of(rate)).await?;
        Ok((!counted).then(|| self.until_next_minute()))
    }
}

/// What counts as one address: of IPv6 the first 64 bits, since a subscriber has all of those below them.
#[must_use]
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
