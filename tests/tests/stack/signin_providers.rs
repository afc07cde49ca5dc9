//! Identity providers that are away, slow, wrong or gone bad: people read what happened, nobody gets in by it, and a sign-in
//! after it works.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_testkit::provider_standin::{CLIENT_ID, Mischief, Person};
use actingweb_tests::{Answer, Browser, ProvidedSite};
use reqwest::Method;
use serde_json::json;

fn app() -> App {
    App::new("urn:actingweb:example.com:signin").spa_origin("https://app.example.com")
}

/// A page as a person's browser asks for it.
async fn look(browser: &Browser, url: &str) -> Answer {
    browser.go(browser.request(Method::GET, url).header("accept", "text/html,application/xhtml+xml;q=0.9")).await
}

/// Asserts that a page says what went wrong, with a status that says so, too.
#[track_caller]
fn says(page: &Answer, status: u16, text: &str) {
    assert_eq!(page.status, status, "{}: {}", page.request, page.body);
    assert!(page.header("content-type").starts_with("text/html"), "{}", page.body);
    assert!(page.body.contains("role=\"alert\"") && page.body.contains(text), "{}", page.body);
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{}", page.request);
}

#[tokio::test]
async fn whatever_a_provider_answers_people_read_what_happened_and_may_try_again() {
    let clock = FakeClock::new();
    let site = ProvidedSite::with_clock(app(), Arc::new(clock.clone())).await;
    for (mischief, trouble) in [
        (Mischief::TokenGarbage, "provider"),
        (Mischief::TokenDown, "provider"),
        (Mischief::NoSubject, "provider"),
        (Mischief::CutToken, "provider"),
        (Mischief::SharedKey, "identity"),
        (Mischief::OtherKey, "identity"),
        (Mischief::Unsigned, "identity"),
        (Mischief::OtherNonce, "identity"),
        (Mischief::OtherAudience, "identity"),
        (Mischief::OtherIssuer, "identity"),
        (Mischief::Expired, "identity"),
    ] {
        // Attempts are counted by the minute.
        clock.advance(Duration::from_secs(61));
        site.house.set_mischief(mischief);
        let browser = Browser::new(&site.site);
        let back = site.sign_in(&browser, "house").await.expect(303);
        let expected = site.site.url(&format!("/oauth/login?trouble={trouble}"));
        assert_eq!(back.header("location"), expected, "{mischief:?}");
        says(&look(&browser, back.header("location")).await, 200, "did not work");
        assert_eq!((site.whose(&browser).await, site.actors().await), (None, 0), "{mischief:?}");
        // Nor is there anything half-made, or a session.
        assert!(site.rows("IDENTITY").await.is_empty() && site.rows("AUTH#").await.is_empty(), "{mischief:?}");

        let is_about_tokens = !matches!(mischief, Mischief::TokenGarbage | Mischief::TokenDown | Mischief::OtherNonce);
        if is_about_tokens {
            // The same by a native app.
            let request = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                                  "assertion": site.house.id_token(CLIENT_ID, "n"), "nonce": "n" });
            let refused = Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&request)).await;
            assert_eq!(refused.expect(400).json()["error"], true, "{mischief:?}");
            assert_eq!(site.actors().await, 0, "{mischief:?}");
        }
    }
    site.house.set_mischief(Mischief::None);
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    assert!(site.whose(&browser).await.is_some(), "the same browser signs in as soon as the provider is well");
}

