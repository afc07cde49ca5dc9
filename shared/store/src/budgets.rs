//! What an actor has spent on models: one row, whose counters change by atomic additions under the condition that they stay
//! within the limits.
//!
//! The row says for each window when it began. A window that is over is begun anew by the first reservation after it, on
//! the condition that it still is as it was seen; so of any number of calls at once one begins the window, and all count.
//! One row rather than one per window: a reservation is a plain update, which writers of the same item wait for in turn,
//! where a transaction over several rows would fail in conflict.

use std::collections::BTreeMap;
use std::time::Duration;

use actingweb_protocol::budget::{BedrockBudget, BudgetSpent, Cost, Per, Reservation, Tallies, Tally};
use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::error::{Fault, sort};
use crate::item::{Item, Row, number};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

/// How long a row outlives its last window, for clocks that differ.
const LEFT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Codes that say that a write did not happen, so that an addition may be tried again without counting twice.
const NOT_DONE: &[&str] = &["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];

impl Store {
    /// Reserves what a call may cost, if there is room for it: one call to storage, two where a window begins.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it was reserved is not known then; what was, is released when its window ends.
    pub async fn reserve_budget(
        &self,
        actor: &ActorId,
        budget: &BedrockBudget,
        cost: Cost,
    ) -> Result<Result<Reservation, BudgetSpent>, StoreError> {
        // What does not fit into windows that just began never does.
        let now = self.now();
        let mut standing = budget.standing(&Tallies::new(), now);
        if let Err(never) = budget.admit(&standing, cost, now) {
            return Ok(Err(never));
        }
        // As long as nothing was seen, the windows are taken to be under way: most often they are.
        let mut seen = standing.clone();
        let mut pause = self.pauses();
        let mut taken_for_absent = false;
        loop {
            let call = self.reservation(actor, budget, cost, &seen, &standing);
            let error = match self.attempt("UpdateItem", || call.clone().send()).await? {
                Attempt::Done(_) => {
                    let begun = standing.iter().map(|(per, tally)| (*per, tally.begun)).collect();
                    return Ok(Ok(Reservation { cost, begun }));
                }
                Attempt::Refused(error) => *error,
            };
            // No row in the way: there is none, most likely. An engine that never says what stands there is asked then.
            let found = match in_the_way(error)? {
                None if taken_for_absent => self.budget_row(actor).await?,
                found => found,
            };
            taken_for_absent = found.is_none();
            seen = found.as_ref().map_or_else(|| Ok(Tallies::new()), |found| tallies(&Row::read(found)?))?;
            let now = self.now();
            standing = budget.standing(&seen, now);
            if let Err(spent) = budget.admit(&standing, cost, now) {
                return Ok(Err(spent));
            }
            pause.wait_unless_learnt("UpdateItem", "another window").await?;
        }
    }

    /// Puts what a call did cost in the place of what was reserved for it, in those of its windows that still run: one
    /// call to storage, none when it cost what was reserved.
    ///
    /// # Errors
    /// [`StoreError`]. The reservation stays then, until its window ends: an addition of which nobody knows whether it
    /// happened is not repeated, so that nothing is given back twice.
    pub async fn settle_budget(
        &self,
        actor: &ActorId,
        reservation: &Reservation,
        used: Cost,
    ) -> Result<(), StoreError> {
        let (calls, tokens) = reservation.difference(used);
        let mut begun = reservation.begun.clone();
        let mut pause = self.pauses();
        while (calls, tokens) != (0, 0) && !begun.is_empty() {
            let call = self.settlement(actor, &begun, calls, tokens);
            let error = match call.send().await {
                Ok(_) => return Ok(()),
                Err(error) => match sort(error) {
                    Fault::Condition(error) => *error,
                    Fault::Passing(reason) if NOT_DONE.contains(&reason.as_str()) => {
                        pause.wait("UpdateItem", reason).await?;
                        continue;
                    }
                    Fault::Passing(message) | Fault::Lasting(message) => {
                        return Err(StoreError::Refused { operation: "UpdateItem", message });
                    }
                },
            };
            let found = match in_the_way(error)? {
                None => self.budget_row(actor).await?,
                found => found,
            };
            let Some(found) = found else { return Ok(()) };
            let seen = tallies(&Row::read(&found)?)?;
            begun.retain(|per, begun| seen.get(per).is_some_and(|tally| tally.begun == *begun));
        }
        Ok(())
    }

    /// What an actor's windows had when they were last counted: one strongly consistent read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn budget_tallies(&self, actor: &ActorId) -> Result<Tallies, StoreError> {
        let found = self.budget_row(actor).await?;
        found.as_ref().map_or_else(|| Ok(Tallies::new()), |found| tallies(&Row::read(found)?))
    }

    async fn budget_row(&self, actor: &ActorId) -> Result<Option<Item>, StoreError> {
        let key = item::key(&keys::actor(actor), keys::BUDGET);
        let call = self.inner.client.get_item().table_name(&self.inner.table).set_key(Some(key)).consistent_read(true);
        Ok(self.call("GetItem", || call.clone().send()).await?.item)
    }

    /// Adds to windows that are as they were seen, and begins those anew that are over.
    fn reservation(
        &self,
        actor: &ActorId,
        budget: &BedrockBudget,
        cost: Cost,
        seen: &Tallies,
        standing: &Tallies,
    ) -> UpdateItemFluentBuilder {
        let (calls, tokens) = (count(cost.calls), count(cost.tokens));
        let mut call = self.budget_update(actor);
        let (mut sets, mut adds, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for (per, tally) in standing {
            let began = format!(":{per}");
            match seen.get(per) {
                Some(seen) if seen.begun == tally.begun => {
                    conditions.push(format!("{per}_begun = {began}"));
                    let (most_calls, most_tokens) = budget.room_for(*per, cost);
                    for (what, most) in [("calls", most_calls), ("tokens", most_tokens)] {
                        let Some(most) = most else { continue };
                        conditions.push(format!("{per}_{what} <= :{per}_{what}"));
                        call = call.expression_attribute_values(format!(":{per}_{what}"), number(count(most)));
                    }
                    adds.push(format!("{per}_calls :calls, {per}_tokens :tokens"));
                }
                seen => {
                    let old = format!(":{per}_old");
                    match seen {
                        Some(seen) => {
                            conditions.push(format!("{per}_begun = {old}"));
                            call = call.expression_attribute_values(old, number(seen.begun.as_millis()));
                        }
                        None => conditions.push(format!("attribute_not_exists({per}_begun)")),
                    }
                    sets.push(format!("{per}_begun = {began}, {per}_calls = :calls, {per}_tokens = :tokens"));
                }
            }
            call = call.expression_attribute_values(began, number(tally.begun.as_millis()));
        }
        let mut update = Vec::new();
        if !sets.is_empty() {
            let ends = standing.iter().map(|(per, tally)| per.end(tally.begun));
            let expires = ends.max().unwrap_or_else(|| self.now()).plus(LEFT_FOR);
            call = call
                .expression_attribute_values(":v", number(item::VERSION))
                .expression_attribute_values(":expires", number(expires.as_secs()));
            update.push(format!("SET v = :v, expires = :expires, {}", sets.join(", ")));
        }
        if !adds.is_empty() {
            update.push(format!("ADD {}", adds.join(", ")));
        }
        call.expression_attribute_values(":calls", number(calls))
            .expression_attribute_values(":tokens", number(tokens))
            .update_expression(update.join(" "))
            .condition_expression(conditions.join(" AND "))
    }

    /// Adds to windows that still run.
    fn settlement(
        &self,
        actor: &ActorId,
        begun: &BTreeMap<Per, Timestamp>,
        calls: i64,
        tokens: i64,
    ) -> UpdateItemFluentBuilder {
        let mut call = self.budget_update(actor);
        for (per, begun) in begun {
            call = call.expression_attribute_values(format!(":{per}"), number(begun.as_millis()));
        }
        let adds: Vec<_> = begun.keys().map(|per| format!("{per}_calls :calls, {per}_tokens :tokens")).collect();
        let conditions: Vec<_> = begun.keys().map(|per| format!("{per}_begun = :{per}")).collect();
        call.expression_attribute_values(":calls", number(calls))
            .expression_attribute_values(":tokens", number(tokens))
            .update_expression(format!("ADD {}", adds.join(", ")))
            .condition_expression(conditions.join(" AND "))
    }

    fn budget_update(&self, actor: &ActorId) -> UpdateItemFluentBuilder {
        self.inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(actor), keys::BUDGET)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// The row that a condition did not hold of. `None`: there is none, or the engine is from before 2023 and does not say.
fn in_the_way(error: UpdateItemError) -> Result<Option<Item>, StoreError> {
    match error {
        UpdateItemError::ConditionalCheckFailedException(error) => Ok(error.item),
        other => Err(refused("UpdateItem", other)),
    }
}

fn tallies(row: &Row<'_>) -> Result<Tallies, StoreError> {
    let counted = |name: String| Ok(u64::try_from(row.optional_number(&name)?.unwrap_or(0)).unwrap_or(0));
    let mut found = Tallies::new();
    for per in Per::ALL {
        let Some(begun) = row.optional_number(&format!("{per}_begun"))? else { continue };
        let begun = Timestamp::from_millis(begun);
        let (calls, tokens) = (counted(format!("{per}_calls"))?, counted(format!("{per}_tokens"))?);
        found.insert(per, Tally { begun, calls, tokens });
    }
    Ok(found)
}

/// Limits are far below what DynamoDB's numbers hold; one that is not is no limit.
fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
