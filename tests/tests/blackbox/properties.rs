//! `/{actor}/properties`: whole values.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{FORM, on_own_engine};

/// A property as JSON.
async fn read(owner: &Owner, path: &str) -> Value {
    let request = owner.request(Method::GET, &format!("/properties/{path}")).header("accept", "application/json");
    let answer = Answer::of(request).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

/// All properties but those that the demo's hooks wrote by themselves.
async fn read_all(owner: &Owner) -> Value {
    let mut all = owner.get("/properties").await.expect(200).json();
    all.as_object_mut().expect("an object").remove("created_at");
    all
}

#[tokio::test]
async fn every_json_value_comes_back_as_it_was() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let texts = [
        r#""text""#,
        r#""""#,
        r#""123""#,
        r#""true""#,
        r#""null""#,
        r#""{\"a\":1}""#,
        r#""  spaces and\nlines\t""#,
        r#""\u0000\u001f \"\\/ 💡 é e\u0301 \ufffd""#,
        "0",
        "-1",
        "1.5",
        "1.0",
        "0.1",
        "1e300",
        "5e-324",
        "0.30000000000000004",
        "18446744073709551615",
        "-9223372036854775808",
        "true",
        "false",
        "[]",
        r#"[1,"1",null,[],{}]"#,
        "{}",
        r#"{"z":1,"a":{"y":null,"":[true]},"items":[1],"_list":true}"#,
    ];
    for text in texts {
        let sent: Value = serde_json::from_str(text).expect("JSON");
        owner.send(Method::PUT, "/properties/x", "application/json", text).await.expect(204);
        let back = read(&owner, "x").await;
        assert_eq!(back.to_string(), sent.to_string(), "after PUT of {text}");
        owner.delete("/properties/x").await.expect(204);
        let posted = owner.send(Method::POST, "/properties", "application/json", format!(r#"{{"x":{text}}}"#)).await;
        assert_eq!(posted.expect(201).json()["x"].to_string(), sent.to_string(), "the reply to POST of {text}");
        assert_eq!(read(&owner, "x").await.to_string(), sent.to_string(), "after POST of {text}");
    }
}

#[tokio::test]
async fn a_string_is_bare_unless_json_is_asked_for() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/text", &json!("123")).await.expect(204);
    owner.post("/properties", &json!({ "posted": "a \"b\"" })).await.expect(201);
    for (path, bare) in [("text", "123"), ("posted", "a \"b\"")] {
        let path = format!("/properties/{path}");
        for accept in ["*/*", "text/plain", "text/html, */*;q=0.1", "application/xml"] {
            let answer = Answer::of(owner.request(Method::GET, &path).header("accept", accept)).await.expect(200);
            assert_eq!((answer.body.as_str(), answer.header("content-type")), (bare, "text/plain; charset=utf-8"));
        }
        for accept in ["application/json", "Application/JSON;q=0.5", "text/html, application/json"] {
            let answer = Answer::of(owner.request(Method::GET, &path).header("accept", accept)).await.expect(200);
            assert_eq!((answer.json(), answer.header("content-type")), (json!(bare), "application/json"));
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_text() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let texts = ["just text", "12 monkeys", "Ünïcode ☃\r\nlines", "a=b&c=d", "<p>", "nul", "-", "2026-11-22", "# 1"];
    for text in texts {
        for content_type in ["text/plain", "application/octet-stream", FORM] {
            owner.send(Method::PUT, "/properties/x", content_type, text).await.expect(204);
            assert_eq!(owner.get("/properties/x").await.expect(200).body, text, "{content_type}");
            assert_eq!(read(&owner, "x").await, json!(text));
        }
    }
    // JSON counts as JSON, whatever it is declared as.
    Answer::of(owner.request(Method::PUT, "/properties/x").body(r#" {"a": 1.10} "#)).await.expect(204);
    assert_eq!(owner.get("/properties/x").await.expect(200).body, r#"{"a":1.1}"#);
    owner.send(Method::PUT, "/properties/x", "text/plain", "42").await.expect(204);
    assert_eq!(read(&owner, "x").await, json!(42));
}

#[tokio::test]
async fn a_put_replaces_the_whole_value_and_an_empty_one_deletes() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "a": 1 })).await.expect(204);
    let answer = owner.put("/properties/x", &json!({ "b": 2 })).await.expect(204);
    assert_eq!(answer.body, "");
    assert_eq!(read(&owner, "x").await, json!({ "b": 2 }));
    owner.send(Method::PUT, "/properties/x", "application/json", "").await.expect(204);
    owner.get("/properties/x").await.problem(404);
    owner.send(Method::PUT, "/properties/x", "text/plain", "").await.expect(204);
}

#[tokio::test]
async fn a_delete_may_be_repeated() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!(1)).await.expect(204);
    owner.put("/properties/y", &json!(2)).await.expect(204);
    owner.delete("/properties/x").await.expect(204);
    owner.delete("/properties/x").await.expect(204);
    owner.get("/properties/x").await.problem(404);
    assert_eq!(read_all(&owner).await, json!({ "y": 2 }));
    owner.delete("/properties").await.expect(204);
    assert_eq!(owner.get("/properties").await.expect(200).json(), json!({}));
    owner.delete("/properties/").await.expect(204);
}

