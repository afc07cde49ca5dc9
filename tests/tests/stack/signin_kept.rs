//! What a sign-in must not take away, what ends with an identity, and what people are told when something fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::SignInEvent;
use actingweb_hooks::prelude::*;
use actingweb_protocol::oauth::CodeChallenge;
use actingweb_testkit::fakes::FakeClock;
use actingweb_testkit::provider_standin::{CLIENT_ID, Person};
use actingweb_tests::{Answer, Browser, Faults, ProvidedSite};
use futures_util::future::join_all;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::signin_identities::{connect, ids, led_to, session_of};

const ORIGIN: &str = "https://app.example.com";
const LINK: &str = "com.example.app:/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn app() -> App {
    App::new("urn:actingweb:example.com:kept").spa_origin(ORIGIN).deep_link(LINK)
}

/// Whether the hooks of a test fail, and what they were told.
#[derive(Clone, Debug, Default)]
struct Hooks {
    welcome_fails: Arc<AtomicBool>,
    guard_fails: Arc<AtomicBool>,
    sign_ins: Arc<Mutex<Vec<bool>>>,
    welcomes: Arc<Mutex<usize>>,
}

fn welcome(hooks: State<Hooks>) -> Result<(), HookError> {
    *hooks.0.welcomes.lock().unwrap() += 1;
    match hooks.0.welcome_fails.load(Ordering::SeqCst) {
        true => Err(HookError::retryable("the mail server is away")),
        false => Ok(()),
    }
}

fn guard(event: Event, hooks: State<Hooks>) -> Result<(), HookError> {
    hooks.0.sign_ins.lock().unwrap().push(event.data::<SignInEvent>()?.is_new);
    match hooks.0.guard_fails.load(Ordering::SeqCst) {
        true => Err(HookError::rejected("not today")),
        false => Ok(()),
    }
}

#[tokio::test]
async fn a_sign_in_that_is_refused_takes_no_actor_away_that_was_there_before() {
    let (clock, hooks) = (FakeClock::new(), Hooks::default());
    let app = app().state(hooks.clone()).on(ActorCreated, welcome).on(OauthSuccess, guard);
    let site = ProvidedSite::with_clock(app, Arc::new(clock.clone())).await;
    hooks.welcome_fails.store(true, Ordering::SeqCst);
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let (actor, token) = session_of(&site, &browser).await;
    let mood = |method: Method| site.site.request(method, &format!("/{actor}/properties/mood")).bearer_auth(&token);
    Answer::of(mood(Method::PUT).json(&json!("sunny"))).await.expect(204);

    // Hooks were never told of it; that makes it none that this sign-in made.
    clock.advance(Duration::from_secs(60));
    hooks.guard_fails.store(true, Ordering::SeqCst);
    site.sign_in(&Browser::new(&site.site), "house").await.expect(403);
    assert_eq!(*hooks.sign_ins.lock().unwrap(), [true, false]);
    assert_eq!(Answer::of(mood(Method::GET)).await.expect(200).body, "sunny");

    // Once somebody is let in again, and it works, they are told, and then no more.
    hooks.guard_fails.store(false, Ordering::SeqCst);
    hooks.welcome_fails.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        clock.advance(Duration::from_secs(60));
        assert_eq!(led_to(&site, "house").await.as_ref(), Some(&actor));
    }
    assert_eq!(*hooks.welcomes.lock().unwrap(), 2);

    // Whom nobody knew is left nothing.
    hooks.guard_fails.store(true, Ordering::SeqCst);
    site.sign_in(&Browser::new(&site.site), "github").await.expect(403);
    assert_eq!(site.actors().await, 1);
}

