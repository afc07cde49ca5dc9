//! Fractional ranks: the order of list items, so that an insert or a move writes one item and renumbers none.
//!
//! A [`Rank`] is a text whose **byte order is the list's order**, so it is used as (part of) a sort key as it is.
//! Between any two ranks there is another, before and after every rank too:
//!
//! * append: [`Rank::after`] the last one; prepend: [`Rank::before`] the first one;
//! * insert or move: [`Rank::between`] the neighbours;
//! * a list written at once: [`Rank::spread`], or [`Rank::spread_between`] into an existing list.
//!
//! A rank is an integer of variable length and a fraction after it, both in base 62 (`0-9A-Za-z`, which is ASCII
//! order). The first letter says how many digits the integer has (`a` 1, `b` 2, ... upwards, `Z` 1, `Y` 2, ...
//! downwards from the middle), so runs of appends and prepends grow with the logarithm of their number: 100,000
//! appends need 4 bytes, 7 with jitter. Inserting again and again at one place adds a byte per five or so inserts.
//!
//! # Concurrent inserts
//!
//! Two callers that insert at the same place at once compute their ranks from the same neighbours. Without jitter
//! they get the same rank, and a conditional write must refuse the second. With an [`Entropy`] each draws from some
//! hundred thousand ranks, so they nearly always differ and both writes succeed, in an order that is as good as the
//! other. Jitter makes collisions rare, not impossible: **the write of a new rank must still be conditional on its
//! absence**, and be repeated with a new rank.
//!
//! # When not to use it
//!
//! A rank says nothing about a position: "the third item" needs a count of the ranks before it. Ranks at one place get
//! longer with every insert; when [`Rank::is_long`] says so, write the list again with [`Rank::spread`].

mod fraction;
mod integer;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Entropy;

/// The digits, in ASCII order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The longest rank that is made or read, in bytes: a DynamoDB sort key has 1,024, the rest is for its prefix.
pub const MAX_RANK_BYTES: usize = 900;

/// From this length on a list should be written again; see [`Rank::is_long`].
const LONG_BYTES: usize = 64;

/// The place of an item in a list. Compared bytewise; see the [module](self) for what to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Rank(String);

/// Why there is no rank.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RankError {
    /// The text was not made by [`Rank`].
    #[error("{0:?} is no rank: {1}")]
    Malformed(String, &'static str),
    /// The two neighbours are equal or the wrong way round: they were read from different states of the list.
    #[error("nothing lies between {0} and {1}: the first must be less than the second")]
    Disordered(Rank, Rank),
    /// A rank here would be longer than [`MAX_RANK_BYTES`].
    #[error("the ranks at this place are used up: write the list again with new ranks")]
    Full,
}

impl Rank {
    /// The rank of the first item of an empty list. Without jitter: two callers that both start a list collide, so
    /// prefer `between(None, None, Some(entropy))` where that can happen.
    #[must_use]
    pub fn first() -> Self {
        Self("a0".to_owned())
    }

    /// A rank after this one: an append when this is the last. Takes the next integer, whatever this rank's fraction.
    ///
    /// # Errors
    /// [`RankError::Full`], after some 10^45 appends.
    pub fn after(&self, jitter: Option<&dyn Entropy>) -> Result<Self, RankError> {
        Self::between(Some(self), None, jitter)
    }

    /// A rank before this one: a prepend when this is the first. Takes the previous integer.
    ///
    /// # Errors
    /// [`RankError::Full`], after some 10^45 prepends.
    pub fn before(&self, jitter: Option<&dyn Entropy>) -> Result<Self, RankError> {
        Self::between(None, Some(self), jitter)
    }

    /// A rank greater than `low` and less than `high`; `None` stands for the end of the list on that side.
    ///
    /// Give `jitter` wherever two callers may insert at once, leave it out where one caller writes the whole list.
    ///
    /// # Errors
    /// [`RankError::Disordered`] unless `low < high`; [`RankError::Full`] when the rank would be longer than
    /// [`MAX_RANK_BYTES`], which thousands of inserts at one place lead to when nobody heeds [`Rank::is_long`].
    pub fn between(low: Option<&Self>, high: Option<&Self>, jitter: Option<&dyn Entropy>) -> Result<Self, RankError> {
        match (low.map(Self::parts), high.map(Self::parts)) {
            (None, None) => Self::at("a0", jitter),
            (Some((integer, fraction)), None) => match integer::next(integer) {
                Some(next) => Self::at(&next, jitter),
                None => Self::joined(integer, &fraction::between(fraction, None, jitter)),
            },
            (None, Some((integer, fraction))) => match integer::previous(integer) {
                Some(previous) => Self::at(&previous, jitter),
                None => Self::joined(integer, &fraction::between("", Some(fraction), jitter)),
            },
            (Some((low_integer, low_fraction)), Some((high_integer, high_fraction))) => {
                if low >= high {
                    let pair = low.cloned().zip(high.cloned());
                    return Err(pair.map_or(RankError::Full, |(low, high)| RankError::Disordered(low, high)));
                }
                if low_integer == high_integer {
                    return Self::joined(low_integer, &fraction::between(low_fraction, Some(high_fraction), jitter));
                }
                match integer::next(low_integer) {
                    Some(next) if next.as_str() < high_integer => Self::at(&next, jitter),
                    _ => {
                        let below = fraction::between(low_fraction, None, jitter);
                        if high_fraction.is_empty() {
                            return Self::joined(low_integer, &below);
                        }
                        // Neighbouring integers: there is room below the border and above it. The shorter one keeps
                        // ranks short when inserts creep towards the border from one side.
                        let above = match jitter {
                            None => String::new(),
                            Some(_) => fraction::between("", Some(high_fraction), jitter),
                        };
                        if high_integer.len() + above.len() < low_integer.len() + below.len() {
                            Self::joined(high_integer, &above)
                        } else {
                            Self::joined(low_integer, &below)
                        }
                    }
                }
            }
        }
    }

