//! All properties at once: what it costs by size, what it shows, and how parts of it add up.

use actingweb_hooks::{App, HookError, Op, PropertyAccess, Verdict};
use actingweb_protocol::sha256_hex;
use actingweb_tests::{Answer, Calls, Owner, Site};
use reqwest::Method;
use serde_json::{Map, Value, json};

/// What DynamoDB sends in one page.
const MB: usize = 1_048_576;

fn app() -> App {
    App::new("urn:actingweb:example.com:listing")
}

/// Gives an actor `count` properties, as many at once as a request takes.
async fn fill(owner: &Owner, count: usize, value: impl Fn(usize) -> Value) -> Map<String, Value> {
    write(owner, (0..count).map(|n| (format!("p{n}"), value(n))).collect()).await
}

/// Gives an actor these properties, all of about the same size, as many at once as a request takes.
async fn write(owner: &Owner, all: Vec<(String, Value)>) -> Map<String, Value> {
    let size = all.first().map_or(0, |(_, value)| value.to_string().len());
    // A large value takes three items of a transaction.
    let at_once = (3_000_000 / (1 + size)).clamp(1, if size < 11_000 { 97 } else { 32 });
    for some in all.chunks(at_once) {
        owner.post("/properties", &Value::Object(some.iter().cloned().collect())).await.expect(201);
    }
    all.into_iter().collect()
}

/// How many bytes DynamoDB counts for an actor's properties.
async fn stored_bytes(site: &Site, owner: &Owner) -> usize {
    let rows = site.table().await;
    let is_property = |row: &&Value| {
        let begins = |name: &str, with: &str| row[name].as_str().is_some_and(|text| text.starts_with(with));
        begins("pk", &format!("A#{}", owner.id)) && begins("sk", "PROP")
    };
    let size = |value: &Value| value.as_str().map_or(2, str::len);
    let rows = rows.iter().filter(is_property).filter_map(Value::as_object);
    rows.flatten().map(|(name, value)| name.len() + size(value)).sum()
}

async fn read_all(site: &Site, owner: &Owner) -> (Answer, Calls) {
    site.meter().measure(owner.get("/properties")).await
}

/// Many small values: one call to find the actor and one per MB; never more than two in sequence. (One more where the
/// rest nearly fills whole pages.)
#[tokio::test]
async fn reading_everything_takes_one_call_per_megabyte_and_two_in_sequence() {
    for size in [10, 1_000, 20_000] {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let written = fill(&ann, size, |n| json!({ "n": n, "is": "small" })).await;
        let megabytes = stored_bytes(&site, &ann).await.div_ceil(MB);
        let (answer, calls) = read_all(&site, &ann).await;
        assert_eq!(answer.expect(200).json(), Value::Object(written), "{size}");
        let spent = (calls.count(), calls.longest_chain());
        let chain = if megabytes > 1 { 2 } else { 1 };
        assert_eq!(spent, (1 + megabytes, chain), "{size} properties, {megabytes} MB: {:?}", calls.operations());
    }
}

/// What it costs at most: one call to find the actor, one per MB, and `slack`.
async fn assert_exact(site: &Site, owner: &Owner, written: &Map<String, Value>, slack: usize, what: &str) {
    let megabytes = stored_bytes(site, owner).await.div_ceil(MB);
    let (answer, calls) = read_all(site, owner).await;
    assert!(answer.expect(200).json().as_object() == Some(written), "{what}: not what was written");
    let spent = (calls.count(), calls.longest_chain());
    assert!(
        spent.0 <= 1 + megabytes + slack && spent.1 <= megabytes.min(2),
        "{what}, {megabytes} MB: {spent:?}, {:?}",
        calls.operations()
    );
}

/// However large the values are: one call per MB, and two in sequence.
#[tokio::test]
async fn large_values_take_one_call_per_megabyte_and_two_in_sequence() {
    let sizes = [
        (1, 11_000),
        (2, 349_900),
        (90, 11_000),
        (96, 11_000),
        (3, 349_900),
        (4, 300_000),
        (10, 349_900),
        (12, 340_000),
        (14, 349_900),
        (18, 270_000),
        (40, 100_000),
        (49, 100_000),
        (220, 11_000),
        (400, 11_000),
        (460, 11_000),
    ];
    for (count, size) in sizes {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let written = fill(&ann, count, |n| json!(format!("{n}{}", "x".repeat(size)))).await;
        assert_exact(&site, &ann, &written, 0, &format!("{count} values of {size} bytes")).await;
    }
}

