//! Either side ends a subscription.

use actingweb_actor::SubscriptionRecord;
use actingweb_hooks::{Event, EventKind, SubscriptionEvent};
use actingweb_store::{Notice, NoticeKind};
use actingweb_web::{Reply, no_content};
use serde_json::json;

use crate::Request;
use crate::initiated::end_feed;

impl Request<'_> {
    /// 204, also for one that has ended already. Whoever did not end it is told: the peer by a notice, the application by
    /// the event `subscription_deleted`.
    pub(crate) async fn end(&self, id: &str) -> Reply {
        let actor = &self.admission.actor;
        if let Some(subscription) = actor.subscription(&self.peer, id).await? {
            let notice = if self.is_peer() { None } else { self.notice(&subscription) };
            if actor.unsubscribe(&subscription, notice.as_ref()).await? {
                self.tell_hooks(&subscription).await;
            }
            return Ok(no_content());
        }
        match actor.feed(&self.peer, id).await? {
            Some(feed) => end_feed(self.state, self.incoming, &self.admission, &feed).await,
            None => Ok(no_content()),
        }
    }

    /// What the peer is told of the end of its subscription.
    fn notice(&self, subscription: &SubscriptionRecord) -> Option<Notice> {
        let trust = self.admission.trust.as_ref().filter(|trust| trust.is_reachable())?;
        let to = (&trust.peer, trust.base_uri.as_str(), trust.secret.as_str());
        let path = format!("callbacks/subscriptions/{}/{}", self.admission.actor.id(), subscription.id);
        Some(Notice::new(NoticeKind::SubscriptionEnded, to, ("DELETE", path), None))
    }

    async fn tell_hooks(&self, subscription: &SubscriptionRecord) {
        let kind = EventKind::SubscriptionDeleted;
        if !self.state.hooks.has_lifecycle_hooks(kind) {
            return;
        }
        let ended = SubscriptionEvent {
            peer: subscription.peer.to_string(),
            subscription: subscription.id.clone(),
            target: subscription.scope.target.clone(),
            subtarget: subscription.scope.subtarget.clone(),
            resource: subscription.scope.resource.clone(),
            to_peer: false,
            initiated_by_peer: self.is_peer(),
        };
        self.state.hooks.fire(&self.invocation(), Event::with_data(kind, json!(ended))).await;
    }
}
