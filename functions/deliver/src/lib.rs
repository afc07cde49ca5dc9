//! What an actor owes its peers, sent to them. It has no path: the table's stream wakes it with each new change and each
//! new notice of an actor.
//!
//! No change and no notice is written down yet, so there is nothing to send.

use actingweb_actor::ActorError;
use actingweb_protocol::{ActorId, Deadline};
use actingweb_web::AppState;

/// Sends what an actor owes its peers. May be called at any time, for any actor, by several at once.
///
/// # Errors
/// [`ActorError`] when a fault of ours kept it from being sent or from being put off, so that it must be called again; a
/// peer's fault is no error.
pub async fn deliver(_state: &AppState, _actor: &ActorId, _deadline: Deadline) -> Result<(), ActorError> {
    Ok(())
}
