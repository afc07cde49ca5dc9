//! The actor's friends, all told at once.

use actingweb_hooks::prelude::*;
use actingweb_hooks::{PeerCallError, PeerError};

use crate::bounded_text::BoundedText;
use crate::ended::Ended;

/// How many peers one call may name.
const MOST: usize = 100;

/// What to tell, and whom: all peers, unless a relationship or their ids say which.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Announcement {
    /// The message.
    message: BoundedText<1000>,
    /// Only peers that are this to the actor, such as `friend`.
    #[serde(default)]
    relationship: Option<BoundedText<200>>,
    /// Only peers with these ids.
    #[serde(default)]
    #[schemars(length(min = 1, max = MOST))]
    peers: Option<Vec<BoundedText<200>>>,
}

/// Who was told.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Announced {
    /// How many peers have it.
    told: usize,
    /// What became of each, in the order of the peers.
    peers: Vec<Told>,
}

/// What became of one peer's message.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// The peer's id.
    peer: String,
    /// The status it answered with, or why it has no message.
    #[serde(flatten)]
    ended: Ended<u16>,
}

/// Action `notify_peers`: writes into each peer's log, through its action `log_message`.
///
/// Peers are found by the actor's relationships and signed for with their secrets: no URL of the caller's is called. One
/// that refuses, is slow or away is a line in the answer.
pub(crate) async fn notify_peers(
    Input(Announcement { message, relationship, peers: ids }): Input<Announcement>,
    peers: Peers,
    ctx: Context,
) -> Result<Announced, HookError> {
    let group = match (&relationship, &ids) {
        (None, None) => peers.all().await?,
        (Some(relationship), None) => peers.related(relationship).await?,
        (None, Some(ids)) if (1..=MOST).contains(&ids.len()) => peers.named(ids.iter().map(|id| &**id)).await?,
        (None, Some(ids)) => {
            return Err(HookError::invalid(format!("`peers` must hold 1 to {MOST} ids, not {}", ids.len())));
        }
        (Some(_), Some(_)) => return Err(HookError::invalid("give `relationship` or `peers`, not both")),
    };
    let body = &json!({ "message": *message, "level": "info" });
    let told = group.each(|peer| async move { tell(&peer, body).await }).await;
    let peers: Vec<_> = told
        .into_iter()
        .map(|told| Told { ended: Ended::from_outcome(&ctx, "peer", told.outcome), peer: told.peer })
        .collect();
    Ok(Announced { told: peers.iter().filter(|peer| peer.ended.is_ok()).count(), peers })
}

async fn tell(peer: &Peer, body: &Value) -> Result<u16, HookError> {
    match peer.call_action("log_message", body).await {
        Ok(reply) => Ok(reply.status().as_u16()),
        // Left to `?` it would be an error of ours; whoever named the peer can make more of the status.
        Err(PeerCallError::Call(PeerError::Status { status, .. })) if status.is_client_error() => {
            Err(HookError::rejected(format!("the peer refused with status {}", status.as_u16())))
        }
        Err(error) => Err(error.into()),
    }
}
