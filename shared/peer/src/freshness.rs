//! How long an answer may be kept, as its sender says (RFC 9111).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// How long whoever keeps answers for many may keep this one; `None` where nothing is said, nothing for what may not be
/// kept, or not without asking again. What cannot be read counts as not said.
pub(crate) fn of(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let (mut own, mut shared) = (None, None);
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, argument) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        let seconds = argument.trim().trim_matches('"').parse::<u64>().ok();
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" | "private" => return Some(Duration::ZERO),
            "max-age" => own = own.or(seconds),
            "s-maxage" => shared = shared.or(seconds),
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok()).unwrap_or_default();
    shared.or(own).map(|seconds| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let (name, value): (http::HeaderName, http::HeaderValue) = (name, value);
            map.append(name, value);
        }
        of(&map).map(|fresh| fresh.as_secs())
    }

    #[test]
    fn an_answer_is_kept_as_long_as_its_sender_says() {
        for (headers, fresh) in [
            (&[][..], None),
            (&[("cache-control", "public, max-age=600")], Some(600)),
            (&[("cache-control", "Max-Age=\"600\"")], Some(600)),
            (&[("cache-control", "max-age=600, s-maxage=60")], Some(60)),
            (&[("cache-control", "public"), ("cache-control", "max-age=600")], Some(600)),
            (&[("cache-control", "max-age=600"), ("age", "100")], Some(500)),
            (&[("cache-control", "max-age=600"), ("age", "1000")], Some(0)),
            (&[("cache-control", "max-age=600, no-cache")], Some(0)),
            (&[("cache-control", "no-store")], Some(0)),
            (&[("cache-control", "private, max-age=600")], Some(0)),
            (&[("cache-control", "max-age=soon")], None),
            (&[("cache-control", "immutable")], None),
        ] {
            assert_eq!(said(headers), fresh, "{headers:?}");
        }
    }
}
