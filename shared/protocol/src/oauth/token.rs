//! Tokens: opaque to whoever carries them, and telling us which rows decide about them.

use std::fmt;

use super::pkce::same;
use crate::{ActorId, Entropy, Keys, PeerId, random_hex, sha256_hex};

/// What every token of ours begins with; any other bearer is a trust's secret or a trustee's passphrase.
pub const TOKEN_PREFIX: &str = "actw_";

/// How many characters a secret has: 32 bytes in base64url without padding.
const SECRET_CHARS: usize = 43;

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A client's access to an actor.
    Access,
    /// What a client or a session gets its next access token with.
    Refresh,
    /// What a client exchanges for its first tokens.
    Code,
    /// A user's own access, with the creator's rights.
    Session,
    /// The same for a page that may not see it: good in the cookie of applications' pages and nowhere else.
    Page,
    /// A user's browser: good in our cookie and nowhere else.
    Browser,
}

impl TokenKind {
    const ALL: [Self; 6] = [Self::Access, Self::Refresh, Self::Code, Self::Session, Self::Page, Self::Browser];

    /// The letter that stands for it.
    const fn word(self) -> &'static str {
        match self {
            Self::Access => "a",
            Self::Refresh => "r",
            Self::Code => "c",
            Self::Session => "s",
            Self::Page => "p",
            Self::Browser => "w",
        }
    }
}

/// Which client, in the keys of rows: the id of a registered client, or a digest of the URL of a client-id metadata
/// document. 1 to 64 letters, digits, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(String);

/// Why a text is no client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client's key is 1 to 64 letters, digits, `_` and `-`")]
pub struct ClientKeyError;

/// What the ids of registered clients begin with.
const REGISTERED: &str = "mcp_";

/// What sessions of users have in place of a client.
const SELF: &str = "self";

/// What the ids of clients among an actor's peers begin with.
const PEER: &str = "oauth2_client:";

impl ClientKey {
    /// A fresh one, for a client about to be registered: it is the client's id as well.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(format!("{REGISTERED}{}", random_hex(entropy, 16)))
    }

    /// The key of the client with this id: the id itself for those that registered, a digest of any other.
    #[must_use]
    pub fn of(client_id: &str) -> Self {
        match Self::parse(client_id) {
            Ok(key) if key.is_registered() => key,
            _ => Self(sha256_hex(client_id).chars().take(32).collect()),
        }
    }

    /// What sessions of users have in place of a client.
    #[must_use]
    pub fn of_users() -> Self {
        Self(SELF.to_owned())
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`ClientKeyError`].
    pub fn parse(text: &str) -> Result<Self, ClientKeyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let good = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(ClientKeyError) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the client is called among an actor's peers.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        // A key and the word before it are well within what an id may be.
        PeerId::of_client(format!("{PEER}{self}"))
    }

    /// The client that is called so among an actor's peers; `None` for what is no client.
    #[must_use]
    pub fn of_peer(peer: &PeerId) -> Option<Self> {
        Self::parse(peer.as_str().strip_prefix(PEER)?).ok()
    }

    /// Whether the client registered here, so that it has a row that decides whether it still exists.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.0.starts_with(REGISTERED)
    }

    /// Whether no client is behind it, but a user.
    #[must_use]
    pub fn is_of_users(&self) -> bool {
        self.0 == SELF
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which grant of a client: 16 lowercase hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(String);

impl GrantId {
    /// A fresh one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(random_hex(entropy, 8))
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`TokenError`] for anything but 16 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 16 && text.bytes().all(hex) { Ok(Self(text.to_owned())) } else { Err(TokenError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token, as text `actw_<kind>.<actor>.<client>.<grant>.<generation>.<secret>`: it names the rows that decide about it,
/// so that one read recognises it and no index is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What it may be used for.
    pub kind: TokenKind,
    /// The actor that it is about.
    pub actor: ActorId,
    /// Who carries it.
    pub client: ClientKey,
    /// The grant that it belongs to.
    pub grant: GrantId,
    /// Which of the tokens of that grant: each refresh begins another generation. Codes are of generation 0.
    pub generation: u32,
    /// 43 characters that nobody can guess, of [`Keys::token_secret`].
    secret: String,
}

/// Why a text is no token of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no token of ours")]
pub struct TokenError;

impl Token {
    /// Reads a token. Whether it is good is for the rows to say that it names.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.strip_prefix(TOKEN_PREFIX).ok_or(TokenError)?.split('.');
        let mut part = || parts.next().ok_or(TokenError);
        let (kind, actor, client, grant, generation, secret) = (part()?, part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(TokenError);
        }
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if secret.len() != SECRET_CHARS || !secret.bytes().all(base64url) {
            return Err(TokenError);
        }
        let kind = TokenKind::ALL.into_iter().find(|known| known.word() == kind).ok_or(TokenError)?;
        let number: u32 = generation.parse().map_err(|_| TokenError)?;
        // One number has one form, so that one token has one text.
        if number.to_string() != generation {
            return Err(TokenError);
        }
        Ok(Self {
            kind,
            actor: ActorId::parse(actor).map_err(|_| TokenError)?,
            client: ClientKey::parse(client).map_err(|_| TokenError)?,
            grant: GrantId::parse(grant)?,
            generation: number,
            secret: secret.to_owned(),
        })
    }

    /// What its carrier presents.
    #[must_use]
    pub fn reveal(&self) -> String {
        let Self { kind, actor, client, grant, generation, secret } = self;
        format!("{TOKEN_PREFIX}{}.{actor}.{client}.{grant}.{generation}.{secret}", kind.word())
    }

    /// SHA-256 of its secret, in hexadecimal digits: what is stored.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(&self.secret)
    }

    /// Whether this is the token whose [`Token::hash`] was stored, compared in constant time.
    #[must_use]
    pub fn is_hashed_as(&self, stored: &str) -> bool {
        same(&self.hash(), stored)
    }

    /// Whether one of these keys made it, for a grant with this nonce.
    #[must_use]
    pub fn is_made_by(&self, keys: &Keys, nonce: &str) -> bool {
        let generation = self.generation.to_string();
        keys.made_token_secret(&self.parts(nonce, &generation), &self.secret)
    }

    /// The token of a grant with this nonce, made by the key `kid`; `None` when that key is no longer held.
    #[must_use]
    pub fn make(
        keys: &Keys,
        kid: &str,
        nonce: &str,
        kind: TokenKind,
        actor: &ActorId,
        (client, grant): (&ClientKey, &GrantId),
        generation: u32,
    ) -> Option<Self> {
        let (actor, client, grant) = (actor.clone(), client.clone(), grant.clone());
        let blank = Self { kind, actor, client, grant, generation, secret: String::new() };
        let secret = keys.token_secret(kid, &blank.parts(nonce, &generation.to_string()))?;
        Some(Self { secret, ..blank })
    }

    /// What its secret is made of.
    fn parts<'a>(&'a self, nonce: &'a str, generation: &'a str) -> [&'a str; 6] {
        [self.kind.word(), self.actor.as_str(), self.client.as_str(), self.grant.as_str(), nonce, generation]
    }
}

