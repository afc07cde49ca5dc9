//! Keeps late writes from actors that were deleted meanwhile.
//!
//! A handle on an actor may be held for long. Whatever is written through it is preceded by a look at the actor when the
//! last one was some time ago, and followed by one when the write itself took long. What commits together with a condition
//! on the change log needs neither: the log goes in the transaction that deletes the actor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actingweb_protocol::ActorId;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::actors::actor_key;
use crate::changes::log_key;
use crate::item::Row;
use crate::{LogHead, Store, StoreError, actors, keys};

/// How long it counts that an actor was there. More than the calls of a request without hooks take, so that only what is
/// late pays for a look; the deletion of an actor waits for nobody.
pub(crate) const FRESH: Duration = Duration::from_millis(250);

/// What may bring something into being.
const FENCED: [&str; 4] = ["PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem"];

/// The actor that is written to, and when it was last seen. Clones of a store share it.
#[derive(Debug)]
pub(crate) struct Fence {
    actor: ActorId,
    seen: Mutex<Option<Instant>>,
}

impl Fence {
    fn is_fresh(&self) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() <= FRESH)
    }
}

impl Store {
    /// The same table for writes to this actor alone: they fail with [`StoreError::Gone`] once it is deleted. `seen` is when
    /// the call began that found it, if one did.
    #[must_use]
    pub fn guarding(&self, actor: &ActorId, seen: Option<Instant>) -> Self {
        let fence = Fence { actor: actor.clone(), seen: Mutex::new(seen) };
        Self { fence: Some(Arc::new(fence)), ..self.clone() }
    }

    /// The same table for what has a condition of its own that fails when the actor is deleted, and for what only removes.
    pub(crate) fn unguarded(&self) -> Self {
        Self { fence: None, ..self.clone() }
    }

    /// What stands before and after calls of this operation.
    pub(crate) fn fence(&self, operation: &str) -> Option<&Fence> {
        self.fence.as_deref().filter(|_| FENCED.contains(&operation))
    }

    /// Looks for the actor if it was last seen too long ago.
    pub(crate) async fn before(&self, fence: &Fence) -> Result<(), StoreError> {
        if fence.is_fresh() { Ok(()) } else { self.look(fence).await }
    }

    /// Looks for the actor if a write that was sent then took long: it may have come after the actor's end.
    pub(crate) async fn after(&self, fence: &Fence, sent: Instant) -> Result<(), StoreError> {
        if sent.elapsed() <= FRESH { Ok(()) } else { self.look(fence).await }
    }

    // Boxed: the look is a call like those that it stands before.
    fn look<'a>(&'a self, fence: &'a Fence) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let began = Instant::now();
            let found = self.batch_get(vec![actor_key(&fence.actor)]).await?;
            let record = found.first().map(|found| actors::from_row(&Row::read(found)?, &fence.actor)).transpose()?;
            if record.flatten().is_none() {
                return Err(StoreError::Gone);
            }
            self.saw(&fence.actor, began);
            Ok(())
        })
    }

    /// Notes that a call which began then found the actor.
    pub(crate) fn saw(&self, actor: &ActorId, began: Instant) {
        if let Some(fence) = self.fence.as_ref().filter(|fence| fence.actor == *actor) {
            let mut seen = fence.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen = (*seen).max(Some(began));
        }
    }

    /// Where the change log stands; `None` while the actor never had a trust.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the store guards the actor, and it is deleted; other [`StoreError`]s.
    pub async fn log_head(&self, actor: &ActorId) -> Result<Option<LogHead>, StoreError> {
        let began = Instant::now();
        let mut wanted = vec![log_key(actor)];
        wanted.extend(self.fence.is_some().then(|| actor_key(actor)));
        let (mut head, mut is_there) = (None, self.fence.is_none());
        for found in &self.batch_get(wanted).await? {
            let row = Row::read(found)?;
            match row.text("sk")? {
                keys::ACTOR => is_there = actors::from_row(&row, actor)?.is_some(),
                _ => head = Some(LogHead::from_row(&row)?),
            }
        }
        if !is_there {
            return Err(StoreError::Gone);
        }
        self.saw(actor, began);
        Ok(head)
    }
}
