//! `/{actor}/properties/{name}/{key}...`: parts of values.

use actingweb_tests::{Owner, Site};
use serde_json::{Value, json};

use crate::on_own_engine;

async fn value_of(owner: &Owner, name: &str) -> Value {
    owner.get(&format!("/properties/{name}")).await.expect(200).json()
}

#[tokio::test]
async fn a_part_is_read_at_any_depth() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let value = json!({ "a": { "b c": { "ü": [1, { "x": 2 }], "t": "text", "n": null, "z": false } }, "": 1 });
    owner.put("/properties/x", &value).await.expect(204);
    assert_eq!(owner.get("/properties/x/a").await.expect(200).json(), value["a"]);
    assert_eq!(owner.get("/properties/x/a/b%20c/%C3%BC").await.expect(200).json(), json!([1, { "x": 2 }]));
    assert_eq!(owner.get("/properties/x/a/b%20c/z").await.expect(200).json(), json!(false));
    assert_eq!(owner.get("/properties/x/a/b%20c/n").await.expect(200).json(), Value::Null);
    let text = owner.get("/properties/x/a/b%20c/t").await.expect(200);
    assert_eq!((text.body.as_str(), text.header("content-type")), ("text", "text/plain; charset=utf-8"));
    for missing in ["x/b", "x/a/b%20c/t/0", "x/a/b%20c/%C3%BC/0", "x/a/b%20c/%C3%BC/1/x", "x/A", "y/a", "x/a/b%20c/z/q"]
    {
        owner.get(&format!("/properties/{missing}")).await.problem(404);
    }
}

#[tokio::test]
async fn a_part_is_written_and_the_rest_stays() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x/a/b", &json!(1)).await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "a": { "b": 1 } }));
    owner.put("/properties/x/a/c", &json!("two")).await.expect(204);
    owner.put("/properties/x/d", &json!([3])).await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "a": { "b": 1, "c": "two" }, "d": [3] }));
    owner.put("/properties/x/d", &json!([4])).await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "a": { "b": 1, "c": "two" }, "d": [4] }));
}

#[tokio::test]
async fn objects_are_merged_in_depth() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner
        .put("/properties/x", &json!({ "a": { "keep": 1, "deep": { "keep": 2, "old": 3 }, "list": [1, 2] } }))
        .await
        .expect(204);
    let change = json!({ "deep": { "old": { "new": 4 }, "more": null }, "list": [5], "added": {} });
    owner.put("/properties/x/a", &change).await.expect(204);
    let expected = json!({ "a": {
        "keep": 1, "deep": { "keep": 2, "old": { "new": 4 }, "more": null }, "list": [5], "added": {},
    } });
    assert_eq!(value_of(&owner, "x").await, expected);
}

#[tokio::test]
async fn a_scalar_on_the_way_is_replaced_and_an_array_is_409() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for scalar in [json!("text"), json!(1), json!(true)] {
        owner.put("/properties/x", &scalar).await.expect(204);
        owner.put("/properties/x/a/b", &json!(2)).await.expect(204);
        assert_eq!(value_of(&owner, "x").await, json!({ "a": { "b": 2 } }));
        owner.put("/properties/x/a/b/c", &json!(3)).await.expect(204);
        assert_eq!(value_of(&owner, "x").await, json!({ "a": { "b": { "c": 3 } } }));
    }
    for (value, path) in [(json!([1, 2]), "x/0"), (json!({ "l": [{ "a": 1 }] }), "x/l/0/a"), (json!([]), "x/a/b")] {
        owner.put("/properties/x", &value).await.expect(204);
        let detail = owner.put(&format!("/properties/{path}"), &json!(9)).await.problem(409).detail();
        assert!(detail.contains("array"), "{detail}");
        assert_eq!(value_of(&owner, "x").await, value);
    }
}

#[tokio::test]
async fn a_part_is_deleted_once() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "a": { "b": 1 }, "z": 1, "c": 2, "l": [1] })).await.expect(204);
    for (path, left) in [
        ("x/a/b", json!({ "a": {}, "z": 1, "c": 2, "l": [1] })),
        ("x/z", json!({ "a": {}, "c": 2, "l": [1] })),
        ("x/a", json!({ "c": 2, "l": [1] })),
        ("x/l", json!({ "c": 2 })),
        ("x/c", json!({})),
    ] {
        owner.delete(&format!("/properties/{path}")).await.expect(204);
        // To the letter: the order of the members stays, too.
        assert_eq!(owner.get("/properties/x").await.expect(200).body, left.to_string());
        owner.delete(&format!("/properties/{path}")).await.problem(404);
    }
    owner.put("/properties/x", &json!({ "l": [1], "t": "text" })).await.expect(204);
    for path in ["x/l/0", "x/t/0", "x/none/none", "none/a"] {
        owner.delete(&format!("/properties/{path}")).await.problem(404);
    }
    assert_eq!(value_of(&owner, "x").await, json!({ "l": [1], "t": "text" }));
    // An empty PUT deletes a part, too.
    actingweb_tests::Answer::of(owner.request(reqwest::Method::PUT, "/properties/x/t")).await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "l": [1] }));
}

#[tokio::test]
async fn paths_are_as_deep_as_the_limit() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let deepest = format!("/properties/x{}", "/k".repeat(32));
    owner.put(&deepest, &json!("bottom")).await.expect(204);
    assert_eq!(owner.get(&deepest).await.expect(200).body, "bottom");
    owner.delete(&deepest).await.expect(204);
    let too_deep = format!("{deepest}/k");
    owner.get(&too_deep).await.problem(400);
    owner.put(&too_deep, &json!(1)).await.problem(400);
    owner.delete(&too_deep).await.problem(400);
    // The value grows at the bottom of a path: its depth is checked as a whole.
    let nested = (0..40).fold(json!(1), |value, _| json!([value]));
    owner.put(&deepest, &nested).await.problem(400);
    owner.get(&deepest).await.problem(404);
}

#[tokio::test]
async fn items_and_metadata_are_keys_like_any_other() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x/items", &json!([1])).await.expect(204);
    owner.put("/properties/x/metadata", &json!({ "a": 1 })).await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "items": [1], "metadata": { "a": 1 } }));
    owner.delete("/properties/x/items").await.expect(204);
    assert_eq!(value_of(&owner, "x").await, json!({ "metadata": { "a": 1 } }));
}

#[tokio::test]
async fn writers_of_different_parts_lose_nothing() {
    if !on_own_engine("the item that made a condition fail, in the reply") {
        return;
    }
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let writes = (0..8).map(|n| {
        let owner = owner.clone();
        async move { owner.put(&format!("/properties/x/k{n}"), &json!(n)).await.expect(204) }
    });
    futures_util::future::join_all(writes).await;
    let expected: serde_json::Map<String, Value> = (0..8).map(|n| (format!("k{n}"), json!(n))).collect();
    assert_eq!(value_of(&owner, "x").await, Value::Object(expected));
}
