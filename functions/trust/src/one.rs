//! `/{actor}/trust/{relationship}/{peer}`: one relationship.

use actingweb_actor::Caller;
use actingweb_actor::trusts::TrustChange;
use actingweb_web::{Problem, Reply, Verb, json, no_content, not_allowed};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::fields::Fields;
use crate::{Request, events, view};

impl Request<'_> {
    pub(crate) async fn one(&self, relationship: &str, peer: &str) -> Reply {
        match self.incoming.verb {
            Verb::Get => self.get(relationship),
            Verb::Put => self.decide(relationship).await,
            Verb::Post => self.hear(relationship, peer).await,
            _ => self.end(relationship, peer).await,
        }
    }

    /// The relationship: 200, or 202 while this side does not approve.
    fn get(&self, relationship: &str) -> Reply {
        let trust = self.found(relationship)?;
        let with_secrets = self.shows_secrets() || self.is_peer(trust.peer.as_str());
        let mut shown = view::show(&self.trusts, self.actor().id(), &trust, with_secrets)?;
        if let (Some("true"), Some(members)) = (self.incoming.param("permissions"), shown.as_object_mut()) {
            members.insert("permissions".to_owned(), own_permissions(trust.permissions.as_deref()));
        }
        let status = if trust.approved { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(view::private(json(status, &shown)))
    }

    /// This side decides: `approved`, `baseuri`, `desc`, `relationship`, `permissions`. What is absent or empty stays.
    async fn decide(&self, relationship: &str) -> Reply {
        let trust = self.found(relationship)?;
        let fields = Fields::of(self.incoming)?;
        let change = TrustChange {
            approved: fields.flag("approved")?,
            base_uri: fields.text("baseuri")?,
            desc: fields.text("desc")?,
            relationship: fields.text("relationship")?,
            permissions: fields.value("permissions").cloned(),
        };
        let moves = change.base_uri.as_ref().is_some_and(|base| base.trim_end_matches('/') != trust.base_uri);
        if moves && self.caller().is_peer() {
            // Whoever can move a peer can have its secret sent anywhere.
            return Err(Problem::forbidden("only the creator and the trustee may change a peer's `baseuri`"));
        }
        let decided = self.trusts.change(self.actor(), trust, &change).await?;
        events::tell(self.state, self.incoming, &self.admission, &decided, false).await;
        Ok(no_content())
    }

    /// The peer says what it decided (`approved`), or proposes another secret (`secret`).
    async fn hear(&self, relationship: &str, peer: &str) -> Reply {
        if !self.is_peer(peer) {
            return Err(Problem::forbidden("only the peer itself says what it decided"));
        }
        let trust = self.found(relationship)?;
        let fields = Fields::of(self.incoming)?;
        if let Some(secret) = fields.text("secret")? {
            if !matches!(self.caller(), Caller::Peer { .. }) {
                return Err(not_allowed());
            }
            self.trusts.take_secret(self.actor(), trust, &secret).await?;
            return Ok(json(StatusCode::OK, &json!({ "rotated": true })));
        }
        let approved = fields.flag("approved")?;
        let approved = approved.ok_or_else(|| Problem::bad_request("`approved` is missing: true or false"))?;
        let heard = self.trusts.peer_decided(self.actor(), trust, approved).await?;
        events::tell(self.state, self.incoming, &self.admission, &heard, true).await;
        Ok(no_content())
    }

    /// Ends it, at once. The peer is told, unless it is the one that ends it, or `?peer=true` says that it knows.
    async fn end(&self, relationship: &str, peer: &str) -> Reply {
        if peer == self.actor().id().as_str() {
            return Err(Problem::bad_request("an actor has no relationship with itself"));
        }
        let by_peer = self.is_peer(peer);
        let tell = !by_peer && self.incoming.param("peer") != Some("true");
        let trust = self.found(relationship)?;
        let ended = self.trusts.end(self.actor(), trust, tell).await?;
        events::tell(self.state, self.incoming, &self.admission, &ended, by_peer).await;
        Ok(no_content())
    }

    /// A new secret, if the peer takes it.
    pub(crate) async fn rotate(&self, relationship: &str) -> Reply {
        let trust = self.found(relationship)?;
        let rotated = self.trusts.rotate(self.actor(), trust).await?;
        let shown = view::show(&self.trusts, self.actor().id(), &rotated, self.shows_secrets())?;
        Ok(view::private(json(StatusCode::OK, &shown)))
    }
}

/// What a relationship's override is, as it is stored; null when there is none.
pub(crate) fn own_permissions(text: Option<&str>) -> Value {
    let record: Option<Map<String, Value>> = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(mut record) = record else { return Value::Null };
    record.insert("updated_at".to_owned(), Value::Null);
    Value::Object(record)
}
