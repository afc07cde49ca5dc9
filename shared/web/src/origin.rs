//! Which site a request comes from, as its browser says.

use http::{HeaderName, header};

use crate::{AppState, Incoming};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Incoming {
    /// A header that is text; the first of that name.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a page of this deployment made the request, or a person did; `None` for a program, which does not say.
    /// Browsers say it with whatever changes something, and no page can make them say otherwise.
    #[must_use]
    pub fn is_from_own_page(&self, state: &AppState) -> Option<bool> {
        match (self.header(&FETCH_SITE), self.header(&header::ORIGIN)) {
            (Some(site), _) => Some(matches!(site, "same-origin" | "none")),
            (None, Some(origin)) => Some(origin == origin_of(&state.base_url)),
            (None, None) => None,
        }
    }

    /// The value of a cookie; the first of that name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let values = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// `https://host[:port]` of a URL.
fn origin_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(authority..).and_then(|rest| rest.find('/')).map(|at| authority + at);
    path.and_then(|end| url.get(..end)).unwrap_or(url)
}
