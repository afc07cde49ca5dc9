//! The key schema: every partition and sort key is made here, from parts escaped so that no two differ only in where
//! one part ends and the next begins.

use std::ops::RangeInclusive;

use actingweb_protocol::oauth::{ClientKey, GrantId};
use actingweb_protocol::{ActorId, Name, PeerId, Rank, Timestamp, sha256_hex};

/// Partition of everything an actor owns.
pub(crate) fn actor(id: &ActorId) -> String {
    format!("A#{id}")
}

/// The actor itself.
pub(crate) const ACTOR: &str = "ACTOR";

/// What all sort keys begin with that have to do with properties. In their order: notes of large values, properties,
/// texts of large values.
pub(crate) const PROPERTIES: &str = "PROP";

/// What sort keys of notes of large values begin with: they come before all properties.
pub(crate) const LARGE_NOTE: &str = "PROP!";

/// What sort keys of properties begin with.
pub(crate) const PROPERTY: &str = "PROP#";

/// What sort keys of the texts of large values begin with: they come after all properties.
pub(crate) const LARGE_TEXT: &str = "PROP$";

/// A property, plain or list: one key per name, so that a name is one or the other by construction. The name's hash
/// comes first and spreads properties evenly over the range of keys, whatever they are called: so a listing can be read
/// in equal parts at the same time.
pub(crate) fn property(name: &Name) -> String {
    format!("{PROPERTY}{}", spread(name))
}

/// The note that a property's value is large.
pub(crate) fn large_note(name: &Name) -> String {
    format!("{LARGE_NOTE}{}", spread(name))
}

/// The text of a property's large value.
pub(crate) fn large_text(name: &Name) -> String {
    format!("{LARGE_TEXT}{}", spread(name))
}

/// A name after its hash: in the same order among properties, notes and texts.
fn spread(name: &Name) -> String {
    let digest = sha256_hex(name.as_str());
    let hash = digest.get(..HASH_DIGITS).unwrap_or_default();
    format!("{hash}#{}", escape(name.as_str()))
}

/// How many hexadecimal digits of a name's hash its key begins with.
const HASH_DIGITS: usize = 4;

/// The name in the sort key of a property, or of the note or the text of its value; `None` when it is no such key.
pub(crate) fn property_name(sort_key: &str) -> Option<String> {
    let spread = [PROPERTY, LARGE_NOTE, LARGE_TEXT].into_iter().find_map(|prefix| sort_key.strip_prefix(prefix))?;
    let (_, escaped) = spread.split_once('#')?;
    Some(unescape(escaped))
}

/// The hash in a property's sort key; `None` when it is no such key.
pub(crate) fn property_hash(sort_key: &str) -> Option<u16> {
    u16::from_str_radix(sort_key.strip_prefix(PROPERTY)?.get(..HASH_DIGITS)?, 16).ok()
}

/// Between which sort keys the properties with these hashes are. No property has either key.
pub(crate) fn property_range(hashes: &RangeInclusive<u16>) -> (String, String) {
    // `$` comes right after `#`.
    (format!("{PROPERTY}{:04x}#", hashes.start()), format!("{PROPERTY}{:04x}$", hashes.end()))
}

/// Partition of a list's items, of one generation: lists never crowd properties.
pub(crate) fn list(id: &ActorId, name: &Name, generation: &str) -> String {
    format!("{}#L#{}#{generation}", actor(id), escape(name.as_str()))
}

/// Partition of the items of a list among the attributes of a bucket, of one generation.
pub(crate) fn attribute_list(id: &ActorId, bucket: &str, name: &Name, generation: &str) -> String {
    format!("{}#B#{}#{}#{generation}", actor(id), escape(bucket), escape(name.as_str()))
}

/// What sort keys of list items begin with.
pub(crate) const ITEM: &str = "ITEM#";

/// An item of a list.
pub(crate) fn list_item(rank: &Rank) -> String {
    format!("{ITEM}{}", rank.as_str())
}

/// What sort keys of internal attributes begin with.
pub(crate) const ATTRIBUTE: &str = "ATTR#";

/// What sort keys of the attributes of one bucket begin with.
pub(crate) fn bucket(bucket: &str) -> String {
    format!("{ATTRIBUTE}{}#", escape(bucket))
}

