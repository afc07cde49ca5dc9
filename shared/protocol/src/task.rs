//! Tasks: actions that run after their caller has gone. What they are called, what may become of them, who asked for
//! them, and the numbers that everybody who handles them agrees on.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::permission::Caller;
use crate::retry::Backoff;
use crate::{Entropy, Timestamp, random_hex, sha256_hex_of_parts};

/// How long whoever runs a task has it without saying so again.
pub const LEASE: Duration = Duration::from_secs(60);

/// How often whoever runs a task says so, and learns whether it was cancelled.
pub const BEAT: Duration = Duration::from_secs(5);

/// How long a task can be read after its end.
pub const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a task is tried when its author does not say, the first time included.
pub const ATTEMPTS: u32 = 5;

/// How long a task that failed waits to be tried again: up to 10 s, 20 s, 40 s, ... an hour.
pub const BACKOFF: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_secs(3600) };

/// The largest input of a task, in bytes of JSON text: sealed, it fits DynamoDB's items of 400 KB.
pub const MAX_INPUT_BYTES: usize = 256_000;

/// The largest result of a task, in bytes of JSON text.
pub const MAX_RESULT_BYTES: usize = 256_000;

/// How many hexadecimal digits of an id tell its time.
const TIME_DIGITS: usize = 12;

/// How many of them tell it from others of that time.
const RANDOM_BYTES: usize = 10;

/// A task's id: 32 lowercase hexadecimal digits, of which the first twelve are the milliseconds since the epoch when it
/// was asked for (or planned), so that the order of ids is the order of time. The rest cannot be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TaskId(String);

/// Why a text is no task's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task's id is 32 lowercase hexadecimal digits")]
pub struct TaskIdError;

impl TaskId {
    /// A new id.
    #[must_use]
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self::at(now, &random_hex(entropy, RANDOM_BYTES))
    }

    /// The id of what `origin` planned for this moment: the same whenever it is asked for.
    #[must_use]
    pub fn planned(at: Timestamp, origin: &str) -> Self {
        let digest = sha256_hex_of_parts(&[origin.as_bytes(), &at.as_millis().to_be_bytes()]);
        Self::at(at, digest.get(..2 * RANDOM_BYTES).unwrap_or_default())
    }

    fn at(time: Timestamp, rest: &str) -> Self {
        // Twelve digits last until the year 10889.
        Self(format!("{:0TIME_DIGITS$x}{rest}", time.as_millis().max(0)))
    }

    /// Reads an id.
    ///
    /// # Errors
    /// [`TaskIdError`] unless `text` is 32 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, TaskIdError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_id = text.len() == TIME_DIGITS + 2 * RANDOM_BYTES && text.bytes().all(hex);
        if is_id { Ok(Self(text.to_owned())) } else { Err(TaskIdError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What has become of a task so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It waits for its first try, or for the next one.
    Queued,
    /// Somebody is at it.
    Running,
    /// It is done, and has a result if its hook gave one.
    Completed,
    /// It is not done and will not be.
    Failed,
    /// Somebody wanted it no more.
    Cancelled,
}

impl TaskStatus {
    const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The status as text: `queued`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a status; `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing more happens to it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who asked for a task, without the rights of that moment: those are judged anew when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskCaller {
    /// The actor's creator, or the actor's own hooks.
    Creator,
    /// The creator's trustee.
    Trustee,
    /// A peer, by its id.
    Peer(String),
    /// Nobody in particular.
    Anonymous,
}

impl TaskCaller {
    /// Who a caller is.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Creator => Self::Creator,
            Caller::Trustee => Self::Trustee,
            Caller::Peer { id, .. } => Self::Peer(id.clone()),
            // Without approval a peer is nobody.
            Caller::Unapproved { .. } | Caller::Anonymous => Self::Anonymous,
        }
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "creator" => Some(Self::Creator),
            "trustee" => Some(Self::Trustee),
            "anonymous" => Some(Self::Anonymous),
            _ => text.strip_prefix("peer:").map(|id| Self::Peer(id.to_owned())),
        }
    }

    /// Whether this caller may see, and cancel, what `asker` asked for: the creator all of it, others their own.
    #[must_use]
    pub fn may_see(&self, asker: &Self) -> bool {
        *self == Self::Creator || self == asker
    }
}

/// `creator`, `trustee`, `anonymous`, or `peer:` and its id.
impl fmt::Display for TaskCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Creator => f.write_str("creator"),
            Self::Trustee => f.write_str("trustee"),
            Self::Peer(id) => write!(f, "peer:{id}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// How far a task has come, as its hook says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// From 0 to 1.
    pub fraction: f64,
    /// What it is at, for people; may be empty.
    pub text: String,
}

impl TaskProgress {
    /// The longest text, in characters.
    const MAX_CHARS: usize = 500;

    /// Progress with a fraction between 0 and 1 (what is not a number is 0) and a text cut at 500 characters.
    #[must_use]
    pub fn new(fraction: f64, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if let Some((end, _)) = text.char_indices().nth(Self::MAX_CHARS) {
            text.truncate(end);
        }
        let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        Self { fraction, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Ones;
    impl Entropy for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    #[test]
    fn ids_are_in_the_order_of_time_and_parse() {
        let ids = [0, 1, 255, 1_795_358_402_120, 1_795_358_402_121]
            .map(|millis| TaskId::generate(Timestamp::from_millis(millis), &Ones));
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        for id in &ids {
            assert_eq!(TaskId::parse(id.as_str()).as_ref(), Ok(id));
        }
        for text in ["", "0", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(TaskId::parse(text), Err(TaskIdError), "{text}");
        }
    }

    #[test]
    fn a_planned_id_depends_on_origin_and_time_alone() {
        let planned = |millis, origin| TaskId::planned(Timestamp::from_millis(millis), origin);
        assert_eq!(planned(5, "a"), planned(5, "a"));
        assert_ne!(planned(5, "a"), planned(6, "a"));
        assert_ne!(planned(5, "a"), planned(5, "b"));
        assert_eq!(TaskId::parse(planned(5, "a").as_str()), Ok(planned(5, "a")));
    }

    #[test]
    fn texts_of_statuses_and_callers_are_read_back() {
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(TaskStatus::parse("done"), None);
        for caller in
            [TaskCaller::Creator, TaskCaller::Trustee, TaskCaller::Anonymous, TaskCaller::Peer("peer:creator".into())]
        {
            assert_eq!(TaskCaller::parse(&caller.to_string()), Some(caller));
        }
        assert_eq!(TaskCaller::parse("nobody"), None);
    }

    #[test]
    fn the_creator_sees_everything_and_others_their_own() {
        let (ann, bob) = (TaskCaller::Peer("ann".into()), TaskCaller::Peer("bob".into()));
        assert!(TaskCaller::Creator.may_see(&ann) && ann.may_see(&ann));
        assert!(!ann.may_see(&bob) && !ann.may_see(&TaskCaller::Creator) && !TaskCaller::Anonymous.may_see(&ann));
    }

    #[test]
    fn progress_is_kept_within_bounds() {
        let fraction = |given| TaskProgress::new(given, "").fraction;
        assert_eq!([-1.0, 0.5, 2.0, f64::NAN, f64::INFINITY].map(fraction), [0.0, 0.5, 1.0, 0.0, 1.0]);
        assert_eq!(TaskProgress::new(0.0, "é".repeat(501)).text, "é".repeat(500));
    }
}
