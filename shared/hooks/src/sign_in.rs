//! Sign-in as applications see it: who may ask for it from where, and what hooks are told.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::App;
use crate::build::Problem;

/// What the event of a sign-in tells: `event.data::<SignInEvent>()?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInEvent {
    /// The provider's name in this deployment: `google`.
    pub provider: String,
    /// Who says so: the provider's issuer URL.
    pub issuer: String,
    /// The issuer's own name of the user. It and the issuer are who somebody is; all else may change.
    pub subject: String,
    /// A verified e-mail address, in lower case.
    pub email: Option<String>,
    /// All of the name, for people to read.
    pub name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
    /// Whether the actor was made for this sign-in.
    pub is_new: bool,
}

/// What the events of an e-mail address tell: `event.data::<EmailEvent>()?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailEvent {
    /// The address, in lower case. Before it is verified somebody only typed it.
    pub email: String,
    /// The provider's name in this deployment.
    pub provider: String,
    /// Where whoever reads the mail is to go; for [`EmailVerificationRequired`](crate::EventKind::EmailVerificationRequired)
    /// alone. It is secret, and counts for a day.
    pub verification_url: Option<String>,
}

impl App {
    /// Lets a single-page application at this origin sign people in, be led back to, and use the actors' API from a browser
    /// with its cookies. Only this very origin: `https://app.example.com`. When not to use it: for pages that the
    /// deployment serves itself, which may do all of it anyway.
    pub fn spa_origin(mut self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        if !is_origin(&origin) {
            self.problems.push(Problem::SpaOrigin(origin.clone()));
        }
        self.info.spa_origins.push(origin);
        self
    }

    /// Lets sign-ins lead back to a native app by this link, `com.example.app:/signed-in`, with a ticket that the app
    /// exchanges. Only this very link, to which `?ticket=` is added.
    pub fn deep_link(mut self, link: impl Into<String>) -> Self {
        let link = link.into();
        if !is_deep_link(&link) {
            self.problems.push(Problem::DeepLink(link.clone()));
        }
        self.info.deep_links.push(link);
        self
    }
}

fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    secure && url.origin().ascii_serialization() == text
}

fn is_deep_link(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && url.fragment().is_none() && url.query().is_none();
    plain && (url.scheme() == "https" || url.scheme().contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_and_links_are_exact() {
        for good in ["https://app.example.com", "https://app.example.com:8443", "http://localhost:5173"] {
            assert!(is_origin(good), "{good}");
        }
        for odd in ["https://app.example.com/", "http://app.example.com", "*", "null", "https://*.example.com/x", ""] {
            assert!(!is_origin(odd), "{odd}");
        }
        for good in ["com.example.app:/signed-in", "com.example.app://cb", "https://app.example.com/native"] {
            assert!(is_deep_link(good), "{good}");
        }
        for odd in ["javascript:alert(1)", "myapp:/x", "com.example.app:/x#y", "com.example.app:/x?y=1", "/x"] {
            assert!(!is_deep_link(odd), "{odd}");
        }
    }
}
