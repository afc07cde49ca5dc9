//! Strict JSON (RFC 8259): what is accepted can be stored, read back the same, and sent to any client.

use serde_json::Value;

/// The deepest nesting of arrays and objects a value may have.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are not a JSON value that can be kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all; the text says what was expected where.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// Deeper than [`MAX_DEPTH`].
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An integer that would lose digits, as `f64` keeps 53 bits only.
    #[error("the integer {0} cannot be kept exactly: send it as a string")]
    InexactInteger(String),
}

/// Reads one JSON value. `NaN`, lone surrogates, invalid UTF-8 and anything after the value are errors; of duplicate
/// keys the last counts.
///
/// # Errors
/// [`JsonError`] with the reason, and the place for syntax errors.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    scan(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| JsonError::Syntax(error.to_string()))
}

/// Checks a value that did not come from [`parse`], such as a hook's output or the result of a merge.
///
/// # Errors
/// [`JsonError::TooDeep`].
pub fn check_depth(value: &Value) -> Result<(), JsonError> {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
            Value::Object(members) => left > 0 && members.values().all(|member| within(member, left - 1)),
            _ => true,
        }
    }
    if within(value, MAX_DEPTH) { Ok(()) } else { Err(JsonError::TooDeep) }
}

/// One pass over the text, outside strings: nesting, and integers beyond what `i64` and `u64` hold. The parser proper
/// would silently turn the latter into floating-point numbers.
fn scan(bytes: &[u8]) -> Result<(), JsonError> {
    let mut depth = 0usize;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(after),
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let length = after.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
                let (tail, remaining) = after.split_at(length.count());
                rest = remaining;
                let number = std::str::from_utf8(tail).map(|tail| format!("{}{tail}", char::from(byte)));
                if let Ok(number) = number
                    && number.len() > 18
                    && !number.contains(['.', 'e', 'E'])
                    && number.parse::<i64>().is_err()
                    && number.parse::<u64>().is_err()
                {
                    return Err(JsonError::InexactInteger(number.chars().take(40).collect()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => return after,
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            _ => rest = after,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_no_client_could_read_back_is_refused() {
        for text in ["NaN", "Infinity", "{\"a\":NaN}", "\"\\ud800\"", "{", "", "1 2", "{\"a\":1,}", "\u{feff}1"] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::Syntax(_))), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(JsonError::Syntax(_))));
    }

    #[test]
    fn depth_is_bounded_in_text_and_in_values() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(parse(nested(200).as_bytes()), Err(JsonError::TooDeep));
        let deepest = parse(nested(MAX_DEPTH).as_bytes()).unwrap();
        assert_eq!(check_depth(&deepest), Ok(()));
        assert_eq!(check_depth(&Value::Array(vec![deepest])), Err(JsonError::TooDeep));
        assert!(parse(br#""[[[[{{{{\"[[[""#).is_ok());
    }

    #[test]
    fn integers_are_kept_exactly_or_refused() {
        assert_eq!(parse(b"18446744073709551615").unwrap().to_string(), "18446744073709551615");
        assert_eq!(parse(b"-9223372036854775808").unwrap().to_string(), "-9223372036854775808");
        for text in ["18446744073709551616", "[-9223372036854775809]", "{\"a\":123456789012345678901234567890}"] {
            assert!(matches!(parse(text.as_bytes()), Err(JsonError::InexactInteger(_))), "{text}");
        }
        assert!(parse(b"1.2345678901234567890123").is_ok());
        assert!(parse(b"\"123456789012345678901234567890\"").is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn strings_round_trip(text in any::<String>()) {
            let value = Value::String(text);
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
        }
    }
}
