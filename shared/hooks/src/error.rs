//! How a hook fails, and what its caller is told.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use actingweb_actor::{ActorError, DirectoryError, ListError};
use actingweb_bedrock::BedrockError;
use actingweb_peer::PeerError;
use actingweb_protocol::retry::Retry;

use crate::mcp::Question;

/// Any error, on its way into a [`HookError`].
pub type BoxError = Box<dyn Error + Send + Sync>;

/// How a hook fails. The variant decides the status and whether the caller may see the reason:
///
/// | variant | status | the caller sees |
/// |---|---|---|
/// | [`Rejected`](Self::Rejected) | 403 | the reason |
/// | [`NotFound`](Self::NotFound) | 404 | what was not found |
/// | [`Invalid`](Self::Invalid) | 400 | the reason |
/// | [`TooLarge`](Self::TooLarge) | 413 | the reason |
/// | [`Exhausted`](Self::Exhausted) | 429, `Retry-After` | the reason |
/// | [`Retryable`](Self::Retryable) | 503, `Retry-After` when known | the reason, not the source |
/// | [`NeedsInput`](Self::NeedsInput) | 400 | the question, which AI clients that can put to their user |
/// | [`Terminal`](Self::Terminal) | 500 | nothing of it: the text is for the log |
///
/// `?` works on the errors of `serde_json`, `reqwest`, `std::io`, the [`Actor`](crate::Actor), peers and Bedrock. For
/// any other error say `.map_err(HookError::terminal)?`, or choose a variant that tells the caller more.
#[derive(Debug)]
#[non_exhaustive]
pub enum HookError {
    /// The application refuses, whatever the input. The text is shown to the caller.
    Rejected(String),
    /// What the call is about does not exist. The text says what, and is shown to the caller.
    NotFound(String),
    /// The input is wrong. The text says what is wrong with it, and is shown to the caller.
    Invalid(String),
    /// What was sent, or what the answer would be, is too large. The text is shown to the caller.
    TooLarge(String),
    /// What the caller, or the actor, may use is used up for now. The text is shown to the caller.
    Exhausted {
        /// Shown to the caller: what is used up.
        reason: String,
        /// How long until there is some again.
        retry_after: Duration,
    },
    /// It may well work later: something this hook needs is busy or away.
    Retryable {
        /// Shown to the caller.
        reason: String,
        /// How long the caller should wait, when that is known.
        retry_after: Option<Duration>,
        /// What happened; logged, never shown.
        source: Option<BoxError>,
    },
    /// The user has to be asked first. Made by [`Ask`](crate::Ask).
    NeedsInput(Box<Question>),
    /// Trying again will not help. Logged in full, never shown.
    Terminal(BoxError),
}

impl HookError {
    /// The application refuses (403). The reason is shown to the caller.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    /// What the call is about does not exist (404). The text is shown to the caller: `"invoice 17"`.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound(what.into())
    }

    /// The input is wrong (400). The reason is shown to the caller.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// It may work later (503). The reason is shown to the caller; add [`after`](Self::after) when the wait is known.
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable { reason: reason.into(), retry_after: None, source: None }
    }

    /// Any other error, or a text (500). Logged with the hook's name, never shown to the caller.
    ///
    /// ```
    /// # use actingweb_hooks::HookError;
    /// fn port(text: &str) -> Result<u16, HookError> {
    ///     text.parse().map_err(HookError::terminal)
    /// }
    /// assert!(matches!(port("http"), Err(HookError::Terminal(_))));
    /// ```
    pub fn terminal(source: impl Into<BoxError>) -> Self {
        Self::Terminal(source.into())
    }

    /// What may be used is used up for now (429). The reason is shown to the caller, with how long to wait.
    pub fn exhausted(reason: impl Into<String>, retry_after: Duration) -> Self {
        Self::Exhausted { reason: reason.into(), retry_after }
    }

    /// Tells the caller of a retryable failure how long to wait. No effect on the other variants.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Self::Retryable { retry_after, .. } = &mut self {
            *retry_after = Some(wait);
        }
        self
    }

    /// The HTTP status this failure becomes.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Rejected(_) => 403,
            Self::NotFound(_) => 404,
            Self::Invalid(_) | Self::NeedsInput(_) => 400,
            Self::TooLarge(_) => 413,
            Self::Exhausted { .. } => 429,
            Self::Retryable { .. } => 503,
            Self::Terminal(_) => 500,
        }
    }

    /// The variant in one word, for logs.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too_large",
            Self::Exhausted { .. } => "exhausted",
            Self::Retryable { .. } => "retryable",
            Self::NeedsInput(_) => "needs_input",
            Self::Terminal(_) => "terminal",
        }
    }

    /// Whether trying again may help, and after which wait at least. What the clients for peers, Bedrock and storage gave
    /// up on was tried again by them already.
    pub(crate) fn worth_another_try(&self) -> Option<Option<Duration>> {
        let Self::Retryable { retry_after, source, .. } = self else { return None };
        let tried = source
            .as_ref()
            .is_some_and(|source| source.is::<PeerError>() || source.is::<BedrockError>() || source.is::<ActorError>());
        (!tried).then_some(*retry_after)
    }

    pub(crate) fn busy(reason: &str, retry_after: Option<Duration>, source: impl Into<BoxError>) -> Self {
        Self::Retryable { reason: reason.to_owned(), retry_after, source: Some(source.into()) }
    }
}

