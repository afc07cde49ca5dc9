//! How to read the rest of a listing at the same time, from what its first page was like.
//!
//! Keys of properties begin with a hash of the name, so what one page covers of the range of hashes says how much the
//! rest holds, and equal parts of the rest hold about the same. How wrong that can be depends on the sizes: the bytes in
//! a part deviate by the square root of (bytes × effective size), where the effective size of an item is Σ size² / Σ size.

use std::ops::RangeInclusive;

/// What DynamoDB sends in one page: items are counted with the names of their attributes.
pub(crate) const MB: usize = 1_048_576;

/// The same, to reckon with.
const PAGE: f64 = 1_048_576.0;

/// How many hashes there are.
const HASHES: f64 = 65_536.0;

/// The most parts that the rest is read in.
pub(crate) const MAX_PARTS: usize = 16;

/// How many standard deviations a part has room for. With many small items, one part in 30,000 needs a second page.
const ROOM: f64 = 4.0;

/// How many standard deviations make an estimate certain: one is wrong in 10⁹.
const CERTAIN: f64 = 6.0;

/// What the first page of a listing was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Density {
    /// The hash of its last key.
    last: u16,
    /// Bytes in it.
    bytes: f64,
    /// Σ size² / Σ size.
    effective_size: f64,
}

impl Density {
    /// Of a page with items of these sizes, that ends in the middle of a listing.
    pub(crate) fn of(sizes: impl Iterator<Item = usize>, last: u16) -> Self {
        let (bytes, squares) = sizes.fold((0.0, 0.0), |(bytes, squares), size| {
            let size = f64::from(u32::try_from(size).unwrap_or(u32::MAX));
            (bytes + size, squares + size * size)
        });
        Self { last, bytes, effective_size: if bytes > 0.0 { squares / bytes } else { 0.0 } }
    }

    /// How many bytes the rest probably has.
    fn rest(&self) -> f64 {
        let covered = f64::from(self.last) + 1.0;
        self.bytes * (HASHES - covered) / covered
    }

    /// The standard deviation of the estimate, relative to it.
    fn deviation(&self) -> f64 {
        if self.bytes > 0.0 { (self.effective_size / self.bytes).sqrt() } else { 1.0 }
    }

