//! What an owner sees and ends, and clients that owners make; clients that say who they are in documents of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Browser, OauthClient, Site, Tokens};
use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn app() -> App {
    App::new("urn:actingweb:example.com:oauth").oauth_trust_types(["viewer", "friend"])
}

#[tokio::test]
async fn an_owner_makes_a_client_of_its_own_and_ends_it() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    assert_eq!(ann.get("/clients").await.expect(200).json(), json!({ "clients": [] }));

    let made = ann.post("/clients", &json!({ "client_name": "Night job", "trust_type": "friend" })).await.expect(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let shown = made.json();
    assert_eq!(shown["grant_types"], json!(["client_credentials"]));
    let id = shown["client_id"].as_str().expect("an id");
    assert_eq!(made.header("location"), format!("{}/clients/{id}", ann.url));

    let mut without_secret = shown.clone();
    without_secret.as_object_mut().expect("an object").remove("client_secret");
    assert_eq!(ann.get("/clients").await.expect(200).json(), json!({ "clients": [without_secret] }));
    assert_eq!(ann.get(&format!("/clients/{id}")).await.expect(200).json(), without_secret);

    // It acts for itself at its maker's actor, as what its maker chose, and nowhere else.
    let client = OauthClient::described(&site, &shown).await;
    let rest = site.url("/");
    let by_itself = [("grant_type", "client_credentials"), ("resource", rest.as_str())];
    let tokens = Tokens::of(&client.post("token", &by_itself).await);
    assert_eq!(tokens.refresh, "");
    let color = |owner: &actingweb_tests::Owner, token: &str| {
        Answer::of(owner.with_secret(token, Method::GET, "/properties/color"))
    };
    assert_eq!(color(&ann, &tokens.access).await.expect(200).body, "blue");
    color(&bob, &tokens.access).await.problem(401);
    // Nobody can be asked for consent by a client without redirect URIs.
    Browser::of(&site, &bob).await.open(&client.url(&client.asking())).await.expect(400);

    let rotated = ann.post(&format!("/clients/{id}/secret"), &json!({})).await.expect(200).json();
    assert_eq!(client.post("token", &by_itself).await.expect(401).json()["error"], "invalid_client");
    let client = client.with_secret(rotated["client_secret"].as_str().expect("a secret"));
    let tokens = Tokens::of(&client.post("token", &by_itself).await);

    // Others' clients are none of Bob's.
    for path in [format!("/clients/{id}"), format!("/clients/{id}/secret"), "/clients/mcp_0".to_owned()] {
        let method = if path.ends_with("secret") { Method::POST } else { Method::DELETE };
        Answer::of(bob.request(method, &path)).await.problem(404);
    }
    color(&ann, &tokens.access).await.expect(200);
    ann.delete(&format!("/clients/{id}")).await.expect(204);
    color(&ann, &tokens.access).await.problem(401);
    assert_eq!(client.post("token", &by_itself).await.expect(401).json()["error"], "invalid_client");
    ann.delete(&format!("/clients/{id}")).await.problem(404);
    assert_eq!(ann.get("/clients").await.expect(200).json(), json!({ "clients": [] }));
}

#[tokio::test]
async fn what_an_owner_asks_for_is_checked() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    for (body, place) in [
        (json!({ "trust_type": "friend" }), "client_name"),
        (json!({ "client_name": "", "trust_type": "friend" }), "client_name"),
        (json!({ "client_name": "a" }), "trust_type"),
        (json!({ "client_name": "a", "trust_type": "nonsense" }), "trust_type"),
        (
            json!({ "client_name": "a", "trust_type": "friend", "redirect_uris": ["http://a.example/"] }),
            "redirect_uris[0]",
        ),
        (json!({ "client_name": "a", "trust_type": "friend", "token_endpoint_auth_method": "none" }), "auth_method"),
        (json!({ "client_name": "a", "trust_type": "friend", "owner": "bob" }), "owner"),
        (json!([]), "object"),
    ] {
        let detail = ann.post("/clients", &body).await.problem(400).detail();
        assert!(detail.contains(place), "{body}: {detail}");
    }
    let both = json!({ "client_name": "a", "trust_type": "viewer", "redirect_uris": ["https://client.example/cb"] });
    let both = ann.post("/clients", &both).await.expect(201).json();
    assert_eq!(both["grant_types"], json!(["client_credentials", "authorization_code", "refresh_token"]));
    let allowed = Answer::of(ann.request(Method::PUT, "/clients")).await.problem(405);
    assert_eq!(allowed.header("allow"), "GET, POST");
    ann.get("/clients/a/b/c").await.problem(404);
}

