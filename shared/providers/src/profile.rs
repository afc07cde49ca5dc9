//! What a provider says of somebody.

use actingweb_protocol::{Timestamp, sha256_hex_of_parts};
use serde::{Deserialize, Serialize};

/// Somebody, as a provider knows them. `issuer` and `subject` together are who they are; all else may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The provider's name in this deployment: `google`.
    pub provider: String,
    /// Who says so: the provider's issuer URL.
    pub issuer: String,
    /// The issuer's own, never reused name of the user.
    pub subject: String,
    /// An e-mail address in lower case, if the provider says that it is verified; any other is left out.
    pub email: Option<String>,
    /// All of the name, for people to read.
    pub name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub family_name: Option<String>,
}

impl Profile {
    /// What the identity is found by: a digest of issuer and subject.
    #[must_use]
    pub fn identity(&self) -> String {
        sha256_hex_of_parts(&[self.issuer.as_bytes(), self.subject.as_bytes()])
    }

    /// The address as it is compared, if it is verified and one.
    pub(crate) fn with_email(mut self, email: Option<&str>, verified: bool) -> Self {
        self.email = email.filter(|_| verified).and_then(plain_email);
        self
    }
}

/// A statement that a native app brought along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Whom it speaks of.
    pub profile: Profile,
    /// What tells it from every other: the same statement must not count twice.
    pub id: String,
    /// Until when it counts, leeway included.
    pub expires: Timestamp,
}

/// An e-mail address as it is compared: in lower case, without blanks around it. None for what could not be one.
#[must_use]
pub fn plain_email(text: &str) -> Option<String> {
    let (local, domain) = text.trim().rsplit_once('@')?;
    // What separates or wraps addresses in the header of a mail is part of none.
    let odd = |c: char| c.is_control() || c.is_whitespace() || "@,;:<>()[]\\\"".contains(c);
    let fits =
        !local.is_empty() && !domain.is_empty() && text.len() <= 254 && !local.chars().chain(domain.chars()).any(odd);
    fits.then(|| text.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verified_address_counts() {
        let email = |text, verified| Profile::default().with_email(Some(text), verified).email;
        assert_eq!(email(" Ann@Example.ORG ", true).as_deref(), Some("ann@example.org"));
        assert_eq!(email("ann@example.org", false), None);
        for odd in ["", "ann", "@example.org", "ann@", "a b@example.org", "a\u{7}@example.org"] {
            assert_eq!(email(odd, true), None, "{odd:?}");
        }
    }

    #[test]
    fn the_same_subject_of_another_issuer_is_somebody_else() {
        let who = |issuer: &str, subject: &str| {
            Profile { issuer: issuer.into(), subject: subject.into(), ..Profile::default() }.identity()
        };
        assert_eq!(who("https://a.example", "1"), who("https://a.example", "1"));
        assert_ne!(who("https://a.example", "1"), who("https://b.example", "1"));
        assert_ne!(who("https://a.example/1", ""), who("https://a.example/", "1"));
    }
}
