//! How much is kept of a feed, and where that ends.
//!
//! A peer that is subscribed to decides what it tells. So a feed's row counts what is kept, in the write that keeps it.
//! A value that replaces one that was not read counts in full: the count is never too low, and is too high the more
//! often values change. Once it reaches a bound, what is there is counted once, and from then on whatever is replaced is
//! read before. Data that is read anew is counted anew.

use actingweb_protocol::ActorId;
use actingweb_protocol::feed::Remote;

use super::FeedRecord;
use super::rows::value_row;
use crate::item::{self, Item};
use crate::{Store, StoreError};

/// The most names kept of one subscription.
const MAX_REMOTE_NAMES: u64 = 10_000;

/// The most bytes kept of one subscription, with names and keys: all of it can be read at once.
const MAX_REMOTE_BYTES: u64 = 16_000_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) names: u64,
    pub(crate) bytes: u64,
    /// Whether it was counted, and is kept exact; otherwise it may be too high.
    pub(crate) exact: bool,
}

impl Size {
    /// Counts one more row; false when there is no room for it.
    pub(super) fn take(&mut self, row: &Item) -> bool {
        let bytes = self.bytes.saturating_add(bytes_of(row));
        let fits = self.names < MAX_REMOTE_NAMES && bytes <= MAX_REMOTE_BYTES;
        if fits {
            self.names += 1;
            self.bytes = bytes;
        }
        fits
    }

    fn give_back(&mut self, row: &Item) {
        self.names = self.names.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes_of(row));
    }

    /// Counts the way from `old` to `new` and takes out of `new` what there is no room for; true when there was any.
    pub(super) fn fit(&mut self, partition: &str, old: &Remote, new: &mut Remote) -> bool {
        for (name, kept) in old.iter().filter(|(name, kept)| new.get(*name) != Some(kept)) {
            value_row(partition, name, kept).iter().for_each(|row| self.give_back(row));
        }
        let before = new.len();
        new.retain(|name, kept| {
            old.get(name) == Some(kept) || value_row(partition, name, kept).is_none_or(|row| self.take(&row))
        });
        let left_out = new.len() < before;
        if left_out && self.exact {
            tracing::warn!(
                names = self.names,
                bytes = self.bytes,
                "a peer tells more than is kept of one subscription"
            );
        }
        left_out
    }
}

fn bytes_of(row: &Item) -> u64 {
    u64::try_from(item::size(row)).unwrap_or(u64::MAX)
}

impl Store {
    /// Counts what is kept of a feed: one call per MB, never more than the bounds and one page.
    pub(super) async fn count_remote(&self, actor: &ActorId, feed: &FeedRecord) -> Result<Size, StoreError> {
        let mut size = Size { exact: true, ..Size::default() };
        if !feed.has_data() {
            return Ok(size);
        }
        let mut pages = self.pages(&feed.partition(actor, &feed.generation), "", None);
        while let Some(rows) = pages.next().await? {
            if !rows.iter().all(|row| size.take(row)) {
                break;
            }
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use actingweb_protocol::feed::Kept;
    use serde_json::json;

    use super::*;

    fn values(names: impl Iterator<Item = u64>, value: &str) -> Remote {
        names.map(|n| (format!("p{n:05}"), Kept::Value(json!(value)))).collect()
    }

    #[test]
    fn names_are_taken_until_there_is_no_room_and_what_goes_makes_room() {
        let mut size = Size::default();
        let mut all = values(0..MAX_REMOTE_NAMES + 5, "x");
        assert!(size.fit("partition", &Remote::new(), &mut all));
        assert_eq!((size.names, all.len() as u64), (MAX_REMOTE_NAMES, MAX_REMOTE_NAMES));

        let full = size;
        let mut one = values(20_000..20_001, "x");
        assert!(size.fit("partition", &Remote::new(), &mut one) && one.is_empty());
        assert_eq!(size, full, "what is left out does not count");
        assert!(!size.fit("partition", &values(0..1, "x"), &mut values(20_000..20_001, "x")), "one goes, one comes");
        assert_eq!(size, full);
    }

    #[test]
    fn bytes_count_by_what_replaces_what() {
        let mut size = Size::default();
        let small = values(0..1, "x");
        assert!(!size.fit("partition", &Remote::new(), &mut small.clone()));
        let before = size;
        let mut large = values(0..1, &"x".repeat(1_000));
        assert!(!size.fit("partition", &small, &mut large));
        assert_eq!((size.names, size.bytes), (1, before.bytes + 999));
        assert!(!size.fit("partition", &large, &mut small.clone()));
        assert_eq!(size, before);
        assert!(!size.fit("partition", &small, &mut Remote::new()));
        assert_eq!(size, Size::default());
    }
}
