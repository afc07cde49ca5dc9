//! An actor that has peers, ours or Python's, driven by its creator over the endpoints that both have.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Answer, Owner, eventually};

/// The relationship that all of these actors have.
const RELATIONSHIP: &str = "friend";

/// Whose actor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Python,
}

/// An actor with peers.
#[derive(Clone, Debug)]
pub struct Resident {
    /// Its creator.
    pub owner: Owner,
    kind: Kind,
    /// Where the windows of the Python peer are; no other has any.
    windows: String,
}

/// What an actor holds of its relationship to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The peer's URL.
    pub baseuri: String,
    /// The peer's type, from its `/meta`.
    pub peer_type: String,
    /// Whether the actor approved.
    pub approved: bool,
    /// Whether the peer said that it approved.
    pub peer_approved: bool,
    /// Whether the peer proved its address.
    pub verified: bool,
}

/// What a subscriber wants to be sent.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// The change itself.
    High,
    /// Where the change can be had.
    Low,
    /// Nothing: it polls.
    None,
}

/// A subscription as one of its sides lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The id, the same on both sides.
    pub id: String,
    /// The last number: given by the publisher, taken by the subscriber.
    pub sequence: u64,
    /// Whether the lister is the subscriber.
    pub is_outbound: bool,
    /// `high`, `low` or `none`.
    pub granularity: String,
}

impl Resident {
    pub(crate) fn new(owner: Owner, kind: Kind, root: &str) -> Self {
        let windows = format!("{root}/_test/{}", owner.id);
        Self { owner, kind, windows }
    }

    /// Whether the Python library runs it.
    pub fn is_python(&self) -> bool {
        self.kind == Kind::Python
    }

    /// The actor's id.
    pub fn id(&self) -> &str {
        &self.owner.id
    }

    // --- Trust ------------------------------------------------------------------------------

    /// Has the actor ask a peer for a relationship.
    pub async fn ask(&self, url: &str) -> Answer {
        self.owner.post("/trust", &json!({ "url": url, "relationship": RELATIONSHIP, "desc": "a test" })).await
    }

    /// Has the actor ask a peer, which must hear it. Returns the secret they share from then on.
    pub async fn ask_for_trust(&self, peer: &Self) -> String {
        let asked = self.ask(&peer.owner.url).await.expect(201);
        let location = format!("{}{}", self.owner.url, trust_path(peer));
        assert_eq!(asked.header("location"), location, "{}", asked.request);
        asked.json()["secret"].as_str().expect("the secret, for whoever asked").to_owned()
    }

    /// Approves what a peer asked for.
    pub async fn approve(&self, peer: &Self) {
        self.owner.put(&trust_path(peer), &json!({ "approved": true })).await.expect(204);
    }

    /// What the actor holds of its relationship to a peer, if it has one.
    pub async fn trust(&self, peer: &Self) -> Option<Trust> {
        let answer = self.owner.get(&trust_path(peer)).await;
        if answer.status == 404 {
            return None;
        }
        assert!(matches!(answer.status, 200 | 202), "{}: {} {}", answer.request, answer.status, answer.body);
        let row = answer.json();
        assert_eq!((row["id"].as_str(), row["peerid"].as_str()), (Some(self.id()), Some(peer.id())), "{row}");
        assert_eq!(row["relationship"], RELATIONSHIP, "{row}");
        // The library says some of them as texts.
        let flag = |name: &str| row[name] == true || row[name] == "true";
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Some(Trust {
            baseuri: text("baseuri"),
            peer_type: text("type"),
            approved: flag("approved"),
            peer_approved: flag("peer_approved"),
            verified: flag("verified"),
        })
    }

    /// Ends a relationship.
    pub async fn end_trust(&self, peer: &Self) {
        self.owner.delete(&trust_path(peer)).await.expect(204);
    }

