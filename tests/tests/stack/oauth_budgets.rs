//! What clients, sessions and sign-in cost: DynamoDB calls, and how many of them wait for one another (docs/architecture.md,
//! "Budgets").

use actingweb_hooks::prelude::ActorCreated;
use actingweb_hooks::{App, HookError};
use actingweb_protocol::oauth::Audience;
use actingweb_tests::assistant::Assistant;
use actingweb_tests::grants::{Grantee, session_of};
use actingweb_tests::{Answer, Browser, OauthClient, ProvidedSite, REDIRECT_URI, Site, Tokens, form};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::oauth_grants::{get, site, text};
use crate::services::Desk;
use crate::signin_identities::{connect, ids};

const ORIGIN: &str = "https://app.example.com";

#[tokio::test]
async fn tokens_keep_their_budgets() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    ann.put("/properties/public", &json!({ "motto": "hello" })).await.expect(204);
    let client = Grantee::public(&site).await;
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    let (answer, calls) = site.meter().measure(client.exchange(&code)).await;
    let tokens = answer.expect(200).json();
    assert_eq!((calls.count(), calls.longest_chain()), (2, 2), "exchange: {:?}", calls.operations());
    let (answer, calls) = site.meter().measure(client.refresh(text(&tokens, "refresh_token"))).await;
    answer.expect(200);
    assert_eq!((calls.count(), calls.longest_chain()), (2, 2), "refresh: {:?}", calls.operations());
    let (answer, calls) = site.meter().measure(client.refresh(text(&tokens, "refresh_token"))).await;
    let tokens = answer.expect(200).json();
    assert_eq!(calls.count(), 1, "the same again: {:?}", calls.operations());
    // As for any other credential.
    for path in ["/methods", "/properties/public"] {
        let (answer, calls) = site.meter().measure(get(&ann, path, text(&tokens, "access_token"))).await;
        assert!(matches!(answer.status, 200 | 403), "{}", answer.body);
        assert_eq!((calls.count(), calls.longest_chain()), (1, 1), "{path}: {:?}", calls.operations());
    }
    let session = session_of(&site, &ann).await;
    let (answer, calls) = site.meter().measure(get(&ann, "/properties/public", &session)).await;
    answer.expect(200);
    assert_eq!((calls.count(), calls.longest_chain()), (1, 1), "a session: {:?}", calls.operations());
}

/// What somebody does, and what it costs: calls, and how many of them wait for one another.
struct Bill<'a> {
    site: &'a Site,
    costs: Vec<(String, (usize, usize), Vec<String>)>,
}

impl Bill<'_> {
    async fn pay(&mut self, what: &str, request: impl Future<Output = Answer>) -> Answer {
        let (answer, calls) = self.site.meter().measure(request).await;
        assert!(answer.status < 400, "{what}: {}: {} {}", answer.request, answer.status, answer.body);
        let operations = calls.operations().into_iter().map(str::to_owned).collect();
        self.costs.push((what.to_owned(), (calls.count(), calls.longest_chain()), operations));
        answer
    }

    /// Compares all of it at once with what the table of budgets says.
    #[track_caller]
    fn is_within(&self, budgets: &[(&str, (usize, usize))]) {
        assert_eq!(self.costs.len(), budgets.len());
        for ((what, spent, operations), (named, budget)) in self.costs.iter().zip(budgets) {
            assert_eq!(what, named);
            let is_within = spent.0 <= budget.0 && spent.1 <= budget.1;
            assert!(is_within, "{what}: {spent:?}, not {budget:?}: {operations:?}");
        }
    }
}

