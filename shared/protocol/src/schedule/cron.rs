//! Cron expressions on the clock of a time zone.

use std::fmt;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use super::{ScheduleError, moment, timestamp, wrong};
use crate::Timestamp;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 200;

/// The fields of an expression, with what each of them takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L"),
    ("month", "1-12, JAN-DEC"),
    ("day of week", "0-7, SUN-SAT"),
];

/// Times on the clock of a place: `0 8 * * MON-FRI` in `Europe/Oslo`.
///
/// Where clocks are put forward, a time that does not occur stands for the moment right after the gap; where they are
/// put back, a time that occurs twice stands for the first. So a daily run happens once on every day. An expression
/// whose minute or hour is a `*` or a step (`*/15 * * * *`) follows elapsed time instead: nothing in a gap, and both
/// halves of an hour that comes twice.
#[derive(Clone)]
pub struct CronTimes {
    expression: String,
    cron: Box<Cron>,
    zone: TimeZone,
}

impl CronTimes {
    /// Reads an expression of five fields (minute, hour, day of month, month, day of week), or a nickname such as
    /// `@daily`, and the IANA name of a time zone.
    ///
    /// # Errors
    /// [`ScheduleError`], which names the field and what it takes.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone = TimeZone::get(zone).ok().filter(|found| found.iana_name().is_some()).ok_or_else(|| {
            let zone = shortened(zone);
            wrong("time_zone", format!("must be an IANA name such as Europe/Oslo or UTC, and `{zone}` is none"))
        })?;
        if expression.len() > MAX_BYTES {
            return Err(wrong("cron", format!("is longer than {MAX_BYTES} bytes")));
        }
        let cron = Box::new(read(expression).map_err(|error| explain(expression, &error))?);
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { expression, cron, zone })
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The time zone's name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first time after `after`; `None` when there is none.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let from = moment(after)?.to_zoned(self.zone.clone());
        let next = timestamp(self.cron.find_next_occurrence(&from, false).ok()?.timestamp());
        (next > after).then_some(next)
    }
}

impl fmt::Debug for CronTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.time_zone())
    }
}

/// Expressions are compared as they are written.
impl PartialEq for CronTimes {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.time_zone() == other.time_zone()
    }
}

impl Eq for CronTimes {}

fn read(expression: &str) -> Result<Cron, CronError> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(expression)
}

/// Says which field is wrong: each is tried by itself.
fn explain(expression: &str, error: &CronError) -> ScheduleError {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        let (names, count) = (FIELDS.map(|(name, _)| name).join(", "), parts.len());
        return wrong("cron", format!("must have five fields ({names}), such as `0 8 * * MON-FRI`; it has {count}"));
    }
    let alone = |at: usize, part: &str| {
        let fields: Vec<&str> = (0..FIELDS.len()).map(|place| if place == at { part } else { "*" }).collect();
        read(&fields.join(" ")).err()
    };
    let faults = parts.iter().zip(FIELDS).enumerate();
    let mut faults = faults.filter_map(|(at, (part, field))| Some((part, field, alone(at, part)?)));
    match faults.next() {
        Some((part, (name, takes), fault)) => {
            let fault = plain(&fault);
            wrong("cron", format!("has a wrong {name}, `{}`, which takes {takes}: {fault}", shortened(part)))
        }
        None => wrong("cron", plain(error)),
    }
}

/// The library's reason as part of a sentence.
fn plain(error: &CronError) -> String {
    let text = match error {
        CronError::ComponentError(text) | CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) => {
            text.clone()
        }
        other => other.to_string(),
    };
    shortened(text.trim_end_matches('.')).to_owned()
}

/// As much of a stranger's text as a message should repeat.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(100)).unwrap_or(text)
}
