//! What comes to the application as a whole: `POST /bot`.

use std::fmt;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::error::HookError;
use crate::extract::FromCall;
use crate::kind::TakesBotMessage;

/// The secret that the application shares with the service that sends to `/bot`. Never printed.
#[derive(Clone)]
pub struct BotToken(Arc<str>);

impl BotToken {
    /// Wraps a token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BotToken(..)")
    }
}

/// What a service sent to `/bot`. Argument of bot hooks.
///
/// **Nobody was asked who sent it**: services sign each in its own way. Look before anything else: with
/// [`bears_token`](Self::bears_token), or by checking the sender's signature over [`bytes`](Self::bytes) with
/// [`token`](Self::token).
#[derive(Clone, Debug)]
pub struct BotMessage {
    token: BotToken,
    headers: HeaderMap,
    body: Arc<[u8]>,
}

impl BotMessage {
    /// A message as the framework would make it.
    #[must_use]
    pub fn new(token: BotToken, headers: HeaderMap, body: &[u8]) -> Self {
        Self { token, headers, body: body.into() }
    }

    /// The configured token: `ACTINGWEB_BOT_TOKEN`.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token.0
    }

    /// Whether the message came with `Authorization: Bearer` and the configured token, compared in constant time.
    #[must_use]
    pub fn bears_token(&self) -> bool {
        let presented = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let presented = presented.and_then(|value| value.split_once(' '));
        presented.is_some_and(|(scheme, presented)| {
            scheme.eq_ignore_ascii_case("bearer") && same(presented.trim().as_bytes(), self.token().as_bytes())
        })
    }

    /// A header, such as the sender's signature; `None` also for one that is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as it came: what signatures are made of.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as a type of the application's own, read as JSON.
    ///
    /// # Errors
    /// [`HookError::Invalid`], naming what is wrong and where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HookError> {
        let mut body = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut body).map_err(|error| HookError::invalid(error.to_string()))
    }
}

impl<K: TakesBotMessage> FromCall<K> for BotMessage {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok((*call.payload).clone())
    }
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
