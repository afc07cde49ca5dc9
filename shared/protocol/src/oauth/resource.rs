//! Resource indicators (RFC 8707): what a token is good for.

use url::Url;

/// What a token is good for; nothing else takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// `BASE/mcp`: the MCP endpoint.
    Mcp,
    /// `BASE/`: the REST paths of actors.
    Rest,
}

/// Why a text is no resource of this deployment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`resource` must be {mcp} or {rest}")]
pub struct ResourceError {
    mcp: String,
    rest: String,
}

impl Audience {
    /// Reads a `resource` parameter. Case of scheme and host, a default port and a slash at the end make no difference.
    /// `base_url` is the deployment's URL without a trailing slash.
    ///
    /// # Errors
    /// [`ResourceError`] for anything else.
    pub fn parse(base_url: &str, resource: &str) -> Result<Self, ResourceError> {
        let wanted = canonical(resource);
        let found = [Self::Mcp, Self::Rest].into_iter().find(|audience| {
            let own = canonical(&audience.uri(base_url));
            own.is_some() && own == wanted
        });
        found.ok_or_else(|| ResourceError { mcp: Self::Mcp.uri(base_url), rest: Self::Rest.uri(base_url) })
    }

    /// Its URI, as metadata documents name it.
    #[must_use]
    pub fn uri(self, base_url: &str) -> String {
        match self {
            Self::Mcp => format!("{base_url}/mcp"),
            Self::Rest => format!("{base_url}/"),
        }
    }

    /// The word that stands for it in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Rest => "rest",
        }
    }

    /// The audience that a word of [`Audience::as_str`] stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Mcp, Self::Rest].into_iter().find(|audience| audience.as_str() == word)
    }
}

fn canonical(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_of_this_deployment_or_none() {
        let parse = |text: &str| Audience::parse("https://api.example/aw", text).ok();
        assert_eq!(parse("https://api.example/aw/mcp"), Some(Audience::Mcp));
        assert_eq!(parse("HTTPS://API.example:443/aw/mcp/"), Some(Audience::Mcp));
        assert_eq!(parse("https://api.example/aw"), Some(Audience::Rest));
        assert_eq!(parse("https://api.example/aw/"), Some(Audience::Rest));
        for other in [
            "https://api.example/mcp",
            "https://api.example/aw/mcp/x",
            "https://api.example/aw/mcp?x",
            "https://api.example/aw/mcp#x",
            "http://api.example/aw/mcp",
            "https://evil.example/aw/mcp",
            "mcp",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_deployment_at_the_root_of_a_host_has_both() {
        let parse = |text: &str| Audience::parse("http://127.0.0.1:3000", text).ok();
        assert_eq!(parse("http://127.0.0.1:3000"), Some(Audience::Rest));
        assert_eq!(parse("http://127.0.0.1:3000/"), Some(Audience::Rest));
        assert_eq!(parse("http://127.0.0.1:3000/mcp"), Some(Audience::Mcp));
        assert_eq!(Audience::from_word(Audience::Mcp.as_str()), Some(Audience::Mcp));
    }
}