/// A person who lets an owner's client in has a grant of its own, which is no business of the client's maker.
#[tokio::test]
async fn an_owner_sees_who_may_act_and_ends_one_of_them() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let browser = Browser::of(&site, &ann).await;
    let (one, other) = (OauthClient::register(&site).await, OauthClient::register(&site).await);
    let ones = one.connect_with(&browser, &one.asking_for_rest()).await;
    let others = other.connect_with(&browser, &other.asking_for_rest()).await;

    let list = || async { ann.get("/grants").await.expect(200).json()["grants"].as_array().cloned().expect("a list") };
    let grants = list().await;
    let of_clients: Vec<&Value> = grants.iter().filter(|grant| grant["kind"] == "client").collect();
    let of_browsers: Vec<&Value> = grants.iter().filter(|grant| grant["kind"] == "browser").collect();
    assert_eq!((of_clients.len(), of_browsers.len()), (2, 1), "{grants:?}");
    assert_eq!(of_clients[0]["client_id"], one.id);
    assert_eq!(of_clients[0]["client_name"], "Test client");
    assert_eq!(of_clients[0]["resource"], site.url("/"));
    assert!(of_browsers[0]["client_id"].is_null());

    let read = |token: String| {
        let ann = ann.clone();
        async move { Answer::of(ann.with_secret(&token, Method::GET, "/properties")).await }
    };
    let id = of_clients[0]["id"].as_str().expect("an id");
    ann.delete(&format!("/grants/{id}")).await.expect(204);
    read(ones.access).await.problem(401);
    read(others.access).await.expect(200);
    assert_eq!(one.refresh(&ones.refresh).await.expect(400).json()["error"], "invalid_grant");
    for gone in [id, "nonsense", "mcp_0.0123456789abcdef", "..%2e"] {
        ann.delete(&format!("/grants/{gone}")).await.problem(404);
    }
    // A browser is signed out the same way.
    ann.delete(&format!("/grants/{}", of_browsers[0]["id"].as_str().expect("an id"))).await.expect(204);
    browser.open(&one.url(&one.asking())).await.expect(303);
    assert_eq!(list().await.len(), 1);
}

