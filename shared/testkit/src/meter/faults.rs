//! Which call fails, and how: decided by probabilities and a seed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rng::{self, Rng};

/// What the meter did to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Refused for its rate; not applied.
    Throttle,
    /// Refused because of another transaction on the same item; not applied.
    TransactionConflict,
    /// A batch of which some entries were neither read nor written.
    Unprocessed,
    /// Answered with status 500; not applied.
    ServerError,
    /// Applied, then answered with status 500 or a closed connection.
    LostReply,
}

/// What goes wrong, how often. Probabilities run from 0.0 (never, the default) to 1.0 (always).
///
/// A call suffers at most one fault, the first that strikes in the order of the fields. Whether it does depends on
/// the seed and on how many calls came before it, on nothing else: one client making the same calls one after
/// another meets the same faults in every run.
///
/// ```
/// use actingweb_testkit::meter::Faults;
///
/// let rough = Faults { throttle: 0.2, transaction_conflict: 0.1, seed: 42, ..Faults::default() };
/// let one_lost_write = Faults { drop_reply_after_apply: 1.0, ..Faults::default() }.on(["PutItem"]).at_most(1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Any operation: `ProvisionedThroughputExceededException`, `ThrottlingException` or `RequestLimitExceeded`. A
    /// transaction may also get it as the reason in a `TransactionCanceledException`.
    pub throttle: f64,
    /// Single writes: `TransactionConflictException`. Transactions: `TransactionCanceledException` with a
    /// `TransactionConflict` among the reasons, one per item of the request.
    pub transaction_conflict: f64,
    /// Any operation: `InternalServerError`, nothing applied.
    pub server_error: f64,
    /// `BatchGetItem` and `BatchWriteItem`: part of the entries come back as `UnprocessedKeys` / `UnprocessedItems`
    /// and were not given to the engine. A batch of one is throttled, as on AWS.
    pub unprocessed_keys: f64,
    /// Any operation: the engine applies it, then the connection closes without a reply, or a 500 replaces the reply.
    pub drop_reply_after_apply: f64,
    /// Every call, faulty or not, is answered no sooner than this after it arrived. The engine applies it at once, so
    /// a latency widens the races between callers.
    pub latency: Duration,
    /// Chooses among equally likely outcomes.
    pub seed: u64,
    /// The operations that may fail; empty means all.
    pub operations: Vec<String>,
    /// How many faults there will be in all; `None` means no end.
    pub limit: Option<u64>,
    /// How many calls go well before any of it begins.
    pub after: u64,
}

impl Faults {
    /// No faults, no latency.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every call is throttled.
    #[must_use]
    pub fn always_throttle() -> Self {
        Self { throttle: 1.0, ..Self::default() }
    }

    /// Every call takes at least `latency`.
    #[must_use]
    pub fn latency(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }

    /// These faults on some operations alone, named as the API names them.
    #[must_use]
    pub fn on<I, S>(self, operations: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self { operations: operations.into_iter().map(Into::into).collect(), ..self }
    }

