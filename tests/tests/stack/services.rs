//! Owners connect accounts at services, and hooks act there: whose account it is, who may use it, and where its tokens are.

use std::collections::BTreeMap;
use std::sync::Arc;

use actingweb_hooks::ServiceCredentials;
use actingweb_hooks::prelude::*;
use actingweb_protocol::Clock;
use actingweb_runtime::SystemClock;
use actingweb_testkit::account_standin::{AccountStandin, CLIENT_ID, CLIENT_SECRET, TOKEN_MARK};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Browser, Owner, Site};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

async fn who(services: Services) -> Result<Value, HookError> {
    Ok(services.get("desk")?.get("me").query(&[("a b", "#&")]).send().await?.json()?)
}

async fn fetch(Input(path): Input<String>, services: Services) -> Result<Value, HookError> {
    Ok(services.get("desk")?.post(path).json(&json!({ "a": 1 })).send().await?.json()?)
}

pub(crate) struct Desk {
    pub(crate) site: Site,
    pub(crate) service: AccountStandin,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::at(Arc::new(SystemClock)).await
    }

    async fn at(clock: Arc<dyn Clock>) -> Self {
        let service = AccountStandin::start().expect("a stand-in");
        let url = |path: &str| format!("{}{path}", service.url());
        let at = |name: &str| {
            Service::new(name, &url("/authorize"), &url("/token"))
                .display_name("The Desk")
                .api(&url("/api"))
                .revocation(&url("/revoke"))
                .scopes(["read", "write"])
        };
        let client =
            ServiceCredentials { client_id: CLIENT_ID.to_owned(), client_secret: Some(CLIENT_SECRET.to_owned()) };
        let clients = ["desk", "porch"].map(|name| (name.to_owned(), client.clone()));
        let app = App::new("urn:actingweb:example.com:services")
            .service(at("desk"))
            .service(at("porch").callback_per_actor())
            .service(at("unset"))
            .service_clients(BTreeMap::from(clients))
            .method("who", who)
            .method("fetch", fetch);
        Self { site: Site::with_clock(app, clock).await, service }
    }

    /// Has a browser begin, go to the service, and gives where that sends it back to.
    async fn away(&self, browser: &Browser, owner: &Owner, name: &str) -> String {
        let begin = browser.request(Method::POST, &format!("{}/services/{name}", owner.url));
        let begun = browser.go(begin.basic_auth(&owner.creator, Some(&owner.passphrase))).await.expect(200);
        assert_eq!(begun.header("cache-control"), "no-store");
        let url = begun.json()["authorization_url"].as_str().expect("a URL").to_owned();
        let back = browser.open(&url).await.expect(303);
        back.header("location").to_owned()
    }

    async fn connected(&self, creator: &str) -> Owner {
        let owner = self.site.actor(creator).await;
        let browser = Browser::new(&self.site);
        let back = self.away(&browser, &owner, "desk").await;
        let page = browser.open(&back).await.expect(200);
        assert!(page.body.contains("The Desk is connected"), "{}", page.body);
        owner
    }

    async fn state(&self, owner: &Owner) -> Value {
        owner.get("/services/desk").await.expect(200).json()["state"].clone()
    }

    async fn rows(&self) -> Vec<Value> {
        let is_service = |row: &Value| row["sk"].as_str().is_some_and(|sk| sk.starts_with("SERVICE#"));
        self.site.table().await.into_iter().filter(is_service).collect()
    }
}

async fn ask(owner: &Owner) -> Answer {
    owner.post("/methods/who", &json!({})).await
}

#[tokio::test]
async fn an_owner_connects_an_account_and_hooks_act_there() {
    let desk = Desk::new().await;
    let ann = desk.site.actor("ann").await;
    let states = ann.get("/services").await.expect(200).json();
    let states: Vec<_> = states["services"].as_array().unwrap().iter().map(|s| (&s["service"], &s["state"])).collect();
    assert_eq!(
        json!(states),
        json!([["desk", "disconnected"], ["porch", "disconnected"], ["unset", "not_configured"]])
    );
    ann.post("/services/unset", &json!({})).await.problem(409);
    ann.post("/services/none", &json!({})).await.problem(404);
    ann.delete("/services/desk").await.problem(404);
    let refused = ask(&ann).await.problem(403);
    assert!(refused.body.contains("has to connect"), "{}", refused.body);

    let ann = desk.connected("ann2").await;
    let shown = ann.get("/services/desk").await.expect(200).json();
    assert_eq!((&shown["state"], &shown["scope"]), (&json!("connected"), &json!("read")));
    let answer = ask(&ann).await.expect(200).json();
    assert_eq!((&answer["path"], &answer["query"]), (&json!("/api/me"), &json!("a+b=%23%26")));
    let bob = desk.connected("bob").await;
    assert_ne!(ask(&bob).await.expect(200).json()["account"], answer["account"], "each has its own");
    assert_eq!(ask(&ann).await.expect(200).json()["account"], answer["account"]);

    // Sealed, in its place, and nowhere else.
    let table = desk.site.table().await;
    assert_eq!(desk.rows().await.len(), 2);
    assert!(!json!(table).to_string().contains(TOKEN_MARK), "no token is stored in clear");
    assert!(!ann.get("/properties").await.body.contains("desk"));
}

