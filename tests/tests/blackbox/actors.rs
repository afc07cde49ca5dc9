//! Creating, reading and deleting actors.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::FORM;

async fn create(site: &Site, body: &Value) -> Answer {
    Answer::of(site.request(Method::POST, "/").json(body)).await
}

async fn create_by_form(site: &Site, body: &'static str) -> Answer {
    Answer::of(site.request(Method::POST, "/").header("content-type", FORM).body(body)).await
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Asserts that `Location` is the absolute URL of `/{id}`.
#[track_caller]
fn assert_location(site: &Site, answer: &Answer, id: &str) {
    let location = answer.header("location");
    if site.is_elsewhere() {
        assert!(location.starts_with("http") && location.ends_with(&format!("/{id}")), "{location}");
    } else {
        assert_eq!(location, site.url(&format!("/{id}")));
    }
}

#[tokio::test]
async fn a_creation_answers_with_the_credentials_once() {
    let site = Site::start().await;
    let answer = create(&site, &json!({ "creator": " Ann@Example.ORG " })).await.expect(201);
    let body = answer.json();
    let (id, passphrase) = (body["id"].as_str().expect("an id"), body["passphrase"].as_str().expect("a passphrase"));
    assert_eq!(body, json!({ "id": id, "creator": "ann@example.org", "passphrase": passphrase }));
    assert!(is_hex(id, 32) && is_hex(passphrase, 40), "{body}");
    assert_location(&site, &answer, id);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");

    let signed = site.request(Method::GET, &format!("/{id}")).basic_auth("ann@example.org", Some(passphrase));
    let shown = Answer::of(signed).await.expect(200);
    assert_eq!(shown.header("content-type"), "application/json");
    assert_eq!(shown.json(), json!({ "id": id, "creator": "ann@example.org" }));
}

#[tokio::test]
async fn what_the_creator_chooses_is_kept() {
    let site = Site::start().await;
    let chosen = json!({
        "creator": "Ann Smith", "passphrase": "pass:phrase: ünïcode", "trustee_root": "https://trustee.example/4f2a",
        "id": "ffffffffffffffffffffffffffffffff", "unknown": [1, {"x": null}],
    });
    let body = create(&site, &chosen).await.expect(201).json();
    assert_eq!(body["creator"], "Ann Smith");
    assert_eq!(body["passphrase"], chosen["passphrase"]);
    assert_eq!(body["trustee_root"], chosen["trustee_root"]);
    assert_ne!(body["id"], chosen["id"]);

    let path = format!("/{}", body["id"].as_str().expect("an id"));
    let signed = site.request(Method::GET, &path).basic_auth("Ann Smith", Some("pass:phrase: ünïcode"));
    let expected = json!({ "id": body["id"], "creator": "Ann Smith", "trustee_root": "https://trustee.example/4f2a" });
    assert_eq!(Answer::of(signed).await.expect(200).json(), expected);
}

#[tokio::test]
async fn a_creator_is_optional() {
    let site = Site::start().await;
    for body in ["", "{}", r#"{"creator":""}"#, r#"{"creator":"  ","passphrase":"","trustee_root":""}"#] {
        let answer = Answer::of(site.request(Method::POST, "/").body(body)).await.expect(201);
        assert_eq!(answer.json()["creator"], "creator", "{body}");
        assert_eq!(answer.json().get("trustee_root"), None, "{body}");
    }
}

#[tokio::test]
async fn one_creator_may_have_several_actors() {
    let site = Site::start().await;
    let (one, other) = (site.actor("ann@example.org").await, site.actor("ann@example.org").await);
    assert_ne!(one.id, other.id);
    assert_ne!(one.passphrase, other.passphrase);
    one.put("/properties/x", &json!(1)).await.expect(204);
    other.get("/properties/x").await.problem(404);
}

#[tokio::test]
async fn a_form_gets_a_page_unless_it_asks_for_json() {
    let site = Site::start().await;
    let page = create_by_form(&site, "creator=bob%3Cb%3E&passphrase=f%C3%B8rste+passord&x=1").await.expect(201);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.body.contains("første passord") && page.body.contains("bob&lt;b&gt;"), "{}", page.body);
    let id = page.header("location").rsplit('/').next().expect("an id").to_owned();
    assert_location(&site, &page, &id);
    let signed = site.request(Method::GET, &format!("/{id}")).basic_auth("bob<b>", Some("første passord"));
    assert_eq!(Answer::of(signed).await.expect(200).json()["id"], id);

    let form = site.request(Method::POST, "/").header("content-type", FORM).header("accept", "application/json");
    let answer = Answer::of(form.body("email=Carol%40example.org")).await.expect(201);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["creator"], "carol@example.org");
}

