//! The actor's log: internal attributes that no client sees, written by one action and shown by one resource.

use std::collections::BTreeMap;

use actingweb_hooks::prelude::*;

use crate::bounded_text::BoundedText;

/// Where the entries are, among the actor's internal attributes.
pub(crate) const BUCKET: &str = "log";
/// How long an entry is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many entries a report shows, at most.
const SHOWN: usize = 20;

/// How much an entry matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// For the record.
    #[default]
    Info,
    /// Worth a look.
    Warning,
    /// Something went wrong.
    Error,
}

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Message {
    /// The text.
    message: BoundedText<1000>,
    /// How much it matters; `info` when left out.
    #[serde(default)]
    level: Level,
}

/// A stored entry.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Logged {
    /// When it was written.
    at: String,
    /// How much it matters.
    level: Level,
    /// The text.
    message: String,
}

/// The log, for reading.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// How many entries there are of each level.
    counts: BTreeMap<Level, usize>,
    /// The latest entries, newest first, at most 20.
    latest: Vec<Logged>,
}

/// Action `log_message`. Entries expire by themselves.
pub(crate) async fn log_message(
    Input(Message { message, level }): Input<Message>,
    actor: Actor,
    Now(now): Now,
    random: Random,
) -> Result<Logged, HookError> {
    let entry = Logged { at: now.to_string(), level, message: message.to_string() };
    // The time sorts the entries; the rest keeps two of the same millisecond apart.
    let name = format!("{now}-{}", random.hex(4));
    actor.set_attribute(BUCKET, &name, serde_json::to_value(&entry)?, Some(KEPT)).await?;
    Ok(entry)
}

/// Resource `report`: `GET` reads the log, `DELETE` clears it and answers with what it held.
pub(crate) async fn report(op: Op, actor: Actor, ctx: Context) -> Result<Report, HookError> {
    if op.has_data() {
        return Err(HookError::invalid("a report is not written: `GET` reads it, `DELETE` clears it"));
    }
    let log = actor.attributes(BUCKET).await?;
    if op == Op::Delete {
        clear(&actor, &ctx, log.keys()).await?;
    }
    let entries: Vec<Logged> = log.into_values().map(serde_json::from_value).collect::<Result<_, _>>()?;
    let mut counts = BTreeMap::new();
    for entry in &entries {
        *counts.entry(entry.level).or_default() += 1;
    }
    Ok(Report { counts, latest: entries.into_iter().rev().take(SHOWN).collect() })
}

async fn clear(actor: &Actor, ctx: &Context, names: impl Iterator<Item = &String>) -> Result<(), HookError> {
    let outcomes = ctx.fan_out(names, 8, |name| actor.delete_attribute(BUCKET, name)).await;
    for outcome in outcomes {
        match outcome {
            Outcome::Ok { .. } => {}
            Outcome::Error { error } => return Err(error.into()),
            Outcome::TimedOut => return Err(HookError::retryable("the log is not cleared yet; ask again")),
        }
    }
    Ok(())
}
