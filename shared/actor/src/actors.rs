//! Creating actors, and finding them together with who is calling.

use std::collections::HashMap;
use std::sync::Arc;

use actingweb_protocol::{ActorId, Creator, Deadline, Entropy, Keys, Name, Purpose, random_hex};
use actingweb_store::{ActorRecord, CreateOutcome, DueJob, NewActor, Store, Stored};

use crate::{Actor, ActorError, Caller, Credentials, limits};

/// All actors of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Actors {
    store: Store,
    keys: Arc<Keys>,
    entropy: Arc<dyn Entropy>,
    base_url: Arc<str>,
    unique_creator: bool,
}

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
    /// Those of the wanted properties that exist.
    pub properties: HashMap<Name, Stored>,
}

impl Actors {
    /// All actors in `store`. `base_url` is the deployment's URL without a trailing slash; with `unique_creator` each
    /// creator has one actor at most.
    #[must_use]
    pub fn new(store: Store, keys: Arc<Keys>, entropy: Arc<dyn Entropy>, base_url: &str, unique_creator: bool) -> Self {
        Self { store, keys, entropy, base_url: base_url.into(), unique_creator }
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
    pub async fn create(&self, request: CreateActor, deadline: Deadline) -> Result<CreatedActor, CreateError> {
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
        match store.create_actor(new).await.map_err(ActorError::from)? {
            CreateOutcome::Created(record) => {
                Ok(CreatedActor { actor: Actor::new(record, store), passphrase, is_new: true })
            }
            CreateOutcome::CreatorTaken(id) => match store.load(&id, &[]).await.map_err(ActorError::from)?.actor {
                Some(record) if self.knows(&record, &passphrase) => {
                    Ok(CreatedActor { actor: Actor::new(record, store), passphrase, is_new: false })
                }
                _ => Err(CreateError::CreatorTaken),
            },
        }
    }

    /// Finds an actor, who is calling it, and some of its properties (at most 99): one call to storage. `None` when
    /// there is no such actor, or no longer.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn visit(
        &self,
        id: &ActorId,
        credentials: &Credentials,
        properties: &[&Name],
        deadline: Deadline,
    ) -> Result<Option<Visit>, ActorError> {
        let store = self.store.with_deadline(deadline);
        let snapshot = store.load(id, properties).await?;
        Ok(snapshot.actor.map(|record| Visit {
            caller: self.recognise(&record, credentials),
            actor: Actor::new(record, store),
            properties: snapshot.properties,
        }))
    }

    /// The handle of an actor whose deletion has begun: no request finds it any more, but what it holds can still be
    /// read. `None` when it was removed.
    #[must_use]
    pub fn departed(&self, job: &DueJob, deadline: Deadline) -> Option<Actor> {
        Some(Actor::new(job.departed()?, self.store.with_deadline(deadline)))
    }

    fn recognise(&self, record: &ActorRecord, credentials: &Credentials) -> Caller {
        match credentials {
            // The passphrase is checked whatever the name is, so that the time taken says nothing about the name.
            Credentials::Basic { user, password }
                if self.knows(record, password)
                    & (Creator::normalise(user).is_ok_and(|c| c.as_str() == record.creator)) =>
            {
                Caller::Creator
            }
            _ => Caller::Anonymous,
        }
    }

    fn knows(&self, record: &ActorRecord, passphrase: &str) -> bool {
        self.keys.verify(Purpose::Passphrase, record.id.as_str(), passphrase, &record.passphrase_hash)
    }
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

fn check_trustee_root(root: Option<&str>) -> Result<(), CreateError> {
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
