//! What is kept of peers, shown under `/devtest` as if it were internal attributes: in the buckets and under the names
//! that tests written for the Python library look at.
//!
//! | bucket | name | data |
//! |---|---|---|
//! | `remote:{peer}` | a property of the peer | an object or a list as it is, anything else as `{"value": …}` |
//! | `_callback_state` | `pending:{peer}:{subscription}` | `{"callbacks": [{"sequence", "data"}]}` |
//! | `_callback_state` | `state:{peer}:{subscription}` | `{"last_seq", "resync_pending"}` |

use actingweb_actor::feeds::RemoteValue;
use actingweb_actor::{Actor, ActorError};
use actingweb_protocol::PeerId;
use serde_json::{Map, Value, json};

const STATE: &str = "_callback_state";

/// Everything in a bucket by name; `None` for a bucket that is none of these, or that holds nothing.
pub(crate) async fn bucket(actor: &Actor, bucket: &str) -> Result<Option<Map<String, Value>>, ActorError> {
    let mut shown = Map::new();
    if bucket == STATE {
        for feed in actor.feeds(None).await? {
            let about = format!("{}:{}", feed.peer, feed.id);
            let state = json!({ "last_seq": feed.queue.last(), "resync_pending": feed.stale });
            shown.insert(format!("state:{about}"), json!({ "data": state }));
            if feed.queue.has_gap() {
                let pending = json!({ "callbacks": feed.queue.pending() });
                shown.insert(format!("pending:{about}"), json!({ "data": pending }));
            }
        }
    } else if let Some(Ok(peer)) = bucket.strip_prefix("remote:").map(PeerId::parse) {
        let all = actor.remote(&peer).properties().await?;
        shown.extend(all.into_iter().map(|(name, value)| (name, json!({ "data": as_attribute(value) }))));
    }
    Ok(Some(shown).filter(|shown| !shown.is_empty()))
}

/// One of a bucket.
pub(crate) async fn attribute(actor: &Actor, in_bucket: &str, name: &str) -> Result<Option<Value>, ActorError> {
    Ok(bucket(actor, in_bucket).await?.and_then(|mut shown| shown.remove(name)))
}

fn as_attribute(value: RemoteValue) -> Value {
    match value {
        RemoteValue::Here(value @ (Value::Object(_) | Value::Array(_))) => value,
        RemoteValue::Here(value) => json!({ "value": value }),
        RemoteValue::TooLarge => json!({ "too_large": true }),
    }
}
