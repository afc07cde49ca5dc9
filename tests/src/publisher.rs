//! An actor with subscribers, set up behind the program's back: what is tested is what they are told.

use std::time::Duration;

use actingweb_deliver::Delivered;
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, Clock as _, Deadline, PeerId, sha256_hex};
use actingweb_store::{
    Breaker, Notice, NoticeKind, Standing, Store, Subscribed, SubscriptionRecord, TrustOutcome, TrustRecord,
};
use actingweb_testkit::fakes::FakeClock;
use serde_json::Value;
use tokio::time::Instant;

use crate::{Owner, Site, Subscribers};

/// An actor that peers subscribe to.
pub struct Publisher<'a> {
    /// Where it lives.
    pub site: &'a Site,
    /// Its creator.
    pub owner: Owner,
    /// Its id.
    pub id: ActorId,
}

/// The secret of a peer's relationship.
pub fn secret_of(peer: &str) -> String {
    format!("secret-of-{peer}")
}

impl<'a> Publisher<'a> {
    /// A new actor.
    pub async fn new(site: &'a Site) -> Self {
        let owner = site.actor("ann").await;
        let id = ActorId::parse(&owner.id).expect("an id");
        Self { site, owner, id }
    }

    /// The storage beneath.
    pub fn store(&self) -> &Store {
        self.site.state().actors.store()
    }

    /// An approved relationship with a peer at this URL.
    pub async fn befriend(&self, peer: &str, url: &str) -> PeerId {
        let id = PeerId::parse(peer).expect("an id");
        let secret = secret_of(peer);
        let state = self.site.state();
        let context = format!("trust/{}/{peer}", self.id);
        let record = TrustRecord {
            peer: id.clone(),
            base_uri: url.to_owned(),
            kind: "urn:actingweb:example.com:demo".to_owned(),
            relationship: "friend".to_owned(),
            agreed: "friend".to_owned(),
            desc: String::new(),
            approved: true,
            peer_approved: true,
            verified: true,
            verification_token: String::new(),
            secret: self.site.keys().seal(&context, &secret, &*state.entropy).expect("a sealed secret"),
            secret_hash: sha256_hex(&secret),
            next: None,
            established_via: "trust".to_owned(),
            created_at: self.store().now(),
            permissions: None,
            initiated: false,
            expires: None,
            breaker: Breaker::default(),
            client: None,
            version: String::new(),
        };
        let written = self.store().put_trust(&self.id, None, record, &[]).await.expect("a relationship");
        assert!(matches!(written, TrustOutcome::Written(_)), "{written:?}");
        id
    }

    /// The relationship with a peer.
    pub async fn trust(&self, peer: &PeerId) -> TrustRecord {
        self.store().trust(&self.id, peer).await.expect("storage").expect("a relationship")
    }

    /// Changes the relationship with a peer.
    pub async fn change_trust(&self, peer: &PeerId, change: impl FnOnce(&mut TrustRecord)) {
        let seen = self.trust(peer).await;
        let mut changed = seen.clone();
        change(&mut changed);
        let written = self.store().put_trust(&self.id, Some(&seen), changed, &[]).await.expect("a relationship");
        assert!(matches!(written, TrustOutcome::Written(_)), "{written:?}");
    }

    /// A subscription of a peer, called back with data.
    pub async fn subscribe(&self, peer: &PeerId, scope: Scope) -> SubscriptionRecord {
        self.subscribe_with(peer, scope, Granularity::High).await
    }

    /// A subscription of a peer.
    pub async fn subscribe_with(&self, peer: &PeerId, scope: Scope, granularity: Granularity) -> SubscriptionRecord {
        let id = sha256_hex(&format!("{peer} {scope}"))[..32].to_owned();
        let new = SubscriptionRecord::new(peer.clone(), id, scope, granularity, self.store().now());
        match self.store().subscribe(&self.id, new, None, 100).await.expect("storage") {
            Subscribed::Done(subscription) => *subscription,
            other => panic!("{other:?}"),
        }
    }

    /// As many peers as asked for, `p0`, `p1` and so on, subscribed to all properties.
    pub async fn subscribed(&self, subscribers: &Subscribers, count: usize) {
        for number in 0..count {
            let name = format!("p{number}");
            let peer = self.befriend(&name, &subscribers.url(&name)).await;
            self.subscribe(&peer, Scope::target("properties")).await;
        }
    }

    /// A subscription as it is now.
    pub async fn subscription(&self, seen: &SubscriptionRecord) -> SubscriptionRecord {
        self.store().subscription(&self.id, &seen.peer, &seen.id).await.expect("storage").expect("a subscription")
    }

    /// Whether deliveries to a subscription go on.
    pub async fn is_live(&self, seen: &SubscriptionRecord) -> bool {
        self.subscription(seen).await.standing == Standing::Live
    }

    /// Writes a property.
    pub async fn change(&self, name: &str, value: &Value) {
        self.owner.put(&format!("/properties/{name}"), value).await.expect(204);
    }

    /// A notice to a peer, owed from now on.
    pub async fn owe(&self, peer: &PeerId, kind: NoticeKind, (method, path): (&str, &str), body: Option<&str>) {
        let seen = self.trust(peer).await;
        let to = (peer, seen.base_uri.as_str(), seen.secret.as_str());
        let notice = Notice::new(kind, to, (method, path.to_owned()), body.map(str::to_owned));
        let written = self.store().put_trust(&self.id, Some(&seen), seen.clone(), &[notice]).await.expect("storage");
        assert!(matches!(written, TrustOutcome::Written(_)), "{written:?}");
    }

    /// Delivers what is owed.
    pub async fn deliver(&self) -> Delivered {
        let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(60));
        Box::pin(actingweb_deliver::deliver(self.site.state(), &self.id, deadline)).await.expect("a delivery")
    }

    /// Lets time pass until nothing is held any more, an hour at a time; the worker does what is due.
    pub async fn settle(&self, clock: &FakeClock) {
        for _ in 0..200 {
            clock.advance(Duration::from_secs(3600));
            self.site.drain().await;
            let subscriptions = self.store().subscriptions(&self.id, None).await.expect("storage");
            let is_owed = |subscription: &SubscriptionRecord| {
                subscription.standing == Standing::Live && subscription.sequence > subscription.delivered
            };
            if !subscriptions.iter().any(is_owed) && self.store().notices(&self.id).await.expect("storage").is_empty() {
                return;
            }
        }
        panic!("something is held for ever at {}", clock.now());
    }
}