/// Values of a few KB are too small to be noted, and too large for exact estimates: the more of them, and the larger
/// they are, the more parts the rest is read in; none of them in sequence.
#[tokio::test]
async fn values_of_some_kilobytes_take_few_calls_more() {
    for (count, size) in [(1_000, 4_000), (700, 4_000), (2_500, 1_000), (350, 10_000), (200, 10_000)] {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let written = fill(&ann, count, |n| json!(format!("{n}{}", "x".repeat(size)))).await;
        let slack = match size {
            1_000 => 1,
            4_000 => 2,
            _ => 3,
        };
        assert_exact(&site, &ann, &written, slack, &format!("{count} values of {size} bytes")).await;
    }
}

/// Names whose hashes begin so.
fn names(hash: &'static str) -> impl Iterator<Item = String> {
    (0..).map(|n| format!("large{n}")).filter(move |name| sha256_hex(name).starts_with(hash))
}

/// Wherever large values stand among small ones, the first page tells of all of them.
#[tokio::test]
async fn large_values_among_small_ones_cost_nothing_more() {
    let large = |hash, count: usize, size: usize| {
        let value = move |name| (name, json!("x".repeat(size)));
        names(hash).take(count).map(value).collect::<Vec<_>>()
    };
    let cases = [
        (20_000, vec![large("00", 3, 340_000), large("ff", 3, 340_000)]),
        (20_000, vec![large("00", 1, 340_000)]),
        (20_000, vec![large("ff", 1, 20_000)]),
        (20_000, vec![large("ff", 1, 340_000), large("8", 100, 12_000)]),
        (12_000, vec![large("0", 6, 349_900), large("f", 3, 349_900)]),
        (12_000, vec![large("f", 1, 11_000)]),
        (1_000, vec![large("0", 200, 11_000), large("f", 100, 11_000), large("7", 3, 349_900)]),
        (10, vec![large("fff", 12, 340_000)]),
    ];
    for (small, larges) in cases {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let what = format!("{small} and {:?}", larges.iter().map(Vec::len).collect::<Vec<_>>());
        let mut written = fill(&ann, small, |n| json!({ "n": n, "is": "small" })).await;
        for some in larges {
            written.extend(write(&ann, some).await);
        }
        assert_exact(&site, &ann, &written, 1, &what).await;
    }
}

/// What was written before large values were kept apart is read as it was.
#[tokio::test]
async fn large_values_written_before_they_were_kept_apart_are_read() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let mut written = fill(&ann, 300, |n| json!(n)).await;
    for (n, name) in names("").take(8).enumerate() {
        let value = format!("{n}{}", "x".repeat(300_000));
        let key = format!("PROP#{}#{name}", &sha256_hex(&name)[..4]);
        let text = json!(value).to_string();
        let item = json!({
            "pk": { "S": format!("A#{}", ann.id) }, "sk": { "S": key }, "v": { "N": "1" },
            "version": { "S": "before" }, "value": { "S": text },
        });
        site.put_item(&item).await;
        written.insert(name, json!(value));
    }
    let (answer, calls) = read_all(&site, &ann).await;
    assert!(answer.expect(200).json().as_object() == Some(&written));
    assert!(calls.longest_chain() <= 3);
    assert_eq!(parts(&ann, 100, "").await, written);
    // The next write keeps it apart.
    ann.put("/properties/large0", &json!("y".repeat(300_000))).await.expect(204);
    ann.put("/properties/large1/x", &json!(1)).await.expect(204);
    ann.delete("/properties/large2").await.expect(204);
    written.insert("large0".to_owned(), json!("y".repeat(300_000)));
    written.insert("large1".to_owned(), json!({ "x": 1 }));
    written.remove("large2");
    assert!(read_all(&site, &ann).await.0.json().as_object() == Some(&written));
    assert_eq!(parts(&ann, 100, "").await, written);
}

