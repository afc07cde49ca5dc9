//! What a handle knows of an actor's change log, so that a write need not read its head first.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actingweb_protocol::ActorId;
use tokio::time::Instant;

use crate::{LogHead, Store, StoreError};

/// How long it counts that there was no log. A log may be made at any time, and a subscription follows one second later
/// at the earliest; a write that counts on there being none must be done by then.
pub(crate) const ABSENCE: Duration = Duration::from_millis(200);

/// Where an actor's change log stands, as far as somebody knows. Clones share what they learn.
#[derive(Clone, Debug, Default)]
pub struct LogView(Arc<Mutex<Seen>>);

#[derive(Clone, Debug, Default)]
enum Seen {
    /// Nobody looked.
    #[default]
    Unknown,
    /// There was none at this time.
    Absent(Instant),
    /// It stood here.
    Head(LogHead),
}

impl LogView {
    /// What was read by a call that began at `at`.
    #[must_use]
    pub fn read(head: Option<LogHead>, at: Instant) -> Self {
        let view = Self::default();
        view.learn(head, at);
        view
    }

    /// Whether there were subscribers when somebody looked last.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        matches!(self.seen(), Seen::Head(head) if head.subscribers > 0)
    }

    /// Since when there may have been a log, if none was seen.
    pub(crate) fn absent_since(&self) -> Option<Instant> {
        match self.seen() {
            Seen::Absent(at) => Some(at),
            Seen::Unknown | Seen::Head(_) => None,
        }
    }

    /// Forgets what was known.
    pub fn forget(&self) {
        self.set(Seen::Unknown);
    }

    fn learn(&self, head: Option<LogHead>, at: Instant) {
        self.set(head.map_or(Seen::Absent(at), Seen::Head));
    }

    /// The log moved, as others made it.
    pub(crate) fn moved(&self, head: Option<LogHead>) {
        self.set(head.map_or(Seen::Unknown, Seen::Head));
    }

    /// The log moved from `head` by so many entries of ours.
    pub(crate) fn advanced(&self, head: LogHead, entries: u64) {
        self.set(Seen::Head(LogHead { last: head.last.saturating_add(entries), ..head }));
    }

    fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl Store {
    /// Where the log stands as far as is known: read only if nobody looked, or it is some time that there was none.
    pub(crate) async fn known_head(&self, actor: &ActorId, view: &LogView) -> Result<Option<LogHead>, StoreError> {
        match view.seen() {
            Seen::Head(head) => return Ok(Some(head)),
            Seen::Absent(at) if at.elapsed() < ABSENCE => return Ok(None),
            Seen::Absent(_) | Seen::Unknown => {}
        }
        let at = Instant::now();
        let head = self.log_head(actor).await?;
        view.learn(head.clone(), at);
        Ok(head)
    }
}
