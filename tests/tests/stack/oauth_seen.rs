//! What an owner sees of a client in the relationship with it: what it says of itself, and when it was last there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actingweb_hooks::prelude::App;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Browser, Faults, OauthClient, Owner, Site, Tokens};
use reqwest::Method;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

/// A client of this version that registers with this word of what it runs on.
async fn client(site: &Site, version: &str, agent: &str) -> OauthClient {
    let metadata = json!({
        "client_name": "Editor", "redirect_uris": ["https://client.example/cb"], "software_version": version,
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    let request = site.request(Method::POST, "/oauth/register").header("user-agent", agent).json(&metadata);
    let shown = Answer::of(request).await.expect(201).json();
    assert_eq!(shown["software_version"], version);
    assert!(shown.get("user_agent").is_none(), "{shown}");
    OauthClient::described(site, &shown).await
}

/// The relationship with a client.
async fn trust(ann: &Owner, client: &OauthClient) -> Value {
    let all = ann.get("/trust").await.expect(200).json();
    let found = all.as_array().unwrap().iter().find(|trust| trust["oauth_client_id"] == client.id.as_str());
    found.unwrap_or_else(|| panic!("a relationship with {}: {all}", client.id)).clone()
}

#[tokio::test]
async fn a_relationship_says_what_its_own_client_is_and_when_it_was_there() {
    let clock = FakeClock::new();
    let site = Site::with_clock(App::new("urn:actingweb:example.com:oauth"), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let one = client(&site, "2.1", "Editor/2.1 (linux)").await;
    let other = client(&site, "3.0", "Other/3.0").await;
    let browser = Browser::of(&site, &ann).await;
    let mut tokens = one.connect_with(&browser, &one.asking_for_rest()).await;
    other.connect_with(&browser, &other.asking_for_rest()).await;
    let first = trust(&ann, &one).await;
    assert_eq!((&first["client_version"], &first["client_platform"]), (&json!("2.1"), &json!("Editor/2.1 (linux)")));
    assert_eq!(first["last_connected_via"], "oauth");
    assert_eq!((&first["last_accessed"], &first["last_connected_at"]), (&first["created_at"], &first["created_at"]));
    let stranger = trust(&ann, &other).await;
    assert_eq!((&stranger["client_version"], &stranger["client_platform"]), (&json!("3.0"), &json!("Other/3.0")));

    // Neither a use nor a refresh on the same day is written there.
    clock.advance(HOUR / 2);
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/properties")).await.expect(200);
    clock.advance(HOUR);
    let (answer, calls) = site.meter().measure(one.refresh(&tokens.refresh)).await;
    tokens = Tokens::of(&answer);
    assert_eq!(calls.count(), 2, "{:?}", calls.operations());
    assert_eq!(trust(&ann, &one).await, first);

    // The next day it is, once, in that client's relationship alone.
    clock.advance(HOUR * 24);
    let (answer, calls) = site.meter().measure(one.refresh(&tokens.refresh)).await;
    tokens = Tokens::of(&answer);
    assert_eq!(calls.count(), 3, "{:?}", calls.operations());
    let later = trust(&ann, &one).await;
    assert!(later["last_accessed"].as_str() > first["last_accessed"].as_str(), "{later}");
    assert_eq!(later["last_connected_at"], later["last_accessed"]);
    assert_eq!(trust(&ann, &other).await, stranger);
    let (answer, calls) = site.meter().measure(one.refresh(&tokens.refresh)).await;
    tokens = Tokens::of(&answer);
    assert_eq!(calls.count(), 2, "{:?}", calls.operations());

    // A relationship that ended stays ended.
    ann.delete(&format!("/trust/mcp_client/{}", later["peerid"].as_str().unwrap())).await.expect(204);
    clock.advance(HOUR * 25);
    one.refresh(&tokens.refresh).await.expect(400);
    let left = ann.get("/trust").await.expect(200).json();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
}

#[tokio::test]
async fn a_client_waits_for_its_tokens_no_longer_because_its_visit_cannot_be_noted() {
    let clock = FakeClock::new();
    // The store gives up 5 s before that.
    let limit = |state: &mut actingweb_web::AppState| state.time_limit = Duration::from_secs(8);
    let app = App::new("urn:actingweb:example.com:oauth");
    let site = Site::adjusted_with_clock(app, Arc::new(clock.clone()), limit).await;
    let ann = site.actor("ann").await;
    let one = client(&site, "2.1", "Editor/2.1 (linux)").await;
    let tokens = one.connect_with(&Browser::of(&site, &ann).await, &one.asking_for_rest()).await;
    clock.advance(HOUR * 25);
    let refresh = async |after: u64| {
        site.meter().inject(Faults::always_throttle().after(after));
        let began = Instant::now();
        let answer = one.refresh(&tokens.refresh).await;
        site.meter().heal();
        (answer, began.elapsed())
    };
    // That the tokens themselves cannot be written is worth all the time there is.
    let (refused, whole) = refresh(1).await;
    refused.expect(503);
    let (answer, waited) = refresh(2).await;
    Tokens::of(&answer);
    assert!(waited < whole * 2 / 3, "{waited:?} of {whole:?}");
    assert_eq!(trust(&ann, &one).await["last_accessed"], trust(&ann, &one).await["created_at"], "it was not noted");
}
