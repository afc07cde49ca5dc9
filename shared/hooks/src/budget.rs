//! What an actor's hooks may spend on models.

use std::sync::Arc;

use actingweb_actor::{ActorError, Spending};
use actingweb_bedrock::{Allowance, BedrockBudget, BedrockError, Cost, Ledger, Reservation};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::App;
use crate::build::Problem;

impl App {
    /// What each actor may spend on Amazon Bedrock; without it anything, and nothing is counted.
    ///
    /// Every call that a hook makes for an actor reserves what it may cost at most before it is sent, and is settled with
    /// what it did cost: two calls to storage more, one where only calls are limited. One that does not fit is not sent:
    /// it ends in [`BedrockError::BudgetSpent`], and the request in 429 with `Retry-After`, unless the hook knows better.
    /// Calls on behalf of no actor are not counted.
    ///
    /// ```
    /// # use actingweb_hooks::prelude::*;
    /// let app = App::new("urn:actingweb:example.com:demo")
    ///     .bedrock_budget(BedrockBudget::new().calls(Per::Hour, 60).tokens(Per::Month, 1_000_000));
    /// ```
    pub fn bedrock_budget(mut self, budget: BedrockBudget) -> Self {
        self.budget = Some(budget);
        self
    }
}

/// A budget that can be kept; none is one without a limit.
pub(crate) fn check_budget(budget: Option<BedrockBudget>, problems: &mut Vec<Problem>) -> Option<Arc<BedrockBudget>> {
    let budget = budget.filter(|budget| budget.longest().is_some())?;
    if let Some((per, limit)) = budget.too_small() {
        problems.push(Problem::SmallBudget { per, limit, answer: budget.default_answer() });
    }
    Some(Arc::new(budget))
}

/// An actor's books, as the client keeps them.
#[derive(Debug)]
pub(crate) struct ActorLedger(pub(crate) Spending);

impl Ledger for ActorLedger {
    fn budget(&self) -> &BedrockBudget {
        self.0.budget()
    }

    fn reserve(&self, cost: Cost) -> BoxFuture<'_, Result<Reservation, BedrockError>> {
        async move { Ok(self.0.reserve(cost).await.map_err(unknown)??) }.boxed()
    }

    fn settle<'a>(&'a self, reservation: &'a Reservation, used: Cost) -> BoxFuture<'a, Result<(), BedrockError>> {
        async move { self.0.settle(reservation, used).await.map_err(unknown) }.boxed()
    }

    fn allowances(&self) -> BoxFuture<'_, Result<Vec<Allowance>, BedrockError>> {
        async move { self.0.allowances().await.map_err(unknown) }.boxed()
    }
}

fn unknown(error: ActorError) -> BedrockError {
    let retry_after = match &error {
        ActorError::Busy { retry_after } => Some(*retry_after),
        _ => None,
    };
    let message = match &error {
        ActorError::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    };
    BedrockError::BudgetUnknown { retry_after, message }
}