/// Begins a sign-in for an application, and gives the word that it is led back with.
async fn word(site: &ProvidedSite, browser: &Browser, provider: &str, redirect_uri: &str) -> String {
    let challenge = CodeChallenge::of(VERIFIER).unwrap();
    let asked = json!({ "provider": provider, "redirect_uri": redirect_uri, "code_challenge": challenge.as_str(),
                        "code_challenge_method": "S256" });
    let begun = post(browser, "/oauth/spa/authorize", &asked).await.expect(200).json();
    let callback = site.callback_of(browser, begun["authorization_url"].as_str().unwrap()).await;
    let back = browser.open(&callback).await.expect(303);
    let url = Url::parse(back.header("location")).unwrap();
    let found = url.query_pairs().find(|(name, _)| name == "session" || name == "ticket").map(|(_, word)| word.into());
    found.unwrap_or_else(|| panic!("no word in {url}"))
}

async fn post(browser: &Browser, path: &str, body: &Value) -> Answer {
    browser.go(browser.request(Method::POST, path).header("origin", ORIGIN).json(body)).await
}

async fn pick_up(browser: &Browser, word: &str, is_ticket: bool) -> Answer {
    match is_ticket {
        true => {
            let body = json!({ "grant_type": "mobile_ticket", "ticket": word, "code_verifier": VERIFIER });
            post(browser, "/oauth/spa/token", &body).await
        }
        false => post(browser, &format!("/oauth/spa/session/{word}"), &json!({ "code_verifier": VERIFIER })).await,
    }
}

#[tokio::test]
async fn tokens_name_an_address_only_where_the_provider_has_verified_one() {
    let site = ProvidedSite::of(app()).await;
    site.house.set_person(Person::new("ann-1", "").without_email());
    let browser = Browser::new(&site.site);
    let told = pick_up(&browser, &word(&site, &browser, "house", LINK).await, true).await.expect(200).json();
    assert!(told.get("email").is_none(), "{told}");
    let nonce = "nonce-1";
    let body = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                       "assertion": site.house.id_token(CLIENT_ID, nonce), "nonce": nonce });
    let told = post(&browser, "/oauth/spa/token", &body).await.expect(200).json();
    assert!(told.get("email").is_none(), "{told}");
    let own = site.site.request(Method::GET, "/oauth/session").bearer_auth(told["access_token"].as_str().unwrap());
    assert_eq!(Answer::of(own).await.expect(200).json()["identifier"], "house/ann-1");
}

#[tokio::test]
async fn a_sign_in_that_is_under_way_ends_with_its_identity() {
    let site = ProvidedSite::of(app()).await;
    let ann = site.site.actor("ann").await;
    let browser = Browser::of(&site.site, &ann).await;
    for provider in ["house", "github"] {
        connect(&site, &browser, provider).await;
    }
    let page = format!("{ORIGIN}/done");
    let mut waiting = Vec::new();
    for provider in ["house", "github"] {
        for redirect_uri in [page.as_str(), LINK] {
            waiting.push((provider, redirect_uri == LINK, word(&site, &browser, provider, redirect_uri).await));
        }
    }
    let listing = ann.get("/identities").await.expect(200).json();
    ann.delete(&format!("/identities/{}", ids(&listing)[0])).await.expect(204);
    // Also where another actor has it by then.
    let another = led_to(&site, "house").await.expect("an actor of its own");
    assert_ne!(another, ann.id);
    for (provider, is_ticket, word) in waiting {
        let answer = pick_up(&browser, &word, is_ticket).await;
        let expected = if provider == "house" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{provider}, a ticket: {is_ticket}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_identity_of_a_provider_that_is_gone_is_no_way_in() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    connect(&site, &browser, "club").await;
    let (actor, token) = session_of(&site, &browser).await;
    let listing = Answer::of(site.site.request(Method::GET, &format!("/{actor}/identities")).bearer_auth(&token)).await;
    let listing = listing.expect(200).json();
    let [house, club] = ids(&listing)[..] else { panic!("two identities: {listing}") };
    // As if it had been connected at a provider of another name.
    let row = site.rows("IDENTITY#").await.into_iter().find(|row| row["sk"].as_str().unwrap().ends_with(club)).unwrap();
    let typed: serde_json::Map<String, Value> = row
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| match name.as_str() {
            "provider" => (name.clone(), json!({ "S": "gone" })),
            "linked_at" | "v" => (name.clone(), json!({ "N": value })),
            _ => (name.clone(), json!({ "S": value })),
        })
        .collect();
    site.site.put_item(&Value::Object(typed)).await;
    let delete = |id: &str| {
        Answer::of(site.site.request(Method::DELETE, &format!("/{actor}/identities/{id}")).bearer_auth(&token))
    };
    delete(house).await.problem(409);
    delete(club).await.expect(204);
    delete(house).await.problem(409);
}

