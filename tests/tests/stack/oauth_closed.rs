//! What is known of nobody but its bearer, and ends everywhere at once: secrets in the log, tokens in other processes, reads
//! that are not yet what was written.

use actingweb_hooks::prelude::*;
use actingweb_testkit::log::Log;
use actingweb_testkit::provider_standin::TOKEN_MARK;
use actingweb_tests::assistant::Assistant;
use actingweb_tests::grants::session_of;
use actingweb_tests::{Answer, Browser, OauthClient, Owner, ProvidedSite, REDIRECT_URI, Site, Tokens, form, with_form};
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:closed")
        .spa_origin("https://app.example.com")
        .action("search", || Ok::<_, HookError>(json!("found")))
        .tool("Searches")
}

/// The same request at another process.
fn at(site: &Site, url: &str, owner: &Owner, token: &str) -> reqwest::RequestBuilder {
    site.http.get(format!("{url}/{}/properties", owner.id)).bearer_auth(token)
}

#[tokio::test]
async fn what_one_process_revokes_no_other_takes() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let other = site.another_process(app()).await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::of(&site, &ann).await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }).to_string();
    let at_mcp = |token: &str| {
        let request = site.http.post(format!("{other}/mcp")).bearer_auth(token).body(list.clone());
        Answer::of(
            request.header("content-type", "application/json").header("accept", "application/json, text/event-stream"),
        )
    };
    let rest = client.connect_with(&browser, &client.asking_for_rest()).await;
    let mcp = client.connect_with(&browser, &client.asking()).await;
    let session = session_of(&site, &ann).await;
    // The other process has seen all of them, and more than once.
    for _ in 0..3 {
        Answer::of(at(&site, &other, &ann, &rest.access)).await.expect(200);
        Answer::of(at(&site, &other, &ann, &session)).await.expect(200);
        at_mcp(&mcp.access).await.expect(200);
    }
    client.revoke(&rest.access).await.expect(200);
    Answer::of(at(&site, &other, &ann, &rest.access)).await.problem(401);
    at_mcp(&mcp.access).await.expect(200);
    client.revoke(&mcp.refresh).await.expect(200);
    at_mcp(&mcp.access).await.problem(401);
    let body = json!({ "token": session });
    let own = site.request(Method::POST, "/oauth/spa/revoke").header("origin", "https://app.example.com").json(&body);
    Answer::of(own).await.expect(200);
    Answer::of(at(&site, &other, &ann, &session)).await.problem(401);

    // Signing out of the pages, and putting a client out altogether.
    let cookie = browser.cookie("actingweb").unwrap();
    let signed_in = async || {
        let request = site.http.get(format!("{other}/oauth/login")).header("cookie", format!("actingweb={cookie}"));
        Answer::of(request).await.expect(200).body.contains("You are signed in")
    };
    assert!(signed_in().await);
    let again = client.connect_with(&browser, &client.asking_for_rest()).await;
    Answer::of(at(&site, &other, &ann, &again.access)).await.expect(200);
    let out = form(&browser.open("/oauth/logout").await.expect(200), "/oauth/logout");
    browser.submit(&out).await.expect(200);
    assert!(!signed_in().await);
    let peer = ann.get("/trust").await.expect(200).json()[0]["peerid"].as_str().unwrap().to_owned();
    ann.delete(&format!("/trust/mcp_client/{peer}")).await.expect(204);
    Answer::of(at(&site, &other, &ann, &again.access)).await.problem(401);
}

#[tokio::test]
async fn who_is_calling_is_read_as_it_is_now() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::of(&site, &ann).await;
    let rest = client.connect_with(&browser, &client.asking_for_rest()).await;
    let assistant = Assistant::connect(&site, &ann, "mcp_client").await;
    let session = session_of(&site, &ann).await;
    let asked = [
        ("a client", ann.with_secret(&rest.access, Method::GET, "/methods")),
        ("a session", ann.with_secret(&session, Method::GET, "/methods")),
        ("the creator", ann.request(Method::GET, "/methods")),
        ("an AI client", assistant.modern("tools/list", json!({}))),
        ("a browser", browser.request(Method::GET, "/oauth/login")),
        ("a refresh", {
            let fields =
                [("grant_type", "refresh_token"), ("refresh_token", rest.refresh.as_str()), ("client_id", &client.id)];
            with_form(site.request(Method::POST, "/oauth/token"), &fields)
        }),
    ];
    for (who, request) in asked {
        let (answer, calls) = site.meter().measure(Answer::of(request)).await;
        assert!(answer.status < 300, "{who}: {} {}", answer.status, answer.body);
        let mut reads = 0;
        for call in calls.iter().filter(|call| ["BatchGetItem", "GetItem", "Query"].contains(&call.operation())) {
            let body = call.json().unwrap();
            let tables = body["RequestItems"].as_object();
            let strong = match tables {
                Some(tables) => tables.values().all(|table| table["ConsistentRead"] == true),
                None => body["ConsistentRead"] == true,
            };
            assert!(strong, "{who}: {}: {body}", call.operation());
            reads += 1;
        }
        assert!(reads > 0, "{who}: {:?}", calls.operations());
    }
}

