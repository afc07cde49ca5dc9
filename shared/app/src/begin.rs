//! What people begin a conversation with in their AI client.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;

/// What to sum up.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Topic {
    /// In a few words.
    topic: BoundedText<200>,
}

/// Method `get_summary_prompt`: the user's first message. The client's own model answers it, with the tools it has here.
pub(crate) fn get_summary_prompt(Input(Topic { topic }): Input<Topic>) -> Result<String, HookError> {
    Ok(format!("See how my actor is doing, then sum up what you know about {}.", &*topic))
}