#[tokio::test]
async fn a_post_sets_several_and_leaves_the_others() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/kept", &json!({ "a": 1 })).await.expect(204);
    owner.put("/properties/b", &json!({ "old": 1 })).await.expect(204);
    let values = json!({ "b": { "new": 2 }, "a": "1", "c": [null] });
    let answer = owner.post("/properties", &values).await.expect(201);
    assert_eq!(answer.json(), values);
    assert_eq!(read_all(&owner).await, json!({ "a": "1", "b": { "new": 2 }, "c": [null], "kept": { "a": 1 } }));
    // Without a type, and with a slash at the end.
    Answer::of(owner.request(Method::POST, "/properties/").body(r#"{"d":true}"#)).await.expect(201);
    assert_eq!(read(&owner, "d").await, json!(true));
}

#[tokio::test]
async fn a_form_sets_texts() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let form = "count=12&name=J%C3%B8rgen+Moe&empty=&json=%7B%22a%22%3A1%7D";
    let answer = owner.send(Method::POST, "/properties?ignored=1", FORM, form).await.expect(201);
    let expected = json!({ "count": "12", "name": "Jørgen Moe", "empty": "", "json": "{\"a\":1}" });
    assert_eq!(answer.json(), expected);
    assert_eq!(read_all(&owner).await, expected);
    let charset = format!("{FORM}; charset=UTF-8");
    owner.send(Method::POST, "/properties", &charset, "count=13&_method=POST").await.expect(201);
    assert_eq!(owner.get("/properties/count").await.expect(200).body, "13");
    owner.get("/properties/_method").await.problem(404);
}

#[tokio::test]
async fn a_post_is_all_or_nothing() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/a", &json!("before")).await.expect(204);
    let bad = [
        json!({ "a": 1, "b": null }),
        json!({ "a": 1, "": 2 }),
        json!({ "a": 1, "x/y": 2 }),
        json!({ "a": 1, "..": 2 }),
        json!({ "a": 1, "email": "no address" }),
        json!({ "email": "ann@example.org", "a": null }),
        json!({ "a": 1, "x\u{7f}": 2 }),
    ];
    for body in bad {
        owner.post("/properties", &body).await.problem(400);
        assert_eq!(read_all(&owner).await, json!({ "a": "before" }), "{body}");
    }
    let big = json!({ "a": 1, "b": "x".repeat(350_000) });
    owner.post("/properties", &big).await.problem(413);
    assert_eq!(read_all(&owner).await, json!({ "a": "before" }));
}

#[tokio::test]
async fn as_many_as_a_transaction_holds_are_set_at_once() {
    if !on_own_engine("a transaction of 100 items") {
        return;
    }
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let values = |count: usize| Value::Object((0..count).map(|n| (format!("p{n}"), json!(n))).collect());
    owner.post("/properties", &values(98)).await.problem(400);
    assert_eq!(read_all(&owner).await, json!({}));
    owner.post("/properties", &values(97)).await.expect(201);
    assert_eq!(read_all(&owner).await, values(97));
    owner.delete("/properties").await.expect(204);
    assert_eq!(read_all(&owner).await, json!({}));
}

