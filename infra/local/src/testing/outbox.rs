//! What an actor owes its peers and has not sent yet.

use actingweb_protocol::PeerId;
use actingweb_store::NoticeKind;
use serde_json::Value;

use super::TestActor;

/// Something that an actor owes a peer: it goes out when the test says `settle`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Owed {
    /// A request, such as the word that a relationship is approved.
    Notice {
        /// To whom.
        peer: PeerId,
        /// What it tells.
        kind: NoticeKind,
        /// The HTTP method.
        method: String,
        /// The path below the peer's URL, without a slash at the beginning.
        path: String,
        /// What is sent.
        body: Option<Value>,
    },
    /// A change that the peer subscribed to.
    Change {
        /// To whom.
        peer: PeerId,
        /// The subscription's id.
        subscription: String,
        /// The number it has within the subscription.
        sequence: u64,
        /// The change, without what the peer may not see.
        data: Value,
    },
}

impl TestActor {
    /// What the actor owes its peers: notices first, then changes by subscription, each in order. As when a peer asks for
    /// its changes, they get their numbers here.
    pub async fn outbox(&self) -> Vec<Owed> {
        let store = self.app().state.actors.store();
        let notices = store.notices(self.actor().id()).await.expect("storage");
        let mut owed: Vec<Owed> = notices
            .into_iter()
            .map(|notice| Owed::Notice {
                peer: notice.peer,
                kind: notice.kind,
                method: notice.method,
                path: notice.path,
                body: notice.body.map(|body| serde_json::from_str(&body).expect("JSON")),
            })
            .collect();
        for subscription in store.subscriptions(self.actor().id(), None).await.expect("storage") {
            let path = format!("/subscriptions/{}/{}", subscription.peer, subscription.id);
            let polled = self.get(&path).await.expect(200).json();
            for diff in polled["data"].as_array().expect("changes") {
                let sequence = diff["sequence"].as_u64().expect("a number");
                if sequence > subscription.delivered {
                    let (peer, subscription) = (subscription.peer.clone(), subscription.id.clone());
                    owed.push(Owed::Change { peer, subscription, sequence, data: diff["data"].clone() });
                }
            }
        }
        owed
    }
}
