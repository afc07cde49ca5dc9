//! An input type of the application's own: what it accepts is part of the type, and of the published schema.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use actingweb_hooks::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use actingweb_hooks::serde::Deserialize;

/// Text from a caller: without blanks around it, not empty, at most `MAX` characters, no control characters but line
/// breaks and tabs. Anything else is refused before the hook runs, with the place: "`city`: must not be empty".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct BoundedText<const MAX: usize>(String);

impl<const MAX: usize> TryFrom<String> for BoundedText<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.chars().count() > MAX {
            return Err(format!("must not be longer than {MAX} characters"));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err("must not contain control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Deref for BoundedText<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for BoundedText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> JsonSchema for BoundedText<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("BoundedText{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BoundedText<5>, String> {
        BoundedText::try_from(text.to_owned())
    }

    #[test]
    fn blanks_around_do_not_count() {
        assert_eq!(&*read("  Ålås\n").unwrap(), "Ålås");
        assert_eq!(&*read(" 12345 ").unwrap(), "12345");
    }

    #[test]
    fn empty_long_and_control_characters_are_refused() {
        for (text, reason) in [("", "empty"), (" \t\n", "empty"), ("123456", "5 characters"), ("a\0b", "control")] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(reason), "{text:?}: {refused}");
        }
    }
}
