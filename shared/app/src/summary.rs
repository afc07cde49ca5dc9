//! A model over the actor's own data, while a service is asked.

use actingweb_bedrock::Prompt;
use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::ended::Ended;
use crate::services::{News, Outside};

/// How much of the properties a model is shown, in characters: tokens cost money.
const SHOWN: usize = 20_000;

/// What the summary is for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Focus {
    /// What it is about; also what news are looked for.
    topic: BoundedText<100>,
}

/// A model's words on an actor.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    /// The summary.
    summary: String,
    /// How many tokens it took, read and written.
    tokens: u32,
    /// News on the topic, if there are any to be had.
    news: Ended<News>,
}

/// Method `summarize`. The model gets everything the actor holds, so nobody but its creator may ask.
pub(crate) async fn summarize(
    Input(Focus { topic }): Input<Focus>,
    actor: Actor,
    bedrock: Bedrock,
    outside: Outside,
    ctx: Context,
) -> Result<Summary, HookError> {
    if !ctx.caller().is_creator() {
        return Err(HookError::rejected("only the actor's creator may have it summarised"));
    }
    // Data goes into the turn, instructions above it: a property that says "ignore all this" is only a property.
    let summary = async {
        let properties = Value::Object(actor.properties().await?).to_string();
        let shown: String = properties.chars().take(SHOWN).collect();
        let prompt = Prompt::new(format!("Topic: {topic}\nProperties: {shown}"))
            .system("Summarise what these properties say on the topic, in at most three sentences.")
            .max_tokens(300);
        Ok::<_, HookError>(bedrock.converse(prompt).await?)
    };
    let news = async { Ok(Ended::of(&ctx, "news", outside.news(&topic)).await) };
    let (reply, news) = tokio::try_join!(summary, news)?;
    let tokens = reply.usage.input_tokens + reply.usage.output_tokens;
    Ok(Summary { summary: reply.text, tokens, news })
}
