//! A peer subscribes.

use actingweb_actor::{SubscribeError, SubscriptionRecord, scope};
use actingweb_protocol::random_hex;
use actingweb_protocol::subscription::Granularity;
use actingweb_web::{Problem, Reply, Telling, json, not_allowed};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Request;

impl Request<'_> {
    /// 201 with the subscription's URL. What the peer is told of it is decided with each change: it may subscribe to what
    /// it may not read yet.
    pub(crate) async fn subscribe(&self) -> Reply {
        // Nobody subscribes for a peer, the creator neither.
        if !self.is_peer() {
            return Err(not_allowed());
        }
        let body = self.incoming.payload.object()?;
        let target = text(&body, "target")?.ok_or_else(|| Problem::bad_request("`target` is missing"))?;
        let scope = scope(target, text(&body, "subtarget")?, text(&body, "resource")?)?;
        let granularity = match text(&body, "granularity")? {
            None => Granularity::None,
            Some(word) => Granularity::parse(word)
                .ok_or_else(|| Problem::bad_request("`granularity` must be high, low or none"))?,
        };
        let can_be_told = self.admission.trust.as_ref().is_none_or(|trust| trust.is_reachable());
        if granularity != Granularity::None && !can_be_told {
            let reason = "a client of OAuth cannot be called: subscribe with `granularity` none, and poll";
            return Err(Problem::bad_request(reason));
        }
        let (actor, state) = (&self.admission.actor, self.state);
        let id = random_hex(&*state.entropy, 16);
        let now = state.actors.store().now();
        let new = SubscriptionRecord::new(self.peer.clone(), id, scope, granularity, now);
        let subscription = actor.subscribe(new).await.map_err(|error| match error {
            SubscribeError::TooMany => Problem::conflict(error.to_string()),
            SubscribeError::NoTrust => not_allowed(),
            SubscribeError::Actor(error) => error.into(),
        })?;
        let told = json!({
            "subscriptionid": subscription.id,
            "target": subscription.scope.target,
            "subtarget": subscription.scope.subtarget,
            "resource": subscription.scope.resource,
            "granularity": subscription.granularity,
            "sequence": subscription.sequence,
        });
        let invocation = self.invocation();
        let access = &self.admission.access;
        let location = Telling { state, invocation: &invocation, access, subscription: &subscription }.url();
        let mut response = json(StatusCode::CREATED, &told);
        response.headers_mut().extend(location.parse().ok().map(|location| (header::LOCATION, location)));
        Ok(response)
    }
}

/// A text that may be missing; empty and null count as missing.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Problem> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(Problem::bad_request(format!("`{name}` must be a text"))),
    }
}
