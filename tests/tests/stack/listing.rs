//! All properties at once: what it costs by size, what it shows, and how parts of it add up.

use actingweb_hooks::{App, HookError, Op, PropertyAccess, Verdict};
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
    let all: Vec<(String, Value)> = (0..count).map(|n| (format!("p{n}"), value(n))).collect();
    let at_once = (3_000_000 / (1 + value(0).to_string().len())).clamp(1, 97);
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
        begins("pk", &format!("A#{}", owner.id)) && begins("sk", "PROP#")
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

/// The larger the values, the less a page of them says about the others: so the rest is read in more parts, up to sixteen,
/// some of them empty. An empty one costs one unit of reading, a full one 250: parts are cheaper than a third call in
/// sequence is slow.
#[tokio::test]
async fn large_values_take_more_calls_but_none_in_sequence() {
    for (count, size, at_most) in [(2_500, 1_000, 5), (250, 10_000, 7), (25, 100_000, 12), (14, 340_000, 18)] {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let written = fill(&ann, count, |n| json!(format!("{n}{}", "x".repeat(size)))).await;
        let (answer, calls) = read_all(&site, &ann).await;
        assert!(answer.expect(200).json() == Value::Object(written), "what was written");
        let spent = (calls.count(), calls.longest_chain());
        assert!(spent.0 <= at_most && spent.1 <= 2, "{count} values of {size} bytes: {spent:?}");
    }
}

#[tokio::test]
async fn more_than_five_megabytes_are_refused_unless_in_parts() {
    let site = Site::of(app()).await;
    let large = site.actor("ann").await;
    fill(&large, 16, |_| json!("x".repeat(340_000))).await;
    large.get("/properties").await.problem(413);
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
