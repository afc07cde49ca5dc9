//! Signing in while storage is busy, fails or loses replies, at each call of each step: never a 500, nothing half-made, and
//! whoever begins again gets in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{EmailEvent, ServiceCredentials};
use actingweb_protocol::oauth::CodeChallenge;
use actingweb_testkit::account_standin::{self, AccountStandin};
use actingweb_testkit::fakes::FakeClock;
use actingweb_testkit::provider_standin::{CLIENT_ID, Person};
use actingweb_tests::{Answer, Browser, Faults, OauthClient, Owner, ProvidedSite, form, with_form};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

const ORIGIN: &str = "https://app.example.com";
const LINK: &str = "com.example.app:/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// The store gives up 5 s before the deadline, which these tests put close.
const TIME_LIMIT: Duration = Duration::from_millis(5_120);

#[derive(Clone, Debug, Default)]
struct Mails(Arc<Mutex<Vec<EmailEvent>>>);

async fn note_creation(actor: Actor) -> Result<(), HookError> {
    Ok(actor.set_property("created", true).await?)
}

async fn note_sign_in(actor: Actor) -> Result<(), HookError> {
    Ok(actor.set_property("signed_in", true).await?)
}

fn send(event: Event, mails: State<Mails>) -> Result<(), HookError> {
    mails.0.0.lock().unwrap().push(event.data()?);
    Ok(())
}

struct World {
    clock: FakeClock,
    /// Those who sign in by passphrase.
    owners: Mutex<HashMap<u64, Owner>>,
    site: ProvidedSite,
    mails: Mails,
    _desk: AccountStandin,
}

impl World {
    async fn new() -> Self {
        let (clock, mails, desk) = (FakeClock::new(), Mails::default(), AccountStandin::start().expect("a stand-in"));
        let url = |path: &str| format!("{}{path}", desk.url());
        let client = ServiceCredentials {
            client_id: account_standin::CLIENT_ID.to_owned(),
            client_secret: Some(account_standin::CLIENT_SECRET.to_owned()),
        };
        let app = App::new("urn:actingweb:example.com:faults")
            .spa_origin(ORIGIN)
            .deep_link(LINK)
            .state(mails.clone())
            .on(ActorCreated, note_creation)
            .on(OauthSuccess, note_sign_in)
            .on(EmailVerificationRequired, send)
            .service(Service::new("desk", &url("/authorize"), &url("/token")).api(&url("/api")))
            .service_clients([("desk".to_owned(), client)].into());
        let adjust = |state: &mut actingweb_web::AppState| {
            state.time_limit = TIME_LIMIT;
            state.rate_limits.sign_in = 10_000;
            state.rate_limits.email = 10_000;
            state.rate_limits.authorize = 10_000;
            state.rate_limits.register = 10_000;
        };
        let site = ProvidedSite::adjusted(app, Arc::new(clock.clone()), adjust).await;
        Self { clock, owners: Mutex::default(), site, mails, _desk: desk }
    }

    /// Asserts that identities and actors belong together, both ways.
    async fn is_whole(&self, what: &str) {
        let rows = self.site.site.table().await;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let is_alive = |partition: &str| {
            rows.iter().any(|row| row["pk"] == partition && row["sk"] == "ACTOR" && row.get("deleted_at").is_none())
        };
        for row in rows.iter().filter(|row| row["sk"] == "IDENTITY") {
            let (actor, digest) = (text(row, "actor"), text(row, "pk").replacen("I#", "", 1));
            let own = format!("IDENTITY#{digest}");
            let has = rows.iter().any(|row| text(row, "pk").ends_with(&actor) && row["sk"] == own.as_str());
            assert!(has, "{what}: an identity leads to {actor}, which does not know it");
        }
        for row in rows.iter().filter(|row| text(row, "sk").starts_with("IDENTITY#")) {
            let partition = text(row, "pk");
            let digest = text(row, "sk").replacen("IDENTITY#", "I#", 1);
            let leads = rows.iter().any(|row| row["pk"] == digest.as_str() && partition.ends_with(&text(row, "actor")));
            assert!(leads || !is_alive(&partition), "{what}: nothing leads to {partition} by an identity of its own");
        }
        // An address leads to whoever has an identity with it, and to nobody else.
        for row in rows.iter().filter(|row| row["sk"] == "EMAIL") {
            let actor = text(row, "actor");
            let is_own = |own: &&Value| own["found_by"] == row["pk"] && text(own, "pk").ends_with(&actor);
            assert!(rows.iter().any(|row| is_own(&row)), "{what}: an address leads to {actor}, which has it no longer");
        }
        for row in rows.iter().filter(|row| row.get("found_by").is_some()) {
            let partition = text(row, "pk");
            let leads = |to: &&Value| {
                to["sk"] == "EMAIL" && to["pk"] == row["found_by"] && partition.ends_with(&text(to, "actor"))
            };
            let leads = rows.iter().any(|row| leads(&row));
            assert!(leads || !is_alive(&partition), "{what}: the address of {partition} does not lead there");
        }
    }

