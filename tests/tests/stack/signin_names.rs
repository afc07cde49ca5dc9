//! Names of creators where each has one actor: who may be called so, and who signs in by it.

use actingweb_hooks::prelude::App;
use actingweb_tests::{Browser, ProvidedSite, Site};
use reqwest::Method;
use serde_json::json;

fn app(unique: bool) -> App {
    App::new("urn:actingweb:example.com:names").unique_creator(unique)
}

/// The creator of an actor.
async fn creator(site: &ProvidedSite, actor: &str) -> String {
    let rows = site.rows("ACTOR").await;
    let row = rows.iter().find(|row| row["pk"].as_str().is_some_and(|pk| pk.contains(actor))).expect("an actor");
    row["creator"].as_str().unwrap().to_owned()
}

/// Anybody may make an actor under any name. Whose address it is must not be kept out by that, nor led there.
#[tokio::test]
async fn who_claims_an_address_does_not_keep_its_owner_out() {
    let site = ProvidedSite::of(app(true)).await;
    let claimed = site.site.actor("ann@example.org").await;
    site.site.actor("house/ann-1").await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let own = site.whose(&browser).await.expect("an actor of her own");
    assert_ne!(own, claimed.id);
    assert_eq!(creator(&site, &own).await, format!("house/{own}"), "the names before it are others'");
    let again = Browser::new(&site.site);
    site.sign_in(&again, "house").await.expect(303);
    assert_eq!(site.whose(&again).await, Some(own.clone()));

    // The address leads to whoever proved it, whatever the creator is called.
    let elsewhere = Browser::new(&site.site);
    let back = site.sign_in(&elsewhere, "club").await.expect(303);
    assert_eq!(back.header("location"), site.site.url("/oauth/login?trouble=address_taken"));

    // Another name that is free is taken, and one that is not claimed is the address.
    let octo = Browser::new(&site.site);
    site.sign_in(&octo, "github").await.expect(303);
    assert_eq!(creator(&site, &site.whose(&octo).await.unwrap()).await, "octo@example.org");
    assert_eq!(site.actors().await, 4);
}

#[tokio::test]
async fn people_sign_in_by_name_where_creators_are_unique() {
    let site = Site::of(app(true)).await;
    let ann = site.actor("ann@example.org").await;
    let browser = Browser::new(&site);
    let page = browser.open("/oauth/login").await.expect(200);
    assert!(page.body.contains("or the name it was made with"), "{}", page.body);
    let form = || browser.sign_in_form(&page, &ann);
    browser.submit(&form().with("actor", "nobody@example.org")).await.expect(403);
    browser.submit(&form().with("actor", "ann@example.org").with("passphrase", "wrong")).await.expect(403);
    let bare = site.http.request(Method::POST, site.url("/")).json(&json!({ "creator": "bob" }));
    assert!(bare.send().await.unwrap().status().is_success());
    browser.submit(&form().with("actor", "bob")).await.expect(403);
    browser.submit(&form().with("actor", " Ann@Example.org ")).await.expect(303);
    let page = browser.open("/oauth/login").await.expect(200);
    assert!(page.body.contains(&ann.id), "{}", page.body);

    // Attempts by name count with all others at that actor.
    let guesser = Browser::new(&site);
    let page = guesser.open("/oauth/login").await.expect(200);
    let form = || guesser.sign_in_form(&page, &ann).with("actor", "ann@example.org");
    let mut last = 0;
    for _ in 0..21 {
        last = guesser.submit(&form().with("passphrase", "guess")).await.status;
    }
    assert_eq!(last, 429);
    guesser.submit(&form()).await.expect(429);
}

#[tokio::test]
async fn names_lead_nowhere_where_several_actors_may_have_one() {
    let site = Site::of(app(false)).await;
    let ann = site.actor("ann@example.org").await;
    let browser = Browser::new(&site);
    let page = browser.open("/oauth/login").await.expect(200);
    assert!(!page.body.contains("the name it was made with"), "{}", page.body);
    browser.submit(&browser.sign_in_form(&page, &ann).with("actor", "ann@example.org")).await.expect(403);
    browser.submit(&browser.sign_in_form(&page, &ann)).await.expect(303);
}
