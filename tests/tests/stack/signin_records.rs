//! What a sign-in hands out on its way: each word is of one kind, counts once, in its time, and is nothing of a provider's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::EmailEvent;
use actingweb_hooks::prelude::*;
use actingweb_protocol::oauth::CodeChallenge;
use actingweb_testkit::fakes::FakeClock;
use actingweb_testkit::provider_standin::{Person, TOKEN_MARK};
use actingweb_tests::{Answer, Browser, Form, OauthClient, ProvidedSite, form};
use futures_util::future::join_all;
use reqwest::{Method, Url};
use serde_json::{Value, json};

const ORIGIN: &str = "https://app.example.com";
const LINK: &str = "com.example.app:/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[derive(Clone, Debug, Default)]
struct Mails(Arc<Mutex<Vec<EmailEvent>>>);

fn app(mails: &Mails) -> App {
    fn send(event: Event, mails: State<Mails>) -> Result<(), HookError> {
        mails.0.0.lock().unwrap().push(event.data()?);
        Ok(())
    }
    let app = App::new("urn:actingweb:example.com:records").spa_origin(ORIGIN).deep_link(LINK);
    app.state(mails.clone()).on(EmailVerificationRequired, send)
}

fn param(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// One word of each kind, in one browser.
struct Words {
    site: ProvidedSite,
    mails: Mails,
    browser: Browser,
    words: BTreeMap<&'static str, String>,
    /// How many people without an address came.
    strangers: u64,
}

/// How each kind is presented where it belongs.
async fn present(words: &Words, kind: &str, word: &str) -> Answer {
    let (site, browser) = (&words.site.site, &words.browser);
    let post = |path: &str, body: Value| {
        let request = browser.request(Method::POST, path).header("origin", ORIGIN);
        browser.go(request.header("sec-fetch-site", "cross-site").json(&body))
    };
    let form = |path: &str, name: &str| {
        let form = Form { action: site.url(path), ..Form::default() }.with(name, word);
        async move { browser.submit(&form).await }
    };
    match kind {
        "leg" => browser.open(&format!("/oauth/callback?state={word}&code={}", words.words["code"])).await,
        "pickup" => post(&format!("/oauth/spa/session/{word}"), json!({})).await,
        "ticket" => {
            let body = json!({ "grant_type": "mobile_ticket", "ticket": word, "code_verifier": VERIFIER });
            post("/oauth/spa/token", body).await
        }
        "pending" => form("/oauth/email", "session").await,
        "mailed" => form("/oauth/email", "verify").await,
        "link" => form("/oauth/login/club", "link").await,
        other => panic!("{other} is no kind"),
    }
}

const KINDS: [&str; 6] = ["leg", "pickup", "ticket", "pending", "link", "mailed"];

impl Words {
    async fn new(clock: &FakeClock) -> Self {
        let mails = Mails::default();
        let adjust = |state: &mut actingweb_web::AppState| {
            state.rate_limits.sign_in = 1_000;
            state.rate_limits.token_failure = 1_000;
            state.rate_limits.email = 1_000;
        };
        let site = ProvidedSite::adjusted(app(&mails), Arc::new(clock.clone()), adjust).await;
        let browser = Browser::new(&site.site);
        let mut words = Self { site, mails, browser, words: BTreeMap::new(), strangers: 0 };
        for kind in KINDS {
            words.make(kind).await;
        }
        words
    }

    async fn spa(&self, redirect_uri: &str) -> String {
        let challenge = CodeChallenge::of(VERIFIER).unwrap();
        let mut asked = json!({ "provider": "house", "redirect_uri": redirect_uri });
        if redirect_uri == LINK {
            asked["code_challenge"] = json!(challenge.as_str());
            asked["code_challenge_method"] = json!("S256");
        }
        let request = self.browser.request(Method::POST, "/oauth/spa/authorize").header("origin", ORIGIN).json(&asked);
        let begun = self.browser.go(request).await.expect(200).json();
        let callback = self.site.callback_of(&self.browser, begun["authorization_url"].as_str().unwrap()).await;
        self.browser.open(&callback).await.expect(303).header("location").to_owned()
    }

    /// Makes another word of this kind.
    async fn make(&mut self, kind: &'static str) -> String {
        self.strangers += 1;
        let (site, browser, stranger) = (&self.site, &self.browser, self.strangers);
        let word = match kind {
            "leg" => {
                let callback = site.callback_of(browser, "/oauth/login/house").await;
                self.words.insert("code", param(&callback, "code"));
                param(&callback, "state")
            }
            "pickup" => param(&self.spa(&format!("{ORIGIN}/done")).await, "session"),
            "ticket" => param(&self.spa(LINK).await, "ticket"),
            "pending" | "mailed" => {
                site.github.set_person(Person::new(&stranger.to_string(), "who@example.org").unverified());
                let asked = site.sign_in(browser, "github").await.expect(303);
                let word = param(asked.header("location"), "session");
                if kind == "mailed" {
                    let page = browser.open(asked.header("location")).await.expect(200);
                    let named = form(&page, "/oauth/email").with("email", &format!("octo-{stranger}@example.org"));
                    browser.submit(&named).await.expect(200);
                    let url = self.mails.0.lock().unwrap().last().unwrap().verification_url.clone().unwrap();
                    param(&url, "verify")
                } else {
                    word
                }
            }
            _ => {
                site.sign_in(browser, "house").await.expect(303);
                let asked =
                    browser.open(&site.callback_of(browser, "/oauth/login/club?link=1").await).await.expect(200);
                form(&asked, "/oauth/login/club").value("link").to_owned()
            }
        };
        assert!(word.len() >= 43, "{kind}: {word:?}");
        self.words.insert(kind, word.clone());
        word
    }
}

/// Whether a word did what words of this kind do.
fn is_taken(kind: &str, answer: &Answer) -> bool {
    let failed = answer.header("location").contains("trouble=");
    match kind {
        // The page asks again, because no address was named.
        "pending" => answer.status == 400 && answer.body.contains("This is no e-mail address."),
        _ => matches!(answer.status, 200 | 303) && !failed,
    }
}

#[tokio::test]
async fn a_word_of_one_kind_is_none_of_another() {
    let words = Words::new(&FakeClock::new()).await;
    for kind in KINDS {
        for place in KINDS.into_iter().filter(|place| *place != kind) {
            let answer = present(&words, place, &words.words[kind]).await;
            let (status, body) = (answer.status, &answer.body);
            assert!((400..500).contains(&status) && !is_taken(place, &answer), "{kind} as {place}: {status} {body}");
        }
    }
    // None of that used one up.
    for kind in KINDS {
        let answer = present(&words, kind, &words.words[kind]).await;
        assert!(is_taken(kind, &answer), "{kind}: {} {}", answer.status, answer.body);
    }
    // Now they are; but for the question for an address, which may be asked again until it is answered.
    for kind in KINDS.into_iter().filter(|kind| *kind != "pending") {
        let answer = present(&words, kind, &words.words[kind]).await;
        assert!((400..500).contains(&answer.status), "{kind}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn a_word_ends_by_the_clock_whatever_storage_still_holds() {
    let clock = FakeClock::new();
    let mut words = Words::new(&clock).await;
    for (kind, seconds) in
        [("leg", 600), ("pickup", 600), ("ticket", 300), ("pending", 600), ("link", 600), ("mailed", 24 * 3600)]
    {
        let early = words.make(kind).await;
        clock.advance(Duration::from_secs(seconds - 1));
        let answer = present(&words, kind, &early).await;
        assert!(is_taken(kind, &answer), "{kind}: {} {}", answer.status, answer.body);
        let late = words.make(kind).await;
        clock.advance(Duration::from_secs(seconds));
        let answer = present(&words, kind, &late).await;
        assert!((400..500).contains(&answer.status), "{kind}: {} {}", answer.status, answer.body);
        assert!(!is_taken(kind, &answer), "{kind}: {}", answer.body);
    }
    let rows = words.site.site.table().await;
    let kept = rows.iter().filter(|row| row["sk"] == "ONCE").count();
    assert!(kept >= KINDS.len(), "the rows are all still there: {kept}");
}

#[tokio::test]
async fn of_many_that_bring_one_word_at_once_one_is_served() {
    let mut words = Words::new(&FakeClock::new()).await;
    for kind in KINDS.into_iter().filter(|kind| *kind != "pending") {
        let word = words.make(kind).await;
        let answers = join_all((0..8).map(|_| present(&words, kind, &word))).await;
        let served = answers.iter().filter(|answer| is_taken(kind, answer)).count();
        assert_eq!(served, 1, "{kind}");
        assert!(answers.iter().all(|answer| answer.status < 500), "{kind}");
    }
    // A client's code, too: it gives tokens once at most, and never two families of them.
    let site = &words.site.site;
    let (ann, client) = (site.actor("ann").await, OauthClient::register(site).await);
    let asking = client.asking_for_rest();
    let code = client.authorize(&Browser::of(site, &ann).await, &asking).await;
    let answers = join_all((0..8).map(|_| client.exchange(&asking, &code))).await;
    let given: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(given.len() <= 1, "{} were served", given.len());
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)), "{:?}", answers[0].body);
    // The code was seen again, so what it gave is worthless.
    for answer in given {
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        Answer::of(ann.with_secret(&token, Method::GET, "/properties")).await.problem(401);
    }
}

