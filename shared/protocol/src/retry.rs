//! How long to wait before trying again: pure arithmetic shared by every client (store, peers, Bedrock).
//!
//! Waiting itself, and the decision whether a failure is worth another try, belong to the caller.

use std::time::Duration;

use crate::Entropy;

/// The longest `Retry-After` taken at its word. A stranger's server may say anything.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 60 * 60);

/// Exponential backoff with full jitter: before retry `n` (counted from 0) wait a time drawn evenly from
/// zero to `min(cap, base * 2^n)`.
///
/// Full jitter spreads clients that failed together better than a jittered fraction of the step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Upper bound of the wait before the first retry.
    pub base: Duration,
    /// Upper bound of every wait.
    pub cap: Duration,
}

impl Default for Backoff {
    /// 50 ms doubling up to 5 s: several tries fit into one invocation.
    fn default() -> Self {
        Self { base: Duration::from_millis(50), cap: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The longest wait before retry `attempt` (0 is the first retry).
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        // The shift saturates, so a caller that counts past 31 still gets the cap.
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait before retry `attempt` (0 is the first retry), drawn from `entropy`.
    #[must_use]
    pub fn delay(&self, attempt: u32, entropy: &(impl Entropy + ?Sized)) -> Duration {
        let nanos = u64::try_from(self.ceiling(attempt).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(entropy.below(nanos))
    }

    /// As [`delay`](Self::delay), but never sooner than the server asked for with `Retry-After`.
    #[must_use]
    pub fn delay_at_least(
        &self,
        attempt: u32,
        retry_after: Option<Duration>,
        entropy: &(impl Entropy + ?Sized),
    ) -> Duration {
        // Added to the server's wait, the jitter keeps clients that were told the same time apart.
        let jitter = self.delay(attempt, entropy);
        retry_after.map_or(jitter, |wait| wait.saturating_add(jitter))
    }
}

/// Reads a `Retry-After` header (RFC 9110, 10.2.3): whole seconds, or an HTTP date.
///
/// A date is taken relative to the response's own `Date` header, so that neither our clock nor a skewed
/// one at the other end matters; without that header a date says nothing. A date in the past is zero, and
/// nothing is longer than a day. `None`: absent or unreadable.
#[must_use]
pub fn parse_retry_after(value: &str, response_date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only too many digits can fail here: longer than any wait we would grant.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_CAP));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let sent = jiff::fmt::rfc2822::parse(response_date?.trim()).ok()?.timestamp();
    let seconds = until.as_second().saturating_sub(sent.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(RETRY_AFTER_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entropy whose every draw is this number.
    #[derive(Debug)]
    struct Fixed(u64);

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0.to_le_bytes());
        }
    }

    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<_> =
            [0, 1, 2, 4, 5, 31, 32, u32::MAX].map(|attempt| BACKOFF.ceiling(attempt).as_millis()).into();
        assert_eq!(ceilings, [100, 200, 400, 1600, 2000, 2000, 2000, 2000]);
    }

    #[test]
    fn the_delay_spans_zero_to_the_ceiling() {
        let ceiling = BACKOFF.ceiling(1);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap();
        assert_eq!(BACKOFF.delay(1, &Fixed(0)), Duration::ZERO);
        assert_eq!(BACKOFF.delay(1, &Fixed(nanos / 2)), ceiling / 2);
        assert_eq!(BACKOFF.delay(1, &Fixed(nanos - 1)), ceiling - Duration::from_nanos(1));
        assert!(BACKOFF.delay(1, &Fixed(u64::MAX)) < ceiling);
    }

    #[test]
    fn a_servers_wait_is_a_lower_bound() {
        let wait = Duration::from_secs(30);
        assert_eq!(BACKOFF.delay_at_least(0, Some(wait), &Fixed(0)), wait);
        assert!(BACKOFF.delay_at_least(0, Some(wait), &Fixed(9)) > wait);
        assert_eq!(BACKOFF.delay_at_least(0, None, &Fixed(0)), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_relative_to_the_response() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, date, expected) in [
            ("0", None, Some(0)),
            (" 120 ", None, Some(120)),
            ("99999999999999999999999", None, Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", date, Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", date, Some(0)),
            ("Fri, 06 Nov 2094 08:00:00 GMT", date, None), // a wrong weekday is no date
            ("Sat, 06 Nov 2094 08:00:00 GMT", date, Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
            ("-1", date, None),
            ("1.5", date, None),
            ("soon", date, None),
            ("", date, None),
        ] {
            assert_eq!(parse_retry_after(value, date), expected.map(Duration::from_secs), "{value:?}");
        }
    }
}