#[tokio::test]
async fn more_than_five_megabytes_are_refused_unless_in_parts() {
    let site = Site::of(app()).await;
    let large = site.actor("ann").await;
    fill(&large, 16, |_| json!("x".repeat(340_000))).await;
    let (answer, calls) = read_all(&site, &large).await;
    answer.problem(413);
    assert_eq!((calls.count(), calls.longest_chain()), (2, 1), "the notes of large values say enough");
    assert_eq!(parts(&large, 4, "").await.len(), 16);

    // Of many smaller values the first page says enough.
    let many = site.actor("bob").await;
    fill(&many, 3_000, |_| json!("x".repeat(3_000))).await;
    let (answer, calls) = read_all(&site, &many).await;
    answer.problem(413);
    assert_eq!((calls.count(), calls.longest_chain()), (2, 1));
}

/// Reads all parts of a listing; no part holds more than `limit`, none repeats what another has.
async fn parts(owner: &Owner, limit: usize, parameters: &str) -> Map<String, Value> {
    let mut whole = Map::new();
    let mut cursor = String::new();
    loop {
        let part = owner.get(&format!("/properties?limit={limit}{cursor}{parameters}")).await.expect(200);
        let members = part.json().as_object().cloned().expect("an object");
        assert!(members.len() <= limit);
        assert!(members.keys().is_sorted(), "names in one part are in order");
        for (name, value) in members {
            assert!(whole.insert(name.clone(), value).is_none(), "{name} came twice");
        }
        match part.header("x-next-cursor") {
            "" => return whole,
            next => cursor = format!("&cursor={next}"),
        }
    }
}

#[tokio::test]
async fn the_parts_make_the_whole() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let mut written = fill(&ann, 120, |n| json!(n)).await;
    ann.put("/properties/räksmörgås & co", &json!("lunch")).await.expect(204);
    written.insert("räksmörgås & co".to_owned(), json!("lunch"));
    for limit in [1, 7, 121, 1_000] {
        assert_eq!(Value::Object(parts(&ann, limit, "").await), Value::Object(written.clone()), "{limit}");
    }
    let whole = ann.get("/properties").await.expect(200).json();
    assert!(whole.as_object().expect("an object").keys().is_sorted());

    // What is between two parts may go: the cursor still says where the next one begins.
    let part = ann.get("/properties?limit=50").await.expect(200);
    ann.delete(&format!("/properties/{}", part.header("x-next-cursor"))).await.expect(204);
    let rest = ann.get(&format!("/properties?limit=100&cursor={}", part.header("x-next-cursor"))).await.expect(200);
    assert_eq!(rest.json().as_object().expect("an object").len(), 71);
}

/// Parts are filled up with what may be seen, across more than one reading; cursors name nothing that is hidden.
#[tokio::test]
async fn hidden_properties_leave_no_gaps_in_parts() {
    let hide = |access: PropertyAccess| {
        let number: usize = access.name().trim_start_matches('p').parse().unwrap_or_default();
        Ok::<_, HookError>(if access.op() == Op::Get && !number.is_multiple_of(50) {
            Verdict::Hide
        } else {
            Verdict::Keep
        })
    };
    let site = Site::of(app().property("*", hide)).await;
    let ann = site.actor("ann").await;
    fill(&ann, 2_100, |n| json!(n)).await;
    let visible: Map<String, Value> = (0..2_100).step_by(50).map(|n| (format!("p{n}"), json!(n))).collect();
    for limit in [1, 20, 42, 1_000] {
        assert_eq!(Value::Object(parts(&ann, limit, "").await), Value::Object(visible.clone()), "{limit}");
    }
}

/// A caller that presents nothing does not make the deployment read anything large.
#[tokio::test]
async fn strangers_cost_one_call() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    fill(&ann, 10, |n| json!(n)).await;
    let (answer, calls) = site.meter().measure(Answer::of(ann.anonymous(Method::GET, "/properties"))).await;
    answer.problem(401);
    assert_eq!(calls.operations(), ["BatchGetItem"]);

    let wrong = ann.anonymous(Method::GET, "/properties").basic_auth("ann", Some("wrong"));
    Answer::of(wrong).await.problem(403);
    let unknown = site.http.get(site.url("/00000000000000000000000000000000/properties")).basic_auth("a", Some("b"));
    Answer::of(unknown).await.problem(404);
}
