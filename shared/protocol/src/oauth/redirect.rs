//! Redirect URIs: which a client may register, and which of them a request means.

use url::{Host, Url};

/// The longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI_BYTES: usize = 2048;

/// Schemes that browsers and systems act on themselves: no application's own.
const NEVER: [&str; 11] =
    ["about", "blob", "chrome", "data", "file", "filesystem", "ftp", "javascript", "vbscript", "ws", "wss"];

/// A redirect URI that a client may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    text: String,
    url: Url,
}

/// Why a text is no redirect URI that a client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// Longer than [`MAX_REDIRECT_URI_BYTES`].
    #[error("a redirect URI has at most {MAX_REDIRECT_URI_BYTES} bytes")]
    TooLong,
    /// Not an absolute URI.
    #[error("a redirect URI must be an absolute URI without control characters, blanks and backslashes")]
    Syntax,
    /// RFC 6749, 3.1.2.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// Would show a name or a password to whoever sees it.
    #[error("a redirect URI must not have a user name or a password")]
    UserInfo,
    /// Anybody on the way could read the code.
    #[error(
        "a redirect URI must be https, http to a loopback address (127.0.0.1, [::1], localhost), or of a private-use scheme that names its owner by a dotted name, such as com.example.app:/callback or app://example.com/callback"
    )]
    Scheme,
}

impl RedirectUri {
    /// Reads a redirect URI: https; http to a loopback address (RFC 8252, 7.3); or of a private-use scheme that is named
    /// after a domain (RFC 8252, 7.1) or followed by a dotted name, as editors have it (`cursor://anysphere.cursor-mcp/…`).
    ///
    /// # Errors
    /// [`RedirectError`].
    pub fn parse(text: &str) -> Result<Self, RedirectError> {
        if text.len() > MAX_REDIRECT_URI_BYTES {
            return Err(RedirectError::TooLong);
        }
        // The parser of URLs drops or changes these silently; an exact match must not depend on that.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(RedirectError::Syntax);
        }
        if text.contains('#') {
            return Err(RedirectError::Fragment);
        }
        let url = Url::parse(text).map_err(|_| RedirectError::Syntax)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RedirectError::UserInfo);
        }
        let allowed = match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_loopback(&url),
            scheme if NEVER.contains(&scheme) => false,
            scheme => scheme.contains('.') || url.host_str().is_some_and(|host| host.contains('.')),
        };
        if allowed { Ok(Self { text: text.to_owned(), url }) } else { Err(RedirectError::Scheme) }
    }

    /// The URI as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI in parts.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Where it leads, for people: the host, or the scheme of an application.
    #[must_use]
    pub fn destination(&self) -> String {
        match (self.url.scheme(), self.url.host_str()) {
            ("http" | "https", Some(host)) => host.to_owned(),
            (scheme, _) => format!("{scheme}:"),
        }
    }

    /// Whether a request may name `requested` when this one is registered: it is the same text, but that a loopback
    /// address may have any port, which a native application learns only when it listens (RFC 8252, 7.3).
    #[must_use]
    pub fn allows(&self, requested: &Self) -> bool {
        if self.text == requested.text {
            return true;
        }
        let rest = |uri: &Self| {
            let mut url = uri.url.clone();
            // Possible for every http URL.
            let _ = url.set_port(None);
            url
        };
        let loopback = |uri: &Self| uri.url.scheme() == "http" && is_loopback(&uri.url);
        loopback(self) && loopback(requested) && rest(self) == rest(requested)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, RedirectError> {
        RedirectUri::parse(text).map(|uri| uri.as_str().to_owned())
    }

    #[test]
    fn what_a_client_may_have() {
        for good in [
            "https://client.example/cb",
            "https://client.example:8443/cb?a=1",
            "http://127.0.0.1:3333/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:1/",
            "http://localhost:33418/",
            "com.example.app:/callback",
            "com.example.app://callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert_eq!(parse(good), Ok(good.to_owned()));
        }
        for (bad, reason) in [
            ("http://client.example/cb", RedirectError::Scheme),
            ("http://127.0.0.1.evil.example/cb", RedirectError::Scheme),
            ("http://localhost.evil.example/cb", RedirectError::Scheme),
            ("javascript:alert(1)", RedirectError::Scheme),
            ("data:text/html,x", RedirectError::Scheme),
            ("file:///etc/passwd", RedirectError::Scheme),
            ("javascript://client.example/%0aalert(1)", RedirectError::Scheme),
            ("file://client.example/x", RedirectError::Scheme),
            ("myapp://cb", RedirectError::Scheme),
            ("https://client.example/cb#x", RedirectError::Fragment),
            ("https://client.example/cb#", RedirectError::Fragment),
            ("https://a@client.example/cb", RedirectError::UserInfo),
            ("https://client.example\\@evil.example/", RedirectError::Syntax),
            ("https://client.example/\r\nx", RedirectError::Syntax),
            ("/cb", RedirectError::Syntax),
            ("", RedirectError::Syntax),
            ("https://", RedirectError::Syntax),
        ] {
            assert_eq!(parse(bad), Err(reason), "{bad}");
        }
        assert_eq!(parse(&format!("https://a.example/{}", "a".repeat(2048))), Err(RedirectError::TooLong));
    }

    #[test]
    fn a_request_means_exactly_what_is_registered() {
        let allows = |registered: &str, requested: &str| {
            RedirectUri::parse(registered).unwrap().allows(&RedirectUri::parse(requested).unwrap())
        };
        assert!(allows("https://client.example/cb", "https://client.example/cb"));
        assert!(allows("http://127.0.0.1/cb", "http://127.0.0.1:50000/cb"));
        assert!(allows("http://localhost:1/cb?x=1", "http://localhost:2/cb?x=1"));
        for (registered, requested) in [
            ("https://client.example/cb", "https://client.example/cb/"),
            ("https://client.example/cb", "https://client.example/cb?x=1"),
            ("https://client.example/cb", "https://client.example:8443/cb"),
            ("https://client.example/cb", "https://CLIENT.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:50000/other"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
            ("com.example.app:/cb", "com.example.app:/cb2"),
        ] {
            assert!(!allows(registered, requested), "{registered} {requested}");
        }
    }

    #[test]
    fn people_see_where_it_leads() {
        let destination = |text: &str| RedirectUri::parse(text).unwrap().destination();
        assert_eq!(destination("https://client.example:8443/cb"), "client.example");
        assert_eq!(destination("com.example.app:/cb"), "com.example.app:");
    }
}