#[tokio::test]
async fn a_value_of_the_largest_size_is_kept() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    // Two bytes are the quotes.
    let largest = "x".repeat(350_000 - 2);
    owner.put("/properties/x", &json!(largest)).await.expect(204);
    assert_eq!(read(&owner, "x").await, json!(largest));
    let detail = owner.put("/properties/x", &json!(format!("{largest}x"))).await.problem(413).detail();
    assert!(detail.contains("350000"), "{detail}");
    owner.send(Method::PUT, "/properties/x/y", "text/plain", "z".repeat(350_000)).await.problem(413);
    assert_eq!(read(&owner, "x").await, json!(largest));
}

#[tokio::test]
async fn names_may_be_almost_anything() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let longest = "n".repeat(256);
    let names = [
        ("na%C3%AFve%20name", "naïve name"),
        ("e%CC%81", "e\u{301}"),
        ("%C3%A9", "\u{e9}"),
        ("%F0%9F%92%A1", "💡"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("a+b", "a+b"),
        ("%61bc", "abc"),
        ("Abc", "Abc"),
        ("a:b;c,d=e@f!$&'()*~", "a:b;c,d=e@f!$&'()*~"),
        ("%5B%22%5C%5D%7B%3C%3E%7D%7C%5E%60", "[\"\\]{<>}|^`"),
        ("list:x", "list:x"),
        ("items", "items"),
        ("metadata", "metadata"),
        ("ACTOR", "ACTOR"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("%20", " "),
        (&longest, &longest),
    ];
    for (n, (encoded, name)) in names.into_iter().enumerate() {
        owner.put(&format!("/properties/{encoded}"), &json!(n)).await.expect(204);
        assert_eq!(read(&owner, encoded).await, json!(n), "{name}");
        assert_eq!(owner.get("/properties").await.expect(200).json()[name], json!(n), "{name}");
        let posted = json!({ name: [n] });
        assert_eq!(owner.post("/properties", &posted).await.expect(201).json(), posted);
        assert_eq!(read(&owner, encoded).await, json!([n]), "{name}");
    }
    for (encoded, name) in names {
        owner.delete(&format!("/properties/{encoded}")).await.expect(204);
        assert_eq!(owner.get("/properties").await.expect(200).json().get(name), None, "{name}");
    }
    assert_eq!(read_all(&owner).await, json!({}));
}

#[tokio::test]
async fn a_hook_checks_and_changes_what_is_written() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/email", &json!(" Ann@Example.ORG ")).await.expect(204);
    assert_eq!(owner.get("/properties/email").await.expect(200).body, "ann@example.org");
    owner.send(Method::PUT, "/properties/email", "text/plain", "Bob@Example.org").await.expect(204);
    assert_eq!(read_all(&owner).await, json!({ "email": "bob@example.org" }));
    let posted = owner.post("/properties", &json!({ "email": "Carol@Example.org", "x": 1 })).await.expect(201);
    assert_eq!(posted.json(), json!({ "email": "carol@example.org", "x": 1 }));
    for bad in [json!("nobody"), json!(""), json!(1), json!({ "a": "ann@example.org" }), json!(["ann@example.org"])] {
        owner.put("/properties/email", &bad).await.problem(400);
        owner.post("/properties", &json!({ "email": bad })).await.problem(400);
    }
    owner.put("/properties/email/work", &json!("ann@example.org")).await.problem(400);
    assert_eq!(read_all(&owner).await, json!({ "email": "carol@example.org", "x": 1 }));
    owner.delete("/properties/email").await.expect(204);
    assert_eq!(read_all(&owner).await, json!({ "x": 1 }));
}

#[tokio::test]
async fn reading_changes_nothing() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "y": 1 })).await.expect(204);
    for path in ["/properties?x=2", "/properties/x?y=2", "/properties?_method=DELETE", "/properties/x?_method=DELETE"] {
        owner.get(path).await.expect(200);
        Answer::of(owner.request(Method::GET, path).json(&json!({ "x": 3 }))).await.expect(200);
    }
    assert_eq!(read_all(&owner).await, json!({ "x": { "y": 1 } }));
}
