//! Answers in the shapes of the Model Context Protocol, for hooks that say more than a JSON value.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a tool answers, block by block: texts, pictures, sound, resources.
///
/// Most tools do not need it: any other answer is shown to models as JSON, with its schema. Over REST it is the same JSON
/// that MCP clients get.
///
/// ```
/// use actingweb_hooks::{HookError, ToolContent};
///
/// fn draw() -> Result<ToolContent, HookError> {
///     Ok(ToolContent::text("Your chart:").and_image(b"\x89PNG...", "image/png"))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ToolContent {
    content: Vec<Value>,
    #[serde(rename = "structuredContent", skip_serializing_if = "Option::is_none")]
    structured: Option<Value>,
    #[serde(rename = "isError", skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

impl ToolContent {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new().and_text(text)
    }

    /// A text more.
    #[must_use]
    pub fn and_text(self, text: impl Into<String>) -> Self {
        self.and(json!({ "type": "text", "text": text.into() }))
    }

    /// A picture, and what it is: `image/png`.
    #[must_use]
    pub fn and_image(self, bytes: &[u8], mime_type: &str) -> Self {
        self.and(json!({ "type": "image", "data": STANDARD.encode(bytes), "mimeType": mime_type }))
    }

    /// Sound, and what it is: `audio/wav`.
    #[must_use]
    pub fn and_audio(self, bytes: &[u8], mime_type: &str) -> Self {
        self.and(json!({ "type": "audio", "data": STANDARD.encode(bytes), "mimeType": mime_type }))
    }

    /// A resource with its text.
    #[must_use]
    pub fn and_resource(self, uri: &str, mime_type: &str, text: impl Into<String>) -> Self {
        let resource = json!({ "uri": uri, "mimeType": mime_type, "text": text.into() });
        self.and(json!({ "type": "resource", "resource": resource }))
    }

    /// A resource that the client may read.
    #[must_use]
    pub fn and_link(self, uri: &str, name: &str) -> Self {
        self.and(json!({ "type": "resource_link", "uri": uri, "name": name }))
    }

    /// The same for programs.
    #[must_use]
    pub fn structured(mut self, value: impl Into<Value>) -> Self {
        self.structured = Some(value.into());
        self
    }

    /// The tool did not do what it was asked to, and the blocks say why. A [`HookError`](crate::HookError) says the same in
    /// one text.
    #[must_use]
    pub const fn failed(mut self) -> Self {
        self.is_error = true;
        self
    }

    fn and(mut self, block: Value) -> Self {
        self.content.push(block);
        self
    }
}

/// What a prompt answers: messages of the user and of the assistant. A prompt of one message of the user's may answer with
/// a `String`.
///
/// ```
/// use actingweb_hooks::{HookError, PromptMessages};
///
/// fn practise() -> Result<PromptMessages, HookError> {
///     Ok(PromptMessages::user("Ask me a question about my notes.").and_assistant("What did you plan for May?"))
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PromptMessages {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    messages: Vec<Value>,
}

impl PromptMessages {
    /// Begins with a message of the user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::default().and_user(text)
    }

    /// A message more of the user.
    #[must_use]
    pub fn and_user(self, text: impl Into<String>) -> Self {
        self.and("user", json!({ "type": "text", "text": text.into() }))
    }

    /// A message of the assistant.
    #[must_use]
    pub fn and_assistant(self, text: impl Into<String>) -> Self {
        self.and("assistant", json!({ "type": "text", "text": text.into() }))
    }

    /// A picture from the user, and what it is: `image/png`.
    #[must_use]
    pub fn and_image(self, bytes: &[u8], mime_type: &str) -> Self {
        self.and("user", json!({ "type": "image", "data": STANDARD.encode(bytes), "mimeType": mime_type }))
    }

    /// A resource with its text, from the user.
    #[must_use]
    pub fn and_resource(self, uri: &str, mime_type: &str, text: impl Into<String>) -> Self {
        let resource = json!({ "uri": uri, "mimeType": mime_type, "text": text.into() });
        self.and("user", json!({ "type": "resource", "resource": resource }))
    }

    /// What the messages are, for people.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    fn and(mut self, role: &str, content: Value) -> Self {
        self.messages.push(json!({ "role": role, "content": content }));
        self
    }
}

/// What a resource holds. One that holds a text of the declared type may answer with a `String`, any other value is JSON.
///
/// ```
/// use actingweb_hooks::{HookError, ResourceContent};
///
/// fn logo() -> Result<ResourceContent, HookError> {
///     Ok(ResourceContent::bytes(b"\x89PNG...", "image/png"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourceContent {
    contents: Vec<Value>,
}

impl ResourceContent {
    /// A text, and what it is: `text/markdown`.
    #[must_use]
    pub fn text(text: impl Into<String>, mime_type: &str) -> Self {
        Self { contents: vec![json!({ "mimeType": mime_type, "text": text.into() })] }
    }

    /// Bytes, and what they are: `image/png`.
    #[must_use]
    pub fn bytes(bytes: &[u8], mime_type: &str) -> Self {
        Self { contents: vec![json!({ "mimeType": mime_type, "blob": STANDARD.encode(bytes) })] }
    }
}

/// These say nothing by schema: what is in them is shown, not computed with.
macro_rules! without_schema {
    ($($content:ident),*) => {$(
        impl JsonSchema for $content {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($content).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Schema::from(Map::new())
            }
        }
    )*};
}
without_schema!(ToolContent, PromptMessages, ResourceContent);
