//! The system's clock and randomness: the only place that reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actingweb_protocol::{Clock, Entropy, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The system's wall-clock time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one clock of the system")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken one; zero keeps it in order without a panic.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's secure generator.
#[derive(Clone, Debug)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The generator.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one generator of the system")]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    #[expect(clippy::panic, reason = "ids and passphrases must never be made from anything predictable")]
    fn fill(&self, bytes: &mut [u8]) {
        if self.0.fill(bytes).is_err() {
            panic!("the operating system gives no randomness");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_stand_at_zero() {
        assert!(SystemClock.now().as_secs() > 1_700_000_000);
    }

    #[test]
    fn no_two_fills_are_alike() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        SystemEntropy::new().fill(&mut one);
        SystemEntropy::new().fill(&mut other);
        assert_ne!(one, other);
    }
}