#[tokio::test]
async fn no_token_of_a_provider_is_kept_or_handed_on() {
    let words = Words::new(&FakeClock::new()).await;
    let mut told = String::new();
    for kind in KINDS {
        let answer = present(&words, kind, &words.words[kind]).await;
        told.push_str(&format!("{:?} {}", answer.headers, answer.body));
    }
    let session = words.browser.open("/oauth/session").await.expect(200);
    told.push_str(&session.body);
    told.push_str(&json!(words.site.site.table().await).to_string());
    assert!(words.site.house.exchanges() > 2, "tokens were given");
    assert!(!told.contains(TOKEN_MARK), "{told}");
    // Nor is there an id_token: they begin with the head of one.
    assert!(!told.contains("eyJ0eXAi") && !told.contains("eyJhbGci"), "{told}");
}

#[tokio::test]
async fn what_many_people_do_is_spread_over_storage() {
    let clock = FakeClock::new();
    let words = Words::new(&clock).await;
    for n in 0..5 {
        words.site.house.set_person(Person::new(&format!("person-{n}"), &format!("person-{n}@example.org")));
        let browser = Browser::new(&words.site.site);
        words.site.sign_in(&browser, "house").await.expect(303);
        let client = OauthClient::register(&words.site.site).await;
        client.connect_with(&browser, &client.asking()).await;
    }
    let mut crowded: BTreeMap<String, usize> = BTreeMap::new();
    for row in words.site.site.table().await {
        *crowded.entry(row["pk"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let actors = words.site.actors().await;
    assert!(actors >= 6, "{actors}");
    // What an actor has is with it; whatever else there is has a partition of its own.
    for (partition, rows) in crowded {
        let is_own = partition.starts_with("A#");
        assert!(rows <= if is_own { 12 } else { 2 }, "{partition}: {rows} rows");
        assert!(!partition.contains("_actingweb"), "{partition}");
    }
}

#[tokio::test]
async fn a_sign_in_asks_for_no_rights_and_gets_none() {
    let site = ProvidedSite::of(App::new("urn:actingweb:example.com:rights").spa_origin(ORIGIN)).await;
    let browser = Browser::new(&site.site);
    let asked = json!({ "provider": "house", "redirect_uri": format!("{ORIGIN}/done"), "trust_type": "admin",
                        "scope": "admin", "actor_id": "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55" });
    let request = browser.request(Method::POST, "/oauth/spa/authorize").header("origin", ORIGIN).json(&asked);
    let begun = browser.go(request).await;
    if begun.status == 200 {
        let url = begun.json()["authorization_url"].as_str().unwrap().to_owned();
        assert!(!url.contains("admin"), "{url}");
        let callback = site.callback_of(&browser, &url).await;
        browser.open(&format!("{callback}&trust_type=admin")).await.expect(303);
    }
    let callback = site.callback_of(&browser, "/oauth/login/house?trust_type=admin").await;
    browser.open(&format!("{callback}&trust_type=admin&scope=admin")).await.expect(303);
    assert!(site.rows("TRUST#").await.is_empty(), "signing in lets nobody in but its person");
    // And the client that has it on its way is given what is chosen on the page, which is the least.
    let client = OauthClient::register(&site.site).await;
    let page = browser.open(&client.url(&client.asking().with("trust_type", "admin"))).await.expect(200);
    assert_eq!(form(&page, "/oauth/authorize").value("trust_type"), "mcp_client");
    assert!(!page.body.contains("admin"), "{}", page.body);
}

#[tokio::test]
async fn each_sign_in_has_a_state_a_nonce_and_a_proof_of_its_own() {
    let site = ProvidedSite::of(App::new("urn:actingweb:example.com:legs")).await;
    let browser = Browser::new(&site.site);
    let mut seen = std::collections::HashSet::new();
    for provider in ["house", "club", "github", "apple"] {
        for _ in 0..2 {
            let away = browser.open(&format!("/oauth/login/{provider}")).await.expect(303);
            let url = away.header("location");
            assert_eq!(
                (param(url, "code_challenge_method").as_str(), param(url, "response_type").as_str()),
                ("S256", "code")
            );
            // GitHub knows no nonce: it gives no id_token.
            let names: &[&str] =
                if provider == "github" { &["state", "code_challenge"] } else { &["state", "code_challenge", "nonce"] };
            for name in names {
                let value = param(url, name);
                assert!(value.len() >= 43 && seen.insert(value), "{provider}: {name} in {url}");
            }
            assert!(!url.contains("code_verifier"), "{url}");
        }
    }
}

#[tokio::test]
async fn over_tls_a_sign_in_is_bound_to_a_cookie_that_no_other_host_can_set() {
    let adjust = |state: &mut actingweb_web::AppState| state.base_url = "https://api.example".into();
    let app = App::new("urn:actingweb:example.com:legs");
    let site = ProvidedSite::adjusted(app, Arc::new(FakeClock::new()), adjust).await;
    let cookie = async |provider: &str| {
        let away = site.site.send(Method::GET, &format!("/oauth/login/{provider}")).await.expect(303);
        away.header("set-cookie").to_owned()
    };
    for (provider, name, policy) in [
        ("house", "__Host-actingweb-signin=", "SameSite=Lax"),
        // Its answer is a form of another site's page.
        ("apple", "__Host-actingweb-signin-form=", "SameSite=None"),
    ] {
        let cookie = cookie(provider).await;
        assert!(cookie.starts_with(name), "{cookie}");
        for part in ["; Path=/;", "; HttpOnly", "; Secure", policy] {
            assert!(cookie.contains(part), "{part}: {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}