#[tokio::test]
async fn a_token_goes_to_its_service_alone() {
    let desk = Desk::new().await;
    let ann = desk.connected("ann").await;
    let other = AccountStandin::start().expect("a stand-in");
    for path in [format!("{}/api/me", other.url()), "../revoke".to_owned(), format!("{}/token", desk.service.url())] {
        ann.post("/methods/fetch", &json!(path)).await.problem(500);
    }
    assert_eq!((other.calls(), desk.service.calls()), (0, 0));
    let answer = ann.post("/methods/fetch", &json!("/notes?x=1")).await.expect(200).json();
    assert_eq!((&answer["path"], &answer["body"]), (&json!("/api/notes"), &json!({ "a": 1 })));
}

#[tokio::test]
async fn what_comes_back_counts_once_in_the_browser_that_left() {
    let desk = Desk::new().await;
    let (ann, mallory) = (desk.site.actor("ann").await, desk.site.actor("mallory").await);
    let (anns, hers) = (Browser::new(&desk.site), Browser::new(&desk.site));

    // Mallory has Ann's browser end what she began: Ann's account would be at Mallory's actor.
    let back = desk.away(&hers, &mallory, "desk").await;
    let refused = anns.open(&back).await.expect(400);
    assert!(refused.body.contains("another browser"), "{}", refused.body);
    hers.open(&back).await.expect(400);
    // Also where Ann's has begun something itself.
    let own = desk.away(&anns, &ann, "desk").await;
    let back = desk.away(&hers, &mallory, "desk").await;
    anns.open(&back).await.expect(400);
    assert_eq!(desk.service.authorizations(), 0, "no code was redeemed");

    anns.open(&own).await.expect(200);
    anns.open(&own).await.expect(400);
    for odd in ["", "state=x&code=y", &format!("state={}&code=code-1", "A".repeat(43))] {
        anns.open(&format!("/oauth/services/callback?{odd}")).await.expect(400);
    }
    assert_eq!((desk.state(&ann).await, desk.state(&mallory).await), (json!("connected"), json!("disconnected")));

    // A browser at which the owner is signed in is as good as the one that left.
    let back = desk.away(&hers, &ann, "desk").await;
    Browser::of(&desk.site, &mallory).await.open(&back).await.expect(400);
    let back = desk.away(&hers, &ann, "desk").await;
    Browser::of(&desk.site, &ann).await.open(&back).await.expect(200);
}

#[tokio::test]
async fn a_callback_below_the_actor_is_for_that_actor_and_service() {
    let desk = Desk::new().await;
    let (ann, bob) = (desk.site.actor("ann").await, desk.site.actor("bob").await);
    let browser = Browser::new(&desk.site);
    for (right, wrong) in [
        ("/services/porch", format!("{}/services/porch", bob.url)),
        ("/services/porch", format!("{}/services/desk", ann.url)),
        ("/services/porch/callback", desk.site.url("/oauth/services/callback")),
    ] {
        let back = desk.away(&browser, &ann, "porch").await;
        let right = format!("{}{right}", ann.url);
        assert!(back.starts_with(&right), "{back}");
        browser.open(&back.replace(&right, &wrong)).await.expect(400);
        browser.open(&back).await.expect(400);
    }
    let back = desk.away(&browser, &ann, "porch").await;
    let request = browser.request(Method::GET, &back).header("accept", "application/json");
    let answer = browser.go(request).await.expect(200).json();
    assert_eq!((&answer["success"], &answer["service"]), (&json!(true), &json!("The Desk")));
}

#[tokio::test]
async fn what_fails_at_the_service_connects_nothing() {
    let desk = Desk::new().await;
    let ann = desk.site.actor("ann").await;
    let browser = Browser::new(&desk.site);
    desk.service.refuse_consent(true);
    let back = desk.away(&browser, &ann, "desk").await;
    browser.open(&back).await.expect(403);
    desk.service.refuse_consent(false);
    let back = desk.away(&browser, &ann, "desk").await;
    desk.service.set_down(true);
    browser.open(&back).await.expect(502);
    desk.service.set_down(false);
    let back = desk.away(&browser, &ann, "desk").await;
    browser.open(&back.replace("code=code", "code=other")).await.expect(502);
    assert_eq!(desk.state(&ann).await, "disconnected");
}

