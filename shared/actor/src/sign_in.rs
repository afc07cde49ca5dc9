//! A person signs in at a page, by what it remembers of its actor; and proofs that a form came from a page of ours.

use std::time::Duration;

use actingweb_protocol::{ActorId, Creator, Deadline, Purpose};
use actingweb_store::Wanted;

use crate::actors::FREE_FAILURES;
use crate::{Actor, ActorError, Actors};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no such actor, or that is not its passphrase: which of them is not told.
    #[error("no actor has this address and this passphrase")]
    Unknown,
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

impl Actors {
    /// The actor with this id, for whoever knows its passphrase: one call to storage, one more that counts a failed
    /// attempt. Attempts count together with those of Basic authentication.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        id: &ActorId,
        passphrase: &str,
        address: Option<&str>,
        deadline: Deadline,
    ) -> Result<Actor, SignInError> {
        let store = self.store().with_deadline(deadline);
        let wanted = Wanted { address, ..Wanted::default() };
        let seen = tokio::time::Instant::now();
        let snapshot = store.load(id, wanted).await.map_err(ActorError::from)?;
        if snapshot.failures >= FREE_FAILURES {
            return Err(SignInError::Guessing { retry_after: self.until_next_minute() });
        }
        match snapshot.actor {
            Some(record) if self.knows(&record, passphrase) => Ok(Actor::new(record, store).seen_at(seen)),
            found => {
                // What does not exist is not guessed, and gets no rows.
                if let (Some(_), Some(address)) = (found, address) {
                    store.count_failure(id, address).await.map_err(ActorError::from)?;
                }
                Err(SignInError::Unknown)
            }
        }
    }

    /// The actor whose creator is called so, where creators are unique: one call to storage; `None` anywhere else.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn of_creator(&self, name: &str, deadline: Deadline) -> Result<Option<ActorId>, ActorError> {
        match Creator::normalise(name) {
            Ok(creator) if self.unique_creator() => {
                Ok(self.store().with_deadline(deadline).actor_of_creator(&creator).await?)
            }
            _ => Ok(None),
        }
    }

    /// A proof that a form was made for `owner`, such as the browser's session, and says `content`.
    #[must_use]
    pub fn sign_form(&self, owner: &str, content: &str) -> String {
        self.parts().keys.hash(Purpose::Form, owner, content)
    }

    /// Whether a proof of [`Actors::sign_form`] is one, for this owner and content.
    #[must_use]
    pub fn is_signed_form(&self, owner: &str, content: &str, proof: &str) -> bool {
        self.parts().keys.verify(Purpose::Form, owner, content, proof)
    }
}