/// An internal attribute.
pub(crate) fn attribute(bucket_name: &str, name: &str) -> String {
    format!("{}{}", bucket(bucket_name), escape(name))
}

/// The bucket and the name in an attribute's sort key; `None` when it is no such key.
pub(crate) fn attribute_name(sort_key: &str) -> Option<(String, String)> {
    let (bucket, name) = sort_key.strip_prefix(ATTRIBUTE)?.split_once('#')?;
    Some((unescape(bucket), unescape(name)))
}

/// What sort keys of credentials begin with.
pub(crate) const CREDENTIAL: &str = "CRED#";

/// What a bearer secret means to an actor.
pub(crate) fn credential(hash: &str) -> String {
    format!("{CREDENTIAL}{hash}")
}

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

/// Partition in which actors are found by the value of a property.
pub(crate) fn property_lookup(name: &Name, value: &str) -> String {
    format!("L#prop#{}#{}", escape(name.as_str()), sha256_hex(value))
}

/// What sort keys of relationships begin with.
pub(crate) const TRUST: &str = "TRUST#";

/// The relationship with a peer.
pub(crate) fn trust(peer: &PeerId) -> String {
    format!("{TRUST}{}", escape(peer.as_str()))
}

/// What sort keys of the marks of unanswered requests begin with.
pub(crate) const PENDING: &str = "PEND#";

/// The mark that a peer's request for a relationship waits for an answer, by which such requests are counted.
pub(crate) fn pending(peer: &PeerId) -> String {
    format!("{PENDING}{}", escape(peer.as_str()))
}

/// What sort keys of notices begin with.
pub(crate) const NOTICE: &str = "OUT#";

/// A notice owed to a peer: 13 digits hold milliseconds until the year 2286, so that text order is time order.
pub(crate) fn notice(created_at: Timestamp, nonce: &str) -> String {
    format!("{NOTICE}{:013}#{nonce}", created_at.as_millis().max(0))
}

/// The head of an actor's change log.
pub(crate) const LOG: &str = "LOG";

/// What sort keys of logged changes begin with.
pub(crate) const CHANGE: &str = "CHG#";

/// A logged change: 20 digits hold any number, so that text order is the order of numbers.
pub(crate) fn change(number: u64) -> String {
    format!("{CHANGE}{number:020}")
}

/// What sort keys of inbound subscriptions begin with.
pub(crate) const SUBSCRIPTION: &str = "SUB#";

/// What sort keys of one peer's subscriptions begin with.
pub(crate) fn subscriptions(peer: &PeerId) -> String {
    format!("{SUBSCRIPTION}{}#", escape(peer.as_str()))
}

/// An inbound subscription.
pub(crate) fn subscription(peer: &PeerId, id: &str) -> String {
    format!("{}{}", subscriptions(peer), escape(id))
}

/// What sort keys of a subscription's diffs begin with.
pub(crate) fn diffs(subscription: &str) -> String {
    format!("DIFF#{}#", escape(subscription))
}

/// A numbered diff.
pub(crate) fn diff(subscription: &str, sequence: u64) -> String {
    format!("{}{sequence:020}", diffs(subscription))
}

/// What sort keys of subscriptions to peers begin with.
pub(crate) const FEED: &str = "FEED#";

/// What sort keys of subscriptions to one peer begin with.
pub(crate) fn feeds(peer: &PeerId) -> String {
    format!("{FEED}{}#", escape(peer.as_str()))
}

/// A subscription to a peer.
pub(crate) fn feed(peer: &PeerId, id: &str) -> String {
    format!("{}{}", feeds(peer), escape(id))
}

/// What sort keys of announced subscriptions begin with.
pub(crate) const EXPECTED_FEED: &str = "SUBSCRIBING#";

/// Whether subscriptions to a peer are being made.
pub(crate) fn expected_feed(peer: &PeerId) -> String {
    format!("{EXPECTED_FEED}{}", escape(peer.as_str()))
}

