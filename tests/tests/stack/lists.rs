//! Lists over HTTP: both addressings, texts, paging, preconditions, and what stays behind when one goes.

use std::sync::Arc;

use actingweb_hooks::{Actor, App, HookError};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

async fn notes(site: &Site, items: &[Value]) -> Owner {
    let ann = site.actor("ann").await;
    let created = ann.post("/properties", &json!({ "notes": { "_type": "list", "description": "What to do" } })).await;
    assert_eq!(created.expect(201).json(), json!({ "notes": "[Empty list property created]" }));
    for item in items {
        ann.post("/properties/notes", item).await.expect(201);
    }
    ann
}

async fn site() -> Site {
    Site::of(App::new("urn:actingweb:example.com:lists")).await
}

#[tokio::test]
async fn an_empty_list_is_there() {
    let site = site().await;
    let ann = notes(&site, &[]).await;
    assert_eq!(ann.get("/properties/notes").await.expect(200).body, "[]");
    assert_eq!(ann.get("/properties").await.expect(200).json(), json!({ "notes": { "_list": true, "count": 0 } }));
    let summary = json!({ "_list": true, "count": 0, "description": "What to do", "explanation": "" });
    assert_eq!(ann.get("/properties/notes?format=short").await.expect(200).json(), summary);
    ann.get("/properties/notes/0").await.problem(404);
    ann.delete("/properties/notes/0").await.problem(404);
}

#[tokio::test]
async fn items_are_addressed_by_path_by_index_and_by_handle() {
    let site = site().await;
    let ann = notes(&site, &[json!("a"), json!({ "b": { "c": 1 } }), json!(3)]).await;
    assert_eq!(ann.get("/properties/notes/0").await.expect(200).body, "a");
    assert_eq!(ann.get("/properties/notes/1/b/c").await.expect(200).body, "1");
    assert_eq!(ann.get("/properties/notes?index=2").await.expect(200).body, "3");
    assert_eq!(ann.get("/properties/notes?index=-3").await.expect(200).json(), "a");
    for missing in [
        "/properties/notes/3",
        "/properties/notes?index=3",
        "/properties/notes?index=-4",
        "/properties/notes?index=x",
        "/properties/notes/x",
    ] {
        ann.get(missing).await.problem(404);
    }

    ann.put("/properties/notes?index=0", &json!("A")).await.expect(204);
    ann.put("/properties/notes/3", &json!("d")).await.expect(204);
    ann.put("/properties/notes?index=9", &json!("d")).await.problem(404);
    ann.put("/properties/notes?index=-1", &json!("d")).await.problem(400);
    ann.put("/properties/notes/0", &Value::Null).await.problem(400);
    let appended = ann.post("/properties/notes", &json!("e")).await.expect(201);
    assert_eq!(appended.header("location"), format!("{}/properties/notes/4", ann.url));

    let listed = ann.get("/properties/notes/items").await.expect(200).json();
    assert_eq!(listed["count"], 5);
    assert_eq!((&listed["items"][3]["index"], &listed["items"][3]["item"]), (&json!(3), &json!("d")));
    let handle = listed["items"][3]["handle"].clone();
    ann.delete("/properties/notes?index=0").await.expect(204);
    let update = json!({ "action": "update", "handle": handle, "item_value": "D" });
    ann.post("/properties/notes/items", &update).await.expect(204);
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), json!([{ "b": { "c": 1 } }, 3, "D", "e"]));
    ann.post("/properties/notes/items", &json!({ "action": "delete", "handle": handle })).await.expect(204);
    ann.post("/properties/notes/items", &json!({ "action": "delete", "handle": handle })).await.problem(400);
    ann.post("/properties/notes/items", &json!({ "action": "update", "old_value": 3, "item_value": 4 }))
        .await
        .expect(204);
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), json!([{ "b": { "c": 1 } }, 4, "e"]));
    for wrong in [
        json!({}),
        json!({ "action": "sort" }),
        json!({ "action": "add" }),
        json!({ "action": "add", "item_value": null }),
        json!({ "action": "update", "item_index": 3, "item_value": 1 }),
        json!({ "action": "delete", "item_index": -1 }),
        json!({ "action": "delete", "item_index": [] }),
        json!({ "action": "delete", "handle": "!" }),
        json!([]),
    ] {
        ann.post("/properties/notes/items", &wrong).await.problem(400);
    }
}

