//! Creating actors, and finding them together with who is calling.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::oauth::{Audience, TOKEN_PREFIX};
use actingweb_protocol::permission::{Caller, PermissionOverride};
use actingweb_protocol::{ActorId, Clock, Creator, Deadline, Entropy, Keys, Name, Purpose, random_hex};
use actingweb_store::{
    ActorRecord, CreateOutcome, DueJob, FeedRecord, FirstPage, LogView, NewActor, Snapshot, Store, StoreError, Stored,
    TrustRecord, Wanted,
};
use futures_util::future::try_join;
use tokio::time::Instant;

use crate::{Actor, ActorError, CallingClient, Credentials, TokenRefused, limits, tokens};

/// All actors of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Actors {
    store: Store,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    base_url: Arc<str>,
    unique_creator: bool,
}

/// What relationships share with the actors they belong to.
pub(crate) struct Parts {
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) base_url: Arc<str>,
}

/// Failed attempts that an address has free in a minute, for each actor.
pub(crate) const FREE_FAILURES: u64 = 20;

/// What a caller asks for when creating an actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateActor {
    /// Who creates it; empty means [`Creator::DEFAULT`].
    pub creator: String,
    /// The passphrase; empty means that one is generated.
    pub passphrase: String,
    /// URL root of a trustee.
    pub trustee_root: Option<String>,
}

/// An actor that was created, or found again by its creator and passphrase.
#[derive(Clone)]
pub struct CreatedActor {
    /// The actor.
    pub actor: Actor,
    /// The passphrase, shown this once: only a keyed hash is stored.
    pub passphrase: String,
    /// Whether it is new; false when a unique creator came back with the passphrase of the existing actor.
    pub is_new: bool,
}

/// Why no actor was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A field breaks a rule (400).
    #[error("{0}")]
    Invalid(String),
    /// Creators are unique here, and this one has an actor with another passphrase (409).
    #[error("this creator has an actor already, with another passphrase")]
    CreatorTaken,
    /// Too many failed attempts from this address in this minute (429).
    #[error("too many failed attempts from this address: wait")]
    Guessing {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

/// What a request presented, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its credentials.
    pub credentials: &'a Credentials,
    /// The client's address; failed attempts are counted by it.
    pub address: Option<&'a str>,
}

