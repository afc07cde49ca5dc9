//! When a token of a generation is good.
//!
//! A grant has one current generation of tokens. A refresh begins the next one. Its reply may get lost, and a client may
//! refresh in several places at once, so the refresh token before the current one gives the current tokens again for a
//! short while; any other that was replaced is in somebody else's hands.

use std::time::Duration;

use crate::Timestamp;

/// How long a refresh token that was replaced still gives the tokens that replaced it.
pub const GRACE: Duration = Duration::from_secs(60);

/// What to do about a refresh token that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the current one: begin the next generation.
    Rotate,
    /// It was replaced just now: give the current tokens again.
    Repeat,
    /// It was replaced before that: the grant ends.
    Reused,
}

/// Judges a refresh token that was issued as `presented`, when `current` began at `rotated_at`.
#[must_use]
pub fn judge_refresh(presented: u32, current: u32, rotated_at: Timestamp, now: Timestamp) -> Judgement {
    let in_grace = now <= rotated_at.plus(GRACE);
    match current.checked_sub(presented) {
        Some(0) => Judgement::Rotate,
        Some(1) if in_grace => Judgement::Repeat,
        // One of a later generation than the current was never issued; whoever claims so is not helped.
        _ => Judgement::Reused,
    }
}

/// Whether an access token of a generation is still good: that of the current one and the one before, each until its own
/// end.
#[must_use]
pub fn judge_access(presented: u32, current: u32, [ends, ended_before]: [Timestamp; 2], now: Timestamp) -> bool {
    match current.checked_sub(presented) {
        Some(0) => now < ends,
        Some(1) => now < ended_before,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn the_one_before_is_good_for_a_minute() {
        let judge = |presented, now| judge_refresh(presented, 5, at(1000), at(now));
        assert_eq!(judge(5, 1000), Judgement::Rotate);
        assert_eq!(judge(5, 1_000_000), Judgement::Rotate);
        assert_eq!(judge(4, 1060), Judgement::Repeat);
        assert_eq!(judge(4, 1061), Judgement::Reused);
        assert_eq!(judge(3, 1000), Judgement::Reused);
        assert_eq!(judge(6, 1000), Judgement::Reused);
    }

    #[test]
    fn access_ends_by_itself_or_two_generations_later() {
        let judge = |presented, now| judge_access(presented, 5, [at(4600), at(4000)], at(now));
        assert!(judge(5, 4599) && !judge(5, 4600));
        assert!(judge(4, 3999) && !judge(4, 4000));
        assert!(!judge(3, 0) && !judge(6, 0));
    }
}
