//! Proof keys for code exchange (RFC 7636), of which only S256 is taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{digest, hmac};

/// How many characters a challenge has: SHA-256 in base64url without padding.
const CHALLENGE_CHARS: usize = 43;

/// A code challenge of the method S256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

/// What is wrong with a challenge or a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// There is none.
    #[error("`code_challenge` is missing: PKCE is required of every client")]
    Missing,
    /// Anything but S256.
    #[error("`code_challenge_method` must be S256")]
    Method,
    /// Not what S256 makes.
    #[error("`code_challenge` must be 43 characters of base64url: BASE64URL(SHA256(code_verifier))")]
    Challenge,
    /// Breaks the syntax of RFC 7636, 4.1.
    #[error("`code_verifier` must be 43 to 128 letters, digits and `-._~`")]
    Verifier,
}

impl CodeChallenge {
    /// Reads the parameters of an authorization request. Without a method RFC 7636 means `plain`, which is refused.
    ///
    /// # Errors
    /// [`PkceError`].
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        let challenge = challenge.filter(|challenge| !challenge.is_empty()).ok_or(PkceError::Missing)?;
        if method != Some("S256") {
            return Err(PkceError::Method);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if challenge.len() != CHALLENGE_CHARS || !challenge.bytes().all(plain) {
            return Err(PkceError::Challenge);
        }
        Ok(Self(challenge.to_owned()))
    }

    /// The challenge that a verifier meets.
    ///
    /// # Errors
    /// [`PkceError::Verifier`].
    pub fn of(verifier: &str) -> Result<Self, PkceError> {
        check_verifier(verifier)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))))
    }

    /// The challenge as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this verifier meets the challenge, compared in constant time.
    #[must_use]
    pub fn is_met_by(&self, verifier: &str) -> bool {
        Self::of(verifier).is_ok_and(|of| same(&of.0, &self.0))
    }
}

/// Checks the syntax of a verifier.
///
/// # Errors
/// [`PkceError::Verifier`].
pub fn check_verifier(verifier: &str) -> Result<(), PkceError> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let good = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    if good { Ok(()) } else { Err(PkceError::Verifier) }
}

/// Whether two texts are the same, in a time that says nothing about where they differ: their authentication codes are
/// compared, which `ring` does in constant time.
#[must_use]
pub fn same(left: &str, right: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"actingweb comparison");
    hmac::verify(&key, left.as_bytes(), hmac::sign(&key, right.as_bytes()).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_standard_holds() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        assert!(!challenge.is_met_by(&VERIFIER.replace('d', "e")));
        assert!(!challenge.is_met_by(CHALLENGE));
    }

    #[test]
    fn anything_but_s256_is_refused() {
        assert_eq!(CodeChallenge::parse(None, None), Err(PkceError::Missing));
        assert_eq!(CodeChallenge::parse(Some(""), Some("S256")), Err(PkceError::Missing));
        for method in [None, Some("plain"), Some("s256"), Some("")] {
            assert_eq!(CodeChallenge::parse(Some(CHALLENGE), method), Err(PkceError::Method), "{method:?}");
        }
        for odd in ["short", &CHALLENGE.replace('E', "="), &format!("{CHALLENGE}A")] {
            assert_eq!(CodeChallenge::parse(Some(odd), Some("S256")), Err(PkceError::Challenge), "{odd}");
        }
    }

    #[test]
    fn verifiers_have_a_syntax() {
        for odd in ["", &"a".repeat(42), &"a".repeat(129), &format!("{}!", "a".repeat(43))] {
            assert_eq!(check_verifier(odd), Err(PkceError::Verifier), "{odd}");
        }
        assert_eq!(check_verifier(&"~".repeat(128)), Ok(()));
    }
}
