//! What a request costs: DynamoDB calls, and how many of them wait for one another (docs/architecture.md, "Budgets").

use actingweb_hooks::{App, HookError};
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:budgets")
        .method("nothing", || Ok::<_, HookError>(json!({})))
        .action("nothing", || Ok::<_, HookError>(json!({})))
        .resource("nothing", || Ok::<_, HookError>(json!({})))
}

struct Budget<'a> {
    site: &'a Site,
}

impl Budget<'_> {
    /// Asserts the status, the number of calls and the longest chain of them.
    #[track_caller]
    fn check(&self, what: &str, answer: &Answer, status: u16, calls: &actingweb_tests::Calls, at_most: (usize, usize)) {
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        let spent = (calls.count(), calls.longest_chain());
        assert!(
            spent.0 <= at_most.0 && spent.1 <= at_most.1,
            "{what}: {spent:?}, not {at_most:?}: {:?}",
            calls.operations()
        );
    }

    async fn of(&self, what: &str, request: impl Future<Output = Answer>, status: u16, at_most: (usize, usize)) {
        let (answer, calls) = self.site.meter().measure(request).await;
        self.check(what, &answer, status, &calls, at_most);
    }
}

#[tokio::test]
async fn every_route_keeps_its_budget() {
    let site = Site::of(app()).await;
    let budget = Budget { site: &site };
    let create = || async { Answer::of(site.http.post(site.url("/")).json(&json!({ "creator": "ann" }))).await };
    budget.of("create actor", create(), 201, (1, 1)).await;

    let ann = site.actor("ann").await;
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    ann.put("/properties/address", &json!({ "city": "Oslo" })).await.expect(204);

    for path in ["", "/id", "/type", "/actingweb/supported", "/trusttypes"] {
        let path = format!("/meta{path}");
        budget.of(&path, Answer::of(ann.anonymous(Method::GET, &path)), 200, (1, 1)).await;
    }
    budget.of("get actor", ann.get(""), 200, (1, 1)).await;
    budget.of("refused", Answer::of(ann.anonymous(Method::GET, "")), 401, (1, 1)).await;
    budget.of("get property", ann.get("/properties/color"), 200, (1, 1)).await;
    budget.of("get nested property", ann.get("/properties/address/city"), 200, (1, 1)).await;
    budget.of("get missing property", ann.get("/properties/nothing"), 404, (1, 1)).await;
    budget.of("get properties", ann.get("/properties"), 200, (2, 1)).await;
    budget.of("put property", ann.put("/properties/color", &json!("red")), 204, (3, 2)).await;
    budget.of("put nested property", ann.put("/properties/address/zip", &json!(150)), 204, (3, 2)).await;
    let five: Value = (0..5).map(|n| (format!("p{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    budget.of("post properties", ann.post("/properties", &five), 201, (2, 2)).await;
    budget.of("delete property", ann.delete("/properties/p0"), 204, (3, 2)).await;
    budget.of("delete nested property", ann.delete("/properties/address/zip"), 204, (3, 2)).await;
    for group in ["methods", "actions", "resources"] {
        budget
            .of(
                group,
                ann.post(&format!("/{group}/nothing"), &json!({})),
                if group == "resources" { 201 } else { 200 },
                (1, 1),
            )
            .await;
    }
    budget.of("list methods", ann.get("/methods"), 200, (1, 1)).await;
    budget.of("list actions", ann.get("/actions"), 200, (1, 1)).await;
    ann.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    budget.of("append", ann.post("/properties/notes", &json!("first")), 201, (3, 2)).await;
    budget
        .of(
            "append as an item",
            ann.post("/properties/notes/items", &json!({ "action": "add", "item_value": 2 })),
            201,
            (3, 2),
        )
        .await;
    budget.of("append by position", ann.put("/properties/notes/2", &json!(3)), 204, (3, 2)).await;
    budget.of("list summary", ann.get("/properties/notes?format=short"), 200, (1, 1)).await;
    budget.of("list items", ann.get("/properties/notes"), 200, (2, 2)).await;
    budget.of("list item", ann.get("/properties/notes/0"), 200, (2, 2)).await;
    budget
        .of(
            "insert",
            ann.post("/properties/notes/items", &json!({ "action": "insert", "item_index": 1, "item_value": 4 })),
            201,
            (3, 3),
        )
        .await;
    budget.of("set item", ann.put("/properties/notes/0", &json!(5)), 204, (3, 3)).await;
    budget.of("delete item", ann.delete("/properties/notes/0"), 204, (3, 3)).await;
    budget.of("delete list", ann.delete("/properties/notes"), 204, (2, 2)).await;
    budget.of("delete actor", ann.delete(""), 204, (2, 2)).await;
}

#[tokio::test]
async fn what_a_request_costs_does_not_grow_with_the_actor() {
    for size in [10, 1_000, 20_000] {
        let site = Site::of(app()).await;
        let budget = Budget { site: &site };
        let ann = site.actor("ann").await;
        fill(&ann, size).await;
        let (value, megabytes) = (json!("red"), 1 + size / 20_000);
        budget.of("get property", ann.get("/properties/p5"), 200, (1, 1)).await;
        budget.of("put property", ann.put("/properties/p5", &value), 204, (3, 2)).await;
        budget.of("put nested property", ann.put("/properties/p6/x", &value), 204, (3, 2)).await;
        budget.of("delete property", ann.delete("/properties/p7"), 204, (3, 2)).await;
        budget.of("post properties", ann.post("/properties", &json!({ "a": 1, "b": 2 })), 201, (2, 2)).await;
        budget.of("get meta", ann.get("/meta"), 200, (1, 1)).await;
        budget.of("call method", ann.post("/methods/nothing", &json!({})), 200, (1, 1)).await;
        budget.of("a part of the properties", ann.get("/properties?limit=10"), 200, (2, 2)).await;
        // One call for the actor and one per MB: 20,000 of these take 1.8 MB.
        budget.of("get properties", ann.get("/properties"), 200, (1 + megabytes, megabytes)).await;
    }
}

/// Gives an actor `count` small properties.
pub(crate) async fn fill(owner: &Owner, count: usize) {
    let names: Vec<usize> = (0..count).collect();
    for chunk in names.chunks(97) {
        let values: serde_json::Map<_, _> = chunk.iter().map(|n| (format!("p{n}"), json!({ "n": n }))).collect();
        owner.post("/properties", &values.into()).await.expect(201);
    }
}

#[tokio::test]
async fn what_an_append_costs_does_not_grow_with_the_list() {
    for size in [10, 1_000, 20_000] {
        let site = Site::of(app()).await;
        let budget = Budget { site: &site };
        let ann = site.actor("ann").await;
        fill_list(&ann, size).await;
        budget.of("append", ann.post("/properties/notes", &json!("last")), 201, (3, 2)).await;
        let add = json!({ "action": "add", "item_value": "last" });
        budget.of("append as an item", ann.post("/properties/notes/items", &add), 201, (3, 2)).await;
        // Near either end, whatever lies between.
        for index in [1, size] {
            let insert = json!({ "action": "insert", "item_index": index, "item_value": 4 });
            budget.of("insert", ann.post("/properties/notes/items", &insert), 201, (3, 3)).await;
            budget.of("list item", ann.get(&format!("/properties/notes/{index}")), 200, (2, 2)).await;
        }
        budget.of("list summary", ann.get("/properties/notes?format=short"), 200, (1, 1)).await;
        budget.of("a part of the list", ann.get("/properties/notes?limit=10"), 200, (2, 2)).await;
        budget.of("delete list", ann.delete("/properties/notes"), 204, (2, 2)).await;
    }
}

/// Gives an actor a list of `count` small items.
pub(crate) async fn fill_list(owner: &Owner, count: usize) {
    owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    for from in (0..count).step_by(95) {
        let items: Vec<Value> = (from..(from + 95).min(count)).map(|n| json!({ "index": n, "n": n })).collect();
        owner.post("/properties", &json!({ "notes": { "items": items } })).await.expect(201);
    }
}

#[tokio::test]
async fn starting_costs_one_read_at_most() {
    let site = Site::of(app()).await;
    let (_, calls) = site.meter().measure(site.start_again(app())).await;
    assert_eq!(calls.operations(), ["GetItem"], "the read that opens the connection");
}
