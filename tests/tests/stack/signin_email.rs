//! Who signs in without a verified e-mail address names one, and shows that it is theirs; until then there is no actor.

use std::sync::{Arc, Mutex};

use actingweb_hooks::EmailEvent;
use actingweb_hooks::prelude::*;
use actingweb_testkit::provider_standin::Person;
use actingweb_tests::{Answer, Browser, ProvidedSite, form};
use reqwest::Method;
use serde_json::json;

/// The mails that were sent.
#[derive(Clone, Debug, Default)]
struct Mails(Arc<Mutex<Vec<EmailEvent>>>);

impl Mails {
    fn last(&self) -> EmailEvent {
        self.0.lock().unwrap().last().cloned().expect("a mail")
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn send(event: Event, mails: State<Mails>) -> Result<(), HookError> {
    mails.0.0.lock().unwrap().push(event.data()?);
    Ok(())
}

async fn note(actor: Actor, event: Event) -> Result<(), HookError> {
    let event: EmailEvent = event.data()?;
    Ok(actor.set_property("verified", event.email).await?)
}

fn app(mails: &Mails) -> App {
    App::new("urn:actingweb:example.com:mail")
        .state(mails.clone())
        .on(EmailVerificationRequired, send)
        .on(EmailVerified, note)
}

/// A site at which somebody signed in without a verified address, and the page that asks for one.
async fn asked(mails: &Mails) -> (ProvidedSite, Browser, Answer) {
    let site = ProvidedSite::of(app(mails)).await;
    site.house.set_person(Person::new("ann-1", "victim@example.org").unverified());
    let browser = Browser::new(&site.site);
    let away = site.sign_in(&browser, "house").await.expect(303);
    assert!(
        away.header("location").starts_with(&site.site.url("/oauth/email?session=")),
        "{}",
        away.header("location")
    );
    let page = browser.open(away.header("location")).await.expect(200);
    (site, browser, page)
}

#[tokio::test]
async fn an_address_that_is_shown_to_be_theirs_makes_the_actor() {
    let mails = Mails::default();
    let (site, browser, page) = asked(&mails).await;
    assert_eq!((site.actors().await, site.whose(&browser).await), (0, None), "nothing without an address");

    let bad = browser.submit(&form(&page, "/oauth/email").with("email", "no address")).await.expect(400);
    assert!(bad.body.contains("no e-mail address"), "{}", bad.body);
    browser.submit(&form(&page, "/oauth/email").with("email", "Ann@Example.org")).await.expect(200);
    let mail = mails.last();
    assert_eq!((mail.email.as_str(), mail.provider.as_str(), mails.count()), ("ann@example.org", "house", 1));
    let link = mail.verification_url.expect("a link");

    // Opening the link confirms nothing, however often; and elsewhere it does not count.
    let confirm = browser.open(&link).await.expect(200);
    browser.open(&link).await.expect(200);
    assert_eq!((site.actors().await, site.whose(&browser).await), (0, None));
    let elsewhere = Browser::new(&site.site);
    elsewhere.open(&link).await.expect(403);
    elsewhere.submit(&form(&confirm, "/oauth/email")).await.expect(403);
    assert_eq!(site.actors().await, 0);

    browser.submit(&form(&confirm, "/oauth/email")).await.expect(303);
    let actor = site.whose(&browser).await.expect("somebody is signed in");
    assert_eq!((site.actors().await, site.rows("ACTOR").await[0]["creator"].clone()), (1, json!("ann@example.org")));
    browser.submit(&form(&confirm, "/oauth/email")).await.expect(400);
    let verified = site.site.table().await.iter().any(|row| row["value"] == "\"ann@example.org\"");
    assert!(verified, "the hook was told");

    // From now on the identity is enough.
    let again = Browser::new(&site.site);
    let done = site.sign_in(&again, "house").await.expect(303);
    assert_eq!(done.header("location"), site.site.url("/oauth/login"));
    assert_eq!(site.whose(&again).await, Some(actor));
    assert_eq!(mails.count(), 1);
}

#[tokio::test]
async fn an_address_of_somebody_else_leads_to_nobody() {
    let mails = Mails::default();
    let (site, mallory, page) = asked(&mails).await;
    // The victim has an actor.
    site.club.set_person(Person::new("victim-1", "victim@example.org"));
    let victim = Browser::new(&site.site);
    site.sign_in(&victim, "club").await.expect(303);
    let theirs = site.whose(&victim).await;

    mallory.submit(&form(&page, "/oauth/email").with("email", "victim@example.org")).await.expect(200);
    let link = mails.last().verification_url.unwrap();
    // The victim opens the mail.
    let page = victim.open(&link).await.expect(403);
    assert!(page.body.contains("somebody"), "{}", page.body);
    assert_eq!((site.actors().await, site.whose(&mallory).await), (1, None));

    // Even with the mail in hand the actor stays the victim's.
    let confirm = mallory.open(&link).await.expect(200);
    let back = mallory.submit(&form(&confirm, "/oauth/email")).await.expect(303);
    assert_eq!(back.header("location"), site.site.url("/oauth/login?trouble=address_taken"));
    assert_eq!((site.whose(&mallory).await, site.whose(&victim).await), (None, theirs));
}

#[tokio::test]
async fn what_is_none_of_these_is_refused() {
    let mails = Mails::default();
    let (site, browser, page) = asked(&mails).await;
    for path in ["/oauth/email", "/oauth/email?session=x"] {
        browser.open(path).await.expect(400);
    }
    browser.open("/oauth/email?verify=x").await.expect(400);
    let answer = form(&page, "/oauth/email").with("email", "ann@example.org");
    let foreign = browser.request(Method::POST, "/oauth/email").header("origin", "https://evil.example");
    let foreign = actingweb_tests::with_form(foreign.header("sec-fetch-site", "cross-site"), &answer.fields);
    Answer::of(foreign).await.expect(403);
    assert_eq!(mails.count(), 0);

    // The word of a pending sign-in is no session of an application.
    let word = answer.value("session");
    let pick = browser.request(Method::POST, &format!("/oauth/spa/session/{word}"));
    Answer::of(pick).await.expect(404);

    // Nobody is buried in mails.
    let mut limited = 0;
    for _ in 0..12 {
        if browser.submit(&answer).await.status == 429 {
            limited += 1;
        }
    }
    assert!(limited > 0 && mails.count() < 12, "{limited} {}", mails.count());
    assert_eq!(site.actors().await, 0);
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_no_success() {
    let broken = App::new("urn:actingweb:example.com:mail")
        .on(EmailVerificationRequired, || Err::<(), _>(HookError::retryable("the mail server is away")));
    let site = ProvidedSite::of(broken).await;
    site.house.set_person(Person::new("ann-1", "").without_email());
    let browser = Browser::new(&site.site);
    let away = site.sign_in(&browser, "house").await.expect(303);
    let page = browser.open(away.header("location")).await.expect(200);
    browser.submit(&form(&page, "/oauth/email").with("email", "ann@example.org")).await.expect(503);
}
