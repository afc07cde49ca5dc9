//! Requests that their callers named, so that a repeat of one is known and not carried out again
//! (draft-ietf-httpapi-idempotency-key-header).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::{ActorId, Deadline, Entropy, Keys, Purpose, SealError, sha256_hex_of_parts};
use actingweb_store::{Claim, RequestKey, RequestRecord, Store, StoreError};
use tokio::time::Instant;

use crate::{ActorError, Actors, Caller};

/// How much longer than its deadline a request counts as being carried out: clocks differ, and the last call to storage
/// may be under way.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A request that its caller named.
#[derive(Clone, Copy, Debug)]
pub struct NamedRequest<'a> {
    /// The actor it is about; none for one that creates an actor.
    pub actor: Option<&'a ActorId>,
    /// Who makes it. Each caller's keys are its own.
    pub caller: &'a Caller,
    /// What the caller calls it.
    pub key: &'a str,
    /// A digest of all it asks for.
    pub content: &'a str,
}

/// What is to be done with a named request.
#[derive(Debug)]
pub enum Named {
    /// It is new: carry it out, then settle or release it.
    First(Execution),
    /// It was carried out; this is what was settled.
    Done(String),
    /// It is being carried out.
    UnderWay,
    /// Another request had this name.
    Other,
}

/// A named request while it is carried out. One that is neither settled nor released counts as dead some seconds after
/// its deadline.
pub struct Execution {
    store: Store,
    keys: Arc<Keys>,
    entropy: Arc<dyn Entropy>,
    key: RequestKey,
    place: String,
    holder: String,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("key", &self.key).finish_non_exhaustive()
    }
}

impl NamedRequest<'_> {
    /// Where it is remembered: one place for each actor, caller and key.
    fn digest(&self) -> String {
        let (kind, id) = match self.caller {
            Caller::Creator => ("creator", ""),
            Caller::Trustee => ("trustee", ""),
            // Approval changes what a peer may do, not who it is.
            Caller::Peer { id, .. } | Caller::Unapproved { id } => ("peer", id.as_str()),
            Caller::Anonymous => ("anonymous", ""),
        };
        sha256_hex_of_parts(&[kind.as_bytes(), id.as_bytes(), self.key.as_bytes()])
    }
}

impl Actors {
    /// Asks whether a named request is to be carried out. One call to storage; two when whoever carried it out before
    /// died.
    ///
    /// # Errors
    /// Storage errors; also when a reply that was kept cannot be opened.
    pub async fn begin(&self, request: &NamedRequest<'_>, deadline: Deadline) -> Result<Named, ActorError> {
        let (store, parts) = (self.store().with_deadline(deadline), self.parts());
        let digest = request.digest();
        let key = RequestKey::new(request.actor, &digest);
        let place = format!("request {}/{digest}", request.actor.map_or("", ActorId::as_str));
        let fingerprint = parts.keys.hash(Purpose::Request, &place, request.content);
        let left = deadline.remaining(Instant::now().into_std());
        let leased_until = store.now().plus(left + LEASE_MARGIN);
        let mut dead: Option<RequestRecord> = None;
        loop {
            let record = match store.claim_request(&key, &fingerprint, leased_until, dead.as_ref()).await? {
                Claim::Ours(holder) => {
                    let (keys, entropy) = (parts.keys, parts.entropy);
                    return Ok(Named::First(Execution { store, keys, entropy, key, place, holder }));
                }
                Claim::Known(record) => record,
            };
            if !parts.keys.verify(Purpose::Request, &place, request.content, &record.fingerprint) {
                return Ok(Named::Other);
            }
            match &record.reply {
                Some(sealed) => {
                    return parts.keys.open(&place, sealed).map(Named::Done).map_err(|error| damaged(&place, error));
                }
                None if record.leased_until > store.now() || dead.is_some() => return Ok(Named::UnderWay),
                None => dead = Some(record),
            }
        }
    }
}

fn damaged(place: &str, error: SealError) -> ActorError {
    ActorError::Internal(StoreError::Corrupt { key: place.to_owned(), what: error.to_string() })
}

impl Execution {
    /// Keeps what came of it for repeats, sealed: it may hold secrets. False when it took so long that somebody else
    /// carries it out by now.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn settle(&self, reply: &str) -> Result<bool, ActorError> {
        let sealed = self.keys.seal(&self.place, reply, &*self.entropy);
        let sealed = sealed.map_err(|error| damaged(&self.place, error))?;
        Ok(self.store.settle_request(&self.key, &self.holder, &sealed).await?)
    }

    /// Lets a repeat be carried out.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn release(&self) -> Result<(), ActorError> {
        Ok(self.store.release_request(&self.key, &self.holder).await?)
    }
}
