//! Keyed hashes of secrets, with keys that can be rotated.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, digest, hkdf, hmac};

/// The deployment's master keys, `{kid: material}`. Each purpose has a key of its own, derived by HKDF-SHA256
/// (RFC 5869), so that a value hashed for one purpose is worthless for another.
#[derive(Clone)]
pub struct Keys {
    current: String,
    derived: BTreeMap<String, BTreeMap<Purpose, hmac::Key>>,
    /// For secrets that must be sent out again.
    sealing: BTreeMap<String, aead::LessSafeKey>,
}

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Passphrases of creators and trustees.
    Passphrase,
    /// What a request asked for, to tell whether another with the same `Idempotency-Key` asks for the same.
    Request,
    /// The secrets of tokens, so that a token can be handed out again of which nothing but a hash is stored.
    Token,
    /// Forms shown to a browser: what comes back was shown by us, to the same session.
    Form,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Passphrase, Self::Request, Self::Token, Self::Form];

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Passphrase => b"actingweb passphrase v1",
            Self::Request => b"actingweb request v1",
            Self::Token => b"actingweb token v1",
            Self::Form => b"actingweb form v1",
        }
    }
}

/// Why a text is no set of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not a JSON object of strings.
    #[error("keys must be a JSON object of the form {{\"k1\": \"at least 32 random characters\"}}")]
    Shape,
    /// None at all.
    #[error("there must be at least one key")]
    Empty,
    /// Too short to be hard to guess.
    #[error("key `{0}` has less than 32 characters")]
    Short(String),
    /// A key id that could not stand in a stored value.
    #[error("key id `{0}` must be 1 to 32 letters, digits or `-`")]
    Id(String),
}

impl Keys {
    /// Reads `{"kid": "material"}`. The key with the greatest id (in text order) is the current one, with which new
    /// values are made; the others still verify what they made.
    ///
    /// # Errors
    /// [`KeysError`] names the key at fault, never its material.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let materials: BTreeMap<String, String> = serde_json::from_str(text).map_err(|_| KeysError::Shape)?;
        let current = materials.keys().next_back().ok_or(KeysError::Empty)?.clone();
        let sealing = materials
            .iter()
            .filter_map(|(kid, material)| Some((kid.clone(), sealing_key(material)?)))
            .collect::<BTreeMap<_, _>>();
        let derived = materials
            .into_iter()
            .map(|(kid, material)| {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
                if kid.is_empty() || kid.len() > 32 || !kid.chars().all(plain) {
                    return Err(KeysError::Id(kid));
                }
                if material.len() < 32 {
                    return Err(KeysError::Short(kid));
                }
                Ok((kid, Purpose::ALL.map(|purpose| (purpose, derive(&material, purpose))).into()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { current, derived, sealing })
    }

    /// A keyed hash of `secret`, bound to `owner` so that equal secrets of two owners differ: `kid:base64url`.
    #[must_use]
    pub fn hash(&self, purpose: Purpose, owner: &str, secret: &str) -> String {
        let tag = self.key(&self.current, purpose).map(|key| hmac::sign(key, &message(owner, secret)));
        // `current` is one of the keys by construction; without it the hash would match nothing.
        let tag = tag.map(|tag| URL_SAFE_NO_PAD.encode(tag)).unwrap_or_default();
        format!("{}:{tag}", self.current)
    }

    /// Whether `stored` (of [`Keys::hash`]) was made from this secret, compared in constant time. A stored value of a
    /// key no longer held, or one that is no hash at all, verifies nothing.
    #[must_use]
    pub fn verify(&self, purpose: Purpose, owner: &str, secret: &str, stored: &str) -> bool {
        let Some((kid, tag)) = stored.split_once(':') else { return false };
        let (Some(key), Ok(tag)) = (self.key(kid, purpose), URL_SAFE_NO_PAD.decode(tag)) else { return false };
        hmac::verify(key, &message(owner, secret), &tag).is_ok()
    }

    /// The id of the key that new values are made with.
    #[must_use]
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The secret of a token: 43 characters that only a holder of the key `kid` can make of `parts`, which say whose it is
    /// and which. `None` when that key is no longer held.
    #[must_use]
    pub fn token_secret(&self, kid: &str, parts: &[&str]) -> Option<String> {
        let key = self.key(kid, Purpose::Token)?;
        Some(URL_SAFE_NO_PAD.encode(hmac::sign(key, sha256_hex_of_texts(parts).as_bytes())))
    }

    /// Whether `secret` is one of [`Keys::token_secret`], of any key that is held; compared in constant time.
    #[must_use]
    pub fn made_token_secret(&self, parts: &[&str], secret: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(secret) else { return false };
        let message = sha256_hex_of_texts(parts);
        let keys = self.derived.values().filter_map(|keys| keys.get(&Purpose::Token));
        keys.fold(false, |made, key| made | hmac::verify(key, message.as_bytes(), &tag).is_ok())
    }

    /// The sealing key of this id, or the current one, with its id.
    pub(crate) fn sealing_key(&self, kid: Option<&str>) -> Option<(&str, &aead::LessSafeKey)> {
        let (kid, key) = self.sealing.get_key_value(kid.unwrap_or(&self.current))?;
        Some((kid, key))
    }

    fn key(&self, kid: &str, purpose: Purpose) -> Option<&hmac::Key> {
        self.derived.get(kid)?.get(&purpose)
    }
}

/// Names the keys held, never their material.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("kids", &self.derived.keys()).finish_non_exhaustive()
    }
}

