//! An actor that is subscribed to a [`Source`], and what it keeps of it.

use std::time::Duration;

use actingweb_actor::feeds::{Feeds, RemoteValue, SubscribeTo, SubscribedTo};
use actingweb_actor::{Actor, FeedError, FeedRecord, Wanted};
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{Deadline, PeerId};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Answer, Publisher, SUBSCRIPTION, Site, Source, secret_of};

/// An actor and the peer it is subscribed to.
pub struct Follower<'a> {
    /// The actor.
    pub me: Publisher<'a>,
    /// Its peer.
    pub source: Source,
    /// The peer's id.
    pub peer: PeerId,
}

impl<'a> Follower<'a> {
    /// An actor with an approved relationship, not subscribed yet.
    pub async fn new(site: &'a Site, peer: &str) -> Self {
        let me = Publisher::new(site).await;
        let source = Source::start(peer).await;
        let peer = me.befriend(peer, &source.url).await;
        Self { me, source, peer }
    }

    /// An actor that is subscribed to all properties of its peer.
    pub async fn subscribed(site: &'a Site, peer: &str) -> Self {
        let follower = Self::new(site, peer).await;
        follower.subscribe(Scope::target("properties")).await.expect("a subscription");
        follower
    }

    /// What can be done with subscriptions, within a minute.
    pub fn feeds(&self) -> Feeds {
        Feeds::new(&self.me.site.state().trusts).for_request("test", minute())
    }

    /// The handle that hooks get.
    pub async fn actor(&self) -> Actor {
        let store = self.me.store().with_deadline(minute());
        let found = store.load(&self.me.id, Wanted::default()).await.expect("storage");
        Actor::new(found.actor.expect("an actor"), store)
    }

    /// Subscribes to the peer.
    pub async fn subscribe(&self, scope: Scope) -> Result<SubscribedTo, FeedError> {
        let wanted = SubscribeTo { peer: self.peer.clone(), scope, granularity: Granularity::High };
        self.feeds().subscribe(&self.actor().await, wanted).await
    }

    /// The subscription as it is stored.
    pub async fn feed(&self) -> Option<FeedRecord> {
        self.actor().await.feed(&self.peer, SUBSCRIPTION).await.expect("storage")
    }

    /// What is kept of the peer's properties.
    pub async fn kept(&self) -> Value {
        let actor = self.actor().await;
        let all = actor.remote(&self.peer).properties().await.expect("storage");
        let shown = |value: RemoteValue| value.here().unwrap_or_else(|| Value::from("too large"));
        Value::Object(all.into_iter().map(|(name, value)| (name, shown(value))).collect())
    }

    /// The path of callbacks about the subscription.
    pub fn path(&self) -> String {
        format!("/callbacks/subscriptions/{}/{SUBSCRIPTION}", self.peer)
    }

    /// A request of the peer's, below the actor.
    pub fn as_peer(&self, method: Method, path: &str) -> RequestBuilder {
        self.me.owner.anonymous(method, path).bearer_auth(secret_of(self.peer.as_str()))
    }

    /// The peer calls back.
    pub async fn call(&self, body: &Value) -> Answer {
        Answer::of(self.as_peer(Method::POST, &self.path()).json(body)).await
    }
}

fn minute() -> Deadline {
    Deadline::after(Instant::now().into_std(), Duration::from_secs(60))
}