/// Never shows the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, actor, client, grant, generation, .. } = self;
        write!(f, "Token({kind:?} of {actor} for {client}, grant {grant}, generation {generation})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(kind: TokenKind, client: &str, generation: u32) -> Token {
        let actor = ActorId::parse(&"0a".repeat(16)).unwrap();
        let ids = (&ClientKey::parse(client).unwrap(), &GrantId::parse(&"0b".repeat(8)).unwrap());
        Token::make(&keys(), "k1", "nonce", kind, &actor, ids, generation).unwrap()
    }

    fn keys() -> Keys {
        Keys::parse(r#"{"k1": "0123456789abcdef0123456789abcdef"}"#).unwrap()
    }

    proptest! {
        #[test]
        fn a_token_reads_back(
            kind in prop::sample::select(&TokenKind::ALL[..]),
            client in "[A-Za-z0-9_-]{1,64}",
            generation: u32,
        ) {
            let token = token(kind, &client, generation);
            prop_assert_eq!(Token::parse(&token.reveal()), Ok(token));
        }

        #[test]
        fn whatever_is_parsed_has_one_text(text in "(actw_)?[arcspwx]{0,2}\\.?[.a-f0-9_+-]{0,120}") {
            if let Ok(token) = Token::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }

    #[test]
    fn odd_texts_are_no_tokens() {
        let good = token(TokenKind::Access, "mcp_1", 7).reveal();
        for odd in [
            String::new(),
            "actw_".to_owned(),
            good.replace("actw_", "aw_"),
            good.replace("actw_a", "actw_x"),
            good.replace("actw_a", "actw_aa"),
            good.replace(".7.", ".07."),
            good.replace(".7.", ".+7."),
            good.replace(".7.", ".4294967296."),
            format!("{good}."),
            format!("{good}s"),
            good.replace("mcp_1", "mcp#1"),
            good.replace("0a0a", "0A0A"),
        ] {
            assert_eq!(Token::parse(&odd), Err(TokenError), "{odd}");
        }
    }

    #[test]
    fn nobody_sees_a_secret_in_the_log() {
        let token = token(TokenKind::Access, "mcp_1", 7);
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    #[test]
    fn a_token_is_known_by_its_hash_and_by_the_keys_that_made_it() {
        let token = token(TokenKind::Access, "mcp_1", 7);
        assert!(token.is_hashed_as(&token.hash()) && token.is_made_by(&keys(), "nonce"));
        assert!(!token.is_made_by(&keys(), "other"));
        for other in [
            Token { kind: TokenKind::Refresh, ..token.clone() },
            Token { generation: 8, ..token.clone() },
            Token { grant: GrantId::parse(&"0c".repeat(8)).unwrap(), ..token.clone() },
            Token { client: ClientKey::of_users(), ..token.clone() },
        ] {
            assert!(!other.is_made_by(&keys(), "nonce"), "{other:?}");
        }
    }

    #[test]
    fn a_client_cannot_choose_the_key_of_another() {
        assert_eq!(ClientKey::of("mcp_0123").as_str(), "mcp_0123");
        let document = ClientKey::of("https://client.example/id");
        assert!(!document.is_registered() && document.as_str().len() == 32, "{document}");
        for id in ["self", "0123456789abcdef0123456789abcdef", "mcp_#", "https://client.example/mcp_0"] {
            let key = ClientKey::of(id);
            assert!(key.as_str() != id && !key.is_registered() && !key.is_of_users(), "{id}: {key}");
        }
    }
}
