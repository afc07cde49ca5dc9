//! People sign in by the word of identity providers: who gets in, who does not, and to which actor.

use actingweb_hooks::SignInEvent;
use actingweb_hooks::prelude::*;
use actingweb_testkit::provider_standin::{Mischief, Person};
use actingweb_tests::{Answer, Browser, OauthClient, ProvidedSite, form};
use reqwest::Method;
use serde_json::json;

fn app() -> App {
    App::new("urn:actingweb:example.com:signin").on(ActorCreated, count_creation).on(OauthSuccess, note_sign_in)
}

async fn count_creation(actor: Actor) -> Result<(), HookError> {
    let times = actor.property("created").await?.and_then(|times| times.as_u64()).unwrap_or_default();
    Ok(actor.set_property("created", times + 1).await?)
}

async fn note_sign_in(actor: Actor, event: Event) -> Result<(), HookError> {
    let event: SignInEvent = event.data()?;
    Ok(actor.set_property("signed_in", json!(event)).await?)
}

/// The value of a property as storage has it.
async fn stored(site: &ProvidedSite, name: &str) -> Vec<serde_json::Value> {
    let rows = site.site.table().await;
    let of =
        |row: &&serde_json::Value| row["sk"].as_str().is_some_and(|sk| sk.starts_with("PROP#") && sk.ends_with(name));
    rows.iter().filter(of).map(|row| serde_json::from_str(row["value"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_first_sign_in_makes_an_actor_and_a_second_finds_it() {
    let site = ProvidedSite::of(app()).await;
    let first = Browser::new(&site.site);
    let login = first.open("/oauth/login").await.expect(200);
    assert!(login.body.contains("Sign in with The House"), "{}", login.body);
    let done = site.sign_in(&first, "house").await.expect(303);
    assert_eq!(done.header("location"), site.site.url("/oauth/login"));
    let actor = site.whose(&first).await.expect("somebody is signed in");

    let second = Browser::new(&site.site);
    site.house.set_person(Person { name: "Ann Married".into(), ..Person::new("ann-1", "new@example.org") });
    site.sign_in(&second, "house").await.expect(303);
    assert_eq!(site.whose(&second).await, Some(actor.clone()), "the subject counts, not the address");
    assert_eq!(site.actors().await, 1);
    assert_eq!(stored(&site, "created").await, [json!(1)], "the hook of creation ran once");
    let told = &stored(&site, "signed_in").await[0];
    assert_eq!(
        (&told["provider"], &told["subject"], &told["is_new"]),
        (&json!("house"), &json!("ann-1"), &json!(false))
    );
    assert_eq!(told["email"], "new@example.org");
    let creator = site.rows("ACTOR").await[0]["creator"].clone();
    assert_eq!(creator, "ann@example.org", "in lower case");
}

#[tokio::test]
async fn a_sign_in_counts_once_and_in_the_browser_that_began_it() {
    let site = ProvidedSite::of(app()).await;
    let (ann, mallory) = (Browser::new(&site.site), Browser::new(&site.site));

    // Somebody has Ann open the end of a sign-in of their own: she would write into their actor.
    let theirs = site.callback_of(&mallory, "/oauth/login/house").await;
    let refused = ann.open(&theirs).await.expect(400);
    assert!(refused.body.contains("another browser"), "{}", refused.body);
    // Also where Ann has begun one herself.
    let own = site.callback_of(&ann, "/oauth/login/house").await;
    let theirs = site.callback_of(&mallory, "/oauth/login/house").await;
    ann.open(&theirs).await.expect(400);
    mallory.open(&theirs).await.expect(400);
    assert_eq!(site.house.exchanges(), 0, "no code was redeemed");

    ann.open(&own).await.expect(303);
    let actor = site.whose(&ann).await;
    assert!(actor.is_some());
    let again = ann.open(&own).await.expect(400);
    assert!(again.body.contains("used before"), "{}", again.body);
    assert_eq!(site.house.exchanges(), 1, "the code was redeemed once");

    for odd in ["", "state=", "state=zzz&code=code-1", &format!("state={}&code=code-1", "A".repeat(43))] {
        ann.open(&format!("/oauth/callback?{odd}")).await.expect(400);
    }
    ann.open(&format!("{own}&state=again")).await.problem(400);
    assert_eq!(site.actors().await, 1);
}

#[tokio::test]
async fn what_a_provider_says_must_hold() {
    let site = ProvidedSite::of(app()).await;
    for (mischief, trouble) in [
        (Mischief::OtherNonce, "identity"),
        (Mischief::OtherAudience, "identity"),
        (Mischief::OtherIssuer, "identity"),
        (Mischief::Expired, "identity"),
        (Mischief::Future, "identity"),
        (Mischief::OtherKey, "identity"),
        (Mischief::Unsigned, "identity"),
        (Mischief::NoIdToken, "identity"),
        (Mischief::OtherIssuerParameter, "provider"),
        (Mischief::TokenDown, "provider"),
        (Mischief::Refused, "refused"),
    ] {
        site.house.set_mischief(mischief);
        let browser = Browser::new(&site.site);
        let back = site.sign_in(&browser, "house").await.expect(303);
        let expected = site.site.url(&format!("/oauth/login?trouble={trouble}"));
        assert_eq!(back.header("location"), expected, "{mischief:?}");
        let page = browser.open(back.header("location")).await.expect(200);
        assert!(page.body.contains("role=\"alert\""), "{mischief:?}");
        assert_eq!(site.whose(&browser).await, None, "{mischief:?}");
    }
    assert_eq!(site.actors().await, 0);
}

#[tokio::test]
async fn a_provider_that_is_down_keeps_nobody_waiting() {
    let site = ProvidedSite::of(app()).await;
    site.house.set_mischief(Mischief::Down);
    let browser = Browser::new(&site.site);
    let answer = browser.open("/oauth/login/house").await.problem(503);
    assert!(!answer.header("retry-after").is_empty());
    browser.open("/oauth/login/nobody").await.problem(404);
}

#[tokio::test]
async fn an_address_that_is_not_verified_counts_as_none() {
    let site = ProvidedSite::of(app()).await;
    let ann = Browser::new(&site.site);
    site.sign_in(&ann, "house").await.expect(303);

    let mallory = Browser::new(&site.site);
    site.club.set_person(Person::new("mallory", "ann@example.org").unverified());
    site.sign_in(&mallory, "club").await.expect(303);
    assert_ne!(site.whose(&mallory).await, site.whose(&ann).await);
    let creators: Vec<_> = site.rows("ACTOR").await.iter().map(|row| row["creator"].clone()).collect();
    assert!(creators.contains(&json!("club/mallory")), "{creators:?}");
}

#[tokio::test]
async fn another_provider_gets_an_actor_only_by_proof() {
    let site = ProvidedSite::of(app()).await;
    let ann = Browser::new(&site.site);
    site.sign_in(&ann, "house").await.expect(303);
    let actor = site.whose(&ann).await;

    // The same address, by another provider's word: told, not let in.
    let elsewhere = Browser::new(&site.site);
    let back = site.sign_in(&elsewhere, "club").await.expect(303);
    assert_eq!(back.header("location"), site.site.url("/oauth/login?trouble=address_taken"));
    assert_eq!((site.whose(&elsewhere).await, site.actors().await), (None, 1));

    // Who is signed in may connect it, after a look at what it is.
    elsewhere.open("/oauth/login/club?link=1").await.problem(403);
    let asked = ann.open(&site.callback_of(&ann, "/oauth/login/club?link=1").await).await.expect(200);
    assert!(asked.body.contains("ann@example.org"), "{}", asked.body);
    let answer = form(&asked, "/oauth/login/club");
    let foreign = ann.request(Method::POST, &answer.action).header("origin", "https://evil.example");
    let foreign = actingweb_tests::with_form(foreign.header("sec-fetch-site", "cross-site"), &answer.fields);
    Answer::of(foreign).await.problem(403);
    elsewhere.submit(&answer).await.problem(400);

    let asked = ann.open(&site.callback_of(&ann, "/oauth/login/club?link=1").await).await.expect(200);
    let answer = form(&asked, "/oauth/login/club");
    ann.submit(&answer).await.expect(303);
    ann.submit(&answer).await.problem(400);

    site.sign_in(&elsewhere, "club").await.expect(303);
    assert_eq!(site.whose(&elsewhere).await, actor, "two ways, one actor");

    // What is another's stays another's.
    let bob = Browser::new(&site.site);
    site.house.set_person(Person::new("bob-2", "bob@example.org"));
    site.sign_in(&bob, "house").await.expect(303);
    let asked = bob.open(&site.callback_of(&bob, "/oauth/login/club?link=1").await).await.expect(200);
    let back = bob.submit(&form(&asked, "/oauth/login/club")).await.expect(303);
    assert_eq!(back.header("location"), site.site.url("/oauth/login?trouble=identity_taken"));
    site.sign_in(&elsewhere, "club").await.expect(303);
    assert_eq!(site.whose(&elsewhere).await, actor);
}

#[tokio::test]
async fn github_says_who_somebody_is_by_its_api() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "github").await.expect(303);
    let told = &stored(&site, "signed_in").await[0];
    assert_eq!((&told["subject"], &told["email"]), (&json!("7"), &json!("octo@example.org")));
    // The primary address counts if it is verified, and no other.
    site.github.set_person(Person::new("8", "evil@example.org").unverified());
    site.sign_in(&Browser::new(&site.site), "github").await.expect(303);
    let creators: Vec<_> = site.rows("ACTOR").await.iter().map(|row| row["creator"].clone()).collect();
    assert!(creators.contains(&json!("github/8")), "{creators:?}");
}

#[tokio::test]
async fn apple_answers_by_a_form() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let away = browser.open("/oauth/login/apple").await.expect(303);
    let posted = browser.open(away.header("location")).await.expect(200).json();
    assert_eq!(posted["action"], site.site.url("/oauth/callback/apple"));
    let mut fields = vec![("user".to_owned(), r#"{"name":{"firstName":"Ann","lastName":"Apple"}}"#.to_owned())];
    for (name, value) in posted["fields"].as_object().unwrap() {
        fields.push((name.clone(), value.as_str().unwrap().to_owned()));
    }
    // A page of Apple's sends it, so browsers say that it comes from elsewhere.
    let send = || {
        let request = browser.request(Method::POST, "/oauth/callback/apple");
        let request = request.header("origin", site.apple.url()).header("sec-fetch-site", "cross-site");
        actingweb_tests::with_form(request, &fields)
    };
    // Not by a link.
    browser.open("/oauth/callback/apple?code=1").await.problem(405);
    browser.go(send()).await.expect(303);
    browser.go(send()).await.expect(400);
    assert!(site.whose(&browser).await.is_some());
}

#[tokio::test]
async fn a_hook_may_keep_somebody_out_and_leaves_nothing() {
    fn only_ours(event: Event) -> Result<(), HookError> {
        let event: SignInEvent = event.data()?;
        match event.email {
            Some(email) if email.ends_with("@ours.example") => Ok(()),
            _ => Err(HookError::rejected("only for people of ours")),
        }
    }
    let site = ProvidedSite::of(App::new("urn:actingweb:example.com:ours").on(OauthSuccess, only_ours)).await;
    let browser = Browser::new(&site.site);
    let page = site.sign_in(&browser, "house").await.expect(403);
    assert!(page.body.contains("only for people of ours"), "{}", page.body);
    assert_eq!((site.whose(&browser).await, site.actors().await), (None, 0));
    site.site.drain().await;
    assert!(site.rows("IDENTITY").await.is_empty() && site.rows("EMAIL").await.is_empty());

    site.house.set_person(Person::new("ann-1", "ann@ours.example"));
    site.sign_in(&browser, "house").await.expect(303);
    assert!(site.whose(&browser).await.is_some());

    let broken =
        App::new("urn:actingweb:example.com:ours").on(OauthSuccess, || -> Result<(), HookError> { panic!("!") });
    let site = ProvidedSite::of(broken).await;
    site.sign_in(&Browser::new(&site.site), "house").await.problem(503);
    assert_eq!(site.actors().await, 0, "a guard that fails lets nobody in");
}

#[tokio::test]
async fn two_sign_ins_at_once_make_one_actor() {
    let site = ProvidedSite::of(app()).await;
    let browsers: Vec<_> = (0..5).map(|_| Browser::new(&site.site)).collect();
    let mut callbacks = Vec::new();
    for browser in &browsers {
        callbacks.push(site.callback_of(browser, "/oauth/login/house").await);
    }
    let all = browsers.iter().zip(&callbacks).map(|(browser, callback)| browser.open(callback));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(303);
    }
    assert_eq!(site.actors().await, 1);
    assert_eq!(stored(&site, "created").await, [json!(1)]);
}

#[tokio::test]
async fn an_actor_that_is_deleted_takes_its_identities_along() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    site.sign_in(&browser, "house").await.expect(303);
    let before = site.whose(&browser).await.unwrap();
    let deadline = actingweb_protocol::Deadline::after(std::time::Instant::now(), Duration::from_secs(20));
    let id = actingweb_protocol::ActorId::parse(&before).unwrap();
    let store = site.site.state().actors.store().with_deadline(deadline);
    let record = store.load(&id, actingweb_actor::Wanted::default()).await.unwrap().actor.unwrap();
    actingweb_actor::Actor::new(record, store).bury().await.unwrap().unwrap();

    // Before the worker came, and after.
    site.sign_in(&browser, "house").await.expect(303);
    let after = site.whose(&browser).await.unwrap();
    assert_ne!(before, after);
    site.site.drain().await;
    assert_eq!(
        (site.rows("IDENTITY").await.len(), site.rows("EMAIL").await.len()),
        (1, 1),
        "those of the new one stay"
    );
    site.sign_in(&browser, "house").await.expect(303);
    assert_eq!(site.whose(&browser).await, Some(after));
}

#[tokio::test]
async fn the_way_of_a_client_leads_past_a_provider() {
    let site = ProvidedSite::of(app()).await;
    let client = OauthClient::register(&site.site).await;
    let browser = Browser::new(&site.site);
    let asking = client.asking_for_rest();
    let sign_in = browser.open(&client.url(&asking)).await.expect(303);
    let page = browser.open(sign_in.header("location")).await.expect(200);
    let (_, rest) = page.body.split_once("href=\"").expect("a link");
    let links: Vec<String> = std::iter::once(rest)
        .chain(page.body.split("href=\"").skip(2))
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .collect();
    let link = links.iter().find(|link| link.contains("/oauth/login/house?next=")).expect("a link to the house");

    // Refused there: back at the page, which still knows where to go on.
    site.house.set_mischief(Mischief::Refused);
    let back = browser.open(&site.callback_of(&browser, link).await).await.expect(303);
    assert!(back.header("location").contains("trouble=refused&next="), "{}", back.header("location"));
    site.house.set_mischief(Mischief::None);

    let next = browser.open(&site.callback_of(&browser, link).await).await.expect(303);
    let consent = browser.open(next.header("location")).await.expect(200);
    let code =
        client.code(&asking, &browser.submit(&form(&consent, "/oauth/authorize").with("decision", "allow")).await);
    client.exchange(&asking, &code).await.expect(200);

    // Nobody is led anywhere else.
    browser.open("/oauth/login/house?next=https://evil.example/").await.problem(400);
}

#[tokio::test]
async fn sign_ins_are_counted_by_address() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let mut limited = 0;
    for _ in 0..40 {
        let answer = browser.open("/oauth/login/house").await;
        if answer.status == 429 {
            assert!(!answer.header("retry-after").is_empty());
            limited += 1;
        }
    }
    assert!(limited > 0);
}

#[tokio::test]
async fn nothing_of_a_sign_in_is_stored_in_clear() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let away = browser.open("/oauth/login/house").await.expect(303);
    let sent = reqwest::Url::parse(away.header("location")).unwrap();
    let secrets: Vec<String> = sent
        .query_pairs()
        .filter(|(name, _)| matches!(name.as_ref(), "state" | "nonce"))
        .map(|(_, value)| value.into_owned())
        .chain(browser.cookie("actingweb-signin"))
        .collect();
    assert_eq!(secrets.len(), 3);
    let table = json!(site.site.table().await).to_string();
    assert!(secrets.iter().all(|secret| !table.contains(secret.as_str())));
}
