//! What a peer's answer means for a delivery.

use std::time::Duration;

use actingweb_peer::{PeerError, PeerReply};

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The peer took it.
    Taken,
    /// The peer asks for less of this (429): only what was sent waits.
    TooMany(Option<Duration>),
    /// The peer is not well: 5xx, no answer, or an answer that is none. After `Retry-After`, if it gave one.
    Down(Option<Duration>),
    /// The peer knows of no such thing (404, 410).
    Gone,
    /// What was sent is too large for the peer (413).
    TooLarge,
    /// The credentials mean nothing to the peer, or no longer (401, 403).
    Unknown,
    /// The peer answers, but refuses (any other 4xx). The Python library says 400 when it has no room for more.
    Refused,
}

impl Attempt {
    /// Judges an outcome of a call.
    pub(crate) fn of(outcome: &Result<PeerReply, PeerError>) -> Self {
        let error = match outcome {
            Ok(_) => return Self::Taken,
            Err(error) => error,
        };
        let after = error.retry_after();
        match error.status().map(|status| status.as_u16()) {
            Some(429) => Self::TooMany(after),
            Some(404 | 410) => Self::Gone,
            Some(413) => Self::TooLarge,
            Some(401 | 403) => Self::Unknown,
            Some(408 | 425) => Self::Down(after),
            Some(status) if (400..500).contains(&status) => Self::Refused,
            // 5xx, a redirect, which is not followed, or no answer at all.
            _ => Self::Down(after),
        }
    }

    /// How long the peer asks to wait.
    pub(crate) const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::TooMany(after) | Self::Down(after) => after,
            _ => None,
        }
    }
}

/// What met the last attempt, in words that repeat nothing the peer wrote.
pub(crate) fn reason(error: &PeerError) -> String {
    match error {
        PeerError::Status { status, .. } => format!("the peer answered {status}"),
        other => other.to_string(),
    }
}