#[tokio::test]
async fn of_identities_with_one_address_that_go_at_once_nothing_is_left() {
    let site = ProvidedSite::of(app()).await;
    for round in 0..6 {
        let ann = site.site.actor(&format!("ann-{round}")).await;
        let browser = Browser::of(&site.site, &ann).await;
        connect(&site, &browser, "house").await;
        connect(&site, &browser, "club").await;
        let listing = ann.get("/identities").await.expect(200).json();
        let paths: Vec<String> = ids(&listing).into_iter().map(|id| format!("/identities/{id}")).collect();
        for answer in join_all(paths.iter().map(|path| ann.delete(path))).await {
            answer.expect(204);
        }
        let left = [site.rows("IDENTITY#").await, site.rows("IDENTITY").await, site.rows("EMAIL").await];
        assert_eq!(left, [const { Vec::<Value>::new() }; 3], "round {round}");
    }
}

#[tokio::test]
async fn an_identity_goes_also_where_its_address_leads_to_somebody_else() {
    let site = ProvidedSite::of(app()).await;
    let (ann, bob) = (site.site.actor("ann").await, site.site.actor("bob").await);
    let browser = Browser::of(&site.site, &ann).await;
    connect(&site, &browser, "house").await;
    let address = site.rows("EMAIL").await[0]["pk"].clone();
    let theirs = json!({ "pk": { "S": address }, "sk": { "S": "EMAIL" }, "v": { "N": "1" }, "actor": { "S": bob.id } });
    site.site.put_item(&theirs).await;
    let listing = ann.get("/identities").await.expect(200).json();
    ann.delete(&format!("/identities/{}", ids(&listing)[0])).await.expect(204);
    let left = site.rows("EMAIL").await;
    assert_eq!((left.len(), &left[0]["actor"]), (1, &json!(bob.id)), "what is somebody else's stays");
}

#[tokio::test]
async fn connecting_an_identity_again_changes_nothing() {
    let (clock, hooks) = (FakeClock::new(), Hooks::default());
    hooks.welcome_fails.store(true, Ordering::SeqCst);
    let app = app().state(hooks.clone()).on(ActorCreated, welcome);
    let site = ProvidedSite::with_clock(app, Arc::new(clock.clone())).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let rows = async || [site.rows("IDENTITY#").await, site.rows("IDENTITY").await, site.rows("EMAIL").await];
    let before = rows().await;
    assert!(before[1][0].get("welcome_by").is_some(), "{before:?}");
    clock.advance(Duration::from_secs(5));
    site.house.set_person(Person::new("ann-1", "new@example.org"));
    connect(&site, &browser, "house").await;
    assert_eq!(rows().await, before);
}

#[tokio::test]
async fn a_page_about_a_failure_says_what_to_name_to_whoever_looks_into_it() {
    // The store gives up 5 s before that.
    let site = ProvidedSite::limited(app(), Duration::from_millis(5_120)).await;
    let ask = || Answer::of(site.site.request(Method::GET, "/oauth/login/house").header("accept", "text/html"));
    site.site.meter().inject(Faults::always_throttle());
    let (one, other) = (ask().await.expect(503), ask().await.expect(503));
    site.site.meter().heal();
    for page in [&one, &other] {
        let id = page.header("x-request-id");
        assert!(!id.is_empty() && page.body.contains("<h1>") && page.body.contains(id), "{id}: {}", page.body);
        assert!(!page.body.contains("Nothing was lost"), "{}", page.body);
    }
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}
