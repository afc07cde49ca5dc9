//! The small deterministic generator behind the fakes and the faults: SplitMix64 (Steele, Lea, Flood 2014).
//!
//! Not for secrets. It is here because a test must be repeatable from its seed alone.

/// The odd constant SplitMix64 counts by: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scrambles `value`; a bijection on 64 bits, so distinct inputs give distinct outputs.
pub(crate) const fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The `n`th number of the sequence that starts at `seed`.
pub(crate) const fn nth(seed: u64, n: u64) -> u64 {
    mix(seed.wrapping_add(n.wrapping_add(1).wrapping_mul(STEP)))
}

/// A sequence of numbers decided by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    seed: u64,
    drawn: u64,
}

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next number, evenly spread over all 64 bits.
    pub(crate) const fn next(&mut self) -> u64 {
        let value = nth(self.seed, self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        value
    }

    /// True with `probability` (0.0 never, 1.0 always).
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fit a float exactly: a number in [0, 1).
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// A number below `bound`, or 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let value = self.next().checked_rem(bound).unwrap_or(0);
        usize::try_from(value).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_sequence() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn chances_follow_their_probability() {
        let mut rng = Rng::new(1);
        assert!((0..1000).all(|_| rng.chance(1.0)));
        assert!(!(0..1000).any(|_| rng.chance(0.0)));
        let hits = (0..10_000).filter(|_| rng.chance(0.3)).count();
        assert!((2_800..3_200).contains(&hits), "{hits} of 10000 at 0.3");
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = Rng::new(3);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
    }
}
