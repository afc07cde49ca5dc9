//! What an actor may spend on models: limits per hour, day and month, and the arithmetic of keeping them. Pure; who keeps
//! the tallies, and how they change as one step, is storage's.
//!
//! A call reserves what it may cost at most, and is settled with what it did cost. So what is spent and what is reserved
//! together stay within the limits, however many calls are made at the same time, as long as no call costs more than it
//! reserved. Whoever dies in between leaves its reservation, and nothing else; the window's end releases it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::Serialize;

use crate::Timestamp;

/// Tokens that an answer is taken to have at most when nothing else limits it.
const ANSWER_TOKENS: u32 = 2048;

/// A span of time that a limit holds for: whole hours, days and months of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From the first of the month.
    Month,
}

impl Per {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// In one word: `hour`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the span that `at` is in began.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        self.bounds(at).map_or(at, |(begin, _)| begin)
    }

    /// When the span that `at` is in ends, which is when the next one begins.
    #[must_use]
    pub fn end(self, at: Timestamp) -> Timestamp {
        self.bounds(at).map_or(at, |(_, end)| end)
    }

    /// `None` at the ends of representable time.
    fn bounds(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        const HOUR: i64 = 3_600_000;
        if self == Self::Hour {
            let begin = at.as_millis().checked_sub(at.as_millis().rem_euclid(HOUR))?;
            return Some((Timestamp::from_millis(begin), Timestamp::from_millis(begin.checked_add(HOUR)?)));
        }
        let today = Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?).date();
        let (first, last) = match self {
            Self::Month => (today.first_of_month(), today.last_of_month()),
            Self::Hour | Self::Day => (today, today),
        };
        Some((midnight(first)?, midnight(last.tomorrow().ok()?)?))
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn midnight(date: Date) -> Option<Timestamp> {
    let moment = Offset::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// What a call costs, or may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Calls.
    pub calls: u64,
    /// Tokens, read and written.
    pub tokens: u64,
}

/// What each actor may spend on Amazon Bedrock. Windows without a limit count nothing.
///
/// ```
/// use actingweb_protocol::budget::{BedrockBudget, Per};
///
/// let budget = BedrockBudget::new().calls(Per::Hour, 60).tokens(Per::Month, 1_000_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BedrockBudget {
    limits: BTreeMap<Per, Limit>,
    answer_tokens: u32,
}

/// The limits of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limit {
    calls: Option<u64>,
    tokens: Option<u64>,
}

impl Default for BedrockBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl BedrockBudget {
    /// No limit at all.
    #[must_use]
    pub const fn new() -> Self {
        Self { limits: BTreeMap::new(), answer_tokens: ANSWER_TOKENS }
    }

    /// At most this many calls in each window.
    #[must_use]
    pub fn calls(mut self, per: Per, limit: u64) -> Self {
        self.limits.entry(per).or_default().calls = Some(limit);
        self
    }

    /// At most this many tokens in each window, those of prompts and those of answers together.
    #[must_use]
    pub fn tokens(mut self, per: Per, limit: u64) -> Self {
        self.limits.entry(per).or_default().tokens = Some(limit);
        self
    }

    /// How many tokens an answer may have when the prompt does not say: 2048 unless set. Where tokens are limited, such a
    /// prompt is sent with this as its limit, so that an answer never costs more than was reserved for it.
    #[must_use]
    pub const fn answer_tokens(mut self, tokens: u32) -> Self {
        self.answer_tokens = tokens;
        self
    }

    /// What [`answer_tokens`](Self::answer_tokens) was set to.
    #[must_use]
    pub const fn default_answer(&self) -> u32 {
        self.answer_tokens
    }

    /// The windows that have a limit, the shortest first.
    pub fn windows(&self) -> impl Iterator<Item = Per> {
        self.limits.keys().copied()
    }

    /// The longest window that has a limit.
    #[must_use]
    pub fn longest(&self) -> Option<Per> {
        self.limits.keys().next_back().copied()
    }

    /// Whether any window limits tokens.
    #[must_use]
    pub fn limits_tokens(&self) -> bool {
        self.limits.values().any(|limit| limit.tokens.is_some())
    }

    /// The most calls, and the most tokens, that a window may have had before one of this cost is made. `None`: any.
    #[must_use]
    pub fn room_for(&self, per: Per, cost: Cost) -> (Option<u64>, Option<u64>) {
        let Limit { calls, tokens } = self.limits.get(&per).copied().unwrap_or_default();
        (calls.map(|limit| limit.saturating_sub(cost.calls)), tokens.map(|limit| limit.saturating_sub(cost.tokens)))
    }

    /// A smallest limit of tokens that one answer of the default length does not fit into.
    #[must_use]
    pub fn too_small(&self) -> Option<(Per, u64)> {
        let limits = self.limits.iter().filter_map(|(per, limit)| Some((*per, limit.tokens?)));
        limits.filter(|(_, limit)| *limit < u64::from(self.answer_tokens)).min_by_key(|(_, limit)| *limit)
    }

    /// How the windows stand at `now`: as they were seen, and at zero where a later one has begun. A window that was seen
    /// and begins after `now` is another process's, whose clock is ahead: it counts, as no window is ever gone back to.
    #[must_use]
    pub fn standing(&self, seen: &Tallies, now: Timestamp) -> Tallies {
        self.windows()
            .map(|per| {
                let begun = per.begin(now);
                let tally = seen.get(&per).copied().filter(|tally| tally.begun >= begun);
                (per, tally.unwrap_or_else(|| Tally::new(begun)))
            })
            .collect()
    }