/// For logs: it includes what a caller must not see.
impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
            Self::NotFound(what) => write!(f, "not found: {what}"),
            Self::Invalid(reason) => write!(f, "invalid: {reason}"),
            Self::TooLarge(reason) => write!(f, "too large: {reason}"),
            Self::Exhausted { reason, .. } => write!(f, "exhausted: {reason}"),
            Self::Retryable { reason, source: None, .. } => write!(f, "{reason}"),
            Self::Retryable { reason, source: Some(source), .. } => write!(f, "{reason}: {}", Causes(source.as_ref())),
            Self::NeedsInput(question) => write!(f, "needs input: {}", question.message),
            Self::Terminal(source) => write!(f, "{}", Causes(source.as_ref())),
        }
    }
}

impl Error for HookError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Terminal(source) | Self::Retryable { source: Some(source), .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

/// An error and what caused it, on one line. Outer layers often say nothing but "sending failed".
struct Causes<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0.to_string();
        for cause in std::iter::successors(self.0.source(), |error| (*error).source()) {
            let text = cause.to_string();
            // Many errors repeat their cause's text in their own.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
        }
        Ok(())
    }
}

impl From<serde_json::Error> for HookError {
    fn from(error: serde_json::Error) -> Self {
        Self::terminal(error)
    }
}

impl From<std::io::Error> for HookError {
    fn from(error: std::io::Error) -> Self {
        Self::terminal(error)
    }
}

/// A service that is away or overloaded is retryable, anything else terminal. The URL stays out of both: it may carry
/// a key.
impl From<reqwest::Error> for HookError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let overloaded = error.status().is_some_and(|status| matches!(status.as_u16(), 408 | 425 | 429 | 502..=504));
        if overloaded || error.is_timeout() || error.is_connect() {
            return Self::busy("a service this hook needs does not answer", None, error);
        }
        Self::terminal(error)
    }
}

/// What may pass is retryable. A URL the guard refuses is the caller's mistake; a peer that refuses us, or talks
/// nonsense, is nothing the caller can mend.
impl From<PeerError> for HookError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Refused { reason } => Self::invalid(format!("this peer must not be called: {reason}")),
            error if error.is_retryable() => Self::busy("a peer does not answer", error.retry_after(), error),
            error => Self::terminal(error),
        }
    }
}

/// What is not there is not found; a name that is no list, or one changed meanwhile, is invalid input.
impl From<ListError> for HookError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Actor(error) => error.into(),
            ListError::Missing(_) | ListError::OutOfRange { .. } | ListError::NoSuchItem(_) => {
                Self::NotFound(error.to_string())
            }
            ListError::Plain(_) | ListError::Changed(_) => Self::Invalid(error.to_string()),
            // What exactly was denied is for the log.
            ListError::Denied(_) => Self::terminal(error),
        }
    }
}

/// Busy storage is retryable; a name or value that cannot be stored is invalid input, as hooks mostly store what they
/// were sent; the rest is terminal.
impl From<ActorError> for HookError {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Busy { retry_after } => Self::busy("storage is busy", Some(retry_after), error),
            ActorError::Gone => Self::NotFound(error.to_string()),
            ActorError::TooLarge { .. } | ActorError::Invalid(_) | ActorError::Conflict(_) => {
                Self::Invalid(error.to_string())
            }
            error => Self::terminal(error),
        }
    }
}

/// Storage that is busy is retryable; a property that is not indexed is the application's to mend, so it is terminal.
impl From<DirectoryError> for HookError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Storage(error) => error.into(),
            error => Self::terminal(error),
        }
    }
}

/// What a caller is told to wait when Bedrock does not say, which it rarely does: the longest wait of our own tries.
const MODEL_RETRY_AFTER: Duration = Retry::times(1).backoff.cap;

