//! An action that does something in the world, through a service.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::services::{Notification, Outside};

/// What to send, and to whom.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ToSend {
    /// Whom; the actor's creator when left out.
    recipient: Option<BoundedText<254>>,
    /// The message.
    message: BoundedText<1000>,
}

/// What was sent.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Sent {
    /// To whom.
    recipient: String,
}

/// Action `send_notification`. It is awaited: what is left running after the reply may never run.
pub(crate) async fn send_notification(
    Input(ToSend { recipient, message }): Input<ToSend>,
    actor: Actor,
    outside: Outside,
) -> Result<Sent, HookError> {
    let recipient = recipient.as_deref().unwrap_or_else(|| actor.creator());
    outside.notify(&Notification { recipient, message: &message, sender: actor.id().as_str() }).await?;
    Ok(Sent { recipient: recipient.to_owned() })
}