    /// Asserts that somebody has one actor, and that hooks were told of it.
    async fn has_one_actor(&self, creator: &str, what: &str) {
        let rows = self.site.site.table().await;
        let own = |row: &&Value| row["sk"] == "ACTOR" && row["creator"] == creator && row.get("deleted_at").is_none();
        let actors: Vec<&Value> = rows.iter().filter(own).collect();
        assert_eq!(actors.len(), 1, "{what}: {creator} has {actors:?}");
        let told = rows.iter().any(|row| {
            row["pk"] == actors[0]["pk"] && row["sk"].as_str().unwrap().ends_with("created") && row["value"] == "true"
        });
        assert!(told, "{what}: no hook was told that {creator} has an actor");
    }
}

/// One way through the steps of a flow, one of which may meet faults.
struct Walk<'a> {
    world: &'a World,
    /// Who goes it.
    person: u64,
    /// The step that meets faults, and which.
    struck: Option<(usize, Faults)>,
    at: usize,
    /// How many calls each step made.
    calls: Vec<u64>,
    /// What the step that met faults answered.
    answer: Option<(String, u16, String, String)>,
}

impl Walk<'_> {
    fn email(&self) -> String {
        format!("person-{}@example.org", self.person)
    }

    /// Sends what the next step is. None where it failed, as it may when it met faults.
    async fn step(&mut self, browser: &Browser, request: RequestBuilder) -> Option<Answer> {
        let at = self.at;
        self.at += 1;
        let meter = self.world.site.site.meter();
        meter.reset();
        let faults = self.struck.as_ref().filter(|(step, _)| *step == at).map(|(_, faults)| faults.clone());
        let is_struck = faults.is_some();
        meter.inject(faults.unwrap_or_default());
        let answer = browser.go(request).await;
        meter.heal();
        self.calls.push(u64::try_from(meter.calls().count()).unwrap());
        if is_struck {
            let told =
                (answer.request.clone(), answer.status, answer.header("retry-after").to_owned(), answer.body.clone());
            self.answer = Some(told);
        }
        let is_good = answer.status < 400 && !answer.header("location").contains("trouble=");
        assert!(is_good || is_struck, "step {at}: {}: {} {}", answer.request, answer.status, answer.body);
        is_good.then_some(answer)
    }

    /// To a provider and back, in two steps.
    async fn visit(&mut self, browser: &Browser, start: &str) -> Option<Answer> {
        let away = self.step(browser, browser.request(Method::GET, start)).await?;
        let back = browser.open(away.header("location")).await.expect(303);
        self.step(browser, browser.request(Method::GET, back.header("location"))).await
    }

    async fn submit(
        &mut self,
        browser: &Browser,
        page: &Answer,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Option<Answer> {
        let filled = fields.iter().fold(form(page, path), |form, (name, value)| form.with(name, value));
        let request = with_form(browser.request(Method::POST, &filled.action), &filled.fields);
        self.step(browser, request.header("sec-fetch-site", "same-origin")).await
    }

    async fn spa(&mut self, browser: &Browser, redirect_uri: &str) -> Option<String> {
        let challenge = CodeChallenge::of(VERIFIER).unwrap();
        let asked = json!({ "provider": "house", "redirect_uri": redirect_uri, "code_challenge": challenge.as_str(),
                            "code_challenge_method": "S256" });
        let request = browser.request(Method::POST, "/oauth/spa/authorize").header("origin", ORIGIN).json(&asked);
        let begun = self.step(browser, request).await?.json();
        let back = self.visit(browser, begun["authorization_url"].as_str().unwrap()).await?;
        let url = Url::parse(back.header("location")).unwrap();
        let word = url
            .query_pairs()
            .find(|(name, _)| name == "session" || name == "ticket")
            .map(|(_, word)| word.into_owned());
        word.or_else(|| panic!("no word in {url}"))
    }

    async fn token(&mut self, browser: &Browser, path: &str, body: &Value) -> Option<Value> {
        let request = browser.request(Method::POST, path).header("origin", ORIGIN).json(body);
        Some(self.step(browser, request).await?.json())
    }
}

