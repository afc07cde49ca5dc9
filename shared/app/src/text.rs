//! Plain hooks on text.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;

/// Whom to greet, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Greeting {
    /// Whom; the actor's creator when left out.
    name: Option<BoundedText<100>>,
    /// In which language; English when left out.
    #[serde(default)]
    language: Language,
}

/// Languages to greet in.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// English.
    #[default]
    En,
    /// Norwegian.
    No,
    /// German.
    De,
}

/// A greeting.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Greeted {
    /// The greeting.
    message: String,
}

/// Method `echo`: takes any JSON, so its input is no type of our own.
pub(crate) fn echo(Input(value): Input<Value>) -> Result<Value, HookError> {
    Ok(value)
}

/// Method `greet`: a `GET` brings no input, and is greeted by default.
pub(crate) fn greet(greeting: Option<Input<Greeting>>, actor: Actor) -> Result<Greeted, HookError> {
    let Greeting { name, language } = greeting.map(|Input(greeting)| greeting).unwrap_or_default();
    let name = name.as_deref().unwrap_or_else(|| actor.creator());
    let message = match language {
        Language::En => format!("Hello, {name}!"),
        Language::No => format!("Hei, {name}!"),
        Language::De => format!("Hallo, {name}!"),
    };
    Ok(Greeted { message })
}
