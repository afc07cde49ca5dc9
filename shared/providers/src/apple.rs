//! Apple's client secret: a statement signed with the developer's key, made anew for each exchange.

use actingweb_protocol::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

/// How long a secret counts. Apple allows half a year; it is used at once.
const LIFETIME_SECS: i64 = 300;

/// The key that Apple gave a developer, and whose it is.
#[derive(Clone)]
pub(crate) struct AppleKey {
    pub(crate) team_id: String,
    pub(crate) key_id: String,
    der: Vec<u8>,
}

impl AppleKey {
    /// Reads the text of a `.p8` file; `\n` may be written out, as it is in many variables.
    pub(crate) fn parse(team_id: &str, key_id: &str, pem: &str) -> Option<Self> {
        let pem = pem.replace("\\n", "\n");
        let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
        let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        let key = Self { team_id: team_id.to_owned(), key_id: key_id.to_owned(), der: STANDARD.decode(body).ok()? };
        key.pair(&randomness())?;
        Some(key)
    }

    /// The secret for `audience` (Apple's issuer), from `now` on.
    pub(crate) fn client_secret(&self, client_id: &str, audience: &str, now: Timestamp) -> Option<String> {
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": "JWT"}).to_string();
        let claims = json!({
            "iss": self.team_id, "iat": now.as_secs(), "exp": now.as_secs() + LIFETIME_SECS,
            "aud": audience, "sub": client_id,
        });
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let randomness = randomness();
        let signature = self.pair(&randomness)?.sign(&randomness, text.as_bytes()).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn pair(&self, randomness: &dyn ring::rand::SecureRandom) -> Option<EcdsaKeyPair> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.der, randomness).ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "ring signs with its own randomness alone; no test depends on it")]
fn randomness() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

/// Shows whose key it is, not the key.
impl std::fmt::Debug for AppleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppleKey").field("team_id", &self.team_id).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_secret_is_a_statement_that_the_public_key_confirms() {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &randomness()).unwrap();
        let body = STANDARD.encode(made.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----\\n");
        let key = AppleKey::parse("TEAM", "KEY", &pem).unwrap();
        let now = Timestamp::from_millis(1_000_000_000_000);
        let secret = key.client_secret("com.example.web", "https://appleid.apple.com", now).unwrap();
        let (text, signature) = secret.rsplit_once('.').unwrap();
        let public = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &randomness()).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public.public_key().as_ref().to_vec());
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let part = |n: usize| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').nth(n).unwrap()).unwrap()).unwrap()
        };
        assert_eq!(part(0), json!({"alg": "ES256", "kid": "KEY", "typ": "JWT"}));
        assert_eq!((&part(1)["iss"], &part(1)["sub"]), (&json!("TEAM"), &json!("com.example.web")));
        assert_eq!(part(1)["exp"].as_i64().unwrap() - part(1)["iat"].as_i64().unwrap(), LIFETIME_SECS);
        assert!(!format!("{key:?}").contains(&body));
    }

    #[test]
    fn what_is_no_key_is_told_at_start() {
        for odd in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
            assert!(AppleKey::parse("TEAM", "KEY", odd).is_none());
        }
    }
}
