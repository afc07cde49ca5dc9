//! Schedules: when an action is to be run, and how that is said. Pure; who keeps them, and sees to it that each planned
//! time is met once, is storage's and the worker's.

mod cron;
mod period;
mod timing;

use serde_json::{Map, Value};

pub use self::cron::CronTimes;
pub use self::period::{MAX_PERIOD, MIN_PERIOD, Period};
pub use self::timing::{Following, NOT_LATE, Timing};
use crate::Timestamp;

/// The longest name of a schedule, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// The longest description of a schedule, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 1_000;

/// The largest input of a schedule, in bytes of JSON text: a list of schedules reads them all.
pub const MAX_INPUT_BYTES: usize = 32_000;

/// Why a schedule cannot be made, for whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A member is not what it should be.
    #[error("`{member}` {reason}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A member that means nothing here, perhaps misspelt.
    #[error("`{0}` is no member of a schedule: there are {MEMBERS}")]
    Unknown(String),
    /// Nothing says when.
    #[error("say when: `at` (a moment), `every` (a duration), or `cron` with `time_zone`")]
    NoTiming,
    /// More than one thing says when.
    #[error("say one of `at`, `every` and `cron`, not several: make a schedule for each")]
    SeveralTimings,
    /// There is no time at which it would be due.
    #[error("there is no such time: {0}")]
    Never(String),
}

const MEMBERS: &str = "at, every, cron, time_zone, until, input, name and description";

/// A schedule that somebody asks for.
///
/// ```
/// use actingweb_protocol::schedule::{NewSchedule, Timing};
///
/// let digest = NewSchedule::new(Timing::cron("0 8 * * MON-FRI", "Europe/Oslo")?).named("Morning digest");
/// # Ok::<_, actingweb_protocol::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    /// When it is due.
    pub timing: Timing,
    /// The last moment at which it may be due; none for ever.
    pub until: Option<Timestamp>,
    /// What the action is called with.
    pub input: Value,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
}

impl Timing {
    /// By the clock of a place: see [`CronTimes::parse`].
    ///
    /// # Errors
    /// [`ScheduleError`], which names the field that is wrong.
    pub fn cron(expression: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        CronTimes::parse(expression, time_zone).map(Self::Cron)
    }

    /// Again and again, with this much time in between: see [`Period::new`].
    ///
    /// # Errors
    /// [`ScheduleError`] below a minute and above 366 days.
    pub fn every(period: std::time::Duration) -> Result<Self, ScheduleError> {
        Period::new(period).map(Self::Every)
    }
}

impl NewSchedule {
    /// A schedule without input, name and end.
    #[must_use]
    pub const fn new(timing: Timing) -> Self {
        Self { timing, until: None, input: Value::Null, name: String::new(), description: String::new() }
    }

    /// With what the action is called with.
    #[must_use]
    pub fn input(self, input: impl Into<Value>) -> Self {
        Self { input: input.into(), ..self }
    }

    /// With a name for people.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// With what it is for.
    #[must_use]
    pub fn described(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// With the last moment at which it may be due.
    #[must_use]
    pub fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`ScheduleError`], which names the member.
    pub fn read(mut members: Map<String, Value>) -> Result<Self, ScheduleError> {
        let input = members.shift_remove("input").unwrap_or_default();
        let text = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(wrong(name, "must be a string")),
        };
        let known = ["at", "every", "cron", "time_zone", "until", "name", "description"];
        if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
            let shown = unknown.get(..unknown.floor_char_boundary(100)).unwrap_or(unknown);
            return Err(ScheduleError::Unknown(shown.to_owned()));
        }
        for name in known {
            text(name)?;
        }
        let read = |name: &str| members.get(name).and_then(Value::as_str);
        Ok(Self {
            timing: Timing::read(read)?,
            until: text("until")?.map(|until| timing::parse_moment("until", until)).transpose()?,
            input,
            name: text("name")?.unwrap_or_default().to_owned(),
            description: text("description")?.unwrap_or_default().to_owned(),
        })
    }

    /// When it is due first, if it is made now.
    ///
    /// # Errors
    /// [`ScheduleError`] when there is no such time, and for texts and inputs that are too long.
    pub fn first(&self, now: Timestamp) -> Result<Timestamp, ScheduleError> {
        let texts = [("name", &self.name, MAX_NAME_BYTES), ("description", &self.description, MAX_DESCRIPTION_BYTES)];
        if let Some((name, _, most)) = texts.into_iter().find(|(_, text, most)| text.len() > *most) {
            return Err(wrong(name, format!("is longer than {most} bytes")));
        }
        if self.input.to_string().len() > MAX_INPUT_BYTES {
            return Err(wrong("input", format!("is larger than {MAX_INPUT_BYTES} bytes of JSON")));
        }
        let never = |reason: String| ScheduleError::Never(reason);
        let next = self.timing.next(now, now).ok_or_else(|| match &self.timing {
            Timing::At(at) if *at <= now => never(format!("`at` has passed; it is {now} now")),
            Timing::At(_) | Timing::Every(_) => never("it is more than ten years away".to_owned()),
            Timing::Cron(_) => never("no day of the next ten years matches `cron`".to_owned()),
        })?;
        match self.until {
            Some(until) if next > until => Err(never(format!("`until` ends before the first time, {next}"))),
            _ => Ok(next),
        }
    }
}

fn wrong(member: &'static str, reason: impl Into<String>) -> ScheduleError {
    ScheduleError::Member { member, reason: reason.into() }
}

fn moment(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok()
}

fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millisecond())
}

#[cfg(test)]
mod tests;
