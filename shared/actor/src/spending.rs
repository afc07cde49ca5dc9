//! What an actor spends on models.

use std::sync::Arc;

use actingweb_protocol::Timestamp;
use actingweb_protocol::budget::{Allowance, BedrockBudget, BudgetSpent, Cost, Reservation};

use crate::{Actor, ActorError};

/// The books of one actor's budget: what it may spend, and what it has spent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spending {
    actor: Actor,
    budget: Arc<BedrockBudget>,
}

impl Actor {
    /// The books of this actor, kept by this budget.
    #[must_use]
    pub fn spending(&self, budget: Arc<BedrockBudget>) -> Spending {
        Spending { actor: self.clone(), budget }
    }
}

impl Spending {
    /// What the actor may spend.
    #[must_use]
    pub fn budget(&self) -> &BedrockBudget {
        &self.budget
    }

    /// Reserves what a call may cost, if there is room for it: one call to storage, two where a window begins.
    ///
    /// # Errors
    /// Storage errors; what was reserved then is released when its window ends.
    pub async fn reserve(&self, cost: Cost) -> Result<Result<Reservation, BudgetSpent>, ActorError> {
        Ok(self.actor.store().reserve_budget(self.actor.id(), &self.budget, cost).await?)
    }

    /// Puts what a call did cost in the place of what was reserved for it: one call to storage, none when it is the same.
    ///
    /// # Errors
    /// Storage errors; the reservation stays then, until its window ends.
    pub async fn settle(&self, reservation: &Reservation, used: Cost) -> Result<(), ActorError> {
        Ok(self.actor.store().settle_budget(self.actor.id(), reservation, used).await?)
    }

    /// How the windows stand: one call to storage.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn allowances(&self) -> Result<Vec<Allowance>, ActorError> {
        let seen = self.actor.store().budget_tallies(self.actor.id()).await?;
        Ok(self.budget.allowances(&self.budget.standing(&seen, self.now())))
    }

    fn now(&self) -> Timestamp {
        self.actor.store().now()
    }
}
