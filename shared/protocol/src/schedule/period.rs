//! Spans of elapsed time between the runs of a schedule.

use std::fmt;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use super::{ScheduleError, wrong};

/// The shortest span between two runs: work that is due is looked for once a minute.
pub const MIN_PERIOD: Duration = Duration::from_secs(60);

/// The longest span between two runs.
pub const MAX_PERIOD: Duration = Duration::from_secs(366 * 24 * 3600);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A span of elapsed time, in whole seconds: `PT15M`, `P1D`. A day is 24 hours, whatever clocks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u64);

impl Period {
    /// A span from [`MIN_PERIOD`] to [`MAX_PERIOD`]; parts of seconds are dropped.
    ///
    /// # Errors
    /// [`ScheduleError`] for a shorter or a longer one.
    pub fn new(span: Duration) -> Result<Self, ScheduleError> {
        match span {
            span if span < MIN_PERIOD => Err(wrong("every", "is shorter than a minute, which is the shortest")),
            span if span > MAX_PERIOD => Err(wrong("every", "is longer than 366 days: use `cron`, or `at`")),
            span => Ok(Self(span.as_secs())),
        }
    }

    /// Reads an ISO 8601 duration.
    ///
    /// # Errors
    /// [`ScheduleError`] for what is none, for months and years, whose length varies, and as [`Period::new`].
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let example = "an ISO 8601 duration such as PT15M, PT1H30M or P1D";
        // The parser also takes "15 minutes", which other programs would not read.
        if !text.starts_with(['P', 'p']) {
            return Err(wrong("every", format!("must be {example}, and not `{text}`")));
        }
        let span: Span =
            text.parse().map_err(|error| wrong("every", format!("must be {example}, and not `{text}`: {error}")))?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(wrong("every", "must not name months or years, whose length varies: use `cron`"));
        }
        let elapsed = span.to_duration(SpanRelativeTo::days_are_24_hours());
        let elapsed = elapsed.ok().and_then(|elapsed| Duration::try_from(elapsed).ok());
        let elapsed = elapsed.ok_or_else(|| wrong("every", "must be a span of time that is not negative"))?;
        if elapsed.subsec_nanos() != 0 {
            return Err(wrong("every", "must be whole seconds"));
        }
        Self::new(elapsed)
    }

    /// Its length.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    pub(super) fn as_millis(self) -> i64 {
        // At most 366 days.
        i64::try_from(self.0).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
    }
}

/// As ISO 8601, in the greatest units that fit.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        if self.0 >= DAY {
            write!(f, "{}D", self.0 / DAY)?;
        }
        let parts = [(self.0 % DAY / HOUR, 'H'), (self.0 % HOUR / MINUTE, 'M'), (self.0 % MINUTE, 'S')];
        if parts.iter().any(|(count, _)| *count > 0) {
            f.write_str("T")?;
        }
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}
