//! What happens when an actor is created.

use actingweb_hooks::prelude::*;

/// On `ActorCreated`: notes the moment in a property of the actor's own.
pub(crate) async fn welcome(actor: Actor) -> Result<(), HookError> {
    Ok(actor.set_property("created_at", actor.created_at().to_string()).await?)
}
