//! One path, whoever sends it.
//!
//! API Gateway percent-decodes `rawPath` and may put the stage in front; `cargo lambda watch` does neither. Here both
//! become what the client wrote as nearly as can be known, so that routers see the same as over plain HTTP.

use http::Uri;
use http::uri::{InvalidUri, PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 does not allow in a path: all but unreserved characters, sub-delimiters, `:`, `@` and `/`. `%` is
/// looked at by itself.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// What RFC 3986 does not allow in a query, leaving alone `%` and what browsers send unencoded nevertheless.
const NOT_IN_QUERY: &AsciiSet = &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The request's target as a client would have written it.
///
/// The stage is taken off. What a gateway decoded is encoded again; an escape that is still there stays, so that a path
/// nobody decoded is unchanged. Slashes at the end, doubled slashes and dots stay as they are.
///
/// # Errors
/// [`InvalidUri`] for targets above 64 KB, which no gateway lets through.
pub(crate) fn target(raw_path: &str, raw_query: &str, stage: Option<&str>) -> Result<Uri, InvalidUri> {
    let mut target = encode(without_stage(raw_path, stage));
    if !raw_query.is_empty() {
        target.push('?');
        target.extend(utf8_percent_encode(raw_query, NOT_IN_QUERY));
    }
    Ok(Uri::from(PathAndQuery::try_from(target)?))
}

fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let Some(stage) = stage.filter(|stage| *stage != "$default" && !stage.is_empty()) else { return path };
    let below = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    below.filter(|below| below.is_empty() || below.starts_with('/')).unwrap_or(path)
}

fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        encoded.push('/');
    }
    let mut parts = path.split('%');
    encoded.extend(utf8_percent_encode(parts.next().unwrap_or_default(), NOT_IN_PATH));
    for part in parts {
        let is_escape = part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        encoded.push_str(if is_escape { "%" } else { "%25" });
        encoded.extend(utf8_percent_encode(part, NOT_IN_PATH));
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(raw: &str, stage: Option<&str>) -> String {
        target(raw, "", stage).unwrap().to_string()
    }

    #[test]
    fn a_path_nobody_decoded_is_unchanged() {
        for raw in
            ["/", "/a/meta", "/a/meta/", "/a//b", "//a", "/a/../b/./c", "/a/%2F%3f%25/x", "/a/b;c=1,2:@!$&'()*+~"]
        {
            assert_eq!(path(raw, Some("$default")), raw);
        }
    }

    #[test]
    fn what_a_gateway_decoded_is_encoded_again() {
        assert_eq!(path("/a/prop erties", None), "/a/prop%20erties");
        assert_eq!(path("/a/ä€", None), "/a/%C3%A4%E2%82%AC");
        assert_eq!(path("/a/?x=1#y", None), "/a/%3Fx=1%23y");
        assert_eq!(path("/a/\"<>\\^`{|}\u{7f}\n", None), "/a/%22%3C%3E%5C%5E%60%7B%7C%7D%7F%0A");
        assert_eq!(path("/a/100%", None), "/a/100%25");
        assert_eq!(path("/a/%4", None), "/a/%254");
        assert_eq!(path("/a/%ä4%zz%%41", None), "/a/%25%C3%A44%25zz%25%41");
    }

    #[test]
    fn a_named_stage_is_taken_off_once() {
        assert_eq!(path("/prod/a/meta", Some("prod")), "/a/meta");
        assert_eq!(path("/prod/prod/meta", Some("prod")), "/prod/meta");
        assert_eq!(path("/prod", Some("prod")), "/");
        assert_eq!(path("/prod/", Some("prod")), "/");
        assert_eq!(path("/production/meta", Some("prod")), "/production/meta");
        assert_eq!(path("/a/meta", Some("prod")), "/a/meta");
        assert_eq!(path("/$default/meta", Some("$default")), "/$default/meta");
        assert_eq!(path("/a/meta", Some("")), "/a/meta");
    }

    #[test]
    fn an_empty_path_is_the_root() {
        assert_eq!(path("", None), "/");
        assert_eq!(path("a/meta", None), "/a/meta");
    }

    #[test]
    fn the_query_is_passed_on() {
        let uri = target("/a", "x=1&y=%20+ü?/z&&", None).unwrap();
        assert_eq!(uri.path(), "/a");
        assert_eq!(uri.query().unwrap(), "x=1&y=%20+%C3%BC?/z&&");
        assert_eq!(target("/a?b", "", None).unwrap().query(), None);
        assert_eq!(target("/a", "x=a b\"#<>", None).unwrap().query(), Some("x=a%20b%22%23%3C%3E"));
    }

    #[test]
    fn an_endless_path_is_an_error() {
        assert!(target(&"/a".repeat(40_000), "", None).is_err());
    }

    proptest! {
        #[test]
        fn any_path_and_query_make_a_target(raw in ".{0,200}", query in ".{0,200}", stage in proptest::option::of("[a-z$]{0,4}")) {
            let uri = target(&raw, &query, stage.as_deref()).unwrap();
            prop_assert!(uri.path().starts_with('/'));
            prop_assert!(uri.path().is_ascii());
            prop_assert_eq!(uri.query().is_some(), !query.is_empty());
        }

        #[test]
        fn decoding_gives_what_the_gateway_decoded(segments in proptest::collection::vec("[^/%]{0,12}", 1..5)) {
            let raw = format!("/{}", segments.join("/"));
            let encoded = path(&raw, None);
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded, raw);
        }

        #[test]
        fn both_senders_give_the_same(segments in proptest::collection::vec("[^/%]{0,12}", 1..5)) {
            let decoded = format!("/{}", segments.join("/"));
            let encoded = path(&decoded, None);
            prop_assert_eq!(path(&encoded, None), encoded);
        }
    }
}