#[tokio::test]
async fn providers_without_id_tokens_and_with_forms_are_no_different() {
    let clock = FakeClock::new();
    let site = ProvidedSite::with_clock(app(), Arc::new(clock.clone())).await;
    for mischief in [Mischief::TokenDown, Mischief::TokenGarbage, Mischief::Refused] {
        clock.advance(Duration::from_secs(61));
        site.github.set_mischief(mischief);
        site.apple.set_mischief(mischief);
        let trouble = if mischief == Mischief::Refused { "refused" } else { "provider" };
        let expected = site.site.url(&format!("/oauth/login?trouble={trouble}"));
        let browser = Browser::new(&site.site);
        let back = site.sign_in(&browser, "github").await.expect(303);
        assert_eq!(back.header("location"), expected, "{mischief:?}");

        let away = browser.open("/oauth/login/apple").await.expect(303);
        let posted = browser.open(away.header("location")).await.expect(200).json();
        let fields: Vec<(String, String)> = posted["fields"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let request = browser.request(Method::POST, "/oauth/callback/apple").header("origin", site.apple.url());
        let back = browser.go(actingweb_tests::with_form(request, &fields)).await.expect(303);
        assert_eq!(back.header("location"), expected, "{mischief:?}");
        assert_eq!((site.whose(&browser).await, site.actors().await), (None, 0), "{mischief:?}");
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_found_out_about_is_a_503_that_people_can_read() {
    for mischief in [Mischief::Down, Mischief::DiscoveryGarbage, Mischief::OtherDiscovery] {
        let clock = FakeClock::new();
        let site = ProvidedSite::with_clock(app(), Arc::new(clock.clone())).await;
        site.house.set_mischief(mischief);
        let browser = Browser::new(&site.site);
        let page = look(&browser, "/oauth/login/house").await;
        says(&page, 503, "cannot be reached");
        assert!(page.header("retry-after").parse::<u32>().is_ok_and(|wait| wait > 0), "{mischief:?}");
        // Programs get the document, and native apps an error.
        browser.open("/oauth/login/house").await.problem(503);
        let request = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                              "assertion": site.house.id_token(CLIENT_ID, "n"), "nonce": "n" });
        Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&request)).await.expect(503);
        // Others are not concerned, and the provider is asked again.
        site.sign_in(&Browser::new(&site.site), "club").await.expect(303);
        site.house.set_mischief(Mischief::None);
        clock.advance(Duration::from_secs(31));
        site.house.set_person(Person::new("bob", "bob@example.org"));
        site.sign_in(&browser, "house").await.expect(303);
        assert!(site.whose(&browser).await.is_some(), "{mischief:?}");
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up_before_the_request_ends() {
    let site = ProvidedSite::limited(app(), Duration::from_millis(1_500)).await;
    let browser = Browser::new(&site.site);
    let callback = site.callback_of(&browser, "/oauth/login/house").await;
    site.house.set_mischief(Mischief::TokenSilent);
    let back = tokio::time::timeout(Duration::from_secs(20), browser.open(&callback)).await.expect("an answer");
    let back = back.expect(303);
    assert_eq!(back.header("location"), site.site.url("/oauth/login?trouble=provider"));
    says(&look(&browser, back.header("location")).await, 200, "did not answer as it should");
    // The same address again is over, and says so; a new sign-in is not.
    site.house.set_mischief(Mischief::None);
    says(&look(&browser, &callback).await, 400, "used before");
    assert_eq!(site.actors().await, 0);
}

#[tokio::test]
async fn keys_that_were_rotated_are_fetched_and_old_ones_forgotten() {
    let clock = FakeClock::new();
    let site = ProvidedSite::with_clock(app(), Arc::new(clock.clone())).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let actor = site.whose(&browser).await;
    let old = site.house.id_token(CLIENT_ID, "n");

    clock.advance(Duration::from_secs(10));
    site.house.rotate_keys().unwrap();
    let again = Browser::new(&site.site);
    let done = site.sign_in(&again, "house").await.expect(303);
    assert_eq!(done.header("location"), site.site.url("/oauth/login"));
    assert_eq!(site.whose(&again).await, actor);
    // A key that the provider gave up signs for nobody any more.
    clock.advance(Duration::from_secs(10));
    let request = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                          "assertion": old, "nonce": "n" });
    Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&request)).await.expect(400);
}

#[tokio::test]
async fn each_of_two_providers_speaks_for_its_own_subjects_alone() {
    let site = ProvidedSite::of(app()).await;
    let ann = Browser::new(&site.site);
    site.sign_in(&ann, "house").await.expect(303);
    // The same subject, by another issuer's word.
    site.club.set_person(Person::new("ann-1", "another@example.org"));
    let other = Browser::new(&site.site);
    site.sign_in(&other, "club").await.expect(303);
    assert_ne!(site.whose(&other).await, site.whose(&ann).await);
    assert_eq!((site.actors().await, site.rows("IDENTITY").await.len()), (2, 2));
    // An answer that one gave counts nothing where the other was asked.
    let (house, club) = (Browser::new(&site.site), Browser::new(&site.site));
    let of_house = site.callback_of(&house, "/oauth/login/house").await;
    let of_club = site.callback_of(&club, "/oauth/login/club").await;
    let param = |url: &str, name: &str| {
        let url = reqwest::Url::parse(url).unwrap();
        url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    let mixed = of_house.replace(&param(&of_house, "code"), &format!("{}-of-the-club", param(&of_club, "code")));
    let back = house.open(&mixed).await.expect(303);
    assert!(back.header("location").contains("trouble="), "{}", back.header("location"));
    assert_eq!(site.whose(&house).await, None);
}
