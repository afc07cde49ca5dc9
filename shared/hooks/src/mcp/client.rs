//! Who asks over MCP, and asking back.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Call;
use crate::error::HookError;
use crate::extract::FromCall;
use crate::kind::Kind;
use crate::schema::{self, Schema};

/// The AI client that calls over MCP. Take `Option<McpClient>`: over REST there is none.
///
/// What it says of itself is not proven. Its `client_id` is: the token that it came with was given to that client.
///
/// ```
/// use actingweb_hooks::{HookError, McpClient};
///
/// fn hello(client: Option<McpClient>) -> Result<String, HookError> {
///     Ok(client.and_then(|client| client.name).map_or("Hello".to_owned(), |name| format!("Hello from {name}")))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpClient {
    /// What it calls itself: `claude-ai`.
    pub name: Option<String>,
    /// Its version, as it says.
    pub version: Option<String>,
    /// The OAuth client that the token was given to.
    pub client_id: Option<String>,
    /// The revision of the protocol that is spoken: `2026-07-28`.
    pub protocol_version: String,
}

/// A kind of AI client, told by the name that it registered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AiClient {
    /// ChatGPT and other clients of OpenAI.
    ChatGpt,
    /// Claude and other clients of Anthropic.
    Claude,
    /// Cursor.
    Cursor,
    /// The MCP Inspector.
    McpInspector,
    /// Any other.
    Other,
}

impl AiClient {
    /// The kind of client with this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["openai", "chatgpt", "gpt"]) {
            Self::ChatGpt
        } else if has(&["claude", "anthropic"]) {
            Self::Claude
        } else if has(&["cursor"]) {
            Self::Cursor
        } else if has(&["mcp-inspector", "mcp inspector"]) {
            Self::McpInspector
        } else {
            Self::Other
        }
    }
}

/// What a request over MCP brings hooks, beside their input.
#[derive(Clone, Debug, Default)]
pub struct McpCall {
    /// Who asks.
    pub client: McpClient,
    /// Whether the client can show its user a form, in the revision that it speaks.
    pub can_ask: bool,
    /// What the user answered to questions of hooks so far, by their keys.
    pub answers: BTreeMap<String, Value>,
}

impl<K: Kind> FromCall<K> for Option<McpClient> {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.shared.invocation.mcp.as_ref().map(|mcp| mcp.client.clone()))
    }
}

/// Asks the user of an AI client for what the hook needs, such as a confirmation.
///
/// Nothing waits for the answer: the hook ends with the question, and is **run again from its beginning** with the answer,
/// in another request. So ask before doing anything that must not happen twice. It works with clients of MCP 2026-07-28 that
/// can show forms; for all others, and over REST, the question is an error whose text says that.
///
/// ```
/// use actingweb_hooks::{Ask, HookError, Reply, schemars, serde};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Confirm { really: bool }
///
/// fn empty_archive(ask: Ask) -> Result<String, HookError> {
///     match ask.form("confirm", "Delete every note?")? {
///         Reply::Given(Confirm { really: true }) => Ok("deleted".to_owned()),
///         _ => Err(HookError::rejected("nothing was deleted")),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Ask(Option<Arc<McpCall>>);

impl<K: Kind> FromCall<K> for Ask {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(call.shared.invocation.mcp.clone()))
    }
}

/// What a user made of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// Answered it.
    Given(T),
    /// Said no to it.
    Declined,
    /// Closed it.
    Cancelled,
}

/// A question of a hook to the user of an AI client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What tells it from the hook's other questions.
    pub key: String,
    /// What the user reads.
    pub message: String,
    /// The form: a JSON Schema of an object whose members are texts, numbers, booleans and choices.
    pub schema: Option<Schema>,
}

/// Reads an answer as clients write it; `None` for one that is none, such as a form filled in wrongly.
fn read<T: DeserializeOwned>(answer: &Value) -> Option<Reply<T>> {
    match answer.get("action")?.as_str()? {
        "accept" => T::deserialize(answer.get("content")?).ok().map(Reply::Given),
        "decline" => Some(Reply::Declined),
        "cancel" => Some(Reply::Cancelled),
        _ => None,
    }
}

impl Ask {
    /// Whether the user can be asked at all.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.as_ref().is_some_and(|mcp| mcp.can_ask)
    }

    /// Asks for a `T`, an object whose members are texts, numbers, booleans and choices. `key` tells the question from the
    /// hook's other ones; each is asked once for every call.
    ///
    /// # Errors
    /// [`HookError::NeedsInput`] as long as there is no answer, or one that is no `T`: pass it on with `?`.
    pub fn form<T: DeserializeOwned + JsonSchema>(
        &self,
        key: &str,
        message: impl Into<String>,
    ) -> Result<Reply<T>, HookError> {
        let answer = self.0.as_ref().and_then(|mcp| mcp.answers.get(key));
        answer.and_then(read).ok_or_else(|| {
            let schema = schema::of_input::<T>();
            HookError::NeedsInput(Box::new(Question { key: key.to_owned(), message: message.into(), schema }))
        })
    }
}
