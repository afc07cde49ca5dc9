//! A model's words as it finds them.

use actingweb_bedrock::Prompt;
use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;

/// What to write about.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Subject {
    /// In a few words.
    topic: BoundedText<200>,
}

/// Method `draft`: whoever accepts `text/event-stream` reads along, anybody else gets the whole text.
pub(crate) async fn draft(
    Input(Subject { topic }): Input<Subject>,
    bedrock: Bedrock,
) -> Result<Streamed<String>, HookError> {
    let prompt = Prompt::new(format!("Write a short article on: {}", &*topic)).max_tokens(500);
    Ok(bedrock.converse_stream(prompt).await?.into())
}