/// The last part of a token, which is the secret.
fn secret(token: &str) -> String {
    token.rsplit('.').next().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_that_opens_anything_is_logged() {
    const WRONG: &str = "a-passphrase-that-somebody-guessed";
    let (log, _listening) = Log::capture();
    let site = ProvidedSite::of(app()).await;
    let ann = site.site.actor("ann").await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "client_secret_post" });
    let client = OauthClient::register_as(&site.site, &metadata).await;
    let browser = Browser::of(&site.site, &ann).await;
    let asking = client.asking_for_rest();
    let code = client.authorize(&browser, &asking).await;
    let tokens = Tokens::of(&client.exchange(&asking, &code).await);
    let next = Tokens::of(&client.refresh(&tokens.refresh).await);
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    Answer::of(ann.with_secret(&next.access, Method::GET, "/properties")).await;
    let own =
        ann.post("/clients", &json!({ "client_name": "Mine", "trust_type": "mcp_client" })).await.expect(201).json();

    // All that goes wrong.
    client.exchange(&asking, &code).await.expect(400);
    client.refresh(&tokens.refresh).await.expect(400);
    client.clone().with_secret(WRONG).refresh(&next.refresh).await.expect(401);
    client.introspect(&next.access).await.expect(200);
    client.revoke(&next.access).await.expect(200);
    Answer::of(ann.with_secret(&next.access, Method::GET, "/properties")).await.problem(401);
    Answer::of(ann.anonymous(Method::GET, "/properties").basic_auth("ann", Some(WRONG))).await.problem(403);
    let page = browser.open("/oauth/logout").await.expect(200);
    let cookie = browser.cookie("actingweb").unwrap();
    browser.submit(&form(&page, "/oauth/logout")).await.expect(200);
    let page = browser.open("/oauth/login").await.expect(200);
    browser.submit(&browser.sign_in_form(&page, &ann).with("passphrase", WRONG)).await.expect(403);

    // By a provider, for a page, with what goes wrong there.
    let person = Browser::new(&site.site);
    let callback = site.callback_of(&person, "/oauth/login/house").await;
    person.open(&callback).await.expect(303);
    person.open(&callback).await.expect(400);
    site.house.set_mischief(actingweb_testkit::provider_standin::Mischief::OtherNonce);
    site.sign_in(&person, "house").await.expect(303);
    site.house.set_mischief(actingweb_testkit::provider_standin::Mischief::None);
    let url = reqwest::Url::parse(&callback).unwrap();
    let told = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let id_token = site.house.id_token("another-app", "n");
    let body = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                       "assertion": id_token, "nonce": "n" });
    Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&body)).await.expect(400);

    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("request refused") || line.contains("message=request")), "{lines:?}");
    let secrets: Vec<(&str, String)> = vec![
        ("the code", secret(&code)),
        ("the access token", secret(&tokens.access)),
        ("the refresh token", secret(&tokens.refresh)),
        ("the next refresh token", secret(&next.refresh)),
        ("the cookie", secret(&cookie)),
        ("the client's secret", client.secret.clone().unwrap()),
        ("the owner's client's secret", own["client_secret"].as_str().unwrap().to_owned()),
        ("the passphrase", ann.passphrase.clone()),
        ("a wrong passphrase", WRONG.to_owned()),
        ("the verifier", asking.verifier.clone()),
        ("the state of a sign-in", told("state")),
        ("the browser's secret", person.cookie("actingweb-signin").unwrap()),
        ("a provider's token", TOKEN_MARK.to_owned()),
        ("an id_token", id_token.rsplit('.').next().unwrap().to_owned()),
    ];
    // The whole process logs; lines of the library that tests send with are not the server's.
    let ours = |line: &&String| !line.contains("hyper") && !line.contains("reqwest");
    for (what, secret) in secrets {
        assert!(secret.len() > 15, "{what}");
        let shown = lines.iter().filter(ours).find(|line| line.contains(&secret));
        assert!(shown.is_none(), "{what} is in the log: {shown:?}");
    }
}

#[tokio::test]
async fn mails_are_sent_for_whoever_signs_in_and_nobody_else() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let app = app().on(EmailVerificationRequired, || {
        SENT.fetch_add(1, Ordering::Relaxed);
        Ok::<_, HookError>(())
    });
    let site = ProvidedSite::of(app).await;
    let ann = site.site.actor("ann@example.org").await;
    let stranger = Browser::new(&site.site);
    for word in ["", "none", &"A".repeat(43), &ann.id] {
        let fields = [("session", word), ("email", "ann@example.org")];
        let request = with_form(stranger.request(Method::POST, "/oauth/email"), &fields);
        Answer::of(request.header("sec-fetch-site", "same-origin")).await.expect(400);
        let body = json!({ "session": word, "email": "ann@example.org" });
        Answer::of(stranger.request(Method::POST, "/oauth/email").json(&body)).await.expect(400);
    }
    // Nor by the paths that other servers have for it.
    for path in ["www/email/resend", "www/verify_email", "www/email/verify", "email", "email/resend"] {
        let request =
            site.site.request(Method::POST, &format!("/{}/{path}", ann.id)).json(&json!({ "email": "a@b.c" }));
        let status = Answer::of(request).await.status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(SENT.load(Ordering::Relaxed), 0);
    let rows: Vec<Value> = site.rows("EMAIL").await;
    assert!(rows.is_empty(), "{rows:?}");
}