#[tokio::test]
async fn signing_in_keeps_its_budget() {
    let site = ProvidedSite::of(App::new("urn:actingweb:example.com:budgets").spa_origin(ORIGIN)).await;
    let mut bill = Bill { site: &site.site, costs: Vec::new() };
    let owner = site.site.actor("owner").await;
    let first = Browser::new(&site.site);
    let away = bill.pay("to a provider", first.open("/oauth/login/house")).await;
    let back = first.open(away.header("location")).await.expect(303);
    bill.pay("back, the first time", first.open(back.header("location"))).await;
    let again = Browser::new(&site.site);
    let callback = site.callback_of(&again, "/oauth/login/house").await;
    bill.pay("back again", again.open(&callback)).await;
    bill.pay("the page of whoever is signed in", again.open("/oauth/login")).await;
    let page = Browser::new(&site.site).open("/oauth/login").await.expect(200);
    let by_passphrase = Browser::new(&site.site);
    let answer = by_passphrase.sign_in_form(&page, &owner);
    bill.pay("by passphrase", by_passphrase.submit(&answer)).await;

    let callback = {
        let away = bill.pay("to connect another identity", again.open("/oauth/login/club?link=1")).await;
        again.open(away.header("location")).await.expect(303).header("location").to_owned()
    };
    let asked = bill.pay("back with it", again.open(&callback)).await;
    bill.pay("it is connected", again.submit(&form(&asked, "/oauth/login/club"))).await;

    let asked = json!({ "provider": "house", "redirect_uri": format!("{ORIGIN}/done") });
    let request = again.request(Method::POST, "/oauth/spa/authorize").header("origin", ORIGIN).json(&asked);
    let begun = bill.pay("an application asks where to", again.go(request)).await.json();
    let callback = site.callback_of(&again, begun["authorization_url"].as_str().unwrap()).await;
    let back = bill.pay("back to an application", again.open(&callback)).await;
    let url = Url::parse(back.header("location")).unwrap();
    let word = url.query_pairs().find(|(name, _)| name == "session").unwrap().1.into_owned();
    let request = again.request(Method::POST, &format!("/oauth/spa/session/{word}")).header("origin", ORIGIN);
    let tokens = bill.pay("tokens are picked up", again.go(request.json(&json!({})))).await.json();
    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"] });
    let token = |body: &Value| site.site.request(Method::POST, "/oauth/spa/token").header("origin", ORIGIN).json(body);
    let tokens = bill.pay("a session is refreshed", Answer::of(token(&refresh))).await.json();
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    let own = site.site.request(Method::GET, "/oauth/session").bearer_auth(&access);
    bill.pay("who is signed in", Answer::of(own)).await;
    let actor = tokens["actor_id"].as_str().unwrap();
    let own = site.site.request(Method::GET, &format!("/{actor}/properties/none")).bearer_auth(&access);
    let (answer, calls) = site.site.meter().measure(Answer::of(own)).await;
    assert_eq!((answer.status, calls.count()), (404, 1), "a session is recognised by what any request reads");
    let out = json!({ "token": access });
    let request = site.site.request(Method::POST, "/oauth/spa/revoke").header("origin", ORIGIN).json(&out);
    bill.pay("a session ends", Answer::of(request)).await;
    bill.is_within(&[
        ("to a provider", (2, 2)),
        ("back, the first time", (4, 4)),
        ("back again", (4, 4)),
        ("the page of whoever is signed in", (1, 1)),
        ("by passphrase", (3, 3)),
        ("to connect another identity", (3, 3)),
        ("back with it", (3, 3)),
        ("it is connected", (3, 3)),
        ("an application asks where to", (1, 1)),
        ("back to an application", (4, 4)),
        ("tokens are picked up", (4, 4)),
        ("a session is refreshed", (2, 2)),
        ("who is signed in", (1, 1)),
        ("a session ends", (2, 2)),
    ]);
}

#[tokio::test]
async fn people_and_identities_keep_their_budgets() {
    let app = App::new("urn:actingweb:example.com:budgets").unique_creator(true);
    let site = ProvidedSite::of(app.on(ActorCreated, || Ok::<_, HookError>(()))).await;
    let mut bill = Bill { site: &site.site, costs: Vec::new() };
    let first = Browser::new(&site.site);
    let callback = site.callback_of(&first, "/oauth/login/github").await;
    bill.pay("back, the first time, with a hook that is told", first.open(&callback)).await;
    let ann = site.site.actor("ann").await;
    let browser = Browser::new(&site.site);
    let page = browser.open("/oauth/login").await.expect(200);
    let by_name = browser.sign_in_form(&page, &ann).with("actor", "ann");
    bill.pay("by passphrase, and a name", browser.submit(&by_name)).await;
    for provider in ["house", "club"] {
        connect(&site, &browser, provider).await;
    }
    let listing = bill.pay("the identities", ann.get("/identities")).await.json();
    bill.pay("one is taken away", ann.delete(&format!("/identities/{}", ids(&listing)[0]))).await;
    bill.is_within(&[
        ("back, the first time, with a hook that is told", (5, 5)),
        ("by passphrase, and a name", (4, 4)),
        ("the identities", (2, 2)),
        ("one is taken away", (3, 3)),
    ]);
}

