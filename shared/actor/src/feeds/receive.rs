//! Callbacks of peers.

use actingweb_protocol::feed::lenient;
use actingweb_store::{FeedRecord, Received, Taken, TrustRecord};
use serde_json::{Map, Value};

use super::{FeedError, Feeds};
use crate::Actor;

/// The largest sequence number: JSON readers everywhere keep it exactly.
const MAX_SEQUENCE: u64 = 1 << 53;

/// What a peer tells of a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// The number of the diff.
    pub sequence: u64,
    /// What it tells.
    pub kind: CallbackKind,
}

/// What a callback tells.
#[derive(Clone, Debug, PartialEq)]
pub enum CallbackKind {
    /// What changed.
    Data(Value),
    /// That something changed, which is to be fetched.
    Changed,
    /// That everything is to be read anew.
    Resync,
}

/// What became of a callback.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivered {
    /// These diffs were applied, in this order; the feed is as given.
    Applied(Vec<Taken>, Box<FeedRecord>),
    /// Everything was read anew, up to this number.
    Rebuilt(Box<FeedRecord>),
    /// It counted before; the data is given again for hooks that were not told of it then.
    Duplicate(Option<Taken>),
    /// It waits for those before it, or for everything to be read anew.
    Pending,
    /// There is no room for it to wait: the sender is to send it again.
    Full,
    /// There is no such subscription any more.
    Ended,
}

impl Callback {
    /// Reads the body of a callback of one subscription of a peer.
    ///
    /// # Errors
    /// What is wrong with it, for people (400).
    pub fn parse(body: &Map<String, Value>, peer: &str, subscription: &str) -> Result<Self, String> {
        for (name, expected) in [("id", peer), ("subscriptionid", subscription)] {
            if body.get(name).is_some_and(|told| told != expected) {
                return Err(format!("`{name}` is not the one in the path"));
            }
        }
        let sequence = body.get("sequence").ok_or("`sequence` is missing")?;
        let sequence = lenient::number(sequence).filter(|sequence| (1..MAX_SEQUENCE).contains(sequence));
        let sequence = sequence.ok_or("`sequence` must be a number from 1 on")?;
        let has_url = body.get("url").is_some_and(Value::is_string);
        let kind = match (body.get("type").and_then(Value::as_str), body.get("data")) {
            (Some("resync"), _) => CallbackKind::Resync,
            (None | Some("diff"), Some(data)) if !has_url || !is_empty(data) => CallbackKind::Data(data.clone()),
            (None | Some("diff"), _) if has_url => CallbackKind::Changed,
            (None | Some("diff"), _) => return Err("there is neither `data` nor `url`".to_owned()),
            (Some(_), _) => return Err("`type` is neither `diff` nor `resync`".to_owned()),
        };
        Ok(Self { sequence, kind })
    }
}

/// What counts as no data beside an address at which there is some.
fn is_empty(data: &Value) -> bool {
    match data {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

impl Feeds {
    /// Takes a callback. `feed` and `trust` are as they were read with the request; that the peer sent it, and is
    /// approved, was checked.
    ///
    /// # Errors
    /// [`FeedError`]; the callback does not count then, and may come again.
    pub async fn receive(
        &self,
        actor: &Actor,
        trust: &TrustRecord,
        feed: FeedRecord,
        callback: Callback,
    ) -> Result<Delivered, FeedError> {
        let Callback { sequence, kind } = callback;
        let untold = sequence > feed.told;
        if sequence <= feed.queue.last() {
            let again = match kind {
                CallbackKind::Data(data) if untold => Some(Taken { sequence, data }),
                _ => None,
            };
            return Ok(Delivered::Duplicate(again));
        }
        let data = match kind {
            CallbackKind::Data(data) => data,
            CallbackKind::Resync => return self.start_over(actor, trust, feed).await,
            CallbackKind::Changed => {
                let address = self.trusts.address(actor.id(), trust)?;
                match self.diff(actor.id(), &address, &feed, sequence).await? {
                    Some(data) => data,
                    // It told of a diff that it does not have: all that is left is to look at what there is.
                    None => return self.start_over(actor, trust, feed).await,
                }
            }
        };
        let received = actor.store().receive(actor.id(), feed, sequence, &data).await?;
        Ok(match received {
            Received::Applied(taken, feed) => Delivered::Applied(taken, feed),
            Received::Duplicate => Delivered::Duplicate(untold.then_some(Taken { sequence, data })),
            Received::Pending => Delivered::Pending,
            Received::Full => Delivered::Full,
            Received::Ended => Delivered::Ended,
        })
    }

    /// Notes that everything is to be read anew, and tries to at once. Once noted it will be done, whatever happens here.
    async fn start_over(&self, actor: &Actor, trust: &TrustRecord, feed: FeedRecord) -> Result<Delivered, FeedError> {
        let stale = |feed: &mut FeedRecord| !std::mem::replace(&mut feed.stale, true);
        let Some(feed) = actor.store().change_feed(actor.id(), feed, None, stale).await? else {
            return Ok(Delivered::Ended);
        };
        let address = self.trusts.address(actor.id(), trust)?;
        match self.read_anew(actor, &address, &feed).await {
            Ok(Some(feed)) => Ok(Delivered::Rebuilt(Box::new(feed))),
            Ok(None) => Ok(Delivered::Pending),
            Err(error) => {
                tracing::warn!(%error, peer = %feed.peer, "a peer's data could not be read anew: it is due later");
                Ok(Delivered::Pending)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Callback, String> {
        Callback::parse(body.as_object().unwrap(), "peer", "sub")
    }

    #[test]
    fn callbacks_of_all_kinds_are_read() {
        let told = |body: Value| read(body).unwrap().kind;
        assert_eq!(told(json!({ "sequence": 1, "data": { "a": 1 } })), CallbackKind::Data(json!({ "a": 1 })));
        assert_eq!(told(json!({ "sequence": "1", "data": "" })), CallbackKind::Data(json!("")), "a deletion");
        assert_eq!(told(json!({ "sequence": 1, "data": {} })), CallbackKind::Data(json!({})), "all of it was filtered");
        for empty in [json!({}), json!(""), json!(null)] {
            assert_eq!(told(json!({ "sequence": 1, "url": "x", "data": empty })), CallbackKind::Changed);
        }
        assert_eq!(told(json!({ "sequence": 1, "url": "x" })), CallbackKind::Changed);
        assert_eq!(told(json!({ "sequence": 7, "url": "x", "type": "resync" })), CallbackKind::Resync);
        let named = json!({ "id": "peer", "subscriptionid": "sub", "sequence": 1, "data": 1, "url": "x" });
        assert_eq!(told(named), CallbackKind::Data(json!(1)));
    }

    #[test]
    fn malformed_callbacks_are_refused_with_a_reason() {
        for (body, reason) in [
            (json!({ "data": 1 }), "missing"),
            (json!({ "sequence": 0, "data": 1 }), "from 1"),
            (json!({ "sequence": -1, "data": 1 }), "from 1"),
            (json!({ "sequence": 1.5, "data": 1 }), "from 1"),
            (json!({ "sequence": true, "data": 1 }), "from 1"),
            (json!({ "sequence": u64::MAX, "data": 1 }), "from 1"),
            (json!({ "sequence": 1 }), "neither"),
            (json!({ "sequence": 1, "data": 1, "id": "other" }), "`id`"),
            (json!({ "sequence": 1, "data": 1, "subscriptionid": "other" }), "`subscriptionid`"),
            (json!({ "sequence": 1, "data": 1, "type": "permission" }), "`type`"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }
}
