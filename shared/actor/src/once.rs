//! What counts once: whoever knows the secret may use it one time, until it ends.

use std::time::Duration;

use actingweb_protocol::{Deadline, sha256_hex};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ActorError, Actors};

/// What it is for. A secret of one kind means nothing to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Once {
    /// A browser that was sent to a provider, by its state.
    Leg,
    /// A browser that was sent to a service, to connect an account there, by its state.
    Connection,
    /// What a page of an application picks up after a sign-in.
    Pickup,
    /// What a native app picks up after a sign-in.
    Ticket,
    /// An identity that waits for an e-mail address.
    Pending,
    /// An identity that was proved, and waits for a word of whose actor it is to be connected with.
    Link,
    /// A token that was sent to an e-mail address.
    Mailed,
    /// An id_token that was used.
    Assertion,
}

impl Once {
    /// The word that stands for it in rows.
    const fn word(self) -> &'static str {
        match self {
            Self::Leg => "leg",
            Self::Connection => "connection",
            Self::Pickup => "pickup",
            Self::Ticket => "ticket",
            Self::Pending => "pending",
            Self::Link => "link",
            Self::Mailed => "mailed",
            Self::Assertion => "assertion",
        }
    }

    /// How long it counts, but for assertions, which say so themselves.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Leg | Self::Connection | Self::Pickup | Self::Pending | Self::Link => Duration::from_secs(600),
            Self::Ticket => Duration::from_secs(300),
            Self::Mailed => Duration::from_secs(24 * 3600),
            Self::Assertion => Duration::from_secs(900),
        }
    }
}

impl Actors {
    /// Keeps `content` for whoever knows `secret`, at least 128 random bits, for as long as its kind counts. It is stored
    /// under the secret's digest, and sealed: one call to storage.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn keep_once(
        &self,
        kind: Once,
        secret: &str,
        content: &impl Serialize,
        deadline: Deadline,
    ) -> Result<(), ActorError> {
        let digest = sha256_hex(secret);
        let text = serde_json::to_string(content).map_err(|error| ActorError::Invalid(error.to_string()))?;
        let parts = self.parts();
        let sealed = parts.keys.seal(&place(kind, &digest), &text, &*parts.entropy);
        let sealed = sealed.map_err(|error| ActorError::Invalid(error.to_string()))?;
        let store = self.store().with_deadline(deadline);
        match store.put_once(kind.word(), &digest, &sealed, kind.lifetime()).await? {
            true => Ok(()),
            false => Err(ActorError::Conflict("this secret was used before".to_owned())),
        }
    }

    /// Takes what was kept for whoever knows `secret`: one call to storage. None when there is nothing, when it has ended,
    /// and for all but the first who ask.
    ///
    /// # Errors
    /// [`ActorError`]; it may be taken then.
    pub async fn take_once<T: DeserializeOwned>(
        &self,
        kind: Once,
        secret: &str,
        deadline: Deadline,
    ) -> Result<Option<T>, ActorError> {
        let digest = sha256_hex(secret);
        let taken = self.store().with_deadline(deadline).take_once(kind.word(), &digest).await?;
        Ok(taken.and_then(|sealed| self.unseal(kind, &digest, &sealed)))
    }

    /// What was kept for whoever knows `secret`, without taking it: one call to storage.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn look_once<T: DeserializeOwned>(
        &self,
        kind: Once,
        secret: &str,
        deadline: Deadline,
    ) -> Result<Option<T>, ActorError> {
        let digest = sha256_hex(secret);
        let found = self.store().with_deadline(deadline).look_once(kind.word(), &digest).await?;
        Ok(found.and_then(|sealed| self.unseal(kind, &digest, &sealed)))
    }

    /// Notes that a statement with this id was used, for as long as it counts: one call to storage. False when it was used
    /// before.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn use_once(&self, id: &str, counts_for: Duration, deadline: Deadline) -> Result<bool, ActorError> {
        let lifetime = counts_for.max(Once::Assertion.lifetime());
        let store = self.store().with_deadline(deadline);
        Ok(store.put_once(Once::Assertion.word(), &sha256_hex(id), "", lifetime).await?)
    }

    /// What cannot be opened, because its key was given up, counts as ended.
    fn unseal<T: DeserializeOwned>(&self, kind: Once, digest: &str, sealed: &str) -> Option<T> {
        let text = self.parts().keys.open(&place(kind, digest), sealed).ok()?;
        serde_json::from_str(&text).ok()
    }
}

fn place(kind: Once, digest: &str) -> String {
    format!("once/{}/{digest}", kind.word())
}
