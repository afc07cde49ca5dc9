//! Who manages an actor for its creator.

use actingweb_protocol::Creator;
use actingweb_store::{TrusteeChange, TrusteeOutcome};

use crate::actors::check_trustee_root;
use crate::{Actor, ActorError};

impl Actor {
    /// Sets the trustee's URL root, and who the creator is; what is `None` stays.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is neither, [`ActorError::Conflict`] for a creator that has an actor already
    /// where it may have only one, or when the actor changed at the same time; storage errors.
    pub async fn set_trustee(&self, root: Option<String>, creator: Option<&str>) -> Result<(), ActorError> {
        check_trustee_root(root.as_deref()).map_err(|error| ActorError::Invalid(error.to_string()))?;
        let creator = creator.map(Creator::normalise).transpose();
        let creator = creator.map_err(|error| ActorError::Invalid(error.to_string()))?;
        self.change_trustee(TrusteeChange { root: root.map(Some), creator }).await
    }

    /// Takes the trustee's URL root away.
    ///
    /// # Errors
    /// As [`Actor::set_trustee`].
    pub async fn remove_trustee(&self) -> Result<(), ActorError> {
        self.change_trustee(TrusteeChange { root: Some(None), creator: None }).await
    }

    async fn change_trustee(&self, change: TrusteeChange) -> Result<(), ActorError> {
        if change == TrusteeChange::default() {
            return Ok(());
        }
        match self.store().change_trustee(self.record(), change).await? {
            TrusteeOutcome::Changed => Ok(()),
            TrusteeOutcome::Stale => {
                Err(ActorError::Conflict("the actor changed at the same time: try again".to_owned()))
            }
            TrusteeOutcome::CreatorTaken => {
                Err(ActorError::Conflict("this creator has an actor already, and may have only one".to_owned()))
            }
        }
    }
}
