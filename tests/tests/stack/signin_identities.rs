//! The identities that sign in to an actor, as its owner sees them and takes them away.

use actingweb_actor::Actor;
use actingweb_actor::grants::SessionKind;
use actingweb_hooks::prelude::App;
use actingweb_protocol::ActorId;
use actingweb_tests::grants::deadline;
use actingweb_tests::{Answer, Browser, ProvidedSite, form};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;

fn app() -> App {
    App::new("urn:actingweb:example.com:identities")
}

/// Connects what signs in at a provider with the actor that is signed in at this browser.
pub(crate) async fn connect(site: &ProvidedSite, browser: &Browser, provider: &str) {
    let callback = site.callback_of(browser, &format!("/oauth/login/{provider}?link=1")).await;
    let asked = browser.open(&callback).await.expect(200);
    browser.submit(&form(&asked, &format!("/oauth/login/{provider}"))).await.expect(303);
}

/// Whose actor somebody gets to who signs in at a provider, by a browser that was never here.
pub(crate) async fn led_to(site: &ProvidedSite, provider: &str) -> Option<String> {
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, provider).await.expect(303);
    site.whose(&browser).await
}

/// A session of the creator of the actor that is signed in at this browser: the actor's id, and the token.
pub(crate) async fn session_of(site: &ProvidedSite, browser: &Browser) -> (String, String) {
    let id = ActorId::parse(&site.whose(browser).await.expect("somebody is signed in")).unwrap();
    let store = site.site.state().actors.store().with_deadline(deadline());
    let record = store.load(&id, actingweb_actor::Wanted::default()).await.unwrap().actor.unwrap();
    let actor = Actor::new(record, store);
    let issued = site.site.state().actors.grants().open_session(&actor, SessionKind::Tokens).await.unwrap();
    (id.to_string(), issued.access_token)
}

pub(crate) fn ids(listing: &Value) -> Vec<&str> {
    listing["identities"].as_array().unwrap().iter().map(|identity| identity["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_owner_sees_who_signs_in_and_ends_it() {
    let site = ProvidedSite::of(app()).await;
    let (ann, bob) = (site.site.actor("ann").await, site.site.actor("bob").await);
    let browser = Browser::of(&site.site, &ann).await;
    connect(&site, &browser, "house").await;
    connect(&site, &browser, "club").await;
    assert_eq!(led_to(&site, "house").await.as_ref(), Some(&ann.id));

    let listing = ann.get("/identities").await.expect(200).json();
    let [house, club] = ids(&listing)[..] else { panic!("two identities: {listing}") };
    let first = &listing["identities"][0];
    assert_eq!((&first["provider"], &first["subject"]), (&"house".into(), &"ann-1".into()));
    assert_eq!((&first["issuer"], &first["email"]), (&site.house.url().into(), &"ann@example.org".into()));
    assert_eq!(first["available"], true);

    // One actor's identities are no other's.
    assert_eq!(bob.get("/identities").await.expect(200).json(), serde_json::json!({ "identities": [] }));
    bob.delete(&format!("/identities/{house}")).await.problem(404);
    assert_eq!(ann.get("/identities").await.expect(200).json(), listing);

    // The other has the same address, which leads to the actor still: nobody else gets one by it.
    ann.delete(&format!("/identities/{house}")).await.expect(204);
    ann.delete(&format!("/identities/{house}")).await.problem(404);
    assert_eq!(ids(&ann.get("/identities").await.expect(200).json()), [club]);
    assert_eq!(led_to(&site, "house").await, None);
    assert_eq!(led_to(&site, "club").await.as_ref(), Some(&ann.id));
    assert_eq!(site.whose(&browser).await.as_ref(), Some(&ann.id), "who is signed in stays so");

    // Who has the passphrase needs no identity; then nothing leads to the actor any more.
    ann.delete(&format!("/identities/{club}")).await.expect(204);
    assert!(site.rows("IDENTITY").await.is_empty() && site.rows("EMAIL").await.is_empty());
    let another = led_to(&site, "house").await.expect("an actor of its own");
    assert_ne!(another, ann.id);

    for (path, allowed) in [("/identities", "GET"), ("/identities/x", "DELETE")] {
        let refused = ann.post(path, &serde_json::json!({})).await.problem(405);
        assert_eq!(refused.header("allow"), allowed);
    }
    ann.get("/identities/x/y").await.problem(404);
}

#[tokio::test]
async fn the_last_way_in_stays_to_whoever_has_no_passphrase() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let (actor, token) = session_of(&site, &browser).await;
    let ask = |method: Method, path: String| {
        Answer::of(site.site.request(method, &format!("/{actor}/identities{path}")).bearer_auth(&token))
    };
    let listed = || async { ask(Method::GET, String::new()).await.expect(200).json() };
    let only = ids(&listed().await)[0].to_owned();
    let refused = ask(Method::DELETE, format!("/{only}")).await.problem(409);
    assert!(refused.body.contains("connect another"), "{}", refused.body);
    assert_eq!(led_to(&site, "house").await.as_ref(), Some(&actor));

    // Of those that are taken away at the same time one stays.
    connect(&site, &browser, "club").await;
    connect(&site, &browser, "github").await;
    let listing = listed().await;
    let all = ids(&listing).into_iter().map(|id| ask(Method::DELETE, format!("/{id}")));
    let mut statuses: Vec<_> = join_all(all).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 204, 409]);
    let listing = listed().await;
    let provider = listing["identities"][0]["provider"].as_str().unwrap();
    assert_eq!((ids(&listing).len(), led_to(&site, provider).await.as_ref()), (1, Some(&actor)));
}
