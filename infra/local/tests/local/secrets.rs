//! The whole program at its most talkative: whatever happens, no secret is in the log.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::program::{Owner, Program, answer, client, folder};

/// A peer that repeats, as a refusal, whatever it is told: body and credentials.
async fn mirror() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mirror", listener.local_addr().unwrap());
    let router = Router::new().fallback(async |request: axum::extract::Request| {
        if request.uri().path().ends_with("/meta") {
            return axum::Json(json!({ "id": "mirror", "type": "urn:mirror" })).into_response();
        }
        let signed = format!("{:?} ", request.headers().get("authorization"));
        let body: Bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        (StatusCode::BAD_REQUEST, signed + &String::from_utf8_lossy(&body)).into_response()
    });
    let mut server = JoinSet::new();
    server.spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    (url, server)
}

/// A request with a bearer token.
async fn signed(http: &Client, secret: &str, method: Method, url: &str, body: &Value) -> (u16, Value) {
    answer(http.request(method, url).bearer_auth(secret).json(body)).await.unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_secret_is_logged_whatever_happens() {
    const CHOSEN: &str = "a-secret-that-a-stranger-chose-itself";
    const WRONG: &str = "a-passphrase-that-is-wrong";
    let place = folder();
    let variables = [("ACTINGWEB_LOG".to_owned(), "trace".to_owned())];
    let program = Program::with(place.path(), &["--port", "0", "--memory", "--devtest"], &variables).await;
    let (http, root) = (client(), program.url.clone());
    let (ann, bob) = (program.actor(&http, "ann").await, program.actor(&http, "bob").await);
    let call = async |owner: &Owner, method: Method, path: &str, body: Value| {
        owner.call(&root, method, path, Some(&body)).await.unwrap()
    };

    // A relationship: asked for, approved, used, its secret changed.
    let wish = json!({ "url": format!("{root}/{}", ann.id), "relationship": "friend" });
    let (status, row) = call(&bob, Method::POST, "/trust", wish).await;
    assert_eq!(status, 201, "{row}");
    let (old, token) = (text(&row["secret"]), text(&row["verification_token"]));
    let (at_ann, at_bob) = (format!("/trust/friend/{}", bob.id), format!("/trust/friend/{}", ann.id));
    assert_eq!(call(&ann, Method::PUT, &at_ann, json!({ "approved": true })).await.0, 204);
    let wish = json!({ "peerid": ann.id, "target": "properties", "granularity": "high" });
    assert_eq!(call(&bob, Method::POST, "/subscriptions", wish).await.0, 204);
    assert_eq!(call(&ann, Method::PUT, "/properties/color", json!("blue")).await.0, 204);
    let approves = json!({ "approved": true });
    assert_eq!(signed(&http, &old, Method::POST, &format!("{root}/{}{at_bob}", bob.id), &approves).await.0, 204);
    let (status, row) = call(&ann, Method::POST, &format!("{at_ann}/secret"), json!({})).await;
    assert_eq!(status, 200, "{row}");
    let new = text(&row["secret"]);
    assert_ne!(old, new);
    call(&bob, Method::GET, &format!("/devtest/proxy/{}/properties", ann.id), Value::Null).await;
    call(&bob, Method::POST, &format!("/devtest/proxy/{}/properties/a/b?x={new}", ann.id), json!({ "a": new })).await;

    // Whatever goes wrong.
    let (mirror, _server) = mirror().await;
    let url = format!("{root}/{}", ann.id);
    assert_eq!(call(&ann, Method::POST, "/trust", json!({ "url": mirror, "relationship": "friend" })).await.0, 408);
    let request = json!({ "baseuri": mirror, "id": "mirror", "secret": CHOSEN, "type": "urn:mirror", "verify": "x" });
    assert_eq!(signed(&http, WRONG, Method::POST, &format!("{url}/trust/friend"), &request).await.0, 202);
    assert_eq!(call(&ann, Method::PUT, "/trust/friend/mirror", json!({ "approved": true })).await.0, 204);
    let wish = json!({ "target": "properties", "granularity": "high" });
    assert_eq!(signed(&http, CHOSEN, Method::POST, &format!("{url}/subscriptions/mirror"), &wish).await.0, 201);
    assert_eq!(call(&ann, Method::PUT, "/properties/color", json!("red")).await.0, 204);
    call(&ann, Method::PUT, "/trust/friend/mirror/permissions", json!({ "methods": null })).await;
    for path in ["", "/properties", "/trust", "/trust/friend/mirror", "/subscriptions", "/callbacks/permissions/mirror"]
    {
        for secret in [WRONG, CHOSEN, &old, &new] {
            let status =
                signed(&http, secret, Method::POST, &format!("{url}{path}"), &json!({ "secret": secret })).await.0;
            assert!(status < 500, "{path}: {status}");
        }
        answer(http.get(format!("{url}{path}")).basic_auth("ann", Some(WRONG))).await.unwrap();
        answer(http.get(format!("{url}{path}?secret={CHOSEN}")).header("authorization", WRONG)).await.unwrap();
    }
    let broken = format!("{{\"secret\": \"{CHOSEN}\", ");
    answer(http.post(format!("{url}/trust/friend")).body(broken)).await.unwrap();

    // What is owed is delivered, or was tried.
    let numbered = async || {
        let (_, listed) = ann.get(&program, &format!("/subscriptions/{}", bob.id)).await;
        listed["data"][0]["sequence"].as_u64().unwrap()
    };
    timeout(Duration::from_secs(30), async {
        while numbered().await < 2 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("a delivery");
    assert_eq!(call(&ann, Method::DELETE, &at_ann, Value::Null).await.0, 204);
    assert_eq!(call(&ann, Method::DELETE, "", Value::Null).await.0, 204);

    let (ann, bob) = (ann.passphrase, bob.passphrase);
    let ended = program.signal("TERM").await;
    let said = ended.log + &ended.stderr;
    for line in ["\"request\"", "peer answered", "peer call failed", "request refused", "callback failed"] {
        assert!(said.contains(line), "this would be where secrets are: {line}: {said}");
    }
    for secret in [&ann, &bob, &old, &new, &token, CHOSEN, WRONG] {
        let shown = said.lines().find(|line| line.contains(secret));
        assert!(shown.is_none(), "{secret}: {shown:?}");
    }
}