/// The flows that there are.
#[derive(Clone, Copy, Debug)]
enum Flow {
    /// The first sign-in, and another; out again.
    Pages,
    /// By the actor's passphrase.
    Passphrase,
    /// A page picks up its tokens and refreshes them.
    Spa,
    /// A native app's ticket.
    Ticket,
    /// A native app's id_token.
    Assertion,
    /// An address is named and confirmed.
    Email,
    /// Another identity is connected, and taken away.
    Link,
    /// A client is let in, exchanges its code and refreshes.
    Client,
    /// An account at a service is connected.
    Service,
}

impl Flow {
    async fn go(self, walk: &mut Walk<'_>) -> Option<()> {
        let (world, person, email) = (walk.world, walk.person, walk.email());
        let (site, browser) = (&world.site, Browser::new(&world.site.site));
        let subject = format!("subject-{person}");
        site.house.set_person(Person::new(&subject, &email));
        match self {
            Self::Pages => {
                walk.visit(&browser, "/oauth/login/house").await?;
                let again = Browser::new(&site.site);
                walk.visit(&again, "/oauth/login/house").await?;
                let page = walk.step(&again, again.request(Method::GET, "/oauth/login")).await?;
                walk.submit(&again, &page, "/oauth/logout", &[]).await?;
            }
            Self::Passphrase => {
                let known = world.owners.lock().unwrap().get(&person).cloned();
                let owner = match known {
                    Some(owner) => owner,
                    None => site.site.actor(&email).await,
                };
                world.owners.lock().unwrap().insert(person, owner.clone());
                let page = walk.step(&browser, browser.request(Method::GET, "/oauth/login")).await?;
                let fields = [("actor", owner.url.as_str()), ("passphrase", &owner.passphrase)];
                walk.submit(&browser, &page, "/oauth/login", &fields).await?;
                assert_eq!(site.whose(&browser).await.as_deref(), Some(owner.id.as_str()));
            }
            Self::Spa => {
                let word = walk.spa(&browser, &format!("{ORIGIN}/done")).await?;
                let proof = json!({ "code_verifier": VERIFIER });
                let tokens = walk.token(&browser, &format!("/oauth/spa/session/{word}"), &proof).await?;
                let refresh = json!({ "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"] });
                let next = walk.token(&browser, "/oauth/spa/token", &refresh).await?;
                let own = site.site.request(Method::GET, "/oauth/session");
                let own = own.bearer_auth(next["access_token"].as_str().unwrap());
                assert_eq!(walk.step(&browser, own).await?.json()["authenticated"], true);
                walk.token(&browser, "/oauth/spa/revoke", &json!({ "token": next["access_token"] })).await?;
            }
            Self::Ticket => {
                let word = walk.spa(&browser, LINK).await?;
                let body = json!({ "grant_type": "mobile_ticket", "ticket": word, "code_verifier": VERIFIER });
                walk.token(&browser, "/oauth/spa/token", &body).await?;
            }
            Self::Assertion => {
                let nonce = format!("nonce-{}", actingweb_protocol::random_hex(&*site.site.state().entropy, 8));
                let body = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                                   "assertion": site.house.id_token(CLIENT_ID, &nonce), "nonce": nonce });
                walk.token(&browser, "/oauth/spa/token", &body).await?;
            }
            Self::Email => {
                site.house.set_person(Person::new(&subject, "").without_email());
                let asked = walk.visit(&browser, "/oauth/login/house").await?;
                if asked.header("location").ends_with("/oauth/login") {
                    // The attempt before got as far as the actor: the person is in.
                    return Some(());
                }
                let page = walk.step(&browser, browser.request(Method::GET, asked.header("location"))).await?;
                walk.submit(&browser, &page, "/oauth/email", &[("email", &email)]).await?;
                let link = world.mails.0.lock().unwrap().last().unwrap().verification_url.clone().unwrap();
                let page = walk.step(&browser, browser.request(Method::GET, &link)).await?;
                walk.submit(&browser, &page, "/oauth/email", &[]).await?;
            }
            Self::Link => {
                site.sign_in(&browser, "house").await.expect(303);
                site.club.set_person(Person::new(&format!("member-{person}"), &email));
                let page = walk.visit(&browser, "/oauth/login/club?link=1").await?;
                walk.submit(&browser, &page, "/oauth/login/club", &[]).await?;
                let other = Browser::new(&site.site);
                walk.visit(&other, "/oauth/login/club").await?;
                assert_eq!(site.whose(&other).await, site.whose(&browser).await, "two ways, one actor");
                // And away with it again.
                let actor = site.whose(&browser).await.unwrap();
                let word = walk_free_session(site, &actor).await;
                let path = format!("/{actor}/identities");
                let listing = walk.step(&browser, browser.request(Method::GET, &path).bearer_auth(&word)).await?.json();
                let all = listing["identities"].as_array().unwrap();
                let club = all.iter().find(|identity| identity["provider"] == "club").unwrap();
                let path = format!("{path}/{}", club["id"].as_str().unwrap());
                walk.step(&browser, browser.request(Method::DELETE, &path).bearer_auth(&word)).await?;
            }
            Self::Client => {
                site.sign_in(&browser, "house").await.expect(303);
                let client = OauthClient::register(&site.site).await;
                let asking = client.asking();
                let page = walk.step(&browser, browser.request(Method::GET, &client.url(&asking))).await?;
                let answer = walk.submit(&browser, &page, "/oauth/authorize", &[("decision", "allow")]).await?;
                let code = client.code(&asking, &answer);
                let post = |fields: &[(&str, &str)]| {
                    let own = [&[("client_id", client.id.as_str())], fields].concat();
                    with_form(browser.request(Method::POST, "/oauth/token"), &own)
                };
                let fields = [
                    ("grant_type", "authorization_code"),
                    ("code", &code),
                    ("redirect_uri", &client.redirect_uri),
                    ("code_verifier", &asking.verifier),
                ];
                let tokens = walk.step(&browser, post(&fields)).await?.json();
                let refresh = tokens["refresh_token"].as_str().unwrap();
                let request = post(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
                let tokens = walk.step(&browser, request).await?.json();
                let access = tokens["access_token"].as_str().unwrap();
                let request = with_form(
                    browser.request(Method::POST, "/oauth/revoke"),
                    &[("client_id", client.id.as_str()), ("token", access)],
                );
                walk.step(&browser, request).await?;
            }
            Self::Service => {
                site.sign_in(&browser, "house").await.expect(303);
                let actor = site.whose(&browser).await.unwrap();
                let word = walk_free_session(site, &actor).await;
                let request = browser.request(Method::POST, &format!("/{actor}/services/desk")).bearer_auth(&word);
                let begun = walk.step(&browser, request).await?.json();
                let back = browser.open(begun["authorization_url"].as_str().unwrap()).await.expect(303);
                walk.step(&browser, browser.request(Method::GET, back.header("location"))).await?;
                let request = browser.request(Method::GET, &format!("/{actor}/services/desk")).bearer_auth(&word);
                assert_eq!(walk.step(&browser, request).await?.json()["state"], "connected");
                let request = browser.request(Method::DELETE, &format!("/{actor}/services/desk")).bearer_auth(&word);
                walk.step(&browser, request).await?;
            }
        }
        Some(())
    }
}

