//! The order of diffs: numbers start at 1, each counts once, and none is applied before those it follows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many diffs wait for those before them, at most.
pub const MAX_PENDING: usize = 100;

/// How many bytes of JSON text they hold together, at most: they wait in one item of the table.
pub const MAX_PENDING_BYTES: usize = 128 * 1024;

/// A diff that waits for those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Its number.
    pub sequence: u64,
    /// What changed.
    pub data: Value,
}

/// How far a subscriber has come: the number of the last diff applied, and diffs that arrived too early.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    last: u64,
    pending: BTreeMap<u64, Value>,
}

/// What to do with a diff that arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrival {
    /// Apply these now, in this order: the diff and those that waited for it.
    Apply(Vec<Pending>),
    /// It was applied before, or waits already: nothing.
    Duplicate,
    /// It waits now.
    Queued,
    /// There is no room for it to wait. The sender is to send it again later.
    Full,
}

impl Queue {
    /// A subscriber that has applied everything up to `last`, with what waits; of equal numbers the first counts.
    #[must_use]
    pub fn new(last: u64, waiting: impl IntoIterator<Item = Pending>) -> Self {
        let mut pending = BTreeMap::new();
        for Pending { sequence, data } in waiting {
            if sequence > last {
                pending.entry(sequence).or_insert(data);
            }
        }
        Self { last, pending }
    }

    /// The number of the last diff applied.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// What waits, in order.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        self.pending.iter().map(|(&sequence, data)| Pending { sequence, data: data.clone() }).collect()
    }

    /// Whether something waits for a diff that has not come.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A diff arrived.
    pub fn receive(&mut self, sequence: u64, data: Value) -> Arrival {
        if sequence <= self.last || self.pending.contains_key(&sequence) {
            return Arrival::Duplicate;
        }
        if sequence == self.last.saturating_add(1) {
            self.pending.insert(sequence, data);
            return Arrival::Apply(self.ready());
        }
        self.hold(sequence, data)
    }

    /// A diff arrived while nothing may be applied, because everything is about to be read anew.
    pub fn hold(&mut self, sequence: u64, data: Value) -> Arrival {
        if sequence <= self.last || self.pending.contains_key(&sequence) {
            return Arrival::Duplicate;
        }
        let size = |data: &Value| data.to_string().len();
        let bytes: usize = self.pending.values().map(size).sum();
        if self.pending.len() >= MAX_PENDING || bytes + size(&data) > MAX_PENDING_BYTES {
            return Arrival::Full;
        }
        self.pending.insert(sequence, data);
        Arrival::Queued
    }

    /// Everything was read anew as of number `sequence`: what waited up to there is in it. Gives what now follows.
    pub fn restart(&mut self, sequence: u64) -> Vec<Pending> {
        self.last = sequence;
        self.pending.retain(|&number, _| number > sequence);
        self.ready()
    }

    /// Takes out what follows on the last one without a gap.
    fn ready(&mut self) -> Vec<Pending> {
        let mut ready = Vec::new();
        while let Some(data) = self.pending.remove(&(self.last.saturating_add(1))) {
            self.last += 1;
            ready.push(Pending { sequence: self.last, data });
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_due_is_applied_and_takes_along_what_waited() {
        let mut queue = Queue::default();
        assert_eq!(queue.receive(2, json!("b")), Arrival::Queued);
        assert_eq!(queue.receive(2, json!("again")), Arrival::Duplicate);
        assert!(queue.has_gap());
        let due = |sequence, data| Pending { sequence, data };
        assert_eq!(queue.receive(1, json!("a")), Arrival::Apply(vec![due(1, json!("a")), due(2, json!("b"))]));
        assert_eq!(queue.receive(1, json!("a")), Arrival::Duplicate);
        assert_eq!((queue.last(), queue.has_gap()), (2, false));
        assert_eq!(queue.receive(0, json!("no number")), Arrival::Duplicate);
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_due_always_has_room() {
        let mut queue = Queue::default();
        for sequence in 2..2 + 100 {
            assert_eq!(queue.receive(sequence, json!(sequence)), Arrival::Queued);
        }
        assert_eq!(queue.receive(200, json!(1)), Arrival::Full);
        assert_eq!(queue.receive(50, json!(1)), Arrival::Duplicate, "what waits already needs no room");
        assert!(matches!(queue.receive(1, json!(1)), Arrival::Apply(due) if due.len() == 101));

        let mut queue = Queue::default();
        let large = json!("x".repeat(MAX_PENDING_BYTES / 2));
        assert_eq!(queue.receive(2, large.clone()), Arrival::Queued);
        assert_eq!(queue.receive(3, large.clone()), Arrival::Full);
        assert!(matches!(queue.receive(1, json!("x".repeat(MAX_PENDING_BYTES * 2))), Arrival::Apply(_)));
    }

    #[test]
    fn while_all_is_read_anew_diffs_wait_and_those_it_covers_are_dropped() {
        let mut queue = Queue::new(3, []);
        for sequence in [4, 5, 7] {
            assert_eq!(queue.hold(sequence, json!(sequence)), Arrival::Queued);
        }
        assert_eq!(queue.hold(3, json!(3)), Arrival::Duplicate);
        assert_eq!(queue.restart(4), [Pending { sequence: 5, data: json!(5) }]);
        assert_eq!((queue.last(), queue.has_gap()), (5, true));
        assert_eq!(queue.restart(2), [], "numbers may go back");
        assert_eq!(queue.last(), 2);
    }

    proptest! {
        #[test]
        fn any_arrival_with_duplicates_ends_in_the_order_of_the_numbers(
            count in 1u64..60, order in prop::collection::vec(any::<prop::sample::Index>(), 0..200)
        ) {
            let mut queue = Queue::default();
            let mut applied = Vec::new();
            // Any order with repetitions, and then whatever is still missing, as a sender that repeats would.
            let arrivals = order.iter().map(|index| index.index(usize::try_from(count).unwrap()) as u64 + 1);
            for sequence in arrivals.chain((1..=count).rev()) {
                // What is kept between two arrivals is what `pending` and `last` tell.
                queue = Queue::new(queue.last(), queue.pending());
                if let Arrival::Apply(due) = queue.receive(sequence, json!(sequence)) {
                    applied.extend(due.into_iter().map(|due| (due.sequence, due.data)));
                }
            }
            prop_assert_eq!(applied, (1..=count).map(|n| (n, json!(n))).collect::<Vec<_>>());
            prop_assert!(!queue.has_gap());
        }

        #[test]
        fn what_waits_never_outgrows_its_bounds(
            arrivals in prop::collection::vec((2u64..1000, 0usize..20_000), 0..300)
        ) {
            let mut queue = Queue::default();
            for (sequence, size) in arrivals {
                let _ = queue.receive(sequence, json!("x".repeat(size)));
                let bytes: usize = queue.pending().iter().map(|waiting| waiting.data.to_string().len()).sum();
                prop_assert!(queue.pending().len() <= MAX_PENDING && bytes <= MAX_PENDING_BYTES);
            }
        }
    }
}
