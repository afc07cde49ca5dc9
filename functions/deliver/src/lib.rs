//! What an actor owes its peers, sent to them: changes to those who subscribed, and notices. It has no path: the table's
//! stream wakes it with each new change and each new notice of an actor, and the worker when something is to be tried
//! again.
//!
//! Everything here may die at any point and be run again by anybody. What was sent is noted after the peer took it, so a
//! peer may hear something twice, under the same number; it never misses anything, nor hears two things under one
//! number. Of one subscription everything is sent in order, by whoever holds its lease; all subscriptions and all
//! notices are sent at the same time. A peer's fault is nobody's error: what it does not take is held and tried again,
//! and delays only what that peer is owed.

mod attempt;
mod callbacks;
mod door;
mod notices;
mod options;
mod payload;
pub mod rules;
mod run;

use actingweb_actor::ActorError;
use actingweb_protocol::{ActorId, Deadline};
use actingweb_web::AppState;

use crate::run::Run;

/// What a delivery came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Callbacks that were taken.
    pub callbacks: usize,
    /// Notices that were taken.
    pub notices: usize,
    /// Subscriptions and notices that are tried again later.
    pub held: usize,
    /// Subscriptions and notices that were given up.
    pub given_up: usize,
}

/// Sends what an actor owes its peers, for a minute at most. May be called at any time, for any actor, by several at once.
///
/// # Errors
/// [`ActorError`] when a fault of ours kept something from being sent or from being put off, so that it must be called
/// again; a peer's fault is no error.
pub async fn deliver(state: &AppState, actor: &ActorId, deadline: Deadline) -> Result<Delivered, ActorError> {
    let run = Run::new(state, actor, deadline);
    let (changes, notices) = tokio::join!(Box::pin(callbacks::deliver(&run)), Box::pin(notices::deliver(&run)));
    if run.is_cut_off() {
        run.store.deliver_later(actor, run.now()).await?;
    }
    options::learn(&run).await;
    let delivered = run.delivered();
    if delivered != Delivered::default() {
        let Delivered { callbacks, notices, held, given_up } = delivered;
        tracing::info!(%actor, callbacks, notices, held, given_up, delivery = run.id, "delivered");
    }
    changes?;
    notices?;
    Ok(delivered)
}