/// Partition of what is kept of a peer's data, by subscription and generation.
pub(crate) fn remote(id: &ActorId, peer: &PeerId, subscription: &str, generation: &str) -> String {
    format!("{}#R#{}#{}#{generation}", actor(id), escape(peer.as_str()), escape(subscription))
}

/// What is kept under a name right below what is subscribed to.
pub(crate) fn remote_name(name: &str) -> String {
    format!("NAME#{}", escape(name))
}

/// The rights that a peer granted.
pub(crate) fn grant(peer: &PeerId) -> String {
    format!("GRANT#{}", escape(peer.as_str()))
}

/// What partitions of clients begin with.
pub(crate) const CLIENTS: &str = "C#";

/// Partition of a client.
pub(crate) fn client(key: &ClientKey) -> String {
    format!("{CLIENTS}{key}")
}

/// Sort key of a client.
pub(crate) const CLIENT: &str = "CLIENT";

/// What sort keys of the marks of an owner's clients begin with.
pub(crate) const OWNED: &str = "OWNED#";

/// The mark that an actor's owner made a client.
pub(crate) fn owned_client(key: &ClientKey) -> String {
    format!("{OWNED}{key}")
}

/// The client in the sort key of such a mark; `None` when it is no such key.
pub(crate) fn owned_client_key(sort_key: &str) -> Option<ClientKey> {
    ClientKey::parse(sort_key.strip_prefix(OWNED)?).ok()
}

/// What sort keys of authorizations of clients and of sessions begin with.
pub(crate) const AUTHORIZATION: &str = "AUTH#";

/// What sort keys of the authorizations of one client begin with.
pub(crate) fn authorizations(client: &ClientKey) -> String {
    format!("{AUTHORIZATION}{client}#")
}

/// An authorization: one family of tokens. Neither part may hold a `#`.
pub(crate) fn authorization(client: &ClientKey, grant: &GrantId) -> String {
    format!("{}{grant}", authorizations(client))
}

/// The client and the grant in the sort key of an authorization; `None` when it is no such key.
pub(crate) fn authorization_parts(sort_key: &str) -> Option<(ClientKey, GrantId)> {
    let (client, grant) = sort_key.strip_prefix(AUTHORIZATION)?.split_once('#')?;
    Some((ClientKey::parse(client).ok()?, GrantId::parse(grant).ok()?))
}

/// What is known of a peer.
pub(crate) fn known(peer: &PeerId, fact: &str) -> String {
    format!("KNOWN#{}#{fact}", escape(peer.as_str()))
}

/// What an actor spent on models.
pub(crate) const BUDGET: &str = "AI";

/// A request of a caller that named it by an `Idempotency-Key`.
pub(crate) fn request(digest: &str) -> String {
    format!("IDEM#{digest}")
}

/// Partition of a request that is about no actor yet; each has its own, so that none gets crowded.
pub(crate) fn open_request(digest: &str) -> String {
    format!("I#{digest}")
}

/// A schedule of an action.
pub(crate) fn schedule(action: &Name, id: &str) -> String {
    format!("SCHED#{}#{id}", escape(action.as_str()))
}

/// How many schedules of a caller go on.
pub(crate) fn live_schedules(caller: &str) -> String {
    format!("SCHEDULES#{}", escape(caller))
}

/// Partition of the requests of one kind that somebody made; each has its own, so that none gets crowded.
pub(crate) fn rate(kind: &str, who: &str) -> String {
    format!("R#{}#{}", escape(kind), escape(who))
}

/// What sort keys of counted requests begin with.
pub(crate) const RATE: &str = "RATE#";

/// The requests of one minute since the epoch.
pub(crate) fn rate_minute(minute: i64) -> String {
    format!("{RATE}{minute}")
}

/// Partition of something that counts once. The digest is of a secret, the kind a word of ours.
pub(crate) fn once(kind: &str, digest: &str) -> String {
    format!("S#{kind}#{digest}")
}

/// Sort key of what counts once.
pub(crate) const ONCE: &str = "ONCE";

/// Partition of an identity, by the digest of its issuer and subject.
pub(crate) fn identity(digest: &str) -> String {
    format!("I#{digest}")
}

/// Sort key of an identity.
pub(crate) const IDENTITY: &str = "IDENTITY";

