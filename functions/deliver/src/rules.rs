//! When a delivery is tried again, when it is given up, and when a peer is left alone: pure rules.

use std::time::Duration;

use actingweb_protocol::retry::Backoff;
use actingweb_protocol::{Entropy, Timestamp};
use actingweb_store::Breaker;

/// How long to wait before a delivery that failed is tried again: full jitter up to ten seconds, doubling up to an hour.
pub const RETRIES: Backoff = Backoff { base: Duration::from_secs(10), cap: Duration::from_secs(3600) };

/// How long deliveries are tried. A peer that was away for a weekend misses nothing.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// How often in a row a peer may say that it knows of no such subscription (404, 410) before it is believed. It may say
/// so for a moment: a subscriber stores its side of a subscription only after this side answered, and a peer that is
/// being deployed answers 404 to everything.
pub const GONE_ATTEMPTS: u32 = 6;

/// After how many failures in a row a peer is left alone.
pub const BREAKER_FAILURES: u32 = 5;

/// How long it is left alone at first; doubled with each probe that fails.
pub const COOLDOWN: Duration = Duration::from_secs(60);

/// The longest a peer is left alone.
pub const LONGEST_COOLDOWN: Duration = Duration::from_secs(3600);

/// When to try again what failed `failures` times before, and was answered with this `Retry-After` now.
#[must_use]
pub fn retry_at(now: Timestamp, failures: u32, retry_after: Option<Duration>, entropy: &dyn Entropy) -> Timestamp {
    now.plus(RETRIES.delay_at_least(failures, retry_after, entropy))
}

/// Whether to give up what has been failing since then, and was called gone so often in a row.
#[must_use]
pub fn is_hopeless(now: Timestamp, failing_since: Timestamp, gone: u32) -> bool {
    gone >= GONE_ATTEMPTS || failing_since.plus(GIVE_UP_AFTER) <= now
}

/// How long a peer is left alone that failed so often in a row; `None` while it is not.
#[must_use]
pub fn cooldown(failures: u32) -> Option<Duration> {
    let probes = failures.checked_sub(BREAKER_FAILURES)?;
    let factor = 1_u32.checked_shl(probes).unwrap_or(u32::MAX);
    Some(COOLDOWN.saturating_mul(factor).min(LONGEST_COOLDOWN))
}

/// Whether a peer may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Closed,
    /// Not before then.
    Open(Timestamp),
    /// Once, to see whether it answers again.
    Probe,
}

/// Whether a peer may be called now.
#[must_use]
pub fn gate(breaker: Breaker, now: Timestamp) -> Gate {
    match breaker.open_until {
        Some(until) if until > now => Gate::Open(until),
        Some(_) if breaker.failures >= BREAKER_FAILURES => Gate::Probe,
        // One that asked for a moment of peace and had it, or one that did not fail often enough.
        _ => Gate::Closed,
    }
}

#[cfg(test)]
mod tests {
    use actingweb_protocol::Clock as _;
    use actingweb_testkit::fakes::{FakeClock, SeededEntropy};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_retry_is_neither_before_what_was_asked_for_nor_much_later(
            failures in 0..100_u32, asked in proptest::option::of(0..100_000_u64), seed: u64,
        ) {
            let now = FakeClock::new().now();
            let asked = asked.map(Duration::from_secs);
            let at = retry_at(now, failures, asked, &SeededEntropy::new(seed));
            let earliest = now.plus(asked.unwrap_or_default());
            prop_assert!(at >= earliest);
            prop_assert!(at <= earliest.plus(RETRIES.ceiling(failures)));
            prop_assert!(RETRIES.ceiling(failures) <= RETRIES.cap);
        }

        /// The breaker as a whole, against a peer that fails and answers as it likes.
        #[test]
        fn a_peer_is_left_alone_after_failures_in_a_row_and_probed_once(
            answers in proptest::collection::vec((any::<bool>(), 0..7_200_u64), 1..200),
        ) {
            let clock = FakeClock::new();
            let mut breaker = Breaker::default();
            let mut failed_in_a_row = 0_u32;
            for (answered, pause) in answers {
                clock.advance(Duration::from_secs(pause));
                let now = clock.now();
                match gate(breaker, now) {
                    Gate::Open(until) => {
                        prop_assert!(failed_in_a_row >= BREAKER_FAILURES);
                        prop_assert!(until <= now.plus(LONGEST_COOLDOWN));
                        continue;
                    }
                    Gate::Closed => prop_assert!(failed_in_a_row < BREAKER_FAILURES),
                    Gate::Probe => {
                        prop_assert!(failed_in_a_row >= BREAKER_FAILURES);
                        // Whoever takes the probe shuts the door behind itself.
                        breaker.open_until = Some(now.plus(COOLDOWN));
                        prop_assert!(matches!(gate(breaker, now), Gate::Open(_)));
                    }
                }
                if answered {
                    (breaker, failed_in_a_row) = (Breaker::default(), 0);
                } else {
                    failed_in_a_row += 1;
                    breaker.failures = failed_in_a_row;
                    breaker.open_until = cooldown(failed_in_a_row).map(|cooldown| now.plus(cooldown));
                }
            }
        }
    }

    #[test]
    fn the_cooldown_doubles_to_an_hour() {
        let minutes: Vec<_> = [0, 4, 5, 6, 7, 10, 11, 12, 50, u32::MAX]
            .map(|failures| cooldown(failures).map(|cooldown| cooldown.as_secs() / 60))
            .into();
        assert_eq!(minutes, [None, None, Some(1), Some(2), Some(4), Some(32), Some(60), Some(60), Some(60), Some(60)]);
    }

    #[test]
    fn three_days_or_six_times_gone_is_enough() {
        let clock = FakeClock::new();
        let since = clock.now();
        clock.advance(GIVE_UP_AFTER - Duration::from_secs(1));
        assert!(!is_hopeless(clock.now(), since, GONE_ATTEMPTS - 1));
        assert!(is_hopeless(clock.now(), since, GONE_ATTEMPTS));
        clock.advance(Duration::from_secs(1));
        assert!(is_hopeless(clock.now(), since, 0));
    }

    #[test]
    fn a_moment_of_peace_that_was_asked_for_needs_no_probe() {
        let now = FakeClock::new().now();
        let asked = Breaker { failures: 1, open_until: Some(now) };
        assert_eq!(gate(asked, now), Gate::Closed);
        assert_eq!(gate(Breaker { failures: 5, ..asked }, now), Gate::Probe);
        assert_eq!(gate(Breaker { failures: 5, open_until: None }, now), Gate::Closed, "nobody wrote down until when");
    }
}
