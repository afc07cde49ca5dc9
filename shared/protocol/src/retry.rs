//! How long to wait before trying again: pure arithmetic shared by every client (store, peers, Bedrock, hooks).
//!
//! [`Retry`] is the policy of what is called from hooks; storage has its own [`Backoff`], in milliseconds. Waiting itself,
//! and the decision whether a failure is worth another try, belong to the caller.

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

/// How often something is tried, and how long is waited in between.
///
/// There is one such policy in a call: what was tried by a client is not tried again by whoever called it.
///
/// ```
/// use actingweb_protocol::retry::Retry;
///
/// assert_eq!(Retry::default().tries, 3);
/// assert_eq!(Retry::times(5).tries, 5);
/// assert_eq!(Retry::OFF.tries, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, the first included; 0 counts as 1.
    pub tries: u32,
    /// How long is waited, when whoever was called does not say.
    pub backoff: Backoff,
}

impl Default for Retry {
    /// Three tries, the first wait up to 250 ms, the second up to 500 ms.
    fn default() -> Self {
        Self::times(3)
    }
}

impl Retry {
    /// One try.
    pub const OFF: Self = Self::times(1);

    /// This many tries, the first included, with waits of up to 250 ms that double up to 4 s.
    #[must_use]
    pub const fn times(tries: u32) -> Self {
        Self { tries, backoff: Backoff { base: Duration::from_millis(250), cap: Duration::from_secs(4) } }
    }

    /// The wait before the next try, after `failed` tries: `None` when that was the last one, or when the wait would not
    /// end within `left`. The last reason is worth more to the caller than running out of time.
    ///
    /// A `Retry-After` wins over the backoff: no try comes sooner, however long it is.
    #[must_use]
    pub fn wait(
        &self,
        failed: u32,
        retry_after: Option<Duration>,
        left: Duration,
        entropy: &(impl Entropy + ?Sized),
    ) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let wait = self.backoff.delay_at_least(failed.saturating_sub(1), retry_after, entropy);
        (wait < left).then_some(wait)
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
    fn a_policy_ends_with_its_tries_or_with_the_time() {
        let hour = Duration::from_secs(3600);
        let wait = |retry: Retry, failed, asked, left| retry.wait(failed, asked, left, &Fixed(0));
        assert_eq!(wait(Retry::default(), 1, None, hour), Some(Duration::ZERO));
        assert_eq!(wait(Retry::default(), 2, None, hour), Some(Duration::ZERO));
        assert_eq!(wait(Retry::default(), 3, None, hour), None);
        assert_eq!(wait(Retry::OFF, 1, None, hour), None);
        assert_eq!(wait(Retry { tries: 0, ..Retry::OFF }, 1, None, hour), None);
        let minute = Duration::from_secs(60);
        assert_eq!(wait(Retry::default(), 1, Some(minute), hour), Some(minute));
        assert_eq!(wait(Retry::default(), 1, Some(minute), minute), None);
        assert_eq!(wait(Retry::default(), 1, None, Duration::ZERO), None);
    }

    #[test]
    fn each_wait_of_a_policy_is_drawn_below_twice_the_one_before() {
        let longest = |failed| {
            let backoff = Retry::times(99).backoff;
            let most = u64::try_from(backoff.ceiling(failed - 1).as_nanos()).unwrap() - 1;
            Retry::times(99).wait(failed, None, Duration::MAX, &Fixed(most)).unwrap().as_millis()
        };
        assert_eq!([1, 2, 3, 4, 5, 6].map(longest), [249, 499, 999, 1999, 3999, 3999]);
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
