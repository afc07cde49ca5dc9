//! Clients of OAuth: registering them, finding them, and those that an actor's owner makes.

use std::time::Duration;

use actingweb_protocol::oauth::{ClientKey, same};
use actingweb_protocol::{Deadline, random_hex, sha256_hex};
use actingweb_store::{ClientAuthMethod, ClientRecord, MAX_OWNED_CLIENTS};

use crate::actors::Parts;
use crate::grants::{ClientAuthentication, GrantError, client_trust};
use crate::{Actor, ActorError, Actors};

/// How long a client is remembered that nobody ever let act.
const UNUSED_FOR: Duration = Duration::from_secs(24 * 3600);

/// The clients of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    actors: Actors,
}

/// What a client says of itself when it registers; all of it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClient {
    /// Its name, for people.
    pub name: String,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    pub auth: ClientAuthMethod,
    /// What it asks the token endpoint for.
    pub grant_types: Vec<String>,
    /// What else it says, as JSON text.
    pub metadata: Option<String>,
}

/// A client that was registered.
#[derive(Clone, PartialEq, Eq)]
pub struct Registered {
    /// The client.
    pub client: ClientRecord,
    /// Its secret, shown this once: only a hash is stored. `None` for one that cannot keep a secret.
    pub secret: Option<String>,
}

impl Actors {
    /// The clients of this deployment.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients { actors: self.clone() }
    }
}

impl Clients {
    /// Registers a client that introduced itself. It is forgotten within a day unless somebody lets it act.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn register(&self, new: NewClient, deadline: Deadline) -> Result<Registered, ActorError> {
        let store = self.actors.store().with_deadline(deadline);
        loop {
            let mut made = self.make(&new);
            made.client.expires = Some(store.now().plus(UNUSED_FOR));
            if store.register_client(&made.client).await? {
                return Ok(made);
            }
        }
    }

    /// The client with this id; `None` when none registered under it, or it was forgotten. For a metadata document, what
    /// it said when it was last kept.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn find(&self, id: &str, deadline: Deadline) -> Result<Option<ClientRecord>, ActorError> {
        let found = self.actors.store().with_deadline(deadline).client(&ClientKey::of(id)).await?;
        Ok(found.filter(|client| client.id == id))
    }

    /// Keeps what a client's metadata document said.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn keep(&self, client: &ClientRecord, deadline: Deadline) -> Result<(), ActorError> {
        Ok(self.actors.store().with_deadline(deadline).keep_client(client).await?)
    }

    /// Makes a client for an actor's owner, which may act at that actor as `trust_type` says, and elsewhere as users there
    /// consent to. It is never forgotten.
    ///
    /// # Errors
    /// [`ActorError::Conflict`] for more than [`MAX_OWNED_CLIENTS`]; storage errors.
    pub async fn create_owned(
        &self,
        actor: &Actor,
        new: NewClient,
        trust_type: &str,
    ) -> Result<Registered, ActorError> {
        if self.list(actor).await?.len() >= MAX_OWNED_CLIENTS {
            let reason = format!("an actor's owner has at most {MAX_OWNED_CLIENTS} clients: delete one first");
            return Err(ActorError::Conflict(reason));
        }
        let mut made = self.make(&new);
        made.client.owner = Some(actor.id().clone());
        made.client.trust_type = Some(trust_type.to_owned());
        let Parts { clock, entropy, .. } = self.actors.parts();
        let trust = client_trust(&made.client, trust_type, clock.now(), random_hex(&*entropy, 8));
        if actor.store().create_owned_client(actor.id(), &made.client, trust).await? {
            Ok(made)
        } else {
            Err(ActorError::Gone)
        }
    }

    /// The clients that an actor's owner made, in the order of their ids.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<ClientRecord>, ActorError> {
        Ok(actor.store().owned_clients(actor.id()).await?)
    }

    /// Gives an owner's client another secret, shown this once; the one before is worthless from here on. `None` when the
    /// owner has no such client, or it has no secret.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn rotate_secret(&self, actor: &Actor, key: &ClientKey) -> Result<Option<String>, ActorError> {
        let secret = self.fresh_secret();
        let rotated = actor.store().rotate_client_secret(actor.id(), key, &sha256_hex(&secret)).await?;
        Ok(rotated.then_some(secret))
    }

    /// Ends an owner's client, at once and at every actor. False when the owner has no such client.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn delete(&self, actor: &Actor, key: &ClientKey) -> Result<bool, ActorError> {
        Ok(actor.store().delete_owned_client(actor.id(), key).await?)
    }

    /// The client that a request to the token endpoint, or one like it, comes from: one call. The client of a metadata
    /// document has no secret and needs no row: it gets as far as what it presents.
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`]; storage errors.
    pub async fn authenticate(
        &self,
        from: &ClientAuthentication<'_>,
        deadline: Deadline,
    ) -> Result<Option<ClientRecord>, GrantError> {
        let client = self.find(from.id, deadline).await?;
        check_client(&ClientKey::of(from.id), client.as_ref(), from)?;
        Ok(client)
    }

    fn make(&self, new: &NewClient) -> Registered {
        let Parts { clock, entropy, .. } = self.actors.parts();
        let key = ClientKey::generate(&*entropy);
        let secret = (new.auth != ClientAuthMethod::None).then(|| self.fresh_secret());
        let client = ClientRecord {
            id: key.as_str().to_owned(),
            name: new.name.clone(),
            redirect_uris: new.redirect_uris.clone(),
            auth: new.auth,
            secret_hash: secret.as_deref().map(sha256_hex),
            grant_types: new.grant_types.clone(),
            owner: None,
            trust_type: None,
            created_at: clock.now(),
            expires: None,
            metadata: new.metadata.clone(),
            key,
        };
        Registered { client, secret }
    }

    /// 32 random bytes: too many to guess, so that a plain hash hides them.
    fn fresh_secret(&self) -> String {
        random_hex(&*self.actors.parts().entropy, 32)
    }
}

/// Checks what a request presents to be this client.
pub(crate) fn check_client(
    key: &ClientKey,
    client: Option<&ClientRecord>,
    from: &ClientAuthentication<'_>,
) -> Result<(), GrantError> {
    let secret = from.secret.filter(|secret| !secret.is_empty());
    let stored = client.and_then(|client| client.secret_hash.as_deref());
    let reason = match (client, stored, secret) {
        (None, ..) if key.is_registered() || !from.id.contains("://") => {
            "there is no such client; it may have to register again"
        }
        (_, Some(stored), Some(secret)) if same(&sha256_hex(secret), stored) => return Ok(()),
        (_, Some(_), Some(_)) => "that is not this client's secret",
        (_, Some(_), None) => "this client has to prove itself with its secret",
        (_, None, Some(_)) => "this client has no secret",
        (_, None, None) => return Ok(()),
    };
    Err(GrantError::InvalidClient(reason))
}