#[tokio::test]
async fn clients_keep_their_budgets() {
    let app = App::new("urn:actingweb:example.com:budgets")
        .action("search", || Ok::<_, HookError>(json!("found")))
        .tool("Searches");
    let site = Site::of(app).await;
    let mut bill = Bill { site: &site, costs: Vec::new() };
    let ann = site.actor("ann").await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "client_secret_post" });
    let register = Answer::of(site.request(Method::POST, "/oauth/register").json(&metadata));
    let described = bill.pay("a client registers", register).await.json();
    let client = OauthClient::described(&site, &described).await;
    let browser = Browser::of(&site, &ann).await;
    let asking = client.asking();
    let page = bill.pay("a person is asked", browser.open(&client.url(&asking))).await;
    let allow = form(&page, "/oauth/authorize").with("decision", "allow");
    let answer = bill.pay("and allows it", browser.submit(&allow)).await;
    let code = client.code(&asking, &answer);
    let tokens = Tokens::of(&bill.pay("a code is exchanged", client.exchange(&asking, &code)).await);
    let next = Tokens::of(&bill.pay("tokens are refreshed", client.refresh(&tokens.refresh)).await);
    bill.pay("and again within a minute", client.refresh(&tokens.refresh)).await;
    bill.pay("what a token means", client.introspect(&next.access)).await;
    let assistant = Assistant::with_token(&site, next.access.clone(), client.id.clone());
    bill.pay("tools/list", assistant.ask("tools/list", json!({}))).await;
    bill.pay("tools/call", assistant.ask("tools/call", json!({ "name": "search", "arguments": {} }))).await;
    bill.pay("who may act", ann.get("/grants")).await;
    bill.pay("a token is revoked", client.revoke(&next.access)).await;
    let mine = json!({ "client_name": "Mine", "trust_type": "mcp_client" });
    let own = bill.pay("an owner makes a client", ann.post("/clients", &mine)).await.json();
    bill.pay("an owner's clients", ann.get("/clients")).await;
    let own = OauthClient::described(&site, &own).await;
    let itself = [("grant_type", "client_credentials")];
    bill.pay("it acts by itself, the first time", own.post("token", &itself)).await;
    bill.pay("it acts by itself again", own.post("token", &itself)).await;
    bill.is_within(&[
        ("a client registers", (2, 2)),
        ("a person is asked", (3, 3)),
        ("and allows it", (5, 5)),
        ("a code is exchanged", (2, 2)),
        ("tokens are refreshed", (2, 2)),
        ("and again within a minute", (1, 1)),
        ("what a token means", (2, 2)),
        ("tools/list", (1, 1)),
        ("tools/call", (1, 1)),
        ("who may act", (3, 2)),
        ("a token is revoked", (3, 3)),
        ("an owner makes a client", (3, 3)),
        ("an owner's clients", (3, 3)),
        ("it acts by itself, the first time", (4, 4)),
        ("it acts by itself again", (4, 4)),
    ]);
}

#[tokio::test]
async fn accounts_at_services_keep_their_budgets() {
    let desk = Desk::new().await;
    let mut bill = Bill { site: &desk.site, costs: Vec::new() };
    let ann = desk.site.actor("ann").await;
    let browser = Browser::new(&desk.site);
    let begin = browser.request(Method::POST, &format!("{}/services/desk", ann.url));
    let begun = bill.pay("to a service", browser.go(begin.basic_auth(&ann.creator, Some(&ann.passphrase)))).await;
    let back = browser.open(begun.json()["authorization_url"].as_str().unwrap()).await.expect(303);
    bill.pay("back from it", browser.open(back.header("location"))).await;
    let nothing = json!({});
    bill.pay("a hook acts there", ann.post("/methods/who", &nothing)).await;
    desk.service.end_access();
    bill.pay("a hook acts there, with a token that ended", ann.post("/methods/who", &nothing)).await;
    bill.pay("the accounts", ann.get("/services")).await;
    bill.pay("one account", ann.get("/services/desk")).await;
    bill.pay("an account is given up", ann.delete("/services/desk")).await;
    bill.is_within(&[
        ("to a service", (2, 2)),
        ("back from it", (2, 2)),
        ("a hook acts there", (2, 2)),
        ("a hook acts there, with a token that ended", (5, 5)),
        ("the accounts", (2, 2)),
        ("one account", (2, 2)),
        ("an account is given up", (3, 3)),
    ]);
}