    /// `count` ranks in ascending order, as short as can be and with room between them: for a list written at once,
    /// and for writing a list again whose ranks [got long](Self::is_long).
    #[must_use]
    pub fn spread(count: usize) -> Vec<Self> {
        let first = Some("a0".to_owned());
        std::iter::successors(first, |integer| integer::next(integer)).take(count).map(Self).collect()
    }

    /// `count` ranks in ascending order between `low` and `high`: several items inserted at one place at once. They
    /// are laid out evenly, which is shorter than inserting one after the other.
    ///
    /// # Errors
    /// As [`Rank::between`].
    pub fn spread_between(
        low: Option<&Self>,
        high: Option<&Self>,
        count: usize,
        jitter: Option<&dyn Entropy>,
    ) -> Result<Vec<Self>, RankError> {
        let mut ranks = Vec::with_capacity(count);
        match (low, high) {
            (_, None) => {
                for _ in 0..count {
                    ranks.push(Self::between(ranks.last().or(low), None, jitter)?);
                }
            }
            (None, Some(_)) => {
                for _ in 0..count {
                    ranks.push(Self::between(None, ranks.last().or(high), jitter)?);
                }
                ranks.reverse();
            }
            (Some(low), Some(high)) => Self::bisect(low, high, count, jitter, &mut ranks)?,
        }
        Ok(ranks)
    }

    fn bisect(
        low: &Self,
        high: &Self,
        count: usize,
        jitter: Option<&dyn Entropy>,
        ranks: &mut Vec<Self>,
    ) -> Result<(), RankError> {
        if count == 0 {
            return Ok(());
        }
        let middle = Self::between(Some(low), Some(high), jitter)?;
        let left = (count - 1) / 2;
        Self::bisect(low, &middle, left, jitter, ranks)?;
        ranks.push(middle.clone());
        Self::bisect(&middle, high, count - 1 - left, jitter, ranks)
    }

    /// Whether this rank is so long (64 bytes, after some two hundred inserts at one place) that the list should be
    /// written again with [`Rank::spread`]. Advice: everything works up to [`MAX_RANK_BYTES`].
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.0.len() >= LONG_BYTES
    }

    /// Reads a rank, for example one a client sent back as an item's handle.
    ///
    /// # Errors
    /// [`RankError::Malformed`] unless the text is one that [`Rank`] makes: such a text has room on both sides.
    pub fn parse(text: &str) -> Result<Self, RankError> {
        // Shown shortened: the text may come from a stranger.
        let malformed = |why| RankError::Malformed(text.chars().take(40).collect(), why);
        if text.len() > MAX_RANK_BYTES {
            return Err(malformed("it is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(malformed("it consists of letters and digits only"));
        }
        let (integer, fraction) = integer::split(text).ok_or_else(|| malformed("its length does not fit its start"))?;
        if fraction.ends_with('0') {
            return Err(malformed("it ends in a zero"));
        }
        if fraction.is_empty() && integer::previous(integer).is_none() {
            return Err(malformed("nothing could come before it"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The rank as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Integer and fraction. Every rank splits; the fallback is unreachable.
    fn parts(&self) -> (&str, &str) {
        integer::split(&self.0).unwrap_or((&self.0, ""))
    }

    /// The rank of an integer, moved a little upwards when there is jitter.
    fn at(integer: &str, jitter: Option<&dyn Entropy>) -> Result<Self, RankError> {
        let lowest = integer::previous(integer).is_none();
        match jitter {
            None if !lowest => Self::joined(integer, ""),
            _ => Self::joined(integer, &fraction::between("", None, jitter)),
        }
    }

    fn joined(integer: &str, fraction: &str) -> Result<Self, RankError> {
        if integer.len() + fraction.len() > MAX_RANK_BYTES {
            return Err(RankError::Full);
        }
        Ok(Self(format!("{integer}{fraction}")))
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Rank {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Rank {
    type Err = RankError;
    fn from_str(text: &str) -> Result<Self, RankError> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for Rank {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
