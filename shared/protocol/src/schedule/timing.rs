//! When a schedule is due.

use std::time::Duration;

use super::{CronTimes, Period, ScheduleError, moment, timestamp, wrong};
use crate::Timestamp;

/// How far ahead a run may be planned: cron's rarest day, 29 February, may be eight years off.
const HORIZON: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// How many times that passed are counted; there may be more.
const MAX_COUNTED: u64 = 10_000;

/// A run that begins less than this after its time is not late: the next one is the next that was planned. It is twice
/// the time between two looks for work that is due.
pub const NOT_LATE: Duration = Duration::from_secs(120);

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Once.
    At(Timestamp),
    /// Again and again, counted from the moment it was made.
    Every(Period),
    /// By the clock of a place.
    Cron(CronTimes),
}

/// What follows a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// When the next one is planned; `None` when it was the last.
    pub next: Option<Timestamp>,
    /// How many planned times passed before this run began, and will not be made up for. Counted up to 10,000.
    pub missed: u64,
}

impl Timing {
    /// Reads one of `at`, `every`, or `cron` with `time_zone` (`UTC` unless it is named).
    ///
    /// # Errors
    /// [`ScheduleError`] for none of them, for several, and for what cannot be read.
    pub fn read<'a>(member: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ScheduleError> {
        let zone = member("time_zone");
        match (member("at"), member("every"), member("cron")) {
            (Some(_), None, None) if zone.is_some() => {
                Err(wrong("time_zone", "goes with `cron` alone: `at` says its offset itself"))
            }
            (None, Some(_), None) if zone.is_some() => {
                Err(wrong("time_zone", "goes with `cron` alone: `every` counts elapsed time, the same everywhere"))
            }
            (Some(at), None, None) => Ok(Self::At(parse_moment("at", at)?)),
            (None, Some(every), None) => Ok(Self::Every(Period::parse(every)?)),
            (None, None, Some(cron)) => Ok(Self::Cron(CronTimes::parse(cron, zone.unwrap_or("UTC"))?)),
            (None, None, None) => Err(ScheduleError::NoTiming),
            _ => Err(ScheduleError::SeveralTimings),
        }
    }

    /// The members that [`Timing::read`] reads.
    #[must_use]
    pub fn members(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::At(at) => vec![("at", at.to_string())],
            Self::Every(period) => vec![("every", period.to_string())],
            Self::Cron(times) => {
                vec![("cron", times.expression().to_owned()), ("time_zone", times.time_zone().to_owned())]
            }
        }
    }

    /// The first time after `after` of a schedule that was made at `begun`; `None` when there is none within ten years.
    #[must_use]
    pub fn next(&self, begun: Timestamp, after: Timestamp) -> Option<Timestamp> {
        let next = match self {
            Self::At(at) => (*at > after).then_some(*at),
            Self::Every(period) => {
                let period = period.as_millis();
                let elapsed = after.as_millis().checked_sub(begun.as_millis())?;
                let count = elapsed.div_euclid(period).checked_add(1)?.max(1);
                Some(Timestamp::from_millis(begun.as_millis().checked_add(count.checked_mul(period)?)?))
            }
            Self::Cron(times) => times.next(after),
        };
        next.filter(|next| *next <= after.plus(HORIZON))
    }

    /// What follows the run of `planned` that begins at `now`. If it is late, times that passed are skipped, so that a
    /// long pause is followed by one run, not by one for each time.
    #[must_use]
    pub fn following(&self, begun: Timestamp, planned: Timestamp, now: Timestamp) -> Following {
        if now < planned.plus(NOT_LATE) {
            return Following { next: self.next(begun, planned), missed: 0 };
        }
        Following { next: self.next(begun, now), missed: self.count(begun, planned, now) }
    }

    /// How many times there are after `after` and up to `upto`.
    fn count(&self, begun: Timestamp, after: Timestamp, upto: Timestamp) -> u64 {
        let mut at = after;
        let mut count = 0;
        while let Some(next) = self.next(begun, at).filter(|next| *next <= upto && count < MAX_COUNTED) {
            at = next;
            count += 1;
        }
        count
    }
}

/// Reads a moment with its offset: RFC 3339.
pub(super) fn parse_moment(member: &'static str, text: &str) -> Result<Timestamp, ScheduleError> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    match parsed.ok().map(timestamp).filter(|at| moment(*at).is_some()) {
        Some(at) => Ok(at),
        None => {
            let text = text.get(..text.floor_char_boundary(100)).unwrap_or(text);
            let why = "must be a moment with an offset (RFC 3339), such as 2027-01-31T08:00:00+01:00";
            Err(wrong(member, format!("{why}, and not `{text}`")))
        }
    }
}
