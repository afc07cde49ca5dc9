//! Internal attributes over HTTP, where that is asked for.

use actingweb_hooks::{Actor, App, HookError};
use actingweb_tests::{Answer, Site};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn attributes_are_reached_by_the_creator_where_devtest_is_on() {
    let site = Site::with_devtest(App::new("urn:actingweb:example.com:devtest")).await;
    let ann = site.actor("ann").await;
    ann.get("/devtest/ping").await.expect(204);
    ann.post("/devtest/ping", &json!({})).await.problem(405);
    Answer::of(ann.anonymous(Method::GET, "/devtest/ping")).await.problem(401);

    for falsy in [json!(false), json!(0), json!(""), json!([]), json!({})] {
        ann.put("/devtest/attribute/b1/x", &falsy).await.expect(204);
        let stored = ann.get("/devtest/attribute/b1/x").await.expect(200).json();
        assert_eq!(stored["data"], falsy);
        assert_eq!(stored["timestamp"].as_str().map(str::len), Some(19));
    }
    ann.post("/devtest/attribute/b10", &json!({ "y": 1, "z": 2 })).await.expect(200);
    let bucket = ann.get("/devtest/attribute/b1").await.expect(200).json();
    assert_eq!(bucket.as_object().map(serde_json::Map::len), Some(1), "b10 is another bucket");
    ann.delete("/devtest/attribute/b1").await.expect(204);
    ann.get("/devtest/attribute/b1").await.problem(404);
    ann.delete("/devtest/attribute/b10/y").await.expect(204);
    ann.get("/devtest/attribute/b10/y").await.problem(404);
    ann.get("/devtest/attribute/b10/z").await.expect(200);
    ann.get("/devtest/nothing").await.problem(404);

    ann.put("/devtest/attribute/b1/x", &json!(1)).await.expect(204);
    let buckets = ann.get("/devtest/attribute").await.expect(200).json();
    assert_eq!((&buckets["b1"]["x"]["data"], &buckets["b10"]["z"]["data"]), (&json!(1), &json!(2)));
    assert_eq!(buckets.as_object().map(serde_json::Map::len), Some(2), "{buckets}");
    ann.put("/devtest/attribute", &json!({})).await.problem(405);
    assert_eq!(ann.get("/properties").await.expect(200).body, "{}", "attributes are no properties");

    ann.put("/properties/color", &json!("blue")).await.expect(204);
    ann.delete("/devtest/attributes").await.expect(204);
    ann.get("/devtest/attribute").await.problem(404);
    ann.get("/properties/color").await.expect(200);
}

#[tokio::test]
async fn lists_among_attributes_are_shown_and_deleted() {
    let app = App::new("urn:actingweb:example.com:devtest").method("remember", async |actor: Actor| {
        let list = actor.attribute_list("b", "list")?;
        Ok::<_, HookError>(json!(list.append("item").await?))
    });
    let site = Site::with_devtest(app).await;
    let ann = site.actor("ann").await;
    for _ in 0..2 {
        ann.post("/methods/remember", &json!({})).await.expect(200);
    }
    ann.put("/devtest/attribute/b/value", &json!(1)).await.expect(204);

    let list = ann.get("/devtest/attribute/b/list").await.expect(200).json();
    assert_eq!(list, json!({ "data": ["item", "item"] }));
    for bucket in [
        ann.get("/devtest/attribute/b").await.expect(200).json(),
        ann.get("/devtest/attribute").await.expect(200).json()["b"].clone(),
    ] {
        assert_eq!(bucket["list"], json!({ "data": { "_list": true, "count": 2 } }));
        assert_eq!(bucket["value"]["data"], 1);
    }
    ann.put("/devtest/attribute/b/list", &json!("over it")).await.problem(409);
    ann.post("/devtest/attribute/b", &json!({ "list": 1 })).await.problem(409);
    ann.delete("/devtest/attribute/b/list").await.expect(204);
    ann.get("/devtest/attribute/b/list").await.problem(404);
    ann.post("/methods/remember", &json!({})).await.expect(200);
    ann.delete("/devtest/attribute/b").await.expect(204);
    ann.get("/devtest/attribute").await.problem(404);
    site.drain().await;
    let items = site.table().await.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.contains("#B#")));
    assert_eq!(items.count(), 0, "items of the lists");
}

#[tokio::test]
async fn there_is_no_devtest_unless_it_is_on() {
    let site = Site::of(App::new("urn:actingweb:example.com:devtest")).await;
    let ann = site.actor("ann").await;
    ann.get("/devtest/ping").await.problem(404);
    Answer::of(ann.anonymous(Method::GET, "/devtest/attribute/b/x")).await.problem(404);
}
