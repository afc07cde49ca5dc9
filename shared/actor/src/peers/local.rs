//! Peers of the same deployment: a property that no hook guards is read without HTTP.
//!
//! The request is decided as if it had come in: the secret is looked up among the peer's credentials, its rights decide
//! about the path and about each leaf. Whatever else a handler would do (hooks, lists, writes, calls) goes over HTTP, so
//! that there is no second copy of it here.

use actingweb_peer::{PeerError, PeerReply, Secret};
use actingweb_protocol::permission::Verb;
use actingweb_protocol::{ActorId, PropertyPath, nested};
use actingweb_store::Stored;
use http::StatusCode;
use serde_json::Value;

use super::{Peer, PeerCallError};
use crate::{Credentials, Presented, VisitError};

impl Peer {
    /// Reads a property of an actor of this deployment; `None` for what must go over HTTP.
    pub(super) async fn read_here(&self, path: &str) -> Option<Result<PeerReply, PeerCallError>> {
        let shared = &self.peers.shared;
        let actor = self.actor_here()?;
        let path = property_path(path)?;
        if (shared.has_hooks)(path.name.as_str()) {
            return None;
        }
        let secret = self.address.secret().map(Secret::expose)?;
        // Others are refused on the way in.
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let credentials = Credentials::Bearer(secret.to_owned());
        let presented = Presented { credentials: &credentials, address: None };
        let visit = shared.actors.visit(&actor, &presented, &[&path.name], self.peers.deadline).await;
        let mut visit = match visit {
            Ok(Some(visit)) => visit,
            Ok(None) => return Some(Err(status(StatusCode::NOT_FOUND))),
            Err(VisitError::Actor(error)) => return Some(Err(error.into())),
            Err(VisitError::Guessing { .. }) => return None,
        };
        let access = shared.policy.access(visit.caller, visit.changed_by.as_ref());
        if access.authorize(&format!("properties/{path}"), Verb::Get).is_err() {
            return Some(Err(status(StatusCode::FORBIDDEN)));
        }
        let value = match visit.properties.remove(&path.name) {
            Some(Stored::List(_)) => return None,
            Some(Stored::Value(property)) => access.filter_readable(path.name.as_str(), property.value),
            None => None,
        };
        let found: Option<&Value> = value.as_ref().and_then(|value| nested::get(value, &path.below));
        Some(found.map(PeerReply::of_json).ok_or_else(|| status(StatusCode::NOT_FOUND)))
    }

    /// Its id, when its URL is one of this deployment.
    fn actor_here(&self) -> Option<ActorId> {
        let below = self.trust.base_uri.strip_prefix(&*self.peers.shared.base_url)?.strip_prefix('/')?;
        ActorId::parse(below.trim_end_matches('/')).ok()
    }
}

/// The property that a path names, when it needs neither decoding nor a handler's judgement.
fn property_path(path: &str) -> Option<PropertyPath> {
    let below = path.trim_start_matches('/').strip_prefix("properties/")?;
    PropertyPath::parse(below.split('/')).ok()
}

fn status(status: StatusCode) -> PeerCallError {
    PeerError::Status { status, retry_after: None, body_excerpt: String::new() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_of_properties_are_read_here() {
        for path in ["properties/a", "/properties/a/b", "properties/a b"] {
            assert!(property_path(path).is_some(), "{path}");
        }
        for path in [
            "",
            "properties",
            "properties/",
            "properties/a?x=1",
            "properties/a%20b",
            "properties/a/../b",
            "properties/a//b",
            "properties//a",
            "methods/a",
            "https://h/a/properties/x",
            "properties/a#b",
        ] {
            assert!(property_path(path).is_none(), "{path}");
        }
    }
}
