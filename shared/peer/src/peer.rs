//! Where a peer is, and the secret that belongs there.

use std::fmt;

use url::Url;

use crate::guard::Refusal;

/// A bearer secret. Never printed; read only where the `Authorization` header is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the header, and for storing it encrypted.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A peer's base URL, and the secret to present there and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    base: Url,
    secret: Option<Secret>,
}

impl PeerAddress {
    /// A peer to be called without a secret. `base` is an actor's root such as `https://peer.example/4f2a..`; a
    /// trailing slash, a query and a fragment are dropped.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when `base` is no absolute URL with a host. Where it may lead is judged when calling.
    pub fn new(base: &str) -> Result<Self, Refusal> {
        let mut base = Url::parse(base).map_err(|_| Refusal::Malformed)?;
        if !base.has_host() {
            return Err(Refusal::Malformed);
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base, secret: None })
    }

    /// The same peer, called with this bearer secret.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// The base URL. An actor at the root of its host shows the path `/`.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The secret, if this peer has one.
    #[must_use]
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// The URL of `path` below the base: `trust/friend`, `/properties?metadata=true`, or, for URLs a peer sent to be
    /// fetched, an absolute URL below the same base. The empty path is the base itself.
    ///
    /// # Errors
    /// [`Refusal::OutsideBase`] when the result is not below the base (another origin, another actor of the same
    /// host, dot segments), [`Refusal::Malformed`] for control characters, backslashes and fragments.
    pub fn locate(&self, path: &str) -> Result<Url, Refusal> {
        // The URL parser would silently drop or rewrite these, and what was checked must be what is sent.
        if path.chars().any(|c| c.is_control() || matches!(c, '\\' | '#')) {
            return Err(Refusal::Malformed);
        }
        let base = self.base.as_str().trim_end_matches('/');
        let text = match path {
            "" => return Ok(self.base.clone()),
            absolute if is_absolute(absolute) => absolute.to_owned(),
            query if query.starts_with('?') => format!("{base}{query}"),
            relative => format!("{base}/{}", relative.trim_start_matches('/')),
        };
        let url = Url::parse(&text).map_err(|_| Refusal::Malformed)?;
        if self.contains(&url) { Ok(url) } else { Err(Refusal::OutsideBase) }
    }

    fn contains(&self, url: &Url) -> bool {
        let base = self.base.path().trim_end_matches('/');
        let below = url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let same_user = (url.username(), url.password()) == (self.base.username(), self.base.password());
        // An encoded slash or dot may be decoded on the way, by a proxy or by the gateway itself.
        below && same_user && url.origin() == self.base.origin() && !hides_dot_segments(url.path())
    }
}

fn is_absolute(path: &str) -> bool {
    ["http:", "https:"].iter().any(|scheme| path.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)))
}

/// Whether a `..` shows once `%2e`, `%2f` and `%5c` are decoded, however often the rest is encoded (`%252e`).
fn hides_dot_segments(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    loop {
        let decoded = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("%25", "%");
        if decoded == path {
            break;
        }
        path = decoded;
    }
    path.split(['/', '\\']).any(|segment| segment == "..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer() -> PeerAddress {
        PeerAddress::new("https://peer.example/actors/a1/?x=1#y").unwrap().with_secret(Secret::new("s3cret"))
    }

    #[test]
    fn the_base_is_normalised() {
        assert_eq!(peer().base().as_str(), "https://peer.example/actors/a1");
        assert_eq!(PeerAddress::new("https://peer.example").unwrap().base().as_str(), "https://peer.example/");
        for bad in ["", "peer.example/a", "/a", "mailto:a@b", "https://", "data:text/plain,x"] {
            assert_eq!(PeerAddress::new(bad), Err(Refusal::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_located_below_the_base() {
        for (path, expected) in [
            ("", "https://peer.example/actors/a1"),
            ("trust/friend", "https://peer.example/actors/a1/trust/friend"),
            ("/trust/friend", "https://peer.example/actors/a1/trust/friend"),
            ("?metadata=true", "https://peer.example/actors/a1?metadata=true"),
            ("properties?x=../y", "https://peer.example/actors/a1/properties?x=../y"),
            ("a/../b", "https://peer.example/actors/a1/b"),
            ("//evil.example/x", "https://peer.example/actors/a1/evil.example/x"),
            ("methods/sum:up", "https://peer.example/actors/a1/methods/sum:up"),
            ("properties/a b", "https://peer.example/actors/a1/properties/a%20b"),
            (
                "https://peer.example/actors/a1/subscriptions/b/c/1",
                "https://peer.example/actors/a1/subscriptions/b/c/1",
            ),
            ("https://peer.example:443/actors/a1", "https://peer.example/actors/a1"),
        ] {
            assert_eq!(peer().locate(path).map(String::from), Ok(expected.to_owned()), "{path:?}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_base_is_refused() {
        for path in [
            "..",
            "../a2",
            "x/../../a2",
            "%2e%2e/a2",
            "%2E./a2",
            "x%2f..%2f..%2fa2",
            "x%252f%252e%252e%252f..",
            "https://peer.example/actors/a2",
            "https://peer.example/actors/a1x",
            "https://peer.example/actors/a1/../a2",
            "https://peer.example:8443/actors/a1/x",
            "http://peer.example/actors/a1/x",
            "HTTPS://evil.example/actors/a1/x",
            "https:evil.example/actors/a1",
            "https://user@peer.example/actors/a1/x",
            "https://peer.example@evil.example/actors/a1/x",
        ] {
            assert_eq!(peer().locate(path), Err(Refusal::OutsideBase), "{path:?}");
        }
        for path in ["a\\..\\b", "a\tb", "\r\nHost: x", "a#b"] {
            assert_eq!(peer().locate(path), Err(Refusal::Malformed), "{path:?}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let shown = format!("{:?}", peer());
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("Secret(..)"));
    }

    proptest! {
        #[test]
        fn whatever_is_located_is_below_the_base(path in r"[a-z./%25ef:?@\\ \-]{0,24}") {
            if let Ok(url) = peer().locate(&path) {
                prop_assert_eq!(url.origin(), peer().base().origin());
                prop_assert!(url.path() == "/actors/a1" || url.path().starts_with("/actors/a1/"), "{}", url);
            }
        }
    }
}
