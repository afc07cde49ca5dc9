//! Time and randomness that a test decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use actingweb_protocol::{Clock, Entropy, Timestamp};

use crate::rng;

/// 2026-01-01T00:00:00Z, where a [`FakeClock`] starts unless told otherwise.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A clock that moves only when told to. Clones show the same time: keep one, hand the other to what is tested.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    /// A clock at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::at(START)
    }

    /// A clock at `moment`.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(moment.as_millis())))
    }

    /// Moves the clock forward by `span`, rounded down to milliseconds.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Moves the clock to `moment`, forward or back.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.as_millis(), Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness decided by a seed: ids in assertions stay the same from run to run.
///
/// No two fills of eight bytes or more start alike, so ids made from it are unique as they would be in production.
/// Clones continue one sequence. Under concurrency the order of the calls decides who gets which bytes.
#[derive(Clone, Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: Arc<AtomicU64>,
}

impl SeededEntropy {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Mixed, because neighbouring seeds would otherwise give sequences that overlap.
        Self { seed: rng::mix(seed), drawn: Arc::new(AtomicU64::new(0)) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let random = rng::nth(self.seed, drawn).to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(random) {
                *byte = random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_clock_stands_still_until_advanced() {
        let clock = FakeClock::new();
        let handed_out = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00.000Z");

        clock.advance(Duration::from_millis(1_500));
        assert_eq!(handed_out.now().to_string(), "2026-01-01T00:00:01.500Z");

        clock.set(Timestamp::from_millis(-5));
        assert_eq!(handed_out.now().as_millis(), -5);
    }

    #[test]
    fn a_seed_decides_the_bytes() {
        let draw = |seed| {
            let entropy = SeededEntropy::new(seed);
            let mut bytes = [0; 20];
            entropy.fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn fills_never_repeat() {
        let entropy = SeededEntropy::new(0);
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let mut bytes = [0; 8];
            entropy.clone().fill(&mut bytes);
            assert!(seen.insert(bytes), "{bytes:?} came twice");
        }
    }
}