#[tokio::test]
async fn a_name_is_a_list_or_a_plain_property() {
    let site = site().await;
    let ann = notes(&site, &[json!(1)]).await;
    ann.put("/properties/plain", &json!(1)).await.expect(204);
    ann.put("/properties/notes", &json!(1)).await.problem(409);
    ann.post("/properties", &json!({ "notes": 1 })).await.problem(409);
    ann.post("/properties", &json!({ "fresh": 1, "notes": { "some": "object" } })).await.problem(409);
    ann.get("/properties/fresh").await.problem(404);
    ann.post("/properties", &json!({ "plain": { "_type": "list" } })).await.problem(409);
    ann.post("/properties", &json!({ "plain": { "items": [{ "index": 0, "a": 1 }] } })).await.problem(400);
    ann.post("/properties/plain", &json!(1)).await.problem(405);
    assert_eq!(
        ann.get("/properties").await.expect(200).json(),
        json!({ "notes": { "_list": true, "count": 1 }, "plain": 1 })
    );
    ann.delete("/properties/notes").await.expect(204);
    ann.put("/properties/notes", &json!("plain now")).await.expect(204);
}

#[tokio::test]
async fn several_items_change_at_once_by_the_positions_they_had() {
    let site = site().await;
    let ann = notes(&site, &[json!({ "n": 0 }), json!({ "n": 1 }), json!({ "n": 2 })]).await;
    let bulk = |items: Value| json!({ "notes": { "items": items }, "beside": true });
    let said = ann
        .post("/properties", &bulk(json!([{ "index": 0 }, { "index": 3, "n": 3 }, { "index": 2, "n": "two" }])))
        .await;
    assert_eq!(said.expect(201).json()["notes"], "[Bulk update: 2 items updated, 1 items deleted]");
    let expected = json!([{ "n": 1 }, { "n": "two" }, { "n": 3 }]);
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), expected);
    assert_eq!(ann.get("/properties/beside").await.expect(200).json(), true);

    assert_eq!(ann.post("/properties", &bulk(json!([]))).await.expect(201).json()["notes"], "[No items to update]");
    for wrong in [
        json!([{ "index": 4, "n": 1 }]),
        json!([{ "n": 1 }]),
        json!([1]),
        json!({}),
        json!([{ "index": -1 }]),
        json!([{ "index": true, "n": 1 }]),
    ] {
        ann.post("/properties", &json!({ "notes": { "items": wrong }, "other": 1 })).await.problem(400);
    }
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), expected);
    ann.get("/properties/other").await.problem(404);
}

#[tokio::test]
async fn texts_of_a_list_are_read_and_changed() {
    let site = site().await;
    let ann = notes(&site, &[json!(1)]).await;
    ann.put("/properties/notes/metadata", &json!({ "explanation": "One line each" })).await.expect(204);
    let metadata = json!({ "name": "notes", "_list": true, "count": 1, "description": "What to do", "explanation": "One line each" });
    assert_eq!(ann.get("/properties/notes/metadata").await.expect(200).json(), metadata);
    ann.put("/properties/notes/metadata", &json!({})).await.problem(400);
    ann.put("/properties/notes/metadata", &json!(["description"])).await.problem(400);
    ann.get("/properties/nothing/metadata").await.problem(404);
    ann.post("/properties", &json!({ "notes": { "_type": "list", "description": "New" } })).await.expect(201);
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), json!([1]), "the items stay");
    let full = ann.get("/properties?format=full").await.expect(200).json();
    assert_eq!(full["notes"]["items"], json!([1]));
    assert_eq!(full["notes"]["description"], "New");
    let sizes = ann.get("/properties?metadata=true").await.expect(200).json();
    assert_eq!(
        sizes["lists"]["notes"],
        json!({ "count": 1, "total_bytes": 1, "description": "New", "explanation": "One line each" })
    );
    ann.get("/properties?format=full&metadata=true").await.problem(400);
    let form = "property=todo&property_type=list";
    let form = ann.send(Method::POST, "/properties", "application/x-www-form-urlencoded", form).await;
    form.expect(201);
    assert_eq!(ann.get("/properties/todo").await.expect(200).body, "[]");
}

