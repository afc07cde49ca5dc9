//! An async hook that reads the actor: two reads at once.

use actingweb_hooks::prelude::*;

use crate::log;

/// How an actor is doing.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    /// Its id.
    actor_id: String,
    /// When it was created, as the lifecycle hook `welcome` noted it; absent in actors older than that hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// How many properties it has.
    properties: usize,
    /// How many messages are in its log.
    logged: usize,
    /// The actor's clock.
    now: String,
}

/// Method `get_status`.
pub(crate) async fn get_status(actor: Actor, Now(now): Now) -> Result<Status, HookError> {
    let (properties, log) = tokio::try_join!(actor.properties(), actor.attributes(log::BUCKET))?;
    Ok(Status {
        actor_id: actor.id().to_string(),
        properties: properties.len(),
        created_at: properties.get("created_at").and_then(Value::as_str).map(str::to_owned),
        logged: log.len(),
        now: now.to_string(),
    })
}
