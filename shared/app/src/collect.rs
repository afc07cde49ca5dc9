//! What takes longer than anybody waits: an action that runs as a task.

use actingweb_hooks::Task;
use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;
use crate::services::{Entry, Outside};

/// How many keys one task may look up.
const MOST: usize = 1_000;

/// What to collect.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Collection {
    /// Keys to look up in the store, one after another.
    #[schemars(length(min = 1, max = MOST))]
    items: Vec<BoundedText<200>>,
}

/// What was collected.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Collected {
    /// The entries, in the order of the items.
    entries: Vec<Entry>,
}

/// Action `collect_entries`. It may be run twice, when its worker dies half-way: looking something up twice does no harm,
/// and the property is the same afterwards.
pub(crate) async fn collect_entries(
    Input(Collection { items }): Input<Collection>,
    outside: Outside,
    actor: Actor,
    task: Task,
) -> Result<Collected, HookError> {
    if items.is_empty() || items.len() > MOST {
        return Err(HookError::invalid(format!("`items` must hold 1 to {MOST} keys, not {}", items.len())));
    }
    let mut entries = Vec::with_capacity(items.len());
    for key in &items {
        entries.push(outside.entry(key).await?);
        let fraction = entries.len() as f64 / items.len() as f64;
        task.progress(fraction, format!("{} of {} entries", entries.len(), items.len()));
    }
    actor.set_property("collected", json!(entries.len())).await?;
    Ok(Collected { entries })
}
