//! Names of properties, methods, actions and resources, and paths into a property's value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 256;

/// The most segments below a property's name in a path.
const MAX_PATH_SEGMENTS: usize = 32;

/// A name that can be addressed in a URL whatever stands between client and function: 1 to [`MAX_NAME_BYTES`] bytes,
/// without `/ ? # %` and control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("a name has at most {MAX_NAME_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that gateways cut, decode or split at.
    #[error("a name must not contain {}", shown(*.0))]
    Forbidden(char),
    /// `.` and `..`, which clients resolve before they send them.
    #[error("`.` and `..` are no names")]
    Dots,
    /// More than 32 levels below the name.
    #[error("a path goes at most {MAX_PATH_SEGMENTS} levels below a property")]
    TooDeep,
}

fn shown(c: char) -> String {
    if c.is_control() { format!("the control character U+{:04X}", u32::from(c)) } else { format!("`{c}`") }
}

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(text.len()));
    }
    if text == "." || text == ".." {
        return Err(NameError::Dots);
    }
    match text.chars().find(|c| matches!(c, '/' | '?' | '#' | '%') || c.is_control()) {
        Some(c) => Err(NameError::Forbidden(c)),
        None => Ok(()),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A property and, below it, a path of object keys: `/properties/address/city` is `address` and `["city"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyPath {
    /// The property.
    pub name: Name,
    /// Keys below it, each a valid name; empty for the whole value.
    pub below: Vec<String>,
}

impl PropertyPath {
    /// Reads already decoded path segments; the first is the property's name.
    ///
    /// # Errors
    /// [`NameError`] for the first segment that is no name, or when there are more than 32 below the first.
    pub fn parse<'a>(segments: impl IntoIterator<Item = &'a str>) -> Result<Self, NameError> {
        let mut segments = segments.into_iter();
        let name = Name::parse(segments.next().unwrap_or_default())?;
        let below: Vec<String> =
            segments.map(|segment| check(segment).map(|()| segment.to_owned())).collect::<Result<_, _>>()?;
        if below.len() > MAX_PATH_SEGMENTS {
            return Err(NameError::TooDeep);
        }
        Ok(Self { name, below })
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.below.iter().try_for_each(|key| write!(f, "/{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_gateways_would_change_are_refused() {
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse(&"n".repeat(257)), Err(NameError::TooLong(257)));
        for c in ['/', '?', '#', '%', '\n', '\u{0}', '\u{7f}', '\u{85}'] {
            assert_eq!(Name::parse(&format!("a{c}b")), Err(NameError::Forbidden(c)));
        }
        assert_eq!(Name::parse(".."), Err(NameError::Dots));
        assert!(Name::parse("naïve name+with:odd*chars~").is_ok());
        assert!(Name::parse(&"n".repeat(256)).is_ok());
    }

    #[test]
    fn a_path_is_a_name_and_keys() {
        let path = PropertyPath::parse(["address", "city"]).unwrap();
        assert_eq!((path.name.as_str(), path.below.as_slice()), ("address", ["city".to_owned()].as_slice()));
        assert_eq!(path.to_string(), "address/city");
        assert_eq!(PropertyPath::parse(["a", ""]), Err(NameError::Empty));
        assert_eq!(PropertyPath::parse(std::iter::repeat_n("a", 34)), Err(NameError::TooDeep));
    }
}
