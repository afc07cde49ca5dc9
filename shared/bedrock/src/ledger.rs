//! What an actor's calls cost, reserved before and settled after.

use std::fmt;
use std::sync::Arc;

use actingweb_protocol::budget::{Allowance, BedrockBudget, Cost, Reservation};
use futures_util::future::BoxFuture;

use crate::error::BedrockError;
use crate::reply::Usage;

/// Where it is kept what an actor may spend and has spent. In a hook the framework provides it.
pub trait Ledger: fmt::Debug + Send + Sync {
    /// What may be spent.
    fn budget(&self) -> &BedrockBudget;

    /// Reserves this much, or fails with [`BedrockError::BudgetSpent`] or [`BedrockError::BudgetUnknown`].
    fn reserve(&self, cost: Cost) -> BoxFuture<'_, Result<Reservation, BedrockError>>;

    /// Puts what was used in the place of what was reserved, or fails with [`BedrockError::BudgetUnknown`].
    fn settle<'a>(&'a self, reservation: &'a Reservation, used: Cost) -> BoxFuture<'a, Result<(), BedrockError>>;

    /// How the windows stand, or [`BedrockError::BudgetUnknown`].
    fn allowances(&self) -> BoxFuture<'_, Result<Vec<Allowance>, BedrockError>>;
}

/// Room reserved in an actor's budget, for calls through [`Bedrock::client`](crate::Bedrock::client). Holds nothing where
/// there is no budget.
///
/// What is dropped stays reserved until its window ends, as does what a process that dies leaves.
#[derive(Debug)]
#[must_use = "what is dropped stays reserved until its window ends"]
pub struct Hold(Option<(Arc<dyn Ledger>, Reservation)>);

impl Hold {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(ledger: Arc<dyn Ledger>, reservation: Reservation) -> Self {
        Self(Some((ledger, reservation)))
    }

    /// Counts what the call used instead of what was reserved for it. When that cannot be noted, the reservation stays.
    pub async fn settle(self, usage: Usage) {
        let tokens = u64::from(usage.input_tokens).saturating_add(u64::from(usage.output_tokens));
        self.note(Cost { calls: 1, tokens }).await;
    }

    /// Counts nothing: the call was not made, or Bedrock refused it.
    pub async fn give_back(self) {
        self.note(Cost::default()).await;
    }

    async fn note(self, mut used: Cost) {
        let Some((ledger, reservation)) = self.0 else { return };
        if !ledger.budget().limits_tokens() {
            used.tokens = 0;
        }
        if let Err(error) = ledger.settle(&reservation, used).await {
            tracing::warn!(%error, "the cost of a Bedrock call was not noted: what it reserved counts instead");
        }
    }

    /// Gives back what a call that failed without costing anything had reserved.
    pub(crate) async fn unless_free<T>(self, result: Result<T, BedrockError>) -> Result<(T, Self), BedrockError> {
        match result {
            Ok(value) => Ok((value, self)),
            Err(error) => {
                if error.is_free() {
                    self.give_back().await;
                }
                Err(error)
            }
        }
    }
}
