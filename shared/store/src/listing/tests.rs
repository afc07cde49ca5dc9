//! What listings of all kinds cost, against a model of how DynamoDB pages.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::item::{number, text};

/// Keys in order, with the bytes of their rows.
type Table = BTreeMap<String, usize>;

/// An actor with small values of one size, and large ones: with each value its note and its stub.
fn table(small: usize, size: usize, large: &[usize]) -> Table {
    let mut table = Table::new();
    for n in 0..small {
        table.insert(keys::property(&Name::parse(&format!("small{n}")).unwrap()), size + 95);
    }
    for (n, size) in large.iter().enumerate() {
        let name = Name::parse(&format!("large{n}")).unwrap();
        table.insert(keys::large_note(&name), 75);
        table.insert(keys::property(&name), 110);
        table.insert(keys::large_text(&name), size + 100);
    }
    table
}

/// How many rows of these one page holds.
fn page(rows: &[(&String, &usize)]) -> usize {
    let mut bytes = 0;
    let fits = rows.iter().take_while(|(_, size)| {
        bytes += **size;
        bytes <= MB
    });
    fits.count()
}

fn first_page(table: &Table) -> FirstPage {
    let rows: Vec<_> = table.iter().collect();
    let read = &rows[..page(&rows)];
    let item = |(key, size): &(&String, &usize)| {
        let mut row = item::new("A#", key);
        if let Some(suffix) = key.strip_prefix(keys::LARGE_NOTE) {
            let bytes = table[&format!("{}{suffix}", keys::LARGE_TEXT)];
            row.insert(TEXT_BYTES.to_owned(), number(i64::try_from(bytes).unwrap()));
        } else if key.starts_with(keys::PROPERTY) {
            let fill = size.saturating_sub(item::size(&row) + "value".len());
            row.insert("value".to_owned(), text("x".repeat(fill)));
        }
        row
    };
    let last = read.last().filter(|_| read.len() < rows.len()).map(|(key, _)| item::key("A#", key));
    FirstPage { items: read.iter().map(item).collect(), last }
}

/// How many calls a listing takes, beside that which finds the actor, and how many of them wait for one another. Asserts
/// that it reads everything, and nothing twice.
fn cost(table: &Table) -> (usize, usize) {
    let first = first_page(table);
    let mut read: Vec<String> = first.items.iter().map(|row| Row(row).text("sk").unwrap().to_owned()).collect();
    let plan = Plan::of(&first).unwrap();
    let (mut calls, mut chain) = (1, 1);
    for ((low, high), position) in &plan.ranges {
        let after = match position {
            Position::After(key) => Row(key).text("sk").unwrap().to_owned(),
            Position::Start | Position::End => String::new(),
        };
        let rows: Vec<_> = table.range(low.clone()..=high.clone()).filter(|(key, _)| **key > after).collect();
        read.extend(rows.iter().map(|(key, _)| (*key).clone()));
        let (mut pages, mut rest) = (0, rows.as_slice());
        loop {
            pages += 1;
            rest = &rest[page(rest)..];
            if rest.is_empty() {
                break;
            }
        }
        calls += pages;
        chain = chain.max(1 + pages);
    }
    for batch in &plan.batches {
        assert!(!batch.is_empty() && batch.len() <= MAX_BATCH_KEYS);
        read.extend(batch.iter().map(|suffix| format!("{}{suffix}", keys::LARGE_TEXT)));
        calls += 1;
        chain = chain.max(2);
    }
    read.sort();
    assert!(read.iter().eq(table.keys()), "everything is read once");
    (calls, chain)
}

fn megabytes(table: &Table) -> usize {
    table.values().sum::<usize>().div_ceil(MB)
}

/// Large values of all sizes, up to `bytes` in all.
fn large_values(bytes: usize) -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![11_000usize..12_000, 11_000usize..100_000, 100_000usize..350_000, 340_000usize..350_000];
    (proptest::collection::vec(size, 0..450), 0..=bytes).prop_map(|(mut sizes, bytes)| {
        let mut sum = 0;
        sizes.retain(|size| {
            sum += size + 300;
            sum <= bytes
        });
        sizes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn large_values_alone_take_one_call_per_megabyte(large in large_values(5_000_000)) {
        let table = table(0, 0, &large);
        let (calls, chain) = cost(&table);
        prop_assert!(calls <= megabytes(&table).max(1), "{calls} of {}", megabytes(&table));
        prop_assert!(chain <= 2);
    }

    #[test]
    fn with_a_few_small_ones_too(small in 0usize..5_000, large in large_values(4_500_000)) {
        let table = table(small, 20, &large);
        let (calls, chain) = cost(&table);
        prop_assert!(calls <= megabytes(&table), "{calls} of {}", megabytes(&table));
        prop_assert!(chain <= 2);
    }

    #[test]
    fn with_many_small_ones_there_is_one_more_at_most(small in 8_000usize..30_000, large in large_values(1_800_000)) {
        let table = table(small, 20, &large);
        let (calls, chain) = cost(&table);
        prop_assert!(calls <= megabytes(&table) + 1, "{calls} of {}", megabytes(&table));
        prop_assert!(chain <= 2);
    }
}

#[test]
fn too_many_large_values_are_refused_from_the_first_page_on() {
    let refused = |large: &[usize]| Plan::of(&first_page(&table(10, 20, large))).is_err();
    assert!(refused(&[349_000; 16]));
    assert!(refused(&[11_000; 480]));
    assert!(!refused(&[349_000; 14]));
    // More than their notes fit into a page.
    assert!(refused(&[11_000; 20_000]));
}
