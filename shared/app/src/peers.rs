//! Other actors, all told at once.

use actingweb_hooks::prelude::*;
use actingweb_peer::{PeerAddress, PeerError};

use crate::bounded_text::BoundedText;
use crate::ended::Ended;

/// How many peers one call may tell.
const MOST: usize = 100;
/// How many of them are called at the same time.
const AT_ONCE: usize = 16;

/// What to tell, and whom.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Announcement {
    /// The message.
    message: BoundedText<1000>,
    /// The peers' URLs, such as `https://peer.example/4f2a..`.
    #[schemars(length(min = 1, max = MOST))]
    peers: Vec<BoundedText<2000>>,
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
    /// The peer's URL.
    peer: String,
    /// The status it answered with, or why it has no message.
    #[serde(flatten)]
    ended: Ended<u16>,
}

/// Action `notify_peers`: writes into each peer's log, through its action `log_message`.
///
/// The URLs come from the caller, so they go through `Peers`, which refuses those that lead into the deployment's own
/// network, and bounds what is read of the replies.
pub(crate) async fn notify_peers(
    Input(Announcement { message, peers }): Input<Announcement>,
    client: Peers,
    ctx: Context,
) -> Result<Announced, HookError> {
    if peers.is_empty() || peers.len() > MOST {
        return Err(HookError::invalid(format!("`peers` must hold 1 to {MOST} URLs, not {}", peers.len())));
    }
    let body = json!({ "message": *message, "level": "info" });
    let outcomes = ctx.fan_out(&peers, AT_ONCE, |url| tell(&client, url, &body)).await;
    let ended = outcomes.into_iter().map(|outcome| Ended::from_outcome(&ctx, "peer", outcome));
    let peers: Vec<_> = peers.iter().zip(ended).map(|(url, ended)| Told { peer: url.to_string(), ended }).collect();
    Ok(Announced { told: peers.iter().filter(|peer| peer.ended.is_ok()).count(), peers })
}

async fn tell(client: &Peers, url: &str, body: &Value) -> Result<u16, HookError> {
    let peer = PeerAddress::new(url).map_err(PeerError::from)?;
    match client.post(&peer, "actions/log_message").json(body).send().await {
        Ok(reply) => Ok(reply.status().as_u16()),
        // Left to `?` it would be an error of ours; whoever named the peer can make more of the status.
        Err(PeerError::Status { status, .. }) if status.is_client_error() => {
            Err(HookError::rejected(format!("the peer refused with status {}", status.as_u16())))
        }
        Err(error) => Err(error.into()),
    }
}
