//! URIs of resources with places for values: `notes://{id}`.

use std::fmt;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A URI, or a family of them with places for values (RFC 6570, levels 1 and 2).
///
/// `{name}` stands for one or more characters other than `/`, `{+name}` for one or more of any. The whole URI must match;
/// values are percent-decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct UriTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value { name: String, crosses_slashes: bool },
}

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriTemplateError {
    /// It names no scheme, so it is no URI.
    #[error("it must begin with a scheme, such as `notes://`")]
    NoScheme,
    /// A `{` without `}`, or the other way round.
    #[error("its braces are not in pairs")]
    Braces,
    /// What is between braces is no name.
    #[error("a place is written `{{name}}` or `{{+name}}`, with letters, digits and `_`")]
    Place,
    /// Two places with nothing between them: nobody knows where the first value ends.
    #[error("between two places there must be some text")]
    Adjacent,
}

impl UriTemplate {
    /// A URI in the form that its values are read in. What is denied must be judged by this form, too: `%65` is an `e`.
    #[must_use]
    pub fn decoded(uri: &str) -> Cow<'_, str> {
        percent_decode_str(uri).decode_utf8_lossy()
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`UriTemplateError`].
    pub fn parse(text: &str) -> Result<Self, UriTemplateError> {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let scheme_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(scheme_char) {
            return Err(UriTemplateError::NoScheme);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, place) = match rest.split_once('{') {
                Some((literal, after)) => (literal, Some(after.split_once('}').ok_or(UriTemplateError::Braces)?)),
                None => (rest, None),
            };
            if literal.contains('}') {
                return Err(UriTemplateError::Braces);
            }
            if !literal.is_empty() {
                parts.push(Part::Text(literal.to_owned()));
            } else if place.is_some() && !parts.is_empty() {
                return Err(UriTemplateError::Adjacent);
            }
            let Some((place, after)) = place else { break };
            let name = place.strip_prefix('+').unwrap_or(place);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(UriTemplateError::Place);
            }
            parts.push(Part::Value { name: name.to_owned(), crosses_slashes: place.starts_with('+') });
            rest = after;
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is one URI, without places for values.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The names of its places, in their order.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { name, .. } => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The values in a URI of this family, each a string; `None` for any other URI.
    #[must_use]
    pub fn read(&self, uri: &str) -> Option<Map<String, Value>> {
        let mut values = Map::new();
        let mut rest = uri;
        let mut parts = self.parts.as_slice();
        while let [part, behind @ ..] = parts {
            parts = behind;
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Value { name, crosses_slashes } => {
                    // The text behind a place ends its value: where it comes first, and at the end where it is last.
                    let end = match behind {
                        [Part::Text(text)] => rest.len().checked_sub(text.len())?,
                        [Part::Text(text), ..] => rest.find(text.as_str())?,
                        _ => rest.len(),
                    };
                    let (value, after) = rest.split_at_checked(end)?;
                    if value.is_empty() || (!crosses_slashes && value.contains('/')) {
                        return None;
                    }
                    let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
                    values.insert(name.clone(), Value::String(value));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(values)
    }
}

impl fmt::Debug for UriTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(template: &str, uri: &str) -> Option<Value> {
        UriTemplate::parse(template).unwrap().read(uri).map(Value::Object)
    }

    #[test]
    fn values_are_read_from_the_whole_uri() {
        assert_eq!(read("notes://{id}", "notes://17"), Some(json!({ "id": "17" })));
        assert_eq!(read("notes://{id}", "notes://a%20b"), Some(json!({ "id": "a b" })));
        assert_eq!(read("notes://{id}", "notes://"), None);
        assert_eq!(read("notes://{id}", "notes://a/b"), None);
        assert_eq!(read("notes://{+path}", "notes://a/b"), Some(json!({ "path": "a/b" })));
        assert_eq!(read("x://{a}/of/{b}.md", "x://1/of/2.md"), Some(json!({ "a": "1", "b": "2" })));
        assert_eq!(read("x://{a}.md", "x://1.md.md"), Some(json!({ "a": "1.md" })));
        assert_eq!(read("x://{a}.md", "x://1.md/"), None);
        assert_eq!(read("x://all", "x://all"), Some(json!({})));
        assert_eq!(read("x://all", "x://all/more"), None);
    }

    #[test]
    fn values_that_are_no_text_do_not_match() {
        assert_eq!(read("notes://{id}", "notes://%ff"), None);
    }

    #[test]
    fn templates_are_checked() {
        let refused = |text: &str| UriTemplate::parse(text).unwrap_err();
        assert_eq!(refused("notes"), UriTemplateError::NoScheme);
        assert_eq!(refused("{a}://x"), UriTemplateError::NoScheme);
        assert_eq!(refused("x://{a"), UriTemplateError::Braces);
        assert_eq!(refused("x://a}"), UriTemplateError::Braces);
        assert_eq!(refused("x://{}"), UriTemplateError::Place);
        assert_eq!(refused("x://{a b}"), UriTemplateError::Place);
        assert_eq!(refused("x://{a}{b}"), UriTemplateError::Adjacent);
        assert!(UriTemplate::parse("x://all").unwrap().is_fixed());
        assert_eq!(UriTemplate::parse("x://{a}/{+b}").unwrap().places().collect::<Vec<_>>(), ["a", "b"]);
    }
}
