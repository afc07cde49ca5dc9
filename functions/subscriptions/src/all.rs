//! Listings: all subscriptions, and those of one peer.

use actingweb_protocol::PeerId;
use actingweb_web::{AppState, Incoming, Problem, Reply, json};
use futures_util::future::try_join;
use http::StatusCode;
use serde_json::json;

use crate::Request;
use crate::view::entries;

/// `{"id", "data": […]}`: what peers are subscribed to, and (`"callback": true`) what the actor is subscribed to;
/// `?peerid=`, or `?target=` and what is below it, narrows it down.
pub(crate) async fn get_subscriptions(state: &AppState, incoming: &Incoming) -> Reply {
    let admission = incoming.admit(state, &[]).await?;
    let actor = &admission.actor;
    let peer = incoming.param("peerid").map(PeerId::parse).transpose();
    let peer = peer.map_err(|_| Problem::bad_request("peerid is not the id of a peer"))?;
    let (subscriptions, feeds) = try_join(actor.subscriptions(peer.as_ref()), actor.feeds(peer.as_ref())).await?;
    let data = entries(incoming, actor.id(), &subscriptions, &feeds);
    Ok(json(StatusCode::OK, &json!({ "id": actor.id(), "data": data })))
}

impl Request<'_> {
    /// `{"id", "peerid", "data": […]}`, for the peer itself and the creator.
    pub(crate) async fn list(&self) -> Reply {
        let (actor, peer) = (&self.admission.actor, &self.peer);
        let (subscriptions, feeds) = try_join(actor.subscriptions(Some(peer)), actor.feeds(Some(peer))).await?;
        let data = entries(self.incoming, actor.id(), &subscriptions, &feeds);
        Ok(json(StatusCode::OK, &json!({ "id": actor.id(), "peerid": peer, "data": data })))
    }
}
