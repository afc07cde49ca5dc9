//! What can go wrong with a call to a peer.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;

use crate::guard::Refusal;

/// A call to a peer that did not give what was asked for. No variant holds a URL or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The guard refused the URL or the address behind its name; nothing was sent.
    #[error("refused to call the peer: {reason}")]
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// The request could not be built from what the caller gave; nothing was sent.
    #[error("the request to the peer could not be built: {reason}")]
    Unsendable {
        /// What was wrong, for the developer.
        reason: String,
    },
    /// No connection: name unknown, connection refused, TLS failed. The peer has not seen the request.
    #[error("the peer could not be reached: {reason}")]
    Unreachable {
        /// The cause in the transport's words.
        reason: String,
    },
    /// The connection broke between request and reply; the peer may have acted on the request.
    #[error("the connection to the peer broke: {reason}")]
    Interrupted {
        /// The cause in the transport's words.
        reason: String,
    },
    /// No complete reply in the time the call had; the peer may have acted on the request.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The reply is larger than the limit; the rest was not read.
    #[error("the peer's reply is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes after decompression.
        limit: usize,
    },
    /// The peer answered with a status other than 2xx. Redirects are not followed and end here, too.
    #[error("the peer answered {status}{}", excerpt(.body_excerpt))]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the peer asks to wait, from `Retry-After`; at most a day.
        retry_after: Option<Duration>,
        /// The beginning of the reply's text, at most 256 characters, on one line. The peer wrote it: show it to
        /// people, never act on it.
        body_excerpt: String,
    },
    /// A success whose body is not the JSON that was asked for.
    #[error("the peer's reply is not the expected JSON: {reason}")]
    NotJson {
        /// What was wrong and where; the body itself is not repeated.
        reason: String,
    },
}

impl PeerError {
    /// Whether the same call may well succeed later. After [`Interrupted`](Self::Interrupted) and
    /// [`TimedOut`](Self::TimedOut) the peer may have acted already: repeat only what may happen twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut => true,
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Refused { .. } | Self::Unsendable { .. } | Self::TooLarge { .. } | Self::NotJson { .. } => false,
        }
    }

    /// How long the peer asked to wait before the next try.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The status the peer answered with, when it answered.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Translates the transport's error. Its own text may hold the URL, which stays out.
    pub(crate) fn from_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if let Some(reason) = find::<Refusal>(&error) {
            return Self::Refused { reason: *reason };
        }
        // A connection that took too long was never used: the peer has not seen the request, but "in time" is
        // what the caller needs to hear.
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let reason = root_cause(&error);
        match () {
            () if error.is_builder() => Self::Unsendable { reason },
            () if error.is_connect() => Self::Unreachable { reason },
            () => Self::Interrupted { reason },
        }
    }
}

impl From<Refusal> for PeerError {
    fn from(reason: Refusal) -> Self {
        Self::Refused { reason }
    }
}

fn excerpt(body: &str) -> String {
    match body {
        "" => String::new(),
        body => format!(": {body}"),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The innermost cause: the outer layers only say that sending failed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> PeerError {
        PeerError::Status {
            status: StatusCode::from_u16(code).unwrap(),
            retry_after: Some(Duration::from_secs(3)),
            body_excerpt: String::new(),
        }
    }

    #[test]
    fn what_may_pass_is_retryable() {
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(status(code).is_retryable(), "{code}");
        }
        for code in [301, 302, 400, 401, 403, 404, 409, 410, 501] {
            assert!(!status(code).is_retryable(), "{code}");
        }
        assert!(PeerError::TimedOut.is_retryable());
        assert!(!PeerError::TooLarge { limit: 1 }.is_retryable());
        assert!(!PeerError::from(Refusal::UserInfo).is_retryable());
    }

    #[test]
    fn only_an_answer_has_a_status_and_a_wait() {
        assert_eq!(status(503).retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(status(503).status(), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(PeerError::TimedOut.retry_after(), None);
        assert_eq!(PeerError::TimedOut.status(), None);
    }

    #[test]
    fn the_message_shows_the_excerpt_only_when_there_is_one() {
        assert_eq!(status(404).to_string(), "the peer answered 404 Not Found");
    }
}
