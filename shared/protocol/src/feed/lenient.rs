//! Reading what peers of other implementations send, as far as its meaning is certain.

use std::borrow::Cow;

use serde_json::Value;

use crate::Timestamp;
use crate::json::{self, JsonError};

/// Reads JSON in which half of a surrogate pair may stand, as Python writes it: it becomes U+FFFD.
///
/// # Errors
/// [`JsonError`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    json::parse(&repair(bytes))
}

/// Replaces escapes of lone surrogates. Escapes only stand inside strings, so the rest of the text needs no reading.
fn repair(bytes: &[u8]) -> Cow<'_, [u8]> {
    let escape = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let is_surrogate = |unit: u16| (0xd800..0xe000).contains(&unit);
    let mut repaired: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            at += 1;
            continue;
        }
        let Some(unit) = escape(at).filter(|unit| is_surrogate(*unit)) else {
            // The character after a backslash belongs to it, be it another backslash.
            at += 2;
            continue;
        };
        let pair = unit < 0xdc00 && escape(at + 6).is_some_and(|next| (0xdc00..0xe000).contains(&next));
        if pair {
            at += 12;
            continue;
        }
        repaired.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        repaired.extend_from_slice(br"\ufffd");
        at += 6;
        copied = at;
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    repaired.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Cow::Owned(repaired)
}

/// Reads a moment: RFC 3339, or the same with a blank for the `T` and without a zone, which then is UTC.
#[must_use]
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let moment = zoned.or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).ok()
    })?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// Reads a number that may stand as text.
#[must_use]
pub fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        for (text, expected) in [
            (r#""a""#, "a"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""x\ude00y""#, "x\u{fffd}y"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\u00e9""#, "\u{e9}"),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(json!(expected)), "{text}");
        }
        assert!(parse(br#""\ud83"#).is_err() && parse(br"\").is_err() && parse(br#"{"a": NaN}"#).is_err());
    }

    #[test]
    fn moments_of_both_kinds_are_read() {
        let read = |text: &str| timestamp(text).map(|moment| moment.to_string());
        for text in [
            "2026-01-01T12:00:00.123456Z",
            "2026-01-01 12:00:00.123456",
            "2026-01-01T12:00:00.123456",
            "2026-01-01T14:00:00.123456+02:00",
        ] {
            assert_eq!(read(text).as_deref(), Some("2026-01-01T12:00:00.123Z"), "{text}");
        }
        assert_eq!(read("2026-01-01 12:00:00").as_deref(), Some("2026-01-01T12:00:00.000Z"));
        for text in ["", "yesterday", "12:00", "99999-01-01T00:00:00Z"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_may_stand_as_text() {
        assert_eq!(number(&json!(7)), Some(7));
        assert_eq!(number(&json!(" 7 ")), Some(7));
        for odd in [json!(-1), json!(1.5), json!("x"), json!(null), json!([1])] {
            assert_eq!(number(&odd), None, "{odd}");
        }
    }
}
