//! A peer that follows an actor by polling it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{Answer, Owner, Publisher, secret_of};

/// A peer of an actor, with one subscription.
#[derive(Clone, Debug)]
pub struct Poller {
    owner: Owner,
    /// Its id.
    pub peer: String,
    /// The path of the subscription below the actor.
    pub path: String,
    /// The id of the subscription.
    pub id: String,
}

impl Publisher<'_> {
    /// A new friend that subscribes over HTTP to a path such as `properties/notes`.
    pub async fn poller(&self, peer: &str, path: &str, granularity: &str) -> Poller {
        self.befriend(peer, &format!("http://127.0.0.1:9/{peer}")).await;
        self.also_polled(peer, path, granularity).await
    }

    /// Another subscription of a peer.
    pub async fn also_polled(&self, peer: &str, path: &str, granularity: &str) -> Poller {
        let answer = self.ask_to_subscribe(peer, &wish(path, granularity)).await.expect(201);
        let id = answer.json()["subscriptionid"].as_str().expect("an id").to_owned();
        let path = format!("/subscriptions/{peer}/{id}");
        assert_eq!(answer.header("location"), format!("{}{path}", self.owner.url));
        Poller { owner: self.owner.clone(), peer: peer.to_owned(), path, id }
    }

    /// A peer's request to subscribe.
    pub async fn ask_to_subscribe(&self, peer: &str, body: &Value) -> Answer {
        let path = format!("/subscriptions/{peer}");
        Answer::of(self.owner.with_secret(&secret_of(peer), Method::POST, &path).json(body)).await
    }
}

/// The body of a request to subscribe.
fn wish(path: &str, granularity: &str) -> Value {
    let mut segments = path.splitn(3, '/');
    let mut wish = Map::new();
    for name in ["target", "subtarget", "resource"] {
        wish.extend(segments.next().map(|segment| (name.to_owned(), json!(segment))));
    }
    wish.insert("granularity".to_owned(), json!(granularity));
    wish.into()
}

impl Poller {
    /// A request of the peer below the subscription.
    pub async fn send(&self, method: Method, below: &str) -> Answer {
        Answer::of(self.request(method, below)).await
    }

    /// The same, to be filled.
    pub fn request(&self, method: Method, below: &str) -> reqwest::RequestBuilder {
        self.owner.with_secret(&secret_of(&self.peer), method, &format!("{}{below}", self.path))
    }

    /// The reply to a poll.
    pub async fn poll(&self) -> Value {
        self.send(Method::GET, "").await.expect(200).json()
    }

    /// The diffs that were not cleared, by number.
    pub async fn diffs(&self) -> BTreeMap<u64, Value> {
        let body = self.poll().await;
        let diffs = body["data"].as_array().expect("diffs").iter();
        diffs.map(|diff| (diff["sequence"].as_u64().expect("a number"), told(diff))).collect()
    }

    /// What was told, in order.
    pub async fn told(&self) -> Vec<Value> {
        self.diffs().await.into_values().collect()
    }

    /// Clears up to a number.
    pub async fn clear(&self, upto: u64) {
        Answer::of(self.request(Method::PUT, "").json(&json!({ "sequence": upto }))).await.expect(204);
    }
}

/// The data of a diff, or `"resync"`.
fn told(diff: &Value) -> Value {
    match diff.get("type") {
        Some(kind) => kind.clone(),
        None => diff["data"].clone(),
    }
}