/// A client's own server, which says who the client is.
struct Publisher {
    id: String,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Publisher {
    async fn start(document: impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static) -> Self {
        Self::kept(document, "").await
    }

    /// One that says how long its document may be kept.
    async fn kept(
        document: impl Fn(&str) -> (u16, String) + Clone + Send + Sync + 'static,
        cache_control: &'static str,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let id = format!("http://{}/oauth/client.json", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let (own, count) = (id.clone(), Arc::clone(&asked));
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let (status, body) = document(&own);
            let headers =
                [("content-type", "application/json"), ("location", "/elsewhere"), ("cache-control", cache_control)];
            std::future::ready((axum::http::StatusCode::from_u16(status).expect("a status"), headers, body))
        };
        let router = Router::new().route("/oauth/client.json", get(answer.clone())).route("/elsewhere", get(answer));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self { id, asked, server }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn document(id: &str) -> Value {
    json!({
        "client_id": id,
        "client_name": "Published client",
        "redirect_uris": ["http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

#[tokio::test]
async fn a_client_says_who_it_is_in_a_document_of_its_own() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let publisher = Publisher::start(|id| (200, document(id).to_string())).await;
    let mut client = OauthClient::with_id(&site, &publisher.id).await;
    client.redirect_uri = "http://127.0.0.1:40001/cb".to_owned();
    let browser = Browser::of(&site, &ann).await;

    let page = browser.open(&client.url(&client.asking())).await.expect(200);
    assert!(page.body.contains("Published client"), "{}", page.body);
    assert!(page.body.contains("<strong>127.0.0.1</strong> says that this is its application"), "{}", page.body);
    let tokens = client.connect_with(&browser, &client.asking_for_rest()).await;
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/properties")).await.expect(200);
    assert_eq!(publisher.asked.load(Ordering::SeqCst), 1, "it is remembered for an hour");
    clock.advance(Duration::from_secs(3601));
    let refreshed = Tokens::of(&client.refresh(&tokens.refresh).await);
    browser.open(&client.url(&client.asking())).await.expect(200);
    assert_eq!(publisher.asked.load(Ordering::SeqCst), 2, "and read anew after that");

    let listed = ann.get("/grants").await.expect(200).json();
    let mut grants = listed["grants"].as_array().expect("a list").iter();
    assert!(grants.any(|grant| grant["client_id"] == publisher.id), "{listed}");
    client.revoke(&refreshed.refresh).await.expect(200);
    Answer::of(ann.with_secret(&refreshed.access, Method::GET, "/properties")).await.problem(401);
}

/// A document is read anew when its server says, but neither at each request nor less than once a day.
#[tokio::test]
async fn a_document_is_kept_as_long_as_its_server_says_within_bounds() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    for (says, kept) in [
        ("", 3600),
        ("max-age=600", 600),
        ("public, max-age=600, s-maxage=300", 300),
        ("no-store", 60),
        ("max-age=1", 60),
        ("max-age=31536000, immutable", 24 * 3600),
        ("max-age=99999999999999999999", 3600),
    ] {
        let publisher = Publisher::kept(|id| (200, document(id).to_string()), says).await;
        let mut client = OauthClient::with_id(&site, &publisher.id).await;
        client.redirect_uri = "http://127.0.0.1:40001/cb".to_owned();
        let browser = Browser::of(&site, &ann).await;
        for (later, asked) in [(0, 1), (kept - 2, 1), (4, 2)] {
            clock.advance(Duration::from_secs(later));
            browser.open(&client.url(&client.asking())).await.expect(200);
            assert_eq!(publisher.asked.load(Ordering::SeqCst), asked, "{says}: {later} s later");
        }
    }
}

/// Nothing but a good document makes a client: each of these is told to the person, and leads nowhere.
#[tokio::test]
async fn a_document_that_is_not_good_makes_no_client() {
    type Faulty = fn(&str) -> (u16, String);
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let browser = Browser::of(&site, &ann).await;
    let faults: [(&str, Faulty); 8] = [
        ("another `client_id`", |_| (200, document("https://client.example/client.json").to_string())),
        ("a JSON object", |_| (200, "[]".to_owned())),
        ("not valid JSON", |_| (200, "<html>hidden words</html>".to_owned())),
        ("larger than", |id| (200, format!("{}{}", document(id), " ".repeat(70_000)))),
        ("404", |_| (404, "hidden words".to_owned())),
        ("302", |_| (302, String::new())),
        ("client_secret", |id| {
            let mut with_secret = document(id);
            with_secret["client_secret"] = json!("hidden words");
            (200, with_secret.to_string())
        }),
        ("token_endpoint_auth_method", |id| {
            let mut with_key = document(id);
            with_key["token_endpoint_auth_method"] = json!("private_key_jwt");
            (200, with_key.to_string())
        }),
    ];
    for (reason, fault) in faults {
        let publisher = Publisher::start(fault).await;
        let mut client = OauthClient::with_id(&site, &publisher.id).await;
        client.redirect_uri = "http://127.0.0.1:40001/cb".to_owned();
        let page = browser.open(&client.url(&client.asking())).await.expect(400);
        assert!(page.body.contains(reason), "{reason}: {}", page.body);
        assert!(!page.body.contains("hidden words"), "{reason}: {}", page.body);
        assert_eq!(publisher.asked.load(Ordering::SeqCst), 1, "{reason}: asked once, and no redirect was followed");
    }
}