    /// Makes friends: asks, is approved, and waits until both know.
    pub async fn befriend(&self, peer: &Self) -> String {
        let secret = self.ask_for_trust(peer).await;
        peer.approve(self).await;
        eventually("the one who asked knows of the approval", async || match self.trust(peer).await {
            Some(trust) if trust.peer_approved => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        secret
    }

    /// Replaces what a peer may do beyond what friends may.
    pub async fn set_permissions(&self, peer: &Self, permissions: &Value) -> Answer {
        self.owner.put(&format!("{}/permissions", trust_path(peer)), permissions).await
    }

    /// Takes back what [`Resident::set_permissions`] changed.
    pub async fn reset_permissions(&self, peer: &Self) {
        self.owner.delete(&format!("{}/permissions", trust_path(peer))).await.expect(204);
    }

    // --- What a peer does at this actor -------------------------------------------------------

    /// A peer's request, signed with the secret the two share.
    pub async fn as_peer(&self, secret: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        // As JSON also what is a text by itself.
        let request = self.owner.with_secret(secret, method, path).header("accept", "application/json");
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    // --- Subscriptions ------------------------------------------------------------------------

    /// Has the actor subscribe to a peer's properties. Returns the subscription's id.
    pub async fn subscribe(&self, peer: &Self, granularity: Granularity) -> String {
        let wish = json!({ "peerid": peer.id(), "target": "properties", "granularity": granularity });
        let answer = self.owner.post("/subscriptions", &wish).await.expect(204);
        let (at, id) = answer.header("location").rsplit_once('/').expect("a location");
        assert!(at.ends_with(&format!("{}/subscriptions/{}", peer.id(), self.id())), "{at}/{id}");
        id.to_owned()
    }

    /// Ends a subscription, from either side.
    pub async fn end_subscription(&self, peer: &Self, id: &str) {
        self.owner.delete(&format!("/subscriptions/{}/{id}", peer.id())).await.expect(204);
    }

    /// The subscriptions between the actor and a peer, both ways.
    pub async fn subscriptions(&self, peer: &Self) -> Vec<Subscription> {
        let answer = self.owner.get(&format!("/subscriptions/{}", peer.id())).await;
        if answer.status == 404 {
            return Vec::new();
        }
        let listed = answer.expect(200).json();
        let items = listed["data"].as_array().expect("a list").iter();
        items
            .map(|item| Subscription {
                id: item["subscriptionid"].as_str().expect("an id").to_owned(),
                sequence: item["sequence"].as_u64().expect("a number"),
                is_outbound: item["callback"].as_bool().expect("a direction"),
                granularity: item["granularity"].as_str().expect("a granularity").to_owned(),
            })
            .collect()
    }

    /// One of them.
    pub async fn subscription(&self, peer: &Self, id: &str) -> Option<Subscription> {
        self.subscriptions(peer).await.into_iter().find(|subscription| subscription.id == id)
    }

    /// The changes that a publisher still keeps for a subscriber, as (number, data), in the order they are listed.
    pub async fn kept(&self, subscriber: &Self, id: &str) -> Vec<(u64, Value)> {
        diffs(&self.owner.get(&format!("/subscriptions/{}/{id}", subscriber.id())).await.expect(200).json())
    }

    /// Has the publisher say no more of changes to its properties.
    pub async fn suspend(&self) {
        self.tell("suspend").await;
    }

    /// Has the publisher speak again, and its subscribers start afresh.
    pub async fn resume(&self) {
        self.tell("resume").await;
    }

    /// Suspension is a matter of the application's own: the Python peer has a window for it, ours an action.
    async fn tell(&self, word: &str) {
        let request = match self.kind {
            Kind::Python => self.owner.anonymous_at(Method::POST, &format!("{}/{word}/properties", self.windows)),
            Kind::Ours => {
                self.owner.request(Method::POST, &format!("/actions/{word}")).json(&json!({ "target": "properties" }))
            }
        };
        let answer = Answer::of(request).await;
        assert!(matches!(answer.status, 200 | 204), "{}: {} {}", answer.request, answer.status, answer.body);
    }

    // --- What the actor holds of a peer ---------------------------------------------------------

    /// The peer's properties as the actor has them.
    pub async fn mirror(&self, peer: &Self) -> BTreeMap<String, Value> {
        let values = match self.kind {
            Kind::Python => self.window().await["remote"][peer.id()]["values"].clone(),
            Kind::Ours => {
                let bucket = self.owner.get(&format!("/devtest/attribute/remote:{}", peer.id())).await;
                if bucket.status == 404 { json!({}) } else { bucket.expect(200).json() }
            }
        };
        let values = values.as_object().cloned().unwrap_or_default().into_iter();
        values.map(|(name, stored)| (name, self.unwrapped(stored))).collect()
    }

    /// A value as the peer had it: what is no object is kept as `{"value": ..}`, and attributes beside their time.
    fn unwrapped(&self, stored: Value) -> Value {
        let value = match self.kind {
            Kind::Python => stored,
            Kind::Ours => stored["data"].clone(),
        };
        let sole = |map: &Map<String, Value>| if map.len() == 1 { map.get("value").cloned() } else { None };
        value.as_object().and_then(sole).unwrap_or(value)
    }

    /// The numbers of the changes that the actor applied, in the order it did, where that can be seen.
    pub async fn applied(&self, peer: &Self) -> Option<Vec<u64>> {
        let applied = self.look("applied").await?;
        let of_peer = applied.as_array().expect("a list").iter().filter(|entry| entry["peer"] == peer.id());
        Some(of_peer.filter_map(|entry| entry["sequence"].as_u64()).collect())
    }

    /// What the actor knows of its rights at a peer, where that can be seen.
    pub async fn granted(&self, peer: &Self) -> Option<Value> {
        Some(self.look("granted").await?[peer.id()].clone())
    }

    /// The lifecycle hooks that ran, where that can be seen.
    pub async fn hooks(&self) -> Option<Vec<String>> {
        let hooks = self.look("hooks").await?;
        let events = hooks.as_array().expect("a list").iter();
        Some(events.filter_map(|hook| hook["event"].as_str().map(str::to_owned)).collect())
    }

    /// How many callbacks arrived for a subscription, where that can be seen.
    pub async fn callbacks(&self, peer: &Self, id: &str) -> Option<usize> {
        if !self.is_python() {
            return None;
        }
        let window = self.owner.anonymous_at(Method::GET, &format!("{}/requests", self.windows));
        let requests = Answer::of(window).await.expect(200).json();
        let path = format!("/{}/callbacks/subscriptions/{}/{id}", self.id(), peer.id());
        let ours = requests.as_array().expect("a list").iter();
        Some(ours.filter(|request| request["path"] == path && request["method"] == "POST").count())
    }

    /// Has the actor fetch what it missed, where that can be asked for from outside.
    pub async fn pull(&self, peer: &Self, id: &str) -> bool {
        if self.is_python() {
            let window = format!("{}/sync/{}/{id}", self.windows, peer.id());
            let outcome = Answer::of(self.owner.anonymous_at(Method::POST, &window)).await.expect(200).json();
            assert_eq!(outcome["success"], true, "{outcome}");
        }
        self.is_python()
    }

    async fn look(&self, what: &str) -> Option<Value> {
        if self.is_python() { Some(self.window().await[what].clone()) } else { None }
    }

    async fn window(&self) -> Value {
        Answer::of(self.owner.anonymous_at(Method::GET, &self.windows)).await.expect(200).json()
    }
}

/// The changes of a subscription's diffs, as (number, data), in the order they are listed.
pub fn diffs(subscription: &Value) -> Vec<(u64, Value)> {
    let diffs = subscription["data"].as_array().expect("a list of changes").iter();
    diffs.map(|diff| (diff["sequence"].as_u64().expect("a number"), diff["data"].clone())).collect()
}

fn trust_path(peer: &Resident) -> String {
    format!("/trust/{RELATIONSHIP}/{}", peer.id())
}