#[tokio::test]
async fn tokens_that_ended_are_renewed_once_by_however_many() {
    let clock = FakeClock::new();
    let desk = Desk::at(Arc::new(clock.clone())).await;
    let ann = desk.connected("ann").await;
    let account = ask(&ann).await.expect(200).json()["account"].clone();
    // The service says so with 401, and then the time has come.
    desk.service.end_access();
    for round in 1..=2 {
        let answers = join_all((0..50).map(|_| ask(&ann))).await;
        assert!(answers.into_iter().all(|answer| answer.expect(200).json()["account"] == account));
        assert_eq!(desk.service.renewals(), round);
        clock.advance(Duration::from_secs(3590));
    }
    // A service whose tokens hardly last is asked once for each call, no more.
    desk.service.set_lifetime(Some(0));
    for round in 3..=5 {
        ask(&ann).await.expect(200);
        assert_eq!(desk.service.renewals(), round);
    }
    assert!(!json!(desk.site.table().await).to_string().contains(TOKEN_MARK));
}

#[tokio::test]
async fn an_authorization_that_ended_has_to_be_given_again() {
    let desk = Desk::new().await;
    let ann = desk.connected("ann").await;
    // What passes changes nothing.
    desk.service.end_access();
    desk.service.set_down(true);
    ask(&ann).await.problem(503);
    assert_eq!(desk.state(&ann).await, "connected");
    desk.service.set_down(false);
    ask(&ann).await.expect(200);

    desk.service.end_all();
    let refused = ask(&ann).await.problem(403);
    assert!(refused.body.contains("connect it again") && !refused.body.contains(TOKEN_MARK), "{}", refused.body);
    assert_eq!(desk.state(&ann).await, "reconnect_needed");
    let renewals = desk.service.renewals();
    ask(&ann).await.problem(403);
    assert_eq!(desk.service.renewals(), renewals, "it is not asked again");
    assert!(desk.rows().await.iter().all(|row| row.get("sealed").is_none()));

    let browser = Browser::new(&desk.site);
    desk.service.give_no_refresh_tokens();
    let back = desk.away(&browser, &ann, "desk").await;
    browser.open(&back).await.expect(200);
    ask(&ann).await.expect(200);
    desk.service.end_access();
    ask(&ann).await.problem(403);
    assert_eq!(desk.state(&ann).await, "reconnect_needed");
}

#[tokio::test]
async fn an_account_that_is_given_up_is_revoked_and_forgotten() {
    let desk = Desk::new().await;
    let ann = desk.connected("ann").await;
    let ended = ann.delete("/services/desk").await.expect(200).json();
    assert_eq!(ended, json!({ "service": "desk", "state": "disconnected", "revoked_at_service": true }));
    assert_eq!((desk.service.authorizations(), desk.service.revocations()), (0, 1));
    assert!(desk.rows().await.is_empty());
    ask(&ann).await.problem(403);
    ann.delete("/services/desk").await.problem(404);

    let bob = desk.connected("bob").await;
    desk.service.set_down(true);
    let ended = bob.delete("/services/desk").await.expect(200).json();
    assert_eq!(ended["revoked_at_service"], false);
    assert!(desk.rows().await.is_empty(), "forgotten all the same");
}

#[tokio::test]
async fn accounts_go_with_their_actor_and_none_comes_after_it() {
    let desk = Desk::new().await;
    let ann = desk.connected("ann").await;
    let browser = Browser::new(&desk.site);
    let back = desk.away(&browser, &ann, "desk").await;
    ann.delete("").await.expect(204);
    browser.open(&back).await.problem(404);
    desk.site.drain().await;
    assert!(desk.rows().await.is_empty());
}

#[tokio::test]
async fn tokens_moved_to_another_actor_open_nothing() {
    let desk = Desk::new().await;
    let (ann, bob) = (desk.connected("ann").await, desk.connected("bob").await);
    let rows = desk.rows().await;
    let of = |owner: &Owner| {
        let id = owner.url.rsplit('/').next().unwrap();
        rows.iter().find(|row| row["pk"].as_str().unwrap().ends_with(id)).unwrap().clone()
    };
    let mut moved = of(&bob);
    moved["sealed"] = of(&ann)["sealed"].clone();
    let numbers = ["v", "connected_at", "renewed_at", "ends_at"];
    let typed = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let kind = if numbers.contains(&name.as_str()) { json!({ "N": text }) } else { json!({ "S": text }) };
        (name.clone(), kind)
    };
    let moved: serde_json::Map<String, Value> = moved.as_object().unwrap().iter().map(typed).collect();
    desk.site.put_item(&moved.into()).await;
    ask(&bob).await.problem(403);
    ask(&ann).await.expect(200);
}
