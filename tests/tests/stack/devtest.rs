//! Internal attributes over HTTP, where that is asked for.

use actingweb_hooks::App;
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
    assert_eq!(ann.get("/properties").await.expect(200).body, "{}", "attributes are no properties");
}

#[tokio::test]
async fn there_is_no_devtest_unless_it_is_on() {
    let site = Site::of(App::new("urn:actingweb:example.com:devtest")).await;
    let ann = site.actor("ann").await;
    ann.get("/devtest/ping").await.problem(404);
    Answer::of(ann.anonymous(Method::GET, "/devtest/attribute/b/x")).await.problem(404);
}