    /// These faults until `limit` calls have suffered one.
    #[must_use]
    pub fn at_most(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// These faults once `calls` calls have gone well.
    #[must_use]
    pub fn after(self, calls: u64) -> Self {
        Self { after: calls, ..self }
    }

    /// What happens to the `n`th call. The generator comes along to settle the details.
    pub(super) fn strike(&self, n: u64, operation: &str) -> Option<(Fault, Rng)> {
        if n < self.after {
            return None;
        }
        if !self.operations.is_empty() && !self.operations.iter().any(|named| named == operation) {
            return None;
        }
        let conflicts =
            matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" | "TransactGetItems");
        let batch = matches!(operation, "BatchGetItem" | "BatchWriteItem");
        let mut rng = Rng::new(rng::nth(self.seed, n));
        // Every chance is drawn, so that changing one probability does not reshuffle the others.
        [
            (Fault::Throttle, self.throttle, true),
            (Fault::TransactionConflict, self.transaction_conflict, conflicts),
            (Fault::ServerError, self.server_error, true),
            (Fault::Unprocessed, self.unprocessed_keys, batch),
            (Fault::LostReply, self.drop_reply_after_apply, true),
        ]
        .map(|(fault, probability, possible)| (rng.chance(probability) && possible).then_some(fault))
        .into_iter()
        .flatten()
        .next()
        .map(|fault| (fault, rng))
    }
}

/// An error reply: its status and its body.
pub(super) type Refusal = (u16, Value);

const MODEL: &str = "com.amazonaws.dynamodb.v20120810#";
const RATE: &str = "The level of configured provisioned throughput for the table was exceeded. Consider increasing \
                    your provisioning level with the UpdateTable API.";
const ON_DEMAND_RATE: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is \
                              automatically scaling your table or index so please try again shortly.";
const ACCOUNT_RATE: &str = "Throughput exceeds the current throughput limit for your account.";
const ONGOING: &str = "Transaction is ongoing for the item";

/// How AWS refuses `operation` for its rate: one of several ways.
pub(super) fn throttled(operation: &str, request: &[u8], rng: &mut Rng) -> Refusal {
    let items = transact_items(operation, request);
    match rng.below(if items > 0 { 5 } else { 3 }) {
        0 => refusal("ProvisionedThroughputExceededException", RATE),
        1 => refusal("ThrottlingException", ON_DEMAND_RATE),
        2 => refusal("RequestLimitExceeded", ACCOUNT_RATE),
        3 => cancelled(items, "ProvisionedThroughputExceeded", RATE, rng),
        _ => cancelled(items, "ThrottlingError", ON_DEMAND_RATE, rng),
    }
}

/// How AWS refuses `operation` because another transaction holds an item.
pub(super) fn conflicting(operation: &str, request: &[u8], rng: &mut Rng) -> Refusal {
    match transact_items(operation, request) {
        0 => refusal("TransactionConflictException", ONGOING),
        items => cancelled(items, "TransactionConflict", ONGOING, rng),
    }
}

/// AWS's own failure.
pub(super) fn server_error() -> Refusal {
    let body = json!({
        "__type": format!("{MODEL}InternalServerError"),
        "message": "The request processing has failed because of an unknown error, exception or failure.",
    });
    (500, body)
}

fn refusal(name: &str, message: &str) -> Refusal {
    (400, json!({ "__type": format!("{MODEL}{name}"), "message": message }))
}

/// A cancelled transaction: one reason per item, `code` for at least one of them, `None` for the others.
fn cancelled(items: usize, code: &str, message: &str, rng: &mut Rng) -> Refusal {
    let certain = rng.below(items);
    let struck: Vec<bool> = (0..items).map(|item| item == certain || rng.chance(0.25)).collect();
    let reasons: Vec<Value> = struck
        .iter()
        .map(|&struck| if struck { json!({ "Code": code, "Message": message }) } else { json!({ "Code": "None" }) })
        .collect();
    let codes: Vec<&str> = struck.iter().map(|&struck| if struck { code } else { "None" }).collect();
    let body = json!({
        "__type": format!("{MODEL}TransactionCanceledException"),
        "Message": format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        ),
        "CancellationReasons": reasons,
    });
    (400, body)
}

/// How many items a transaction has; 0 for any other operation.
fn transact_items(operation: &str, request: &[u8]) -> usize {
    if !matches!(operation, "TransactWriteItems" | "TransactGetItems") {
        return 0;
    }
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    request.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(faults: &Faults, operation: &str) -> Vec<Option<Fault>> {
        (0..200).map(|n| faults.strike(n, operation).map(|(fault, _)| fault)).collect()
    }

    #[test]
    fn a_seed_decides_which_calls_fail() {
        let faults = |seed| Faults { throttle: 0.3, drop_reply_after_apply: 0.2, seed, ..Faults::default() };
        assert_eq!(struck(&faults(1), "PutItem"), struck(&faults(1), "PutItem"));
        assert_ne!(struck(&faults(1), "PutItem"), struck(&faults(2), "PutItem"));
    }

    #[test]
    fn one_probability_does_not_reshuffle_the_others() {
        let throttle = Faults { throttle: 0.3, seed: 5, ..Faults::default() };
        let both = Faults { server_error: 0.3, ..throttle.clone() };
        for (alone, beside) in struck(&throttle, "PutItem").into_iter().zip(struck(&both, "PutItem")) {
            assert_eq!(alone == Some(Fault::Throttle), beside == Some(Fault::Throttle));
        }
    }

    #[test]
    fn faults_strike_only_operations_that_can_have_them() {
        let faults = Faults { transaction_conflict: 1.0, unprocessed_keys: 1.0, ..Faults::default() };
        assert!(struck(&faults, "GetItem").iter().all(Option::is_none));
        assert!(struck(&faults, "UpdateItem").iter().all(|fault| *fault == Some(Fault::TransactionConflict)));
        assert!(struck(&faults, "BatchGetItem").iter().all(|fault| *fault == Some(Fault::Unprocessed)));
        let late = struck(&Faults::always_throttle().after(3), "GetItem");
        assert_eq!(late.iter().take_while(|fault| fault.is_none()).count(), 3);
        let named = Faults::always_throttle().on(["Query"]);
        assert!(struck(&named, "GetItem").iter().all(Option::is_none));
        assert!(struck(&named, "Query").iter().all(|fault| *fault == Some(Fault::Throttle)));
    }

    #[test]
    fn a_cancelled_transaction_has_a_reason_per_item() {
        let request = br#"{"TransactItems":[{},{},{}]}"#;
        for seed in 0..20 {
            let (status, body) = conflicting("TransactWriteItems", request, &mut Rng::new(seed));
            assert_eq!(status, 400);
            let reasons = body["CancellationReasons"].as_array().unwrap();
            assert_eq!(reasons.len(), 3);
            assert!(reasons.iter().any(|reason| reason["Code"] == "TransactionConflict"));
        }
    }
}
