//! Secrets that must be sent out again, encrypted at rest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead;

use crate::{Entropy, Keys};

/// A sealed value that cannot be opened: of a key no longer held, of another place, or no sealed value at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value cannot be opened: it is damaged, belongs elsewhere, or its key is no longer among the keys")]
pub struct SealError;

impl Keys {
    /// Encrypts `secret` (AES-256-GCM, RFC 5116) with the current key: `kid:base64url(nonce, ciphertext)`. `context` is
    /// where the value will stand, such as `actor/peer`: it opens nowhere else.
    ///
    /// # Errors
    /// [`SealError`] only for a secret of more than 64 GB.
    pub fn seal(&self, context: &str, secret: &str, entropy: &dyn Entropy) -> Result<String, SealError> {
        let (kid, key) = self.sealing_key(None).ok_or(SealError)?;
        let mut nonce = [0; aead::NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = secret.as_bytes().to_vec();
        key.seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(context.as_bytes()),
            &mut sealed,
        )
        .map_err(|_| SealError)?;
        Ok(format!("{kid}:{}", URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// The secret in a value of [`Keys::seal`] made for the same `context`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, context: &str, sealed: &str) -> Result<String, SealError> {
        let (kid, text) = sealed.split_once(':').ok_or(SealError)?;
        let (_, key) = self.sealing_key(Some(kid)).ok_or(SealError)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError)?;
        let (nonce, ciphertext) = bytes.split_at_checked(aead::NONCE_LEN).ok_or(SealError)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut ciphertext = ciphertext.to_vec();
        let secret =
            key.open_in_place(nonce, aead::Aad::from(context.as_bytes()), &mut ciphertext).map_err(|_| SealError)?;
        String::from_utf8(secret.to_vec()).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"k1": "0123456789abcdef0123456789abcdef"}"#;
    const BOTH: &str = r#"{"k1": "0123456789abcdef0123456789abcdef", "k2": "fedcba9876543210fedcba9876543210"}"#;
    const OTHER: &str = r#"{"k1": "another-key-another-key-another-k"}"#;

    #[derive(Debug)]
    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_with_its_key_only() {
        let keys = Keys::parse(OLD).unwrap();
        let sealed = keys.seal("a/b", "s3cret", &Sevens).unwrap();
        assert!(sealed.starts_with("k1:") && !sealed.contains("s3cret"), "{sealed}");
        assert_eq!(keys.open("a/b", &sealed), Ok("s3cret".to_owned()));
        assert_eq!(keys.open("a/c", &sealed), Err(SealError));
        assert_eq!(Keys::parse(OTHER).unwrap().open("a/b", &sealed), Err(SealError));
        let both = Keys::parse(BOTH).unwrap();
        assert_eq!(both.open("a/b", &sealed), Ok("s3cret".to_owned()), "an old key still opens");
        assert!(both.seal("a/b", "s3cret", &Sevens).unwrap().starts_with("k2:"));
    }

    #[test]
    fn a_damaged_value_does_not_open() {
        let keys = Keys::parse(OLD).unwrap();
        let sealed = keys.seal("", "s3cret", &Sevens).unwrap();
        let flipped = format!("{}A", sealed.strip_suffix(|_| true).unwrap());
        for odd in ["", ":", "k1:", "k1:AAAA", "k9:AAAA", flipped.as_str()] {
            assert!(keys.open("", odd).is_err() || odd == sealed, "{odd}");
        }
    }
}
