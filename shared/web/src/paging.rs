//! Long collections in parts: `?limit=` and `?cursor=`, answered with a `Link` to the next part (RFC 8288).

use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{AppState, Incoming, Problem};

/// The most entries of one part.
pub const MAX_LIMIT: usize = 1_000;

/// The cursor of the next part, for clients that would rather not read `Link`.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// Which part of a collection is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many entries at most, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Where the part before ended, as its reply said.
    pub cursor: Option<String>,
}

impl Page {
    /// The part asked for; `None` for all of it.
    ///
    /// # Errors
    /// 400 for a limit that is no number from 1 to [`MAX_LIMIT`].
    pub fn of(incoming: &Incoming) -> Result<Option<Self>, Problem> {
        let cursor = incoming.param("cursor").map(str::to_owned);
        let limit = match incoming.param("limit") {
            None if cursor.is_none() => return Ok(None),
            None => MAX_LIMIT,
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit.ok_or_else(|| Problem::bad_request(format!("limit must be a number from 1 to {MAX_LIMIT}")))?
            }
        };
        Ok(Some(Self { limit, cursor }))
    }

    /// Adds where the next part is found, if there is one.
    #[must_use]
    pub fn link(&self, state: &AppState, incoming: &Incoming, next: Option<&str>, mut response: Response) -> Response {
        let Some(next) = next else { return response };
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path: Vec<String> = incoming.segments.iter().map(|segment| encode(segment)).collect();
        let mut query = format!("limit={}&cursor={}", self.limit, encode(next));
        for (name, value) in incoming.params().filter(|(name, _)| !matches!(*name, "limit" | "cursor")) {
            query.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let link = format!("<{}/{}?{query}>; rel=\"next\"", state.base_url, path.join("/"));
        let headers = [(header::LINK, link), (NEXT_CURSOR, encode(next))];
        let valid = headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)));
        response.headers_mut().extend(valid);
        response
    }
}