    /// Whether the whole has certainly more bytes than `limit`.
    pub(crate) fn exceeds(&self, limit: usize) -> bool {
        let least = self.rest() * (1.0 - CERTAIN * self.deviation());
        self.bytes + least > f64::from(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// The hashes of the rest in parts of which each very probably fits into one page. The first part begins with the
    /// hash that the page ended in.
    pub(crate) fn parts(&self) -> Vec<RangeInclusive<u16>> {
        let fits = |parts: usize| {
            let share = self.rest() / f64::from(u32::try_from(parts).unwrap_or(u32::MAX));
            self.with_room(share) <= PAGE
        };
        split(self.last, (1..MAX_PARTS).find(|parts| fits(*parts)).unwrap_or(MAX_PARTS))
    }

    /// The same, but all of them full, as far as one can know, but for the last; and how many more bytes that one has
    /// room for.
    pub(crate) fn full_parts(&self) -> (Vec<RangeInclusive<u16>>, usize) {
        let last = u32::from(self.last);
        let bytes = |hashes: u32| self.with_room(self.bytes * f64::from(hashes) / f64::from(last + 1));
        let ends: Vec<u32> = (last..=u32::from(u16::MAX)).collect();
        let width = ends.partition_point(|end| bytes(end - last + 1) <= PAGE).max(1);
        if ends.len().div_ceil(width) > MAX_PARTS {
            return (self.parts(), 0);
        }
        let part = |hashes: &[u32]| Some(u16::try_from(*hashes.first()?).ok()?..=u16::try_from(*hashes.last()?).ok()?);
        let rest = u32::try_from(ends.chunks(width).last().map_or(0, <[u32]>::len)).unwrap_or(u32::MAX);
        (ends.chunks(width).filter_map(part).collect(), whole_bytes(PAGE - bytes(rest)))
    }

    /// As many bytes as a part of the rest very probably does not exceed.
    fn with_room(&self, share: f64) -> f64 {
        // The share itself varies, and so does the estimate that it is a share of.
        let variance = share * self.effective_size + (share * self.deviation()).powi(2);
        share + ROOM * variance.sqrt()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a page")]
const fn whole_bytes(bytes: f64) -> usize {
    bytes.clamp(0.0, PAGE) as usize
}

/// All hashes from one on, in at most so many parts of the same size.
fn split(from: u16, parts: usize) -> Vec<RangeInclusive<u16>> {
    let (from, end) = (u32::from(from), u32::from(u16::MAX) + 1);
    let parts = u32::try_from(parts).unwrap_or(u32::MAX).clamp(1, end - from);
    let bound = |part: u32| {
        let hash = u64::from(from) + u64::from(end - from) * u64::from(part) / u64::from(parts);
        u32::try_from(hash).unwrap_or(end)
    };
    let part = |n: u32| Some(u16::try_from(bound(n)).ok()?..=u16::try_from(bound(n + 1) - 1).ok()?);
    (0..parts).filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(count: usize, size: usize, last: u16) -> Density {
        Density::of(std::iter::repeat_n(size, count), last)
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_cover_the_rest(from in 0u16.., parts in 0usize..100) {
            let ranges = split(from, parts);
            prop_assert!(ranges.len() <= parts.max(1));
            prop_assert_eq!(ranges.first().map(|range| *range.start()), Some(from));
            prop_assert_eq!(ranges.last().map(|range| *range.end()), Some(u16::MAX));
            prop_assert!(ranges.iter().all(|range| range.start() <= range.end()));
            for pair in ranges.windows(2) {
                prop_assert_eq!(u32::from(*pair[0].end()) + 1, u32::from(*pair[1].start()));
            }
            let widths = ranges.iter().map(|range| range.end() - range.start());
            prop_assert!(widths.clone().max().unwrap() - widths.min().unwrap() <= 1);
        }

        #[test]
        fn full_parts_cover_the_rest_too(
            sizes in proptest::collection::vec(0usize..20_000, 0..200), last in 0u16..
        ) {
            let (parts, room) = Density::of(sizes.into_iter(), last).full_parts();
            prop_assert!((1..=MAX_PARTS).contains(&parts.len()));
            prop_assert!(room <= MB);
            prop_assert_eq!(*parts[0].start(), last);
            prop_assert_eq!(*parts[parts.len() - 1].end(), u16::MAX);
            for pair in parts.windows(2) {
                prop_assert_eq!(u32::from(*pair[0].end()) + 1, u32::from(*pair[1].start()));
            }
        }

        #[test]
        fn whatever_the_first_page_was_like_the_rest_is_covered(
            sizes in proptest::collection::vec(0usize..400_000, 0..50), last in 0u16..
        ) {
            let parts = Density::of(sizes.into_iter(), last).parts();
            prop_assert!((1..=MAX_PARTS).contains(&parts.len()));
            prop_assert_eq!(*parts[0].start(), last);
            prop_assert_eq!(*parts[parts.len() - 1].end(), u16::MAX);
        }
    }

    #[test]
    fn small_items_take_one_part_per_megabyte() {
        // Half, a third, a quarter and a fifth of the hashes in the first megabyte.
        for (last, parts) in [(36_000, 1), (24_000, 2), (17_500, 3), (14_500, 4)] {
            assert_eq!(page(10_000, 104, last).parts().len(), parts, "{last}");
        }
    }

    #[test]
    fn larger_items_take_more_parts_because_less_is_known_of_them() {
        let count = |count, size| page(count, size, 16_384).parts().len();
        assert!(count(10_000, 104) < count(100, 10_400));
        assert!(count(100, 10_400) < count(3, 340_000));
    }

    #[test]
    fn what_room_is_left_is_in_the_last_part() {
        // Half of the hashes in the first megabyte; then a third.
        let (parts, room) = page(10_000, 104, 36_000).full_parts();
        assert_eq!(parts.len(), 1);
        assert!((100_000..200_000).contains(&room), "{room}");
        let (parts, room) = page(10_000, 104, 22_000).full_parts();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].len() > 10 * parts[2].len() && room > 800_000, "{parts:?} {room}");
        // Nothing but the hash that the page ended in.
        let (parts, room) = page(10_000, 104, u16::MAX).full_parts();
        assert_eq!(parts, [u16::MAX..=u16::MAX]);
        assert!(room > 1_000_000, "{room}");
    }

    #[test]
    fn only_what_is_certain_is_refused_unseen() {
        let limit = 5 * MB;
        assert!(page(10_000, 104, 5_000).exceeds(limit));
        assert!(!page(10_000, 104, 12_600).exceeds(limit), "about the limit");
        assert!(!page(3, 340_000, 1).exceeds(limit), "three items say nothing");
    }
}