/// Why a visit did not come about.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// Too many failed attempts from this address in this minute (429).
    #[error("too many failed attempts")]
    Guessing {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// Storage failed.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

/// One request's view of an actor: the handle, who is calling, and the properties read in the same call.
#[derive(Debug)]
pub struct Visit {
    /// The actor.
    pub actor: Actor,
    /// Who is calling.
    pub caller: Caller,
    /// How this trust's permissions differ from its type's.
    pub changed_by: Option<PermissionOverride>,
    /// Those of the wanted properties that exist.
    pub properties: HashMap<Name, Stored>,
    /// The client that calls, if it is one.
    pub client: Option<CallingClient>,
    /// Why a token of ours counts for nothing, if one was presented that does.
    pub refused: Option<TokenRefused>,
    /// The relationship with the peer that was asked for.
    pub trust: Option<TrustRecord>,
    /// The actor's subscription to a peer that was asked for.
    pub feed: Option<FeedRecord>,
    /// Whether the actor is just subscribing to that peer, so that a subscription may be unknown still.
    pub subscribing: bool,
}

impl Actors {
    /// All actors in `store`. `base_url` is the deployment's URL without a trailing slash; with `unique_creator` each
    /// creator has one actor at most.
    #[must_use]
    pub fn new(
        store: Store,
        keys: Arc<Keys>,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        base_url: &str,
        unique_creator: bool,
    ) -> Self {
        Self { store, keys, clock, entropy, base_url: base_url.into(), unique_creator }
    }

    /// What relationships are made with: keys, clock, randomness and the deployment's URL.
    pub(crate) fn parts(&self) -> Parts {
        let (keys, clock, entropy) = (Arc::clone(&self.keys), Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Parts { keys, clock, entropy, base_url: Arc::clone(&self.base_url) }
    }

    /// Whether each creator has one actor at most.
    pub(crate) const fn unique_creator(&self) -> bool {
        self.unique_creator
    }

    /// The storage beneath, for work that belongs to no single actor.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Creates an actor: one call to storage.
    ///
    /// # Errors
    /// [`CreateError`]; nothing is stored then.
    pub async fn create(
        &self,
        request: CreateActor,
        address: Option<&str>,
        deadline: Deadline,
    ) -> Result<CreatedActor, CreateError> {
        let creator = Creator::normalise(&request.creator).map_err(|error| CreateError::Invalid(error.to_string()))?;
        check_passphrase(&request.passphrase)?;
        check_trustee_root(request.trustee_root.as_deref())?;
        let passphrase = match request.passphrase {
            given if given.is_empty() => random_hex(&*self.entropy, 20),
            given => given,
        };
        let id = ActorId::generate(&self.base_url, &*self.entropy);
        let new = NewActor {
            passphrase_hash: self.keys.hash(Purpose::Passphrase, id.as_str(), &passphrase),
            id,
            creator,
            trustee_root: request.trustee_root.filter(|root| !root.is_empty()),
            unique_creator: self.unique_creator,
        };
        let store = self.store.with_deadline(deadline);
        let began = Instant::now();
        match store.create_actor(new).await.map_err(ActorError::from)? {
            CreateOutcome::Created(record) => {
                // Nobody can have a trust with what did not exist when it was made.
                let actor = Actor::new(record, store).knowing(LogView::read(None, began), began);
                Ok(CreatedActor { actor, passphrase, is_new: true })
            }
            CreateOutcome::CreatorTaken(id) => {
                let wanted = Wanted { address, ..Wanted::default() };
                let snapshot = store.load(&id, wanted).await.map_err(ActorError::from)?;
                if snapshot.failures >= FREE_FAILURES {
                    return Err(CreateError::Guessing { retry_after: self.until_next_minute() });
                }
                match snapshot.actor {
                    Some(record) if self.knows(&record, &passphrase) => {
                        Ok(CreatedActor { actor: Actor::new(record, store), passphrase, is_new: false })
                    }
                    _ => {
                        // Asking this way is guessing, too.
                        if let Some(address) = address {
                            store.count_failure(&id, address).await.map_err(ActorError::from)?;
                        }
                        Err(CreateError::CreatorTaken)
                    }
                }
            }
        }
    }

    /// Finds an actor, who is calling it, and some of its properties (at most 94): one call to storage, one more that
    /// counts a failed attempt, and one for what may be a trustee's bearer. `None` when there is no such actor, or no
    /// longer.
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn visit(
        &self,
        id: &ActorId,
        from: &Presented<'_>,
        properties: &[&Name],
        deadline: Deadline,
    ) -> Result<Option<Visit>, VisitError> {
        self.visit_for(id, from, Wanted { properties, ..Wanted::default() }, deadline).await
    }

    /// [`Actors::visit`] with whatever else is wanted, read in the same call; what the caller presented is added.
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn visit_for(
        &self,
        id: &ActorId,
        from: &Presented<'_>,
        wanted: Wanted<'_>,
        deadline: Deadline,
    ) -> Result<Option<Visit>, VisitError> {
        self.visit_at(Audience::Rest, id, from, wanted, deadline).await
    }

    /// [`Actors::visit_for`] at the place that tokens must be good for.
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn visit_at(
        &self,
        audience: Audience,
        id: &ActorId,
        from: &Presented<'_>,
        wanted: Wanted<'_>,
        deadline: Deadline,
    ) -> Result<Option<Visit>, VisitError> {
        let store = self.store.with_deadline(deadline);
        let is_basic = matches!(from.credentials, Credentials::Basic { .. });
        let secret = from.credentials.presented_secret();
        let address = from.address.filter(|_| is_basic);
        let wanted = Wanted { secret: secret.as_ref(), address, ..wanted };
        let began = Instant::now();
        let mut snapshot = store.load(id, wanted).await.map_err(ActorError::from)?;
        let Some(record) = snapshot.actor.take() else { return Ok(None) };
        // The trustee's bearer is the passphrase: guessing it that way is guessing, too.
        let may_be_trustee = snapshot.credential.is_none()
            && matches!(from.credentials, Credentials::Bearer(token) if may_have_trustee(&record, token));
        if may_be_trustee {
            let counted = Wanted { address: from.address, ..Wanted::default() };
            // Boxed, as hardly any request does this.
            snapshot.failures = Box::pin(store.load(id, counted)).await.map_err(ActorError::from)?.failures;
        }
        if snapshot.failures >= FREE_FAILURES {
            return Err(VisitError::Guessing { retry_after: self.until_next_minute() });
        }
        let recognised = match (from.credentials, &secret) {
            (Credentials::Bearer(text), secret) if text.starts_with(TOKEN_PREFIX) => {
                Some(tokens::recognise((secret.as_ref(), false), &snapshot, audience, self.clock.now()))
            }
            (Credentials::Cookie(_), secret) => {
                Some(tokens::recognise((secret.as_ref(), true), &snapshot, audience, self.clock.now()))
            }
            _ => None,
        };
        let refused = recognised.as_ref().and_then(|recognised| recognised.as_ref().err().copied());
        let (caller, client) = match recognised {
            Some(recognised) => recognised.unwrap_or((Caller::Anonymous, None)),
            None => (self.recognise(&record, from.credentials, &snapshot), None),
        };
        if let (true, Caller::Anonymous, Some(address)) = (is_basic || may_be_trustee, &caller, from.address) {
            store.count_failure(id, address).await.map_err(ActorError::from)?;
        }
        let credential = snapshot.credential.take().and_then(|credential| credential.permissions);
        let changed_by = match credential.or_else(|| snapshot.client_trust.take().and_then(|trust| trust.permissions)) {
            // Rights that cannot be read are no rights at all.
            Some(text) if caller.is_peer() => Some(read_override(id, &text)?),
            _ => None,
        };
        let Snapshot { properties, trust, feed, subscribing, log, .. } = snapshot;
        let actor = Actor::new(record, store).knowing(log, began);
        Ok(Some(Visit { actor, caller, changed_by, properties, client, refused, trust, feed, subscribing }))
    }

    /// [`Actors::visit`] with the first page of all properties, read at the same time for a caller that presents
    /// credentials; one that presents none never makes the deployment read it. A wrong secret does, for the price of one
    /// page: waiting to see whether it is right would make every large listing wait once more.
    ///
    /// # Errors
    /// [`VisitError`], of the visit before that of the page.
    pub async fn visit_all(
        &self,
        id: &ActorId,
        from: &Presented<'_>,
        deadline: Deadline,
    ) -> Result<Option<(Visit, Option<FirstPage>)>, VisitError> {
        if !from.credentials.may_be_known() {
            return Ok(self.visit(id, from, &[], deadline).await?.map(|visit| (visit, None)));
        }
        let store = self.store.with_deadline(deadline);
        // The end of a visit ends the reading; what befalls the reading waits for the visit.
        let visit = Box::pin(async { self.visit(id, from, &[], deadline).await.map_err(Some)?.ok_or(None) });
        let page = Box::pin(async { Ok::<_, Option<VisitError>>(store.first_properties(id).await) });
        match try_join(visit, page).await {
            Ok((visit, page)) => Ok(Some((visit, Some(page.map_err(ActorError::from)?)))),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    /// The handle of an actor whose deletion has begun: no request finds it any more, but what it holds can still be
    /// read. `None` when it was removed.
    #[must_use]
    pub fn departed(&self, job: &DueJob, deadline: Deadline) -> Option<Actor> {
        Some(Actor::departed(job.departed()?, self.store.with_deadline(deadline)))
    }

    /// How long the failures of this minute count.
    pub(crate) fn until_next_minute(&self) -> Duration {
        let into_minute = self.clock.now().as_secs().rem_euclid(60).unsigned_abs();
        Duration::from_secs(60u64.saturating_sub(into_minute))
    }

    fn recognise(&self, record: &ActorRecord, credentials: &Credentials, found: &Snapshot) -> Caller {
        match credentials {
            // The passphrase is checked whatever the name is, so that the time taken says nothing about the name.
            Credentials::Basic { user, password } => {
                let is_known = self.knows(record, password);
                let is_creator = Creator::normalise(user).is_ok_and(|creator| creator.as_str() == record.creator);
                if is_known & is_creator { Caller::Creator } else { Caller::Anonymous }
            }
            Credentials::Bearer(token) => match &found.credential {
                Some(trust) if trust.peer == record.id.as_str() => Caller::Anonymous,
                Some(trust) if trust.approved => {
                    Caller::Peer { id: trust.peer.clone(), relationship: trust.relationship.clone() }
                }
                Some(trust) => Caller::Unapproved { id: trust.peer.clone() },
                _ if may_have_trustee(record, token) && self.knows(record, token) => Caller::Trustee,
                _ => Caller::Anonymous,
            },
            Credentials::None | Credentials::Cookie(_) | Credentials::Other => Caller::Anonymous,
        }
    }

    pub(crate) fn knows(&self, record: &ActorRecord, passphrase: &str) -> bool {
        self.keys.verify(Purpose::Passphrase, record.id.as_str(), passphrase, &record.passphrase_hash)
    }
}

/// The rule of the reference for the trustee's bearer: a trustee, and a passphrase that is hard to guess. What looks like a
/// token of ours is one.
fn may_have_trustee(record: &ActorRecord, token: &str) -> bool {
    !token.starts_with(TOKEN_PREFIX)
        && record.trustee_root.is_some()
        && record.creator.eq_ignore_ascii_case("trustee")
        && token.len() >= 13
}

fn read_override(actor: &ActorId, text: &str) -> Result<PermissionOverride, VisitError> {
    let parsed = serde_json::from_str(text).map_err(|error| error.to_string());
    parsed.and_then(|value| PermissionOverride::parse(&value).map_err(|error| error.to_string())).map_err(|what| {
        let key = format!("a credential of actor {actor}");
        ActorError::Internal(StoreError::Corrupt { key, what }).into()
    })
}

fn check_passphrase(passphrase: &str) -> Result<(), CreateError> {
    if passphrase.len() > limits::MAX_PASSPHRASE_BYTES {
        let reason = format!("passphrase is longer than {} bytes", limits::MAX_PASSPHRASE_BYTES);
        return Err(CreateError::Invalid(reason));
    }
    if passphrase.chars().any(char::is_control) {
        return Err(CreateError::Invalid("passphrase must not contain control characters".to_owned()));
    }
    Ok(())
}

pub(crate) fn check_trustee_root(root: Option<&str>) -> Result<(), CreateError> {
    let Some(root) = root.filter(|root| !root.is_empty()) else { return Ok(()) };
    let looks_like_url = root.starts_with("https://") || root.starts_with("http://");
    if root.len() > limits::MAX_TRUSTEE_ROOT_BYTES || !looks_like_url || root.chars().any(char::is_control) {
        let limit = limits::MAX_TRUSTEE_ROOT_BYTES;
        return Err(CreateError::Invalid(format!(
            "trustee_root must be an http or https URL of at most {limit} bytes"
        )));
    }
    Ok(())
}
