//! `/{actor}/meta`: every path of it.

use actingweb_tests::Site;
use reqwest::Method;
use serde_json::{Value, json};

const TAGS: &str = "actions,callbackcompression,callbacks,listproperties,mcp,methods,nestedproperties,onewaytrust,permissioncallback,permissionquery,resources,subscriptionresync,subscriptions,trust,trustpermissions";
const TYPE: &str = "urn:actingweb:example.com:demo";

#[tokio::test]
async fn the_document_says_everything_nested_and_flat() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for path in ["/meta", "/meta/"] {
        let document = site.send(Method::GET, &format!("/{}{path}", owner.id)).await.expect(200);
        assert_eq!(document.header("content-type"), "application/json");
        let version = document.json()["version"].clone();
        let expected = json!({
            "id": owner.id, "type": TYPE, "version": version, "desc": "A demo of what hooks can do",
            "info": "http://actingweb.org/", "trustee_root": "", "specification": "",
            "actingweb": { "version": "1.4", "supported": TAGS, "formats": "json" },
            "aw_version": "1.0", "aw_supported": TAGS, "aw_formats": "json",
            "aw_trust_types": ["associate", "viewer", "friend", "partner", "admin", "mcp_client"],
        });
        assert_eq!(document.json(), expected);
        assert!(version.as_str().is_some_and(|version| version.split('.').count() == 3), "{version}");
    }
}

#[tokio::test]
async fn single_values_are_texts() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let version = owner.get("/meta").await.expect(200).json()["version"].as_str().expect("a version").to_owned();
    let description = format!("A demo of what hooks can do {}", owner.id);
    for (path, expected) in [
        ("id", owner.id.as_str()),
        ("id/", &owner.id),
        ("type", TYPE),
        ("version", &version),
        ("desc", &description),
        ("info", "http://actingweb.org/"),
        ("trustee_root", ""),
        ("specification", ""),
        ("actingweb/version", "1.4"),
        ("actingweb/supported", TAGS),
        ("actingweb/formats", "json"),
    ] {
        let answer = site.send(Method::GET, &format!("/{}/meta/{path}", owner.id)).await.expect(200);
        assert_eq!(answer.body, expected, "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "{path}");
    }
}

#[tokio::test]
async fn trust_types_come_in_two_shapes() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let listed = owner.get("/meta/actingweb/trust_types").await.expect(200).json();
    let keyed = owner.get("/meta/trusttypes").await.expect(200).json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 6);
    for kind in listed {
        let name = kind["name"].as_str().expect("a name");
        for member in ["display_name", "description", "created_by"] {
            assert!(kind[member].as_str().is_some_and(|text| !text.is_empty()), "{kind}");
        }
        let expected = json!({ "display_name": kind["display_name"], "description": kind["description"] });
        assert_eq!(keyed["trust_types"][name], expected);
    }
    assert_eq!(keyed["trust_types"].as_object().map(serde_json::Map::len), Some(6));
    assert_eq!(keyed["default_trust_type"], "associate");
}

#[tokio::test]
async fn the_trustee_root_is_shown() {
    let site = Site::start().await;
    let body = json!({ "trustee_root": "https://trustee.example/x" });
    let created = actingweb_tests::Answer::of(site.request(Method::POST, "/").json(&body)).await.expect(201).json();
    let meta = format!("/{}/meta", created["id"].as_str().expect("an id"));
    assert_eq!(
        site.send(Method::GET, &format!("{meta}/trustee_root")).await.expect(200).body,
        "https://trustee.example/x"
    );
    let document: Value = site.send(Method::GET, &meta).await.expect(200).json();
    assert_eq!(document["trustee_root"], "https://trustee.example/x");
}

#[tokio::test]
async fn anything_else_is_404() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for path in ["raml", "x", "ID", "id/x", "actingweb", "actingweb/", "actingweb/x", "actingweb/version/x", "creator"]
    {
        owner.get(&format!("/meta/{path}")).await.problem(404);
    }
}
