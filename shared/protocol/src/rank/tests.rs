use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// SplitMix64: the same seed, the same numbers.
#[derive(Debug)]
struct Seeded(AtomicU64);

impl Seeded {
    fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

fn rank(text: &str) -> Rank {
    Rank::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn between(low: &str, high: &str) -> String {
    Rank::between(Some(&rank(low)), Some(&rank(high)), None).unwrap().to_string()
}

#[test]
fn integers_step_across_their_lengths() {
    for (low, high) in [("a0", "a1"), ("az", "b00"), ("bzz", "c000"), ("Zz", "a0"), ("Yzz", "Z0"), ("Z9", "ZA")] {
        assert_eq!(integer::next(low).as_deref(), Some(high));
        assert_eq!(integer::previous(high).as_deref(), Some(low));
        assert!(low < high);
    }
    assert_eq!(integer::next(&format!("z{}", "z".repeat(26))), None);
    assert_eq!(integer::previous(&format!("A{}", "0".repeat(26))), None);
}

#[test]
fn an_insert_takes_as_few_digits_as_there_is_room_for() {
    assert_eq!(between("a0", "a1"), "a0V");
    assert_eq!(between("a0", "a2"), "a1");
    assert_eq!(between("a0", "b05"), "a1");
    assert_eq!(between("a0V", "a1"), "a0k");
    assert_eq!(between("a0", "a0V"), "a0F");
    assert_eq!(between("a0U", "a0V"), "a0UV");
    assert_eq!(between("a0z", "a1"), "a0zV");
    assert_eq!(between("a0zzz", "a1V"), "a1");
    assert_eq!(between("a0", "a001"), "a000V");
}

#[test]
fn there_is_room_at_the_very_ends() {
    let last = rank(&format!("z{}", "z".repeat(26)));
    let after = last.after(None).unwrap();
    assert!(after > last && after.after(None).unwrap() > after);
    let first = rank(&format!("A{}1", "0".repeat(26)));
    let before = first.before(None).unwrap();
    assert!(before < first && before.before(None).unwrap() < before);
    // The lowest integer alone would have nothing before it, so it is never made.
    let second = rank(&format!("A{}1", "0".repeat(25)));
    assert_eq!(Rank::parse(second.before(None).unwrap().as_str()), second.before(None));
}

#[test]
fn what_was_not_made_here_does_not_parse() {
    let lowest = format!("A{}", "0".repeat(26));
    let long = format!("a0{}", "1".repeat(MAX_RANK_BYTES));
    for text in ["", "a", "0", "b0", "a0V0", "a00", "a0-", "a0 ", "a0é", "#", "Y0", &lowest, &long] {
        assert!(matches!(Rank::parse(text), Err(RankError::Malformed(..))), "{text}");
        assert!(serde_json::from_value::<Rank>(text.into()).is_err());
    }
    assert_eq!(serde_json::from_str::<Rank>("\"a0V\"").unwrap(), rank("a0V"));
}

#[test]
fn neighbours_in_the_wrong_order_are_named() {
    let (low, high) = (rank("a0"), rank("a1"));
    let swapped = Rank::between(Some(&high), Some(&low), None);
    assert_eq!(swapped, Err(RankError::Disordered(high.clone(), low.clone())));
    assert_eq!(Rank::between(Some(&low), Some(&low), None), Err(RankError::Disordered(low.clone(), low)));
}

#[test]
fn a_hundred_thousand_appends_or_prepends_stay_short() {
    let entropy = Seeded::new(1);
    for jitter in [None, Some(&entropy as &dyn Entropy)] {
        let mut last = Rank::between(None, None, jitter).unwrap();
        let mut first = last.clone();
        for _ in 0..100_000 {
            let next = last.after(jitter).unwrap();
            assert!(next > last);
            last = next;
            let previous = first.before(jitter).unwrap();
            assert!(previous < first);
            first = previous;
        }
        let limit = if jitter.is_some() { 7 } else { 4 };
        assert!(last.as_str().len() <= limit && first.as_str().len() <= limit, "{first} {last}");
    }
}

#[test]
fn a_spread_is_short_and_ordered() {
    let ranks = Rank::spread(20_000);
    assert_eq!((ranks.len(), &ranks[0]), (20_000, &Rank::first()));
    assert!(ranks.is_sorted_by(|a, b| a < b));
    assert!(ranks.iter().all(|rank| rank.as_str().len() <= 4 && Rank::parse(rank.as_str()).as_ref() == Ok(rank)));
    assert_eq!(Rank::spread(0), []);
}

/// Always inserting at one place is the worst case: a byte per handful of inserts, advice in time, and an error, not a
/// key the table refuses, in the end.
#[test]
fn inserts_at_one_place_lengthen_ranks_until_the_list_is_written_again() {
    let entropy = Seeded::new(2);
    for jitter in [None, Some(&entropy as &dyn Entropy)] {
        for downwards in [true, false] {
            let (mut low, mut high) = (rank("a0"), rank("a1"));
            let (mut inserts, mut advised) = (0, None);
            let error = loop {
                match Rank::between(Some(&low), Some(&high), jitter) {
                    Ok(middle) => {
                        assert!(low < middle && middle < high);
                        inserts += 1;
                        if middle.is_long() {
                            advised.get_or_insert(inserts);
                        }
                        *(if downwards { &mut high } else { &mut low }) = middle;
                    }
                    Err(error) => break error,
                }
            };
            assert_eq!(error, RankError::Full);
            let advised = advised.unwrap();
            assert!(advised > 180 && inserts > 10 * advised, "advised after {advised}, full after {inserts}");
        }
    }
}

#[test]
fn concurrent_inserts_collide_always_without_jitter_and_rarely_with_it() {
    let entropy = Seeded::new(3);
    let places =
        [(None, None), (Some("a5"), None), (None, Some("a5")), (Some("a0"), Some("a1")), (Some("a0"), Some("a01"))];
    for (low, high) in places {
        let (low, high) = (low.map(rank), high.map(rank));
        let insert = |jitter| Rank::between(low.as_ref(), high.as_ref(), jitter).unwrap();
        assert_eq!(insert(None), insert(None));
        // 100 callers at one place: about 5,000 pairs, each colliding once in more than a hundred thousand times.
        let distinct: BTreeSet<Rank> = (0..100).map(|_| insert(Some(&entropy))).collect();
        assert!(distinct.len() >= 99, "{} of 100 differ", distinct.len());
    }
}

fn any_rank() -> impl Strategy<Value = Rank> {
    let digit = proptest::sample::select(DIGITS.to_vec()).prop_map(char::from);
    let fraction = proptest::collection::vec(digit.clone(), 0..6).prop_map(|digits| digits.into_iter().collect());
    let near_border = proptest::sample::select(vec!["", "z", "zz", "zzzzzzzzzzzzzzz1", "000000000000001", "01", "V"]);
    let fraction = prop_oneof![fraction, near_border.prop_map(str::to_owned)];
    let integer = prop_oneof![
        digit.prop_map(|digit| format!("a{digit}")),
        proptest::sample::select(vec!["Zz", "Z0", "Yzz", "a0", "az", "b00", "b01", "czzz"]).prop_map(str::to_owned),
    ];
    (integer, fraction)
        .prop_map(|(integer, fraction): (String, String)| rank(&format!("{integer}{}", fraction.trim_end_matches('0'))))
}

proptest! {
    #[test]
    fn there_is_always_one_between(a in any_rank(), b in any_rank(), seed in proptest::option::of(any::<u64>())) {
        prop_assume!(a != b);
        let entropy = seed.map(Seeded::new);
        let jitter = entropy.as_ref().map(|entropy| entropy as &dyn Entropy);
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        for middle in [
            Rank::between(Some(&low), Some(&high), jitter).unwrap(),
            low.after(jitter).unwrap(),
            high.before(jitter).unwrap(),
        ] {
            prop_assert_eq!(Rank::parse(middle.as_str()), Ok(middle));
        }
        let middle = Rank::between(Some(&low), Some(&high), jitter).unwrap();
        prop_assert!(low < middle && middle < high, "{} {} {}", low, middle, high);
        prop_assert!(low.after(jitter).unwrap() > low);
        prop_assert!(high.before(jitter).unwrap() < high);
    }

    #[test]
    fn several_between_are_ordered(a in any_rank(), b in any_rank(), ends in any::<(bool, bool)>(), count in 0_usize..40) {
        prop_assume!(a != b);
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let (low, high) = (ends.0.then_some(low), ends.1.then_some(high));
        let ranks = Rank::spread_between(low.as_ref(), high.as_ref(), count, None).unwrap();
        prop_assert_eq!(ranks.len(), count);
        let all: Vec<&Rank> = low.iter().chain(&ranks).chain(&high).collect();
        prop_assert!(all.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_list_ordered_by_rank_is_the_list(
        operations in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..4), 1..200),
        seed in proptest::option::of(any::<u64>()),
    ) {
        let entropy = seed.map(Seeded::new);
        let jitter = entropy.as_ref().map(|entropy| entropy as &dyn Entropy);
        let mut model: Vec<usize> = Vec::new();
        let mut ranked = std::collections::BTreeMap::<Rank, usize>::new();
        for (item, (index, kind)) in operations.into_iter().enumerate() {
            let at = index.index(model.len() + 1);
            if kind == 0 && at < model.len() {
                // A removal, or half of a move: the item goes back in somewhere else.
                model.remove(at);
                let key = ranked.keys().nth(at).cloned().unwrap();
                ranked.remove(&key);
                continue;
            }
            let at = if kind == 1 { model.len() } else { at };
            let low = at.checked_sub(1).and_then(|before| ranked.keys().nth(before).cloned());
            let high = ranked.keys().nth(at).cloned();
            model.insert(at, item);
            let new = Rank::between(low.as_ref(), high.as_ref(), jitter).unwrap();
            prop_assert_eq!(ranked.insert(new, item), None);
        }
        prop_assert_eq!(ranked.into_values().collect::<Vec<_>>(), model);
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = Rank::parse(&text);
    }
}