/// Throttling and outages are retryable, and say when. A budget that is spent is exhausted until it is renewed; what does
/// not fit into a whole budget is too long a prompt, and invalid. Missing settings, denied access and refused prompts are
/// the deployment's or the application's to mend, so they are terminal.
impl From<BedrockError> for HookError {
    fn from(error: BedrockError) -> Self {
        match &error {
            BedrockError::BudgetSpent(spent) => match spent.retry_after() {
                Some(wait) => Self::exhausted(spent.to_string(), wait),
                None => Self::Invalid(spent.to_string()),
            },
            BedrockError::BudgetUnknown { retry_after: Some(wait), .. } => {
                Self::busy("storage is busy", Some(*wait), error)
            }
            BedrockError::Throttled { .. } => {
                let wait = error.retry_after().unwrap_or(MODEL_RETRY_AFTER);
                Self::busy("the model has more requests than it takes at the moment", Some(wait), error)
            }
            _ if error.is_retryable() => {
                let wait = error.retry_after().unwrap_or(MODEL_RETRY_AFTER);
                Self::busy("the model is not available at the moment", Some(wait), error)
            }
            _ => Self::terminal(error),
        }
    }
}

/// A hook's failure as its caller sees it; the fields of a problem document (RFC 9457) and nothing that must not leave
/// the process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HookFailure {
    /// The name the hook is registered under.
    pub hook: String,
    /// The HTTP status: 400, 403, 404, 413, 429, 500, 503 or 504.
    pub status: u16,
    /// What kind of failure it is, the same for every occurrence.
    pub title: &'static str,
    /// What went wrong this time.
    pub detail: String,
    /// How long to wait before trying again, when that is known.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// Whether it may go well another time: what [`HookError::Retryable`] and [`HookError::Exhausted`] say, and whatever
    /// ended without a word of the hook's, by a panic or by its deadline.
    #[serde(skip)]
    pub may_pass: bool,
    /// The hooks that did not finish, by the names they are registered under: for 504, and for 503 of one that was not
    /// even started. What those others did that are not named here is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// The question that the hook has for the user of an AI client.
    #[serde(skip)]
    pub question: Option<Box<Question>>,
}

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hook `{}`: {} ({}): {}", self.hook, self.title, self.status, self.detail)
    }
}

impl Error for HookFailure {}

/// Why the engine has no answer from a hook.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The hook, or a task of its own, returned this.
    Failed(HookError),
    /// It panicked with this message.
    Panicked(String),
    /// Its deadline passed while it ran.
    TimedOut,
    /// Its deadline passed while a task it had spawned was still running.
    TasksTimedOut,
    /// Its deadline passed before there was room to run it.
    NeverRan,
}

impl From<HookError> for Stop {
    fn from(error: HookError) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    /// What the caller is told.
    pub(crate) fn into_failure(self, hook: &str) -> HookFailure {
        const INTERNAL: &str = "the hook failed; the log says why, under this request's id";
        let unfinished = match self {
            Self::TimedOut | Self::TasksTimedOut | Self::NeverRan => vec![hook.to_owned()],
            Self::Failed(_) | Self::Panicked(_) => Vec::new(),
        };
        let may_pass = match &self {
            Self::Failed(error) => matches!(error, HookError::Retryable { .. } | HookError::Exhausted { .. }),
            Self::Panicked(_) | Self::TimedOut | Self::TasksTimedOut | Self::NeverRan => true,
        };
        let question = match &self {
            Self::Failed(HookError::NeedsInput(question)) => Some(question.clone()),
            _ => None,
        };
        let (status, title, detail, retry_after) = match self {
            Self::Failed(error) => {
                let status = error.status();
                match error {
                    HookError::Rejected(reason) => (status, "Rejected by the application", reason, None),
                    HookError::NotFound(what) => (status, "Not found", what, None),
                    HookError::Invalid(reason) => (status, "Invalid input", reason, None),
                    HookError::TooLarge(reason) => (status, "Too large", reason, None),
                    HookError::Exhausted { reason, retry_after } => {
                        (status, "Used up for now", reason, Some(retry_after))
                    }
                    HookError::Retryable { reason, retry_after, .. } => {
                        (status, "Temporarily unavailable", reason, retry_after)
                    }
                    HookError::NeedsInput(question) => {
                        let detail = format!(
                            "this call asks its user first, which takes an AI client that shows forms (MCP 2026-07-28): {}",
                            question.message
                        );
                        (status, "Needs input", detail, None)
                    }
                    HookError::Terminal(_) => (status, "The hook failed", INTERNAL.to_owned(), None),
                }
            }
            Self::Panicked(_) => (500, "The hook failed", INTERNAL.to_owned(), None),
            Self::TimedOut => {
                (504, "The hook ran out of time", format!("`{hook}` did not finish by its deadline"), None)
            }
            Self::TasksTimedOut => {
                let detail = format!("a task that `{hook}` had started did not finish by its deadline");
                (504, "The hook ran out of time", detail, None)
            }
            Self::NeverRan => {
                let detail = format!("there was no room or no time left to start `{hook}`");
                (503, "Temporarily unavailable", detail, Some(Duration::from_secs(1)))
            }
        };
        HookFailure { hook: hook.to_owned(), status, title, detail, retry_after, may_pass, unfinished, question }
    }
}
