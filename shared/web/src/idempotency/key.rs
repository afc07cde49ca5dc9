//! The header itself.

use http::{HeaderMap, HeaderName};

use crate::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// The shortest key of a caller that nobody knows: all that keeps its reply from strangers is that they cannot guess it.
const MIN_ANONYMOUS_KEY_CHARS: usize = 16;

/// The key that a request names itself by, if it does: a string as of RFC 9651 (`"a-key"`), or the same without quotes,
/// as many clients send it.
///
/// # Errors
/// 400 for what is no key.
pub(super) fn read(headers: &HeaderMap, is_anonymous: bool) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("there is more than one Idempotency-Key header"));
    }
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}").trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted).ok_or_else(|| {
            Problem::bad_request("Idempotency-Key begins with a quote and is no quoted string (RFC 9651, 3.3.3)")
        })?,
        None => text.to_owned(),
    };
    let printable = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if key.is_empty() || key.len() > MAX_KEY_CHARS || !printable {
        return Err(Problem::bad_request(format!(
            "Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters"
        )));
    }
    if is_anonymous && key.len() < MIN_ANONYMOUS_KEY_CHARS {
        return Err(Problem::bad_request(format!(
            "without credentials, Idempotency-Key must be hard to guess: at least {MIN_ANONYMOUS_KEY_CHARS} characters, \
             such as a random UUID"
        )));
    }
    Ok(Some(key))
}

/// What stands before the closing quote. Parameters behind it mean nothing here.
fn unquote(quoted: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => key.push(chars.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    let rest = chars.as_str();
    (rest.is_empty() || rest.starts_with(';')).then_some(key)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(value: &[u8], is_anonymous: bool) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        read(&headers, is_anonymous).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn keys_come_quoted_or_bare() {
        assert_eq!(read(&HeaderMap::new(), true).unwrap(), None);
        for (value, key) in [
            (r#"order-1"#, "order-1"),
            (r#""order-1""#, "order-1"),
            (r#" "a \"b\" \\c" "#, r#"a "b" \c"#),
            (r#""a";n=1"#, "a"),
            (r#"a"b"#, r#"a"b"#),
        ] {
            assert_eq!(of(value.as_bytes(), false), Ok(Some(key.to_owned())), "{value}");
        }
        assert!(of("k".repeat(255).as_bytes(), false).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for value in ["", "  ", r#""""#, r#"""#, r#""a"#, r#""a"b"#, r#""a\b""#, "n\u{e9}e", "a\tb"] {
            assert_eq!(of(value.as_bytes(), false), Err(400), "{value:?}");
        }
        assert_eq!(of("k".repeat(256).as_bytes(), false), Err(400));
        assert_eq!(of(b"\xff", false), Err(400));
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(read(&twice, false).is_err());
    }

    #[test]
    fn strangers_need_keys_that_are_hard_to_guess() {
        assert_eq!(of(b"0123456789abcde", true), Err(400));
        assert!(of(b"0123456789abcdef", true).is_ok());
    }
}
