//! Many things of one kind: bounded concurrency, one outcome each.

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::ended::Ended;
use crate::services::{Entry, Outside};

/// How many items one call may bring.
const MOST: usize = 100;
/// How many of them are looked up at the same time: as many as the store likes, not as many as a caller asks for.
const AT_ONCE: usize = 8;

/// What to process.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Batch {
    /// Keys to look up in the store.
    #[schemars(length(min = 1, max = MOST))]
    items: Vec<BoundedText<200>>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Processed {
    /// How many were found.
    succeeded: usize,
    /// How many were not, for whatever reason.
    failed: usize,
    /// What became of each, in the order of the items.
    results: Vec<Ended<Entry>>,
}

/// Method `process_batch`. One item that fails does not take the others with it.
pub(crate) async fn process_batch(
    Input(Batch { items }): Input<Batch>,
    outside: Outside,
    ctx: Context,
) -> Result<Processed, HookError> {
    if items.is_empty() || items.len() > MOST {
        return Err(HookError::invalid(format!("`items` must hold 1 to {MOST} keys, not {}", items.len())));
    }
    let outcomes = ctx.fan_out(&items, AT_ONCE, |key| outside.entry(key)).await;
    let results: Vec<_> = outcomes.into_iter().map(|outcome| Ended::from_outcome(&ctx, "store", outcome)).collect();
    let succeeded = results.iter().filter(|result| result.is_ok()).count();
    Ok(Processed { succeeded, failed: results.len() - succeeded, results })
}