/// What sort keys of an actor's identities begin with.
pub(crate) const IDENTITIES: &str = "IDENTITY#";

/// An identity of an actor.
pub(crate) fn identity_of(digest: &str) -> String {
    format!("{IDENTITIES}{digest}")
}

/// What sort keys of accounts at services begin with.
pub(crate) const SERVICES: &str = "SERVICE#";

/// An actor's account at a service.
pub(crate) fn service(name: &str) -> String {
    format!("{SERVICES}{}", escape(name))
}

/// Partition of a verified e-mail address, by its digest.
pub(crate) fn email(digest: &str) -> String {
    format!("E#{digest}")
}

/// Sort key of a verified e-mail address.
pub(crate) const EMAIL: &str = "EMAIL";

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

/// What sort keys of tasks begin with.
pub(crate) const TASK: &str = "TASK#";

/// What rows of schedules begin with.
pub(crate) const SCHEDULE: &str = "SCHED#";

/// How a task of an action stands.
pub(crate) fn task(action: &Name, id: &str) -> String {
    format!("{TASK}{}#{id}", escape(action.as_str()))
}

/// What a task is given.
pub(crate) fn task_input(action: &Name, id: &str) -> String {
    format!("TASKIN#{}#{id}", escape(action.as_str()))
}

/// What came of a task.
pub(crate) fn task_result(action: &Name, id: &str) -> String {
    format!("TASKOUT#{}#{id}", escape(action.as_str()))
}

/// What partitions of jobs of tasks begin with.
pub(crate) const TASK_JOBS: &str = "RUN#";

/// Partition of jobs of tasks: apart from other work that is due, so that neither keeps the other waiting.
pub(crate) fn task_jobs(shard: u32) -> String {
    format!("{TASK_JOBS}{shard}")
}

/// A job of a task.
pub(crate) fn task_job(due: Timestamp, actor: &ActorId, action: &Name, id: &str) -> String {
    format!("{:013}#{actor}#{}#{id}", due.as_millis().max(0), escape(action.as_str()))
}

/// Partition of deliveries and tasks that were given up.
pub(crate) const DEAD: &str = "DEAD";

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
        fn a_property_is_found_by_its_hash_and_named_by_its_key(text in "[a-c\u{e9} ~]{1,12}", width in 0u16..100) {
            let name = Name::parse(&text).unwrap();
            let key = property(&name);
            prop_assert_eq!(property_name(&key), Some(text.clone()));
            let (note, text_key) = (large_note(&name), large_text(&name));
            let (low, high) = property_range(&(0..=u16::MAX));
            prop_assert!(note < low && high < text_key);
            prop_assert_eq!([property_name(&note), property_name(&text_key)], [Some(text.clone()), Some(text)]);
            let hash = property_hash(&key).unwrap();
            let inside = |range| { let (low, high) = property_range(&range); low < key && key < high };
            prop_assert!(inside(hash.saturating_sub(width)..=hash.saturating_add(width)));
            prop_assert!(hash == 0 || !inside(0..=hash - 1));
            prop_assert!(hash == u16::MAX || !inside(hash + 1..=u16::MAX));
        }

        #[test]
        fn keys_of_two_parts_are_equal_only_for_equal_parts(
            a in "[a#%23]{1,4}", b in "[a#%23]{1,4}", c in "[a#%23]{1,4}", d in "[a#%23]{1,4}"
        ) {
            prop_assert_eq!(attribute(&a, &b) == attribute(&c, &d), (&a, &b) == (&c, &d));
            prop_assert!(a == c || !attribute(&c, &d).starts_with(&bucket(&a)));
            prop_assert_eq!(attribute_name(&attribute(&a, &b)), Some((a.clone(), b.clone())));
            prop_assert_eq!(live_schedules(&a) == live_schedules(&c), a == c);
            let names = (Name::parse(&a.replace(['#', '%'], "b")), Name::parse(&c.replace(['#', '%'], "b")));
            if let (Ok(one), Ok(other)) = names {
                prop_assert_eq!(schedule(&one, "1") == schedule(&other, "1"), one == other);
                prop_assert!(one == other || !schedule(&other, "1").starts_with(&schedule(&one, "")));
            }
        }
    }
}
