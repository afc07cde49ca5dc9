//! Reading at a peer what is subscribed to, and what became of a subscription.

use std::collections::BTreeMap;

use actingweb_peer::{PeerAddress, PeerError};
use actingweb_protocol::ActorId;
use actingweb_protocol::feed::{self, Kept, Pending, lenient};
use actingweb_protocol::subscription::Scope;
use actingweb_store::FeedRecord;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{FeedError, Feeds, odd};

/// The most bytes read of one reply: what an actor shows at once, and more.
const MAX_REPLY_BYTES: usize = 8_000_000;

/// How many lists are read at once.
const CONCURRENT_LISTS: usize = 8;

/// What stands in a path segment as it is (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How far a peer's subscription has come, and the diffs it still has.
pub(super) struct Status {
    pub(super) sequence: u64,
    pub(super) diffs: Vec<Pending>,
    /// The number of the last diff that says no more than that everything is to be read anew.
    pub(super) resync: u64,
}

impl Feeds {
    /// The JSON at a path below the peer's root; text that is none is a string. `None` for what is not there, or not for
    /// us.
    pub(super) async fn get(&self, address: &PeerAddress, path: &str) -> Result<Option<Value>, PeerError> {
        let reply = match self.peers.get(address, path).reply_up_to(MAX_REPLY_BYTES).send().await {
            Ok(reply) => reply,
            Err(error) => {
                return match error.status().map(|status| status.as_u16()) {
                    Some(403 | 404 | 405 | 410 | 501) => Ok(None),
                    _ => Err(error),
                };
            }
        };
        if reply.body().is_empty() {
            return Ok(None);
        }
        Ok(Some(match lenient::parse(reply.body()) {
            Ok(value) => value,
            Err(_) => Value::String(String::from_utf8_lossy(reply.body()).into_owned()),
        }))
    }

    /// Everything in a scope, with the items of lists.
    pub(super) async fn read_scope(&self, address: &PeerAddress, scope: &Scope) -> Result<feed::Remote, PeerError> {
        let Some(value) = self.get(address, &path_of(scope)).await? else { return Ok(feed::Remote::new()) };
        let path = scope.path();
        let lists = if path.is_empty() { feed::announced_lists(&value) } else { Vec::new() };
        let mut all = feed::baseline(&path, value);
        let read = self.read_names(address, scope, lists).await?;
        all.extend(read.into_iter().filter_map(|(name, value)| Some((name, Kept::Value(value?)))));
        Ok(all)
    }

    /// What is under some names right below the target.
    pub(super) async fn read_names(
        &self,
        address: &PeerAddress,
        scope: &Scope,
        names: impl IntoIterator<Item = String>,
    ) -> Result<BTreeMap<String, Option<Value>>, PeerError> {
        let reads: Vec<_> = names.into_iter().map(|name| self.read_name(address, scope, name)).collect();
        stream::iter(reads).buffer_unordered(CONCURRENT_LISTS).try_collect().await
    }

    async fn read_name(
        &self,
        address: &PeerAddress,
        scope: &Scope,
        name: String,
    ) -> Result<(String, Option<Value>), PeerError> {
        let path = path_of(&Scope::subtarget(&scope.target, &name));
        let value = self.get(address, &path).await?;
        Ok((name, value))
    }

    /// How far a subscription has come at the peer.
    pub(super) async fn status(
        &self,
        actor: &ActorId,
        address: &PeerAddress,
        feed: &FeedRecord,
    ) -> Result<Status, FeedError> {
        let failed = |error: PeerError| FeedError::of_peer("the peer did not show the subscription", &error);
        let path = format!("subscriptions/{actor}/{}", feed.id);
        let reply = self.peers.get(address, &path).reply_up_to(MAX_REPLY_BYTES).send().await.map_err(failed)?;
        let told = lenient::parse(reply.body()).map_err(|_| odd("the peer showed a subscription that is no JSON"))?;
        let sequence = told.get("sequence").and_then(lenient::number);
        let sequence = sequence.ok_or_else(|| odd("the peer showed a subscription without a sequence number"))?;
        let mut status = Status { sequence, diffs: Vec::new(), resync: 0 };
        for diff in told.get("data").and_then(Value::as_array).into_iter().flatten() {
            let Some(sequence) = diff.get("sequence").and_then(lenient::number) else { continue };
            match diff_data(diff) {
                Some(data) if !is_resync(diff) => status.diffs.push(Pending { sequence, data }),
                _ => status.resync = status.resync.max(sequence),
            }
        }
        Ok(status)
    }

    /// One diff; `None` when the peer does not have it any more, or when it only says to read everything anew.
    pub(super) async fn diff(
        &self,
        actor: &ActorId,
        address: &PeerAddress,
        feed: &FeedRecord,
        sequence: u64,
    ) -> Result<Option<Value>, FeedError> {
        let path = format!("subscriptions/{actor}/{}/{sequence}", feed.id);
        let reply = match self.peers.get(address, &path).reply_up_to(MAX_REPLY_BYTES).send().await {
            Ok(reply) => reply,
            Err(error) if error.status().is_some_and(|status| matches!(status.as_u16(), 404 | 410)) => return Ok(None),
            Err(error) => return Err(FeedError::of_peer("the peer did not show the diff it told of", &error)),
        };
        let told = lenient::parse(reply.body()).map_err(|_| odd("the peer showed a diff that is no JSON"))?;
        if told.get("sequence").and_then(lenient::number).is_some_and(|shown| shown != sequence) {
            return Err(odd("the peer showed another diff than the one it told of"));
        }
        if is_resync(&told) {
            return Ok(None);
        }
        diff_data(&told).map(Some).ok_or_else(|| odd("the peer showed a diff without data"))
    }
}

fn is_resync(diff: &Value) -> bool {
    diff.get("type").and_then(Value::as_str) == Some("resync")
}

/// The data of a diff. Peers keep it as text and show it as that when it is an object's text, too.
fn diff_data(diff: &Value) -> Option<Value> {
    let data = diff.get("data")?;
    let object = data.as_str().filter(|text| text.trim_start().starts_with('{'));
    Some(object.and_then(|text| lenient::parse(text.as_bytes()).ok()).unwrap_or_else(|| data.clone()))
}

/// The path at which a scope is read.
fn path_of(scope: &Scope) -> String {
    let segments = std::iter::once(scope.target.as_str()).chain(scope.path());
    segments.map(|segment| utf8_percent_encode(segment, SEGMENT).to_string()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_path_of_a_scope_names_nothing_else() {
        let odd = Scope { target: "properties".into(), subtarget: Some("a/../b?c#d".into()), resource: None };
        assert_eq!(path_of(&odd), "properties/a%2F..%2Fb%3Fc%23d");
        let address = PeerAddress::new("https://peer.example/a1").unwrap();
        assert!(address.locate(&path_of(&odd)).is_err(), "and what hides dot segments is not called");
        let deep = Scope { target: "properties".into(), subtarget: Some("cfg".into()), resource: Some("x/y z".into()) };
        assert_eq!(path_of(&deep), "properties/cfg/x/y%20z");
    }

    #[test]
    fn the_data_of_a_diff_may_be_text() {
        assert_eq!(diff_data(&json!({ "data": { "a": 1 } })), Some(json!({ "a": 1 })));
        assert_eq!(diff_data(&json!({ "data": "{\"a\": 1}" })), Some(json!({ "a": 1 })));
        assert_eq!(diff_data(&json!({ "data": "blue" })), Some(json!("blue")));
        assert_eq!(diff_data(&json!({ "data": "" })), Some(json!("")));
        assert_eq!(diff_data(&json!({})), None);
    }
}