/// A session's token, made without pages.
async fn walk_free_session(site: &ProvidedSite, actor: &str) -> String {
    let id = actingweb_protocol::ActorId::parse(actor).unwrap();
    let store = site.site.state().actors.store().with_deadline(actingweb_tests::grants::deadline());
    let record = store.load(&id, actingweb_actor::Wanted::default()).await.unwrap().actor.unwrap();
    let actor = actingweb_actor::Actor::new(record, store);
    let kind = actingweb_actor::grants::SessionKind::Tokens;
    site.site.state().actors.grants().open_session(&actor, kind).await.unwrap().access_token
}

/// Goes a flow once for each call that each of its steps makes, with each kind of fault at that call.
async fn everywhere(flow: Flow) {
    let world = World::new().await;
    let walk = |person: u64, struck: Option<(usize, Faults)>| {
        let walk = Walk { world: &world, person, struck, at: 0, calls: Vec::new(), answer: None };
        async move {
            let mut walk = walk;
            let done = flow.go(&mut walk).await;
            (walk, done)
        }
    };
    let (well, done) = Box::pin(walk(0, None)).await;
    assert!(done.is_some(), "{flow:?}");
    let (email, mut person, mut failed) = (|person: u64| format!("person-{person}@example.org"), 0, 0);
    for (step, calls) in well.calls.iter().enumerate() {
        for call in 0..*calls {
            // Refused for its rate or failed: to the store one is as good as the other.
            let refused = match (step + usize::try_from(call).unwrap_or_default()).is_multiple_of(2) {
                true => ("busy", Faults::always_throttle()),
                false => ("broken", Faults { server_error: 1.0, ..Faults::none() }),
            };
            let lost = Faults { drop_reply_after_apply: 1.0, ..Faults::none() }.at_most(1);
            let kinds = [refused, ("lost", lost)].map(|(kind, faults)| (kind, faults.after(call)));
            for (kind, faults) in kinds {
                person += 1;
                let what = format!("{flow:?}, step {step}, call {call}, {kind}");
                let (struck, _) = Box::pin(walk(person, Some((step, faults)))).await;
                let (request, status, wait, body) = struck.answer.expect("the step was reached");
                let is_fine = status < 400 || (status == 503 && wait.parse::<u32>().is_ok_and(|wait| wait > 0));
                assert!(is_fine, "{what}: {request}: {status} {body}");
                failed += u32::from(status == 503);
                world.is_whole(&what).await;
                // The person begins again when the request is over, whatever became of it.
                world.clock.advance(Duration::from_secs(31));
                let (_, done) = Box::pin(walk(person, None)).await;
                assert!(done.is_some(), "{what}");
                world.is_whole(&what).await;
                world.has_one_actor(&email(person), &what).await;
            }
        }
    }
    assert!(failed > 2, "{flow:?}: {failed} requests failed");
}

#[tokio::test]
async fn signing_in_at_the_pages() {
    Box::pin(everywhere(Flow::Pages)).await;
}

#[tokio::test]
async fn signing_in_by_passphrase() {
    Box::pin(everywhere(Flow::Passphrase)).await;
}

#[tokio::test]
async fn signing_in_from_an_application() {
    Box::pin(everywhere(Flow::Spa)).await;
}

#[tokio::test]
async fn signing_in_from_a_native_app_by_a_ticket() {
    Box::pin(everywhere(Flow::Ticket)).await;
}

#[tokio::test]
async fn signing_in_from_a_native_app_by_an_id_token() {
    Box::pin(everywhere(Flow::Assertion)).await;
}

#[tokio::test]
async fn naming_and_confirming_an_address() {
    Box::pin(everywhere(Flow::Email)).await;
}

#[tokio::test]
async fn connecting_another_identity_and_taking_it_away() {
    Box::pin(everywhere(Flow::Link)).await;
}

#[tokio::test]
async fn letting_a_client_in() {
    Box::pin(everywhere(Flow::Client)).await;
}

#[tokio::test]
async fn connecting_an_account_at_a_service() {
    Box::pin(everywhere(Flow::Service)).await;
}
