//! Who an actor is and who created it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Entropy;

/// An actor's id: 32 lowercase hexadecimal digits, a UUIDv5 without dashes (spec, "Actor creation").
///
/// Reserved names such as `_actingweb_system` do not parse, so they can never be reached over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ActorId(String);

/// Why a text is no actor id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor id is 32 lowercase hexadecimal digits")]
pub struct ActorIdError;

impl ActorId {
    /// A new id in the URL namespace over `base_url` and 16 random bytes: unique, and not guessable from the time.
    #[must_use]
    pub fn generate(base_url: &str, entropy: &dyn Entropy) -> Self {
        let seed = format!("{base_url}/{}", random_hex(entropy, 16));
        Self(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, seed.as_bytes()).simple().to_string())
    }

    /// Reads an id.
    ///
    /// # Errors
    /// [`ActorIdError`] unless `text` is 32 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, ActorIdError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(hex) { Ok(Self(text.to_owned())) } else { Err(ActorIdError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ActorId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The id of an actor that may live anywhere, as its own server chose it: 1 to 128 printable ASCII characters that stand
/// in a path by themselves (none of `/ ? # % \ "`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PeerId(String);

/// Why a text is no peer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer's id is 1 to 128 printable ASCII characters without / ? # % \\ and quotes")]
pub struct PeerIdError;

impl PeerId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`PeerIdError`].
    pub fn parse(text: &str) -> Result<Self, PeerIdError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#%\\\"".contains(&byte);
        let dots = matches!(text, "." | "..");
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) && !dots {
            Ok(Self(text.to_owned()))
        } else {
            Err(PeerIdError)
        }
    }

    /// An id that is known to be one: of a client's key, which keeps to stricter rules.
    pub(crate) const fn of_client(id: String) -> Self {
        Self(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&ActorId> for PeerId {
    fn from(id: &ActorId) -> Self {
        Self(id.0.clone())
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The name of an actor's creator: trimmed, lower-cased when it is an e-mail address, at most 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Creator(String);

/// Why a text is no creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreatorError {
    /// Longer than 256 bytes.
    #[error("creator is longer than 256 bytes")]
    TooLong,
    /// Basic authentication splits at the first colon (RFC 7617), so such a creator could never sign in.
    #[error("creator must not contain a colon or control characters")]
    Forbidden,
}

impl Creator {
    /// The creator of an actor for whom none was named.
    pub const DEFAULT: &'static str = "creator";

    /// Normalises what a caller sent; an empty name is [`Creator::DEFAULT`].
    ///
    /// # Errors
    /// [`CreatorError`] when it is too long, or contains a colon or control characters.
    pub fn normalise(text: &str) -> Result<Self, CreatorError> {
        let trimmed = text.trim();
        if trimmed.len() > 256 {
            return Err(CreatorError::TooLong);
        }
        if trimmed.chars().any(|c| c == ':' || c.is_control()) {
            return Err(CreatorError::Forbidden);
        }
        Ok(Self(match trimmed {
            "" => Self::DEFAULT.to_owned(),
            address if address.contains('@') => address.to_lowercase(),
            name => name.to_owned(),
        }))
    }

    /// The creator as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `bytes` random bytes as lowercase hexadecimal.
#[must_use]
pub fn random_hex(entropy: &dyn Entropy, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    entropy.fill(&mut buffer);
    hex(&buffer)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Ones;
    impl Entropy for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    #[test]
    fn a_generated_id_parses() {
        let id = ActorId::generate("https://example.com", &Ones);
        assert_eq!(ActorId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn reserved_and_odd_ids_do_not_parse() {
        for text in ["", "_actingweb_system", "login", &"A".repeat(32), &"0".repeat(31), &"0".repeat(33)] {
            assert_eq!(ActorId::parse(text), Err(ActorIdError), "{text}");
        }
    }

    #[test]
    fn a_peer_id_stands_in_a_path_by_itself() {
        assert_eq!(PeerId::parse("oauth2:ann@ex.org").map(|id| id.to_string()), Ok("oauth2:ann@ex.org".to_owned()));
        for text in ["", ".", "..", "a/b", "a b", "a?b", "a#b", "a%2fb", "\u{e9}", "a\"b", &"a".repeat(129)] {
            assert_eq!(PeerId::parse(text), Err(PeerIdError), "{text}");
        }
    }

    #[test]
    fn creators_are_normalised() {
        let read = |text: &str| Creator::normalise(text).map(|c| c.as_str().to_owned());
        assert_eq!(read(" Ann@Ex.org "), Ok("ann@ex.org".to_owned()));
        assert_eq!(read("Ann"), Ok("Ann".to_owned()));
        assert_eq!(read("  "), Ok("creator".to_owned()));
        assert_eq!(read("a:b"), Err(CreatorError::Forbidden));
        assert_eq!(read(&"x".repeat(257)), Err(CreatorError::TooLong));
    }
}
