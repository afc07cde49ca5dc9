//! How often an address may do what: see [`actingweb_actor::RateLimits`].

use actingweb_actor::Rate;
use actingweb_web::{AppState, Incoming};

use crate::error::OAuthError;

/// Counts one more request of this kind.
///
/// # Errors
/// 429 when it is one too many; storage errors.
pub(crate) async fn count(state: &AppState, incoming: &Incoming, rate: Rate, who: &str) -> Result<(), OAuthError> {
    let from = (incoming.context.address, who);
    match state.actors.count_rate(&state.rate_limits, rate, from, incoming.context.deadline).await? {
        None => Ok(()),
        Some(retry_after) => Err(OAuthError::too_many(retry_after)),
    }
}
