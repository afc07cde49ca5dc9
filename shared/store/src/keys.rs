//! The key schema: every partition and sort key is made here, from parts escaped so that no two differ only in where
//! one part ends and the next begins.

use actingweb_protocol::{ActorId, Name, Rank, sha256_hex};

/// Partition of everything an actor owns.
pub(crate) fn actor(id: &ActorId) -> String {
    format!("A#{id}")
}

/// The actor itself.
pub(crate) const ACTOR: &str = "ACTOR";

/// What sort keys of properties begin with.
pub(crate) const PROPERTY: &str = "PROP#";

/// A property, plain or list: one key per name, so that a name is one or the other by construction.
pub(crate) fn property(name: &Name) -> String {
    format!("{PROPERTY}{}", escape(name.as_str()))
}

/// What the row of a list property is marked with; every other property is a plain value.
pub(crate) const LIST: &str = "list";

/// What the row of a plain property is marked with.
pub(crate) const VALUE: &str = "value";

/// Partition of a list's items, of one generation: lists never crowd properties.
pub(crate) fn list(id: &ActorId, name: &Name, generation: &str) -> String {
    format!("{}#L#{}#{generation}", actor(id), escape(name.as_str()))
}

/// What sort keys of list items begin with.
pub(crate) const ITEM: &str = "ITEM#";

/// An item of a list.
pub(crate) fn list_item(rank: &Rank) -> String {
    format!("{ITEM}{}", rank.as_str())
}

/// What sort keys of the attributes of one bucket begin with.
pub(crate) fn bucket(bucket: &str) -> String {
    format!("ATTR#{}#", escape(bucket))
}

/// An internal attribute.
pub(crate) fn attribute(bucket_name: &str, name: &str) -> String {
    format!("{}{}", bucket(bucket_name), escape(name))
}

/// What sort keys of credentials begin with.
pub(crate) const CREDENTIAL: &str = "CRED#";

/// What a bearer secret means to an actor.
pub(crate) fn credential(hash: &str) -> String {
    format!("{CREDENTIAL}{hash}")
}

/// Partition of a token of ours.
pub(crate) fn token(hash: &str) -> String {
    format!("T#{hash}")
}

/// Sort key of a token of ours.
pub(crate) const TOKEN: &str = "TOKEN";

/// What sort keys of failed attempts begin with.
pub(crate) const FAILURES: &str = "FAIL#";

/// Failed attempts from an address in one minute since the epoch.
pub(crate) fn failures(address: &str, minute: i64) -> String {
    format!("{FAILURES}{}#{minute}", escape(address))
}

/// Partition in which a creator's actors are found.
pub(crate) fn creator_lookup(creator: &str) -> String {
    format!("L#creator#{}", sha256_hex(creator))
}

/// Sort key of the one actor of a creator, when creators are unique.
pub(crate) const UNIQUE: &str = "-";

/// How many partitions share the work that is due.
pub(crate) const DUE_SHARDS: u32 = 4;

/// Partition of work that is due.
pub(crate) fn due(shard: u32) -> String {
    format!("DUE#{shard}")
}

/// The shard of an actor's work: ids are uniform, so their first digit spreads evenly.
pub(crate) fn due_shard(id: &ActorId) -> u32 {
    id.as_str().chars().next().and_then(|digit| digit.to_digit(16)).unwrap_or(0) % DUE_SHARDS
}

/// Escapes one part of a key: `#` separates parts and `%` escapes, so neither appears in the result by itself.
pub(crate) fn escape(part: &str) -> String {
    part.replace('%', "%25").replace('#', "%23")
}

/// The inverse of [`escape`].
pub(crate) fn unescape(part: &str) -> String {
    part.replace("%23", "#").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaping_is_injective_and_leaves_no_separator(text in "[a#%23\u{e9}5]{0,12}") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains('#'));
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn keys_of_two_parts_are_equal_only_for_equal_parts(
            a in "[a#%23]{1,4}", b in "[a#%23]{1,4}", c in "[a#%23]{1,4}", d in "[a#%23]{1,4}"
        ) {
            prop_assert_eq!(attribute(&a, &b) == attribute(&c, &d), (&a, &b) == (&c, &d));
            prop_assert!(a == c || !attribute(&c, &d).starts_with(&bucket(&a)));
        }
    }
}