    /// Whether what costs this much at most still fits into windows that stand so.
    ///
    /// # Errors
    /// The limit that it does not fit into; of several, the one whose window ends last.
    pub fn admit(&self, standing: &Tallies, cost: Cost, now: Timestamp) -> Result<(), BudgetSpent> {
        let refusals = standing.iter().flat_map(|(per, tally)| {
            let limit = self.limits.get(per).copied().unwrap_or_default();
            let end = per.end(tally.begun);
            let refusal = move |counted, limit: Option<u64>, used: u64, asked: u64| {
                let limit = limit.filter(|limit| used.saturating_add(asked) > *limit)?;
                let renewed_at = (asked <= limit).then_some(end);
                Some(BudgetSpent { per: *per, counted, limit, used, asked, renewed_at, now })
            };
            [
                refusal(Counted::Calls, limit.calls, tally.calls, cost.calls),
                refusal(Counted::Tokens, limit.tokens, tally.tokens, cost.tokens),
            ]
        });
        // What never fits comes first: waiting does not help then.
        match refusals.flatten().max_by_key(|refusal| (refusal.renewed_at.is_none(), refusal.renewed_at)) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// What is left in windows that stand so, the shortest first.
    #[must_use]
    pub fn allowances(&self, standing: &Tallies) -> Vec<Allowance> {
        let limit = |per: &Per| self.limits.get(per).copied().unwrap_or_default();
        let allowance = |(per, tally): (&Per, &Tally)| Allowance {
            per: *per,
            calls_used: tally.calls,
            calls_limit: limit(per).calls,
            tokens_used: tally.tokens,
            tokens_limit: limit(per).tokens,
            renewed_at: per.end(tally.begun),
        };
        standing.iter().map(allowance).collect()
    }
}

/// What one window has had: spent and reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// When the window began.
    pub begun: Timestamp,
    /// Calls.
    pub calls: u64,
    /// Tokens.
    pub tokens: u64,
}

impl Tally {
    /// A window that begins.
    #[must_use]
    pub const fn new(begun: Timestamp) -> Self {
        Self { begun, calls: 0, tokens: 0 }
    }

    /// With this much more.
    #[must_use]
    pub const fn plus(self, cost: Cost) -> Self {
        let (calls, tokens) = (self.calls.saturating_add(cost.calls), self.tokens.saturating_add(cost.tokens));
        Self { calls, tokens, ..self }
    }
}

/// What the windows have had.
pub type Tallies = BTreeMap<Per, Tally>;

/// What was reserved for a call, and in which windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// How much.
    pub cost: Cost,
    /// When each of the windows began.
    pub begun: BTreeMap<Per, Timestamp>,
}

impl Reservation {
    /// What settling changes in every window that it was reserved in and that still runs: (calls, tokens).
    #[must_use]
    pub fn difference(&self, used: Cost) -> (i64, i64) {
        let difference = |used: u64, reserved: u64| {
            let difference = i128::from(used) - i128::from(reserved);
            i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
        };
        (difference(used.calls, self.cost.calls), difference(used.tokens, self.cost.tokens))
    }
}

/// How a window of an actor's budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// Which window.
    pub per: Per,
    /// Calls made in it, those under way included.
    pub calls_used: u64,
    /// Calls that may be made in it.
    pub calls_limit: Option<u64>,
    /// Tokens used in it, those reserved by calls under way included; 0 when no window limits tokens.
    pub tokens_used: u64,
    /// Tokens that may be used in it.
    pub tokens_limit: Option<u64>,
    /// When the next one begins, in milliseconds since the epoch.
    pub renewed_at: Timestamp,
}

impl Allowance {
    /// Calls that may still be made; `None`: any number.
    #[must_use]
    pub const fn calls_left(&self) -> Option<u64> {
        match self.calls_limit {
            Some(limit) => Some(limit.saturating_sub(self.calls_used)),
            None => None,
        }
    }

    /// Tokens that may still be used; `None`: any number.
    #[must_use]
    pub const fn tokens_left(&self) -> Option<u64> {
        match self.tokens_limit {
            Some(limit) => Some(limit.saturating_sub(self.tokens_used)),
            None => None,
        }
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Calls.
    Calls,
    /// Tokens.
    Tokens,
}

/// A call that does not fit into an actor's budget. The text is for whoever made the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSpent {
    /// The window whose limit it would pass.
    pub per: Per,
    /// What that limit counts.
    pub counted: Counted,
    /// The limit.
    pub limit: u64,
    /// What the window has had, reservations of calls under way included.
    pub used: u64,
    /// What the call may cost at most.
    pub asked: u64,
    /// When the window ends; `None` when the call costs more than a whole window has.
    pub renewed_at: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

impl BudgetSpent {
    /// How long until the window ends; `None` when waiting does not help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let millis = self.renewed_at?.as_millis().saturating_sub(self.now.as_millis());
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    }
}

impl fmt::Display for BudgetSpent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per, limit, used, asked, .. } = self;
        let what = match self.counted {
            Counted::Calls => "calls of models",
            Counted::Tokens => "tokens of models",
        };
        match self.renewed_at {
            Some(end) => write!(
                f,
                "the actor's budget of {limit} {what} per {per} has no room for this ({used} used, up to {asked} asked \
                 for); it is renewed at {end}"
            ),
            None => write!(f, "this may take {asked} {what}, more than the actor's whole budget of {limit} per {per}"),
        }
    }
}

impl std::error::Error for BudgetSpent {}

#[cfg(test)]
mod tests;
