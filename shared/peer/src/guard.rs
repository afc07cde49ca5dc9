//! Which URLs and addresses a call chosen by a stranger may go to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use crate::address::{AddressKind, address_kind};

/// How far outbound calls to peers may reach. The setting is `ACTINGWEB_OUTBOUND`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Guard {
    /// `strict`, for everything deployed: `https` to public addresses, nothing else.
    #[default]
    Strict,
    /// `loopback`, for local development: as strict, and also `http` and this machine's own loopback addresses.
    Loopback,
}

impl Guard {
    /// The value of `ACTINGWEB_OUTBOUND` that means this guard.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Loopback => "loopback",
        }
    }

    /// Judges a URL by its text: scheme, user information and, where the host is an address, that address.
    /// A host name is judged when it has been resolved (see [`Guard::check_address`]).
    ///
    /// # Errors
    /// [`Refusal`] with the reason.
    pub fn check_url(self, url: &Url) -> Result<(), Refusal> {
        match (self, url.scheme()) {
            (_, "https") | (Self::Loopback, "http") => {}
            _ => return Err(Refusal::Scheme { guard: self }),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        match url.host() {
            None | Some(Host::Domain("")) => Err(Refusal::NoHost),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => self.check_address(address.into()),
            Some(Host::Ipv6(address)) => self.check_address(address.into()),
        }
    }

    /// Judges one address, written in a URL or resolved from its host name.
    ///
    /// # Errors
    /// [`Refusal::Address`] with the kind of the address.
    pub fn check_address(self, address: IpAddr) -> Result<(), Refusal> {
        match (self, address_kind(address)) {
            (_, AddressKind::Public) | (Self::Loopback, AddressKind::Loopback) => Ok(()),
            (_, kind) => Err(Refusal::Address { kind }),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Guard {
    type Err = UnknownGuard;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strict" => Ok(Self::Strict),
            "loopback" => Ok(Self::Loopback),
            _ => Err(UnknownGuard),
        }
    }
}

/// A guard nobody has heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `strict` (https to public addresses) or `loopback` (also http and this machine, for local use)")]
pub struct UnknownGuard;

/// Why the guard refused. Names no address and no host: the text may travel back to a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The scheme is not allowed.
    #[error("the URL must be {}", match guard { Guard::Strict => "https", Guard::Loopback => "http or https" })]
    Scheme {
        /// The guard that refused.
        guard: Guard,
    },
    /// The URL carries a user name or a password.
    #[error("the URL must not carry a user name or a password")]
    UserInfo,
    /// The URL names no host.
    #[error("the URL names no host")]
    NoHost,
    /// The host is, or resolves to, an address that is not public.
    #[error("the host is not public: its address is {kind}")]
    Address {
        /// The kind of the refused address.
        kind: AddressKind,
    },
    /// The path leads out of the peer's own base URL, so its secret must not follow.
    #[error("the path leaves the peer's base URL")]
    OutsideBase,
    /// The text is no URL at all, or a path with characters that have no place in one.
    #[error("not a valid URL")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(guard: Guard, url: &str) -> Result<(), Refusal> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn strict_takes_https_to_names_and_public_addresses() {
        for url in [
            "https://peer.example/actor",
            "https://peer.example:8443/actor",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
        ] {
            assert_eq!(verdict(Guard::Strict, url), Ok(()), "{url}");
            assert_eq!(verdict(Guard::Loopback, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn strict_refuses_everything_else() {
        let guard = Guard::Strict;
        let address = |kind| Refusal::Address { kind };
        for (url, expected) in [
            ("http://peer.example/", Refusal::Scheme { guard }),
            ("ftp://peer.example/", Refusal::Scheme { guard }),
            ("file:///etc/passwd", Refusal::Scheme { guard }),
            ("data:text/plain,x", Refusal::Scheme { guard }),
            ("https://user@peer.example/", Refusal::UserInfo),
            ("https://user:pw@peer.example/", Refusal::UserInfo),
            ("https://:pw@peer.example/", Refusal::UserInfo),
            ("https://127.0.0.1/", address(AddressKind::Loopback)),
            ("https://127.1/", address(AddressKind::Loopback)),
            ("https://0x7f000001/", address(AddressKind::Loopback)),
            ("https://2130706433/", address(AddressKind::Loopback)),
            ("https://0177.0.0.1/", address(AddressKind::Loopback)),
            ("https://0/", address(AddressKind::Unspecified)),
            ("https://169.254.169.254/latest", address(AddressKind::LinkLocal)),
            ("https://192.168.1.1./", address(AddressKind::Private)),
            ("https://[::1]/", address(AddressKind::Loopback)),
            ("https://[::ffff:10.0.0.1]/", address(AddressKind::Private)),
            ("https://[fd00:ec2::254]/", address(AddressKind::Private)),
            ("https://\u{ff11}27.0.0.1/", address(AddressKind::Loopback)), // a full-width digit
        ] {
            assert_eq!(verdict(guard, url), Err(expected), "{url}");
        }
    }

    #[test]
    fn loopback_adds_http_and_this_machine_and_nothing_else() {
        for url in ["http://peer.example/", "http://127.0.0.1:3000/", "http://[::1]:3000/", "https://127.0.0.1/"] {
            assert_eq!(verdict(Guard::Loopback, url), Ok(()), "{url}");
        }
        for url in [
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "http://0.0.0.0/",
            "http://[fe80::1]/",
            "ws://127.0.0.1/",
            "http://user:pw@127.0.0.1/",
        ] {
            assert!(verdict(Guard::Loopback, url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_setting_reads_and_prints_alike() {
        for guard in [Guard::Strict, Guard::Loopback] {
            assert_eq!(guard.to_string().parse(), Ok(guard));
        }
        assert_eq!("Strict".parse::<Guard>(), Err(UnknownGuard));
        assert_eq!("".parse::<Guard>(), Err(UnknownGuard));
    }
}