#[tokio::test]
async fn long_collections_come_in_parts() {
    let site = site().await;
    let ann = notes(&site, &[json!(0), json!(1), json!(2), json!(3), json!(4)]).await;
    for (path, mut whole) in [("/properties/notes", Vec::new()), ("/properties", Vec::new())] {
        let many: serde_json::Map<_, _> = (0..4).map(|n| (format!("p{n}"), json!(n))).collect();
        ann.post("/properties", &many.into()).await.expect(201);
        let mut next = format!("{path}?limit=2");
        let mut parts = 0;
        loop {
            let part = ann.get(&next).await.expect(200);
            match part.json() {
                Value::Array(items) => whole.extend(items),
                Value::Object(members) => whole.extend(members.into_iter().map(|(name, _)| json!(name))),
                other => panic!("{other}"),
            }
            parts += 1;
            let link = part.header("link").to_owned();
            if link.is_empty() {
                break;
            }
            let url = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\"")).expect("a link").0;
            next = url.strip_prefix(&ann.url).expect("a link to the same actor").to_owned();
        }
        assert_eq!(parts, 3);
        // Parts of the properties do not come in the order of names.
        if path == "/properties" {
            whole.sort_by_key(Value::to_string);
        }
        let expected =
            if path == "/properties" { json!(["notes", "p0", "p1", "p2", "p3"]) } else { json!([0, 1, 2, 3, 4]) };
        assert_eq!(json!(whole), expected);
    }
    ann.get("/properties?limit=0").await.problem(400);
    ann.get("/properties?limit=x").await.problem(400);
    ann.get("/properties/notes?cursor=!").await.problem(400);
}

#[tokio::test]
async fn a_precondition_that_fails_changes_nothing() {
    let site = site().await;
    let ann = notes(&site, &[json!(1)]).await;
    ann.put("/properties/plain", &json!({ "a": 1 })).await.expect(204);
    for path in ["/properties/plain", "/properties/notes"] {
        let tag = ann.get(path).await.expect(200).header("etag").to_owned();
        assert!(tag.starts_with('"'), "{path} has an ETag");
        let with = |method: Method, name: &'static str, tag: &str, below: &str| {
            ann.request(method, &format!("{path}{below}")).header(name, tag).json(&json!(2))
        };
        Answer::of(with(Method::GET, "if-none-match", &tag, "")).await.expect(304);
        Answer::of(with(Method::GET, "if-none-match", "\"other\"", "")).await.expect(200);
        let below = if path.ends_with("plain") { "/b" } else { "/0" };
        Answer::of(with(Method::PUT, "if-match", "\"other\"", below)).await.problem(412);
        Answer::of(with(Method::DELETE, "if-match", "\"other\"", "")).await.problem(412);
        Answer::of(with(Method::PUT, "if-match", &tag, below)).await.expect(204);
        Answer::of(with(Method::PUT, "if-match", &tag, below)).await.problem(412);
        Answer::of(with(Method::DELETE, "if-match", "*", "")).await.expect(204);
    }
    let only_new =
        || Answer::of(ann.request(Method::PUT, "/properties/new").header("if-none-match", "*").json(&json!(1)));
    only_new().await.expect(204);
    only_new().await.problem(412);
}

#[tokio::test]
async fn items_of_lists_that_are_gone_are_removed() {
    let clock = FakeClock::new();
    let site = Site::with_clock(App::new("urn:actingweb:example.com:lists"), Arc::new(clock.clone())).await;
    let items: Vec<Value> = (0..60).map(|n| json!(n)).collect();
    let ann = notes(&site, &items).await;
    let left = || async {
        site.table().await.iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("ITEM#"))).count()
    };
    assert_eq!(left().await, 60);
    ann.post("/properties/notes/items", &json!({ "action": "clear" })).await.expect(204);
    assert_eq!(ann.get("/properties/notes").await.expect(200).body, "[]");
    ann.post("/properties/notes", &json!("new")).await.expect(201);
    site.drain().await;
    assert_eq!(left().await, 1);
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), json!(["new"]));

    ann.delete("/properties/notes").await.expect(204);
    ann.get("/properties/notes").await.problem(404);
    site.drain().await;
    assert_eq!(left().await, 0);

    ann.post("/properties", &json!({ "a": { "_type": "list" }, "b": 1 })).await.expect(201);
    ann.post("/properties/a", &json!(1)).await.expect(201);
    ann.delete("/properties").await.expect(204);
    assert_eq!(ann.get("/properties").await.expect(200).body, "{}");
    site.drain().await;
    assert_eq!(left().await, 0);

    ann.post("/properties", &json!({ "a": { "_type": "list" } })).await.expect(201);
    ann.post("/properties/a", &json!(1)).await.expect(201);
    ann.delete("").await.expect(204);
    site.drain().await;
    assert_eq!(
        site.table().await.iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.contains(&ann.id))).count(),
        1
    );
}

