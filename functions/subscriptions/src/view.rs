//! Subscriptions as replies show them.

use actingweb_actor::{FeedRecord, SubscriptionRecord};
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, PeerId};
use actingweb_web::Incoming;
use serde_json::{Map, Value, json};

/// A subscription in either direction.
pub(crate) struct Shown<'a> {
    peer: &'a PeerId,
    id: &'a str,
    scope: &'a Scope,
    granularity: Granularity,
    sequence: u64,
    /// Whether the actor is the one who receives callbacks.
    is_outbound: bool,
}

impl<'a> From<&'a SubscriptionRecord> for Shown<'a> {
    fn from(subscription: &'a SubscriptionRecord) -> Self {
        let SubscriptionRecord { peer, id, scope, granularity, sequence, .. } = subscription;
        Self { peer, id, scope, granularity: *granularity, sequence: *sequence, is_outbound: false }
    }
}

impl<'a> From<&'a FeedRecord> for Shown<'a> {
    fn from(feed: &'a FeedRecord) -> Self {
        let FeedRecord { peer, id, scope, granularity, queue, .. } = feed;
        Self { peer, id, scope, granularity: *granularity, sequence: queue.last(), is_outbound: true }
    }
}

impl Shown<'_> {
    /// Among others.
    pub(crate) fn entry(&self, actor: &ActorId) -> Value {
        let mut entry = self.identity(actor);
        entry.insert("granularity".to_owned(), json!(self.granularity));
        entry.insert("sequence".to_owned(), json!(self.sequence));
        entry.insert("callback".to_owned(), json!(self.is_outbound));
        Value::Object(entry)
    }

    /// What every reply about one subscription begins with.
    pub(crate) fn identity(&self, actor: &ActorId) -> Map<String, Value> {
        let texts = [
            ("id", actor.as_str()),
            ("peerid", self.peer.as_str()),
            ("subscriptionid", self.id),
            ("target", &self.scope.target),
            ("subtarget", self.scope.subtarget.as_deref().unwrap_or_default()),
            ("resource", self.scope.resource.as_deref().unwrap_or_default()),
        ];
        texts.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    }

    /// Its reply with what is told.
    pub(crate) fn with_diffs(&self, actor: &ActorId, diffs: Vec<Value>) -> Value {
        let mut body = self.identity(actor);
        body.insert("sequence".to_owned(), json!(self.sequence));
        body.insert("data".to_owned(), Value::Array(diffs));
        Value::Object(body)
    }

    /// Whether it is about what the request names in `?target=`, `?subtarget=` and `?resource=`.
    pub(crate) fn is_wanted(&self, incoming: &Incoming) -> bool {
        let is = |name: &str, value: Option<&str>| incoming.param(name).is_none_or(|wanted| value == Some(wanted));
        is("target", Some(&self.scope.target))
            && is("subtarget", self.scope.subtarget.as_deref())
            && is("resource", self.scope.resource.as_deref())
    }
}

/// All of them, as far as they are wanted: those of peers first.
pub(crate) fn entries(
    incoming: &Incoming,
    actor: &ActorId,
    subscriptions: &[SubscriptionRecord],
    feeds: &[FeedRecord],
) -> Vec<Value> {
    let shown = subscriptions.iter().map(Shown::from).chain(feeds.iter().map(Shown::from));
    shown.filter(|shown| shown.is_wanted(incoming)).map(|shown| shown.entry(actor)).collect()
}
