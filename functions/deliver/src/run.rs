//! One delivery for one actor: what all of its parts share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actingweb_peer::{PeerAddress, PeerClient, PeerError, PeerReply, PeerRequest};
use actingweb_protocol::{ActorId, Deadline, PeerId, Timestamp, random_hex};
use actingweb_store::{Store, TrustRecord};
use actingweb_web::AppState;
use http::Method;
use tokio::time::Instant;

use crate::Delivered;

/// How long a delivery may take. Leases of subscriptions are longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What is kept free at its end, to write down what came of it: the store itself keeps five seconds.
const RESERVE: Duration = Duration::from_secs(8);

/// How long a peer may take for one call.
const PATIENCE: Duration = Duration::from_secs(10);

/// With less time than this left, nothing is begun.
const SHORTEST: Duration = Duration::from_secs(1);

/// How much of a reply is read: nothing in it matters.
const REPLY_BYTES: usize = 16 * 1024;

/// A delivery under way.
pub(crate) struct Run<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) actor: &'a ActorId,
    /// The storage, with the delivery's deadline.
    pub(crate) store: Store,
    /// When the delivery must have ended.
    pub(crate) deadline: Deadline,
    /// Names the delivery in the log, and to peers as `X-Parent-Request-ID`.
    pub(crate) id: String,
    /// Peers of which it is not known, or not any more, what they understand.
    pub(crate) strangers: Mutex<HashMap<PeerId, TrustRecord>>,
    sending_ends: Deadline,
    cut_off: AtomicBool,
    callbacks: AtomicUsize,
    notices: AtomicUsize,
    held: AtomicUsize,
    given_up: AtomicUsize,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Callback,
    Notice,
    Held,
    GivenUp,
}

impl<'a> Run<'a> {
    pub(crate) fn new(state: &'a AppState, actor: &'a ActorId, deadline: Deadline) -> Self {
        let now = Instant::now().into_std();
        let deadline = deadline.min(Deadline::after(now, LONGEST));
        Self {
            state,
            actor,
            store: state.actors.store().with_deadline(deadline),
            deadline,
            id: random_hex(&*state.entropy, 16),
            strangers: Mutex::default(),
            sending_ends: deadline.minus(RESERVE),
            cut_off: AtomicBool::new(false),
            callbacks: AtomicUsize::new(0),
            notices: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        }
    }

    /// The time by the deployment's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Whether there is time to send something; if not, the rest is for the next delivery.
    pub(crate) fn has_time(&self) -> bool {
        let has_time = self.sending_ends.remaining(Instant::now().into_std()) >= SHORTEST;
        if !has_time {
            self.cut_off.store(true, Ordering::Relaxed);
        }
        has_time
    }

    /// Whether something was left for the next delivery.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// A client for one call, and the call's own id.
    pub(crate) fn client(&self) -> (PeerClient, String) {
        let id = random_hex(&*self.state.entropy, 16);
        (self.state.hooks.peer_client().clone().with_request_ids(&id, &self.id), id)
    }

    /// Makes a call, in the time a peer has for it.
    pub(crate) async fn call(
        &self,
        client: &PeerClient,
        (method, address, path): (Method, &PeerAddress, &str),
        fill: impl for<'r> FnOnce(PeerRequest<'r>) -> PeerRequest<'r>,
    ) -> Result<PeerReply, PeerError> {
        let patience = Deadline::after(Instant::now().into_std(), PATIENCE).min(self.sending_ends);
        let request = client.request(method, address, path).deadline(patience).reply_limit(REPLY_BYTES);
        fill(request).send().await
    }

    pub(crate) fn count(&self, what: Count) {
        let counter = match what {
            Count::Callback => &self.callbacks,
            Count::Notice => &self.notices,
            Count::Held => &self.held,
            Count::GivenUp => &self.given_up,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self) -> Delivered {
        let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Delivered {
            callbacks: read(&self.callbacks),
            notices: read(&self.notices),
            held: read(&self.held),
            given_up: read(&self.given_up),
        }
    }

    /// Remembers to ask a peer what it understands.
    pub(crate) fn meet(&self, trust: &TrustRecord) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.insert(trust.peer.clone(), trust.clone());
    }
}