#[tokio::test]
async fn what_is_wrong_about_an_item_deletes_none() {
    let site = site().await;
    let ann = notes(&site, &[json!("a"), json!("b")]).await;
    for wrong in [json!({ "item_index": -1, "item_value": "a" }), json!({ "handle": "!", "item_value": "a" })] {
        let mut body = wrong;
        body["action"] = json!("delete");
        ann.post("/properties/notes/items", &body).await.problem(400);
    }
    for method in [Method::POST, Method::PUT] {
        let path = if method == Method::PUT { "/properties/notes/0" } else { "/properties/notes" };
        ann.send(method, path, "application/json", "").await.problem(400);
    }
    assert_eq!(ann.get("/properties/notes").await.expect(200).json(), json!(["a", "b"]));
    let part = ann.get("/properties?format=full&limit=1").await.expect(200);
    assert_eq!(part.json()["notes"]["items"], json!(["a", "b"]));
    ann.put("/properties/other", &json!(1)).await.expect(204);
    let part = ann.get("/properties?format=full&limit=1").await.expect(200);
    assert!(part.header("link").contains("&format=full>"), "{}", part.header("link"));
}

#[tokio::test]
async fn what_is_said_of_a_list_has_a_limit() {
    let site = site().await;
    let ann = notes(&site, &[json!(1)]).await;
    let long = "x".repeat(10_001);
    ann.put("/properties/notes/metadata", &json!({ "description": long })).await.problem(413);
    ann.post("/properties", &json!({ "new": { "_type": "list", "explanation": long } })).await.problem(413);
    ann.get("/properties/new").await.problem(404);
    ann.put("/properties/notes/metadata", &json!({ "description": "x".repeat(10_000) })).await.expect(204);
}

#[tokio::test]
async fn a_listing_that_no_reply_could_hold_is_refused() {
    let site = site().await;
    let ann = notes(&site, &[]).await;
    ann.post("/properties", &json!({ "more": { "_type": "list" } })).await.expect(201);
    let item = json!("x".repeat(300_000));
    for list in ["notes", "more"] {
        for _ in 0..9 {
            ann.post(&format!("/properties/{list}"), &item).await.expect(201);
        }
    }
    ann.get("/properties/notes").await.expect(200);
    ann.get("/properties?format=full").await.problem(413);
    ann.get("/properties?metadata=true").await.problem(413);
    ann.get("/properties").await.expect(200);
}

#[tokio::test]
async fn a_hook_creates_and_fills_lists() {
    let app = App::new("urn:actingweb:example.com:lists")
        .method("note", async |actor: Actor| {
            actor.create_list("notes", Some("What was said"), None).await?;
            let index = actor.append("notes", json!({ "n": 1 })).await?;
            actor.create_list("notes", None, Some("One each")).await?;
            Ok::<_, HookError>(json!({ "index": index, "items": actor.list_items("notes").await? }))
        })
        .method("lost", async |actor: Actor| Ok::<_, HookError>(actor.append("nowhere", json!(1)).await?));
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    ann.post("/methods/note", &json!({})).await.expect(200);
    let second = ann.post("/methods/note", &json!({})).await.expect(200).json();
    assert_eq!(second, json!({ "index": 1, "items": [{ "n": 1 }, { "n": 1 }] }));
    let summary = json!({ "_list": true, "count": 2, "description": "What was said", "explanation": "One each" });
    assert_eq!(ann.get("/properties/notes?format=short").await.expect(200).json(), summary);
    ann.post("/methods/lost", &json!({})).await.problem(404);
    ann.put("/properties/notes/metadata", &json!({})).await.problem(400);
}