fn derive(material: &str, purpose: Purpose) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &expand(material, purpose.label()))
}

fn sealing_key(material: &str) -> Option<aead::LessSafeKey> {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &expand(material, b"actingweb seal v1")).ok()?;
    Some(aead::LessSafeKey::new(key))
}

fn expand(material: &str, label: &[u8]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"actingweb").extract(material.as_bytes());
    let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
    // Expanding to one hash length cannot fail (RFC 5869 allows 255 of them).
    let _ = secret.expand(&[label], hmac::HMAC_SHA256).and_then(|okm| okm.fill(&mut bytes));
    bytes
}

/// The owner's length goes first, so that no two pairs of owner and secret give one message.
fn message(owner: &str, secret: &str) -> Vec<u8> {
    let length = u64::try_from(owner.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&length, owner.as_bytes(), secret.as_bytes()].concat()
}

/// SHA-256 of `text` as 64 lowercase hexadecimal digits: for look-up keys of values that are not secret by themselves.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    crate::ids::hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// SHA-256 over several parts, each after its length, so that no two sequences of parts give one digest; 64 lowercase
/// hexadecimal digits.
#[must_use]
pub fn sha256_hex_of_parts(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    crate::ids::hex(context.finish().as_ref())
}

fn sha256_hex_of_texts(parts: &[&str]) -> String {
    sha256_hex_of_parts(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"k1": "0123456789abcdef0123456789abcdef"}"#;
    const BOTH: &str = r#"{"k1": "0123456789abcdef0123456789abcdef", "k2": "fedcba9876543210fedcba9876543210"}"#;

    #[test]
    fn a_hash_verifies_its_own_secret_and_owner_only() {
        let keys = Keys::parse(OLD).unwrap();
        let stored = keys.hash(Purpose::Passphrase, "actor", "secret");
        let verify = |owner, secret, stored: &str| keys.verify(Purpose::Passphrase, owner, secret, stored);
        assert!(verify("actor", "secret", &stored));
        assert!(!verify("actor", "secrets", &stored));
        assert!(!verify("acto", "rsecret", &stored));
        for odd in ["", ":", "k1:", "k1:!", "k9:AAAA", "k1"] {
            assert!(!verify("actor", "secret", odd), "{odd}");
        }
    }

    #[test]
    fn two_keys_may_be_live() {
        let (old, both) = (Keys::parse(OLD).unwrap(), Keys::parse(BOTH).unwrap());
        let before = old.hash(Purpose::Passphrase, "a", "s");
        let after = both.hash(Purpose::Passphrase, "a", "s");
        assert!(before.starts_with("k1:") && after.starts_with("k2:"));
        assert!(both.verify(Purpose::Passphrase, "a", "s", &before));
        assert!(!old.verify(Purpose::Passphrase, "a", "s", &after));
    }

    #[test]
    fn bad_keys_are_named_without_their_material() {
        assert_eq!(Keys::parse("x").unwrap_err(), KeysError::Shape);
        assert_eq!(Keys::parse("{}").unwrap_err(), KeysError::Empty);
        assert_eq!(Keys::parse(r#"{"k": "short"}"#).unwrap_err(), KeysError::Short("k".into()));
        assert_eq!(Keys::parse(r#"{"k:": "short"}"#).unwrap_err(), KeysError::Id("k:".into()));
        assert!(!format!("{:?}", Keys::parse(OLD).unwrap()).contains("0123"));
    }

    #[test]
    fn a_purpose_has_a_key_of_its_own() {
        let keys = Keys::parse(OLD).unwrap();
        let stored = keys.hash(Purpose::Request, "actor", "secret");
        assert!(keys.verify(Purpose::Request, "actor", "secret", &stored));
        assert!(!keys.verify(Purpose::Passphrase, "actor", "secret", &stored));
    }

    #[test]
    fn a_token_secret_is_made_again_of_the_same_parts_by_the_same_key() {
        let (old, both) = (Keys::parse(OLD).unwrap(), Keys::parse(BOTH).unwrap());
        let secret = old.token_secret("k1", &["a", "bc"]).unwrap();
        assert_eq!(secret.len(), 43);
        assert_eq!(both.token_secret("k1", &["a", "bc"]).as_ref(), Some(&secret));
        assert_ne!(both.token_secret("k2", &["a", "bc"]).as_ref(), Some(&secret));
        assert_ne!(old.token_secret("k1", &["ab", "c"]).as_ref(), Some(&secret));
        assert_eq!(old.token_secret("k2", &["a"]), None);
        assert!(both.made_token_secret(&["a", "bc"], &secret) && !both.made_token_secret(&["a", "b"], &secret));
        let theirs = both.token_secret("k2", &["a", "bc"]).unwrap();
        assert!(both.made_token_secret(&["a", "bc"], &theirs) && !old.made_token_secret(&["a", "bc"], &theirs));
        assert!(!old.made_token_secret(&["a", "bc"], "") && !old.made_token_secret(&["a", "bc"], "!"));
    }

    #[test]
    fn parts_are_told_apart() {
        let digests = [&[&b"ab"[..], b"c"][..], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[]];
        let digests: std::collections::BTreeSet<_> = digests.into_iter().map(sha256_hex_of_parts).collect();
        assert_eq!(digests.len(), 5);
        assert!(digests.iter().all(|digest| digest.len() == 64));
    }

    #[test]
    fn sha256_is_the_standard_one() {
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