#[tokio::test]
async fn the_root_makes_actors_and_login_signs_people_in() {
    let site = Site::start().await;
    let page = site.send(Method::GET, "/").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.body.contains(r#"<form method="post" action="/">"#), "{}", page.body);
    assert!(page.body.contains(r#"name="creator""#), "{}", page.body);
    let login = site.send(Method::GET, "/login").await.expect(303);
    let page = Answer::of(site.http.get(login.header("location"))).await.expect(200);
    assert!(page.body.contains(r#"name="passphrase""#), "{}", page.body);
}

#[tokio::test]
async fn a_browser_without_credentials_is_sent_to_the_login() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let browser = owner.anonymous(Method::GET, "").header("accept", "text/html,application/xhtml+xml;q=0.9");
    let answer = Answer::of(browser).await.expect(302);
    assert!(answer.header("location").starts_with("http") && answer.header("location").ends_with("/login"));

    let signed = owner.request(Method::GET, "").header("accept", "text/html");
    assert_eq!(Answer::of(signed).await.expect(200).json()["id"], owner.id);
}

#[tokio::test]
async fn a_new_actor_has_what_the_lifecycle_hook_gave_it() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let created_at = owner.get("/properties/created_at").await.expect(200).body;
    assert!(created_at.ends_with('Z') && created_at.starts_with("20"), "{created_at}");
    assert_eq!(owner.get("/properties").await.expect(200).json(), json!({ "created_at": created_at }));
}

/// Asserts that an actor is gone, for its creator and for everybody else.
async fn assert_gone(owner: &Owner) {
    for path in
        ["", "/", "/meta", "/meta/id", "/properties", "/properties/x", "/methods", "/actions", "/resources/report"]
    {
        owner.get(path).await.problem(404);
        Answer::of(owner.anonymous(Method::GET, path)).await.problem(404);
    }
    owner.put("/properties/x", &json!(1)).await.problem(404);
    owner.post("/properties", &json!({ "x": 1 })).await.problem(404);
    owner.post("/methods/echo", &json!({ "x": 1 })).await.problem(404);
    owner.delete("/properties").await.problem(404);
    owner.delete("").await.problem(404);
}

#[tokio::test]
async fn a_deleted_actor_is_gone_at_once_and_for_good() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let other = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "y": [1, 2] })).await.expect(204);
    let deleted = owner.delete("").await.expect(204);
    assert_eq!(deleted.body, "");
    assert_gone(&owner).await;
    if !site.is_elsewhere() {
        site.drain().await;
        assert_gone(&owner).await;
    }
    other.get("").await.expect(200);
}

#[tokio::test]
async fn a_form_may_delete_and_a_link_may_not() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.get("?_method=DELETE").await.expect(200);
    Answer::of(owner.request(Method::HEAD, "?_method=DELETE")).await.expect(200);
    Answer::of(owner.anonymous(Method::POST, "?_method=DELETE")).await.problem(401);
    owner.get("").await.expect(200);
    owner.send(Method::POST, "", FORM, "_method=DELETE").await.expect(204);
    assert_gone(&owner).await;

    let owner = site.actor("bob@example.org").await;
    Answer::of(owner.request(Method::POST, "/?x=1&_method=delete")).await.expect(204);
    assert_gone(&owner).await;
}
