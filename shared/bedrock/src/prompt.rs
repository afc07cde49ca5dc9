//! What is asked of a model.

use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, Message, SystemContentBlock,
};

use crate::error::BedrockError;

/// What models add to each turn to tell them apart.
const TOKENS_PER_TURN: u64 = 8;

/// The tokens that a text of this many bytes has at most.
pub(crate) fn tokens_of(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(2)).unwrap_or(u64::MAX)
}

/// A question to a model, with the conversation so far and how to answer.
///
/// ```
/// use actingweb_bedrock::Prompt;
///
/// let prompt = Prompt::new("Which of my notes mention Oslo?")
///     .system("Answer in one sentence.")
///     .max_tokens(200)
///     .temperature(0.2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub(crate) model: Option<String>,
    system: Vec<String>,
    turns: Vec<(Role, String)>,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    stop_sequences: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

impl Prompt {
    /// Begins with what the user says.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            model: None,
            system: Vec::new(),
            turns: vec![(Role::User, text.into())],
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop_sequences: Vec::new(),
        }
    }

    /// Adds what the model answered to the turn before, for a conversation of several turns. Roles alternate.
    #[must_use]
    pub fn assistant(mut self, text: impl Into<String>) -> Self {
        self.turns.push((Role::Assistant, text.into()));
        self
    }

    /// Adds what the user says next, after [`assistant`](Self::assistant).
    #[must_use]
    pub fn user(mut self, text: impl Into<String>) -> Self {
        self.turns.push((Role::User, text.into()));
        self
    }

    /// Adds an instruction that stands above the conversation. Put what strangers wrote into the turns, not here.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.system.push(text.into());
        self
    }

    /// Asks this model or inference profile instead of the configured one.
    #[must_use]
    pub fn model(mut self, id: impl Into<String>) -> Self {
        self.model = Some(id.into());
        self
    }

    /// Ends the answer after this many tokens. Unset, the model's own limit holds: set it, tokens cost money.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// How freely the model chooses, 0.0 to 1.0. Unset, the model's default.
    #[must_use]
    pub const fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// The share of the likeliest tokens the model chooses from, 0.0 to 1.0. Unset, the model's default.
    #[must_use]
    pub const fn top_p(mut self, top_p: f32) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Ends the answer where the model would write this. May be given several times.
    #[must_use]
    pub fn stop_at(mut self, sequence: impl Into<String>) -> Self {
        self.stop_sequences.push(sequence.into());
        self
    }

    /// With a limit for the answer, if it has none.
    pub(crate) fn limited(mut self, answer_tokens: u32) -> Self {
        self.max_tokens = self.max_tokens.or(Some(answer_tokens));
        self
    }

    /// The most tokens that this may take, as far as that can be told without the model: those of the answer, and one for
    /// every two bytes of the prompt. Models make one of three to four bytes of usual text.
    pub(crate) fn most_tokens(&self) -> u64 {
        let texts = self.system.iter().chain(self.turns.iter().map(|(_, text)| text));
        let read: u64 = texts.map(|text| tokens_of(text.len()).saturating_add(TOKENS_PER_TURN)).sum();
        read.saturating_add(u64::from(self.max_tokens.unwrap_or(0)))
    }

    pub(crate) fn system_blocks(&self) -> Option<Vec<SystemContentBlock>> {
        let blocks: Vec<_> = self.system.iter().cloned().map(SystemContentBlock::Text).collect();
        (!blocks.is_empty()).then_some(blocks)
    }

    pub(crate) fn messages(&self) -> Result<Vec<Message>, BedrockError> {
        self.turns
            .iter()
            .map(|(role, text)| {
                let role = match role {
                    Role::User => ConversationRole::User,
                    Role::Assistant => ConversationRole::Assistant,
                };
                let message = Message::builder().role(role).content(ContentBlock::Text(text.clone())).build();
                message.map_err(|error| BedrockError::Invalid { message: error.to_string() })
            })
            .collect()
    }

    pub(crate) fn inference(&self) -> Option<InferenceConfiguration> {
        let Self { max_tokens, temperature, top_p, stop_sequences, .. } = self;
        if max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop_sequences.is_empty() {
            return None;
        }
        let config = InferenceConfiguration::builder()
            .set_max_tokens(max_tokens.map(|tokens| i32::try_from(tokens).unwrap_or(i32::MAX)))
            .set_temperature(*temperature)
            .set_top_p(*top_p)
            .set_stop_sequences((!stop_sequences.is_empty()).then(|| stop_sequences.clone()));
        Some(config.build())
    }
}

impl<T: Into<String>> From<T> for Prompt {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}
