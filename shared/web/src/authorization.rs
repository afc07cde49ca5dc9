//! The Authorization header (RFC 9110, 11.6.2).

use actingweb_actor::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

/// What a request presented, or what is wrong with it.
pub(crate) fn credentials(headers: &HeaderMap) -> Result<Credentials, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credentials::None) };
    if values.next().is_some() {
        return Err("there is more than one Authorization header");
    }
    let value = value.to_str().map_err(|_| "the Authorization header is not ASCII")?.trim();
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        return basic(rest).ok_or("the Authorization header is not `Basic base64(user:password)`");
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        let is_token = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
        return if is_token {
            Ok(Credentials::Bearer(rest.to_owned()))
        } else {
            Err("the bearer token is missing or malformed")
        };
    }
    if rest.is_empty() { Err("the Authorization header has no credentials") } else { Ok(Credentials::Other) }
}

fn basic(encoded: &str) -> Option<Credentials> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Credentials, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn basic_splits_at_the_first_colon_and_schemes_ignore_case() {
        let expected = Credentials::Basic { user: "ann".into(), password: "a:b".into() };
        assert_eq!(read(&format!("bAsIc {}", STANDARD.encode("ann:a:b"))), Ok(expected));
        assert_eq!(read("bearer abc"), Ok(Credentials::Bearer("abc".into())));
        assert_eq!(read("Digest x=y"), Ok(Credentials::Other));
    }

    #[test]
    fn malformed_headers_are_named() {
        for value in ["Basic", "Basic !", "Basic YW5u", "Basic //79", "Bearer", "Bearer a b", "x"] {
            assert!(read(value).is_err(), "{value}");
        }
    }
}
