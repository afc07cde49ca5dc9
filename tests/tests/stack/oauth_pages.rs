//! Pages that people see, and what other sites may do with them: nothing.

use std::sync::Arc;

use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Browser, OauthClient, REDIRECT_URI, Site, Tokens, form, with_form};
use reqwest::Method;
use serde_json::json;

use crate::oauth_refusals::{app, consent, register};

/// Pages of other sites read what anybody may read, and nothing else; nowhere with this browser's credentials.
#[tokio::test]
async fn other_sites_may_ask_what_anybody_may() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let ask = |method: Method, path: &str| {
        let request = site.request(method, path).header("origin", "https://evil.example");
        Answer::of(request.header("access-control-request-method", "POST"))
    };
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/mcp",
        "/oauth/register",
        "/oauth/token",
        "/oauth/revoke",
    ] {
        let preflight = ask(Method::OPTIONS, path).await.expect(204);
        assert_eq!(preflight.header("access-control-allow-origin"), "*", "{path}");
        assert!(preflight.header("access-control-allow-headers").contains("Content-Type"), "{path}");
        // A refusal must be readable, too.
        for answer in [preflight, ask(Method::DELETE, path).await, ask(Method::POST, path).await] {
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{}", answer.request);
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{}", answer.request);
        }
    }
    for path in [
        "/oauth/authorize".to_owned(),
        "/oauth/login".to_owned(),
        "/oauth/logout".to_owned(),
        "/oauth/introspect".to_owned(),
        format!("/{}/clients", ann.id),
        format!("/{}/grants", ann.id),
    ] {
        for method in [Method::OPTIONS, Method::GET, Method::POST] {
            let answer = ask(method, &path).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{}", answer.request);
        }
    }
}

/// A page cannot be framed, runs nothing, sends its form nowhere else, is kept nowhere and tells nobody where it was.
#[tokio::test]
async fn pages_are_closed_to_everybody_else() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let odd = json!({
        "client_name": "<script>alert(1)</script> & \"friends\"",
        "redirect_uris": ["https://client.example/cb"],
        "token_endpoint_auth_method": "none",
    });
    let client = OauthClient::register_as(&site, &odd).await;
    let browser = Browser::of(&site, &ann).await;
    let asking = client.asking().with("state", "\"><script>alert(2)</script>");
    let consent = consent(&client, &browser, &asking).await;
    let refused = browser.open("/oauth/authorize?client_id=%3Cscript%3E").await.expect(400);
    let pages = [
        consent,
        refused,
        browser.open("/oauth/login").await.expect(200),
        browser.open("/oauth/logout").await.expect(200),
        Browser::new(&site).open("/oauth/login?actor=%22%3E%3Cscript%3E").await.expect(200),
    ];
    for page in &pages {
        let policy = page.header("content-security-policy");
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{}: {policy}", page.request);
        }
        assert!(!policy.contains("unsafe"), "{}: {policy}", page.request);
        for form in page.body.split("<form ").skip(1) {
            let ours = format!("method=\"post\" action=\"{}\"", site.url("/oauth/"));
            assert!(form.starts_with(ours.trim_end_matches('"')), "{}: {form}", page.request);
        }
        assert_eq!(page.header("cache-control"), "no-store", "{}", page.request);
        assert_eq!(page.header("referrer-policy"), "same-origin", "{}", page.request);
        assert_eq!(page.header("x-frame-options"), "DENY", "{}", page.request);
        assert!(!page.body.contains("<script"), "{}: {}", page.request, page.body);
        assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("<h1>"), "{}", page.request);
        let labels = page.body.matches("<label for=").count();
        let inputs = page.body.matches("<input ").count() - page.body.matches("type=\"hidden\"").count();
        assert_eq!(labels, inputs, "{}: each field has a label", page.request);
    }
    // Browsers hold the redirects that follow a form to the policy, those of the client's site, too.
    for (at, page) in pages.iter().enumerate() {
        let policy = page.header("content-security-policy");
        assert_eq!(policy.contains("form-action 'self';"), at != 0, "{}: {policy}", page.request);
        assert_eq!(policy.contains("form-action"), at != 0, "{}: {policy}", page.request);
    }
    let cookie = Browser::new(&site).sign_in(&ann).await.expect(303).header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

/// Over TLS the cookie is one that no other host can set and no plain connection can see.
#[tokio::test]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    let site = Site::adjusted(app(), |state| state.base_url = "https://api.example".into()).await;
    let ann = site.actor("ann").await;
    let fields = [("actor", ann.id.as_str()), ("passphrase", &ann.passphrase)];
    let sign_in =
        with_form(site.request(Method::POST, "/oauth/login"), &fields).header("origin", "https://api.example");
    let cookie = Answer::of(sign_in).await.expect(303).header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-actingweb=actw_w."), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

/// Nobody is led away after signing in or out, and nobody can be signed in as somebody else by another site.
#[tokio::test]
async fn signing_in_leads_nowhere_else_and_only_from_our_page() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let browser = Browser::new(&site);
    for next in ["https://evil.example/", "//evil.example", "/oauth/logout?", "/%5Cevil.example", "/oauth/authorize"] {
        browser.open(&format!("/oauth/login?next={next}")).await.problem(400);
        let page = browser.open("/oauth/login").await.expect(200);
        browser.submit(&browser.sign_in_form(&page, &ann).with("next", next)).await.problem(400);
    }
    let page = browser.open("/oauth/login").await.expect(200);
    let answer = browser.sign_in_form(&page, &ann);
    for from in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null"), ("x-none", "")]
    {
        let forged = with_form(browser.request(Method::POST, "/oauth/login"), &answer.fields).header(from.0, from.1);
        Answer::of(forged).await.problem(403);
    }
    browser.submit(&answer).await.expect(303);
    let forged = browser.request(Method::POST, "/oauth/logout").header("origin", "https://evil.example");
    Answer::of(forged).await.problem(403);
    assert!(browser.open("/oauth/login").await.expect(200).body.contains("You are signed in"));

    let before = browser.cookie("actingweb").expect("a cookie");
    let out = form(&browser.open("/oauth/logout").await.expect(200), "/oauth/logout");
    browser.submit(&out).await.expect(200);
    assert_eq!(browser.cookie("actingweb"), None);
    // The cookie itself is worthless from here on, wherever a copy of it is.
    let copy = site.request(Method::GET, "/oauth/login").header("cookie", format!("actingweb={before}"));
    assert!(Answer::of(copy).await.expect(200).body.contains("name=\"passphrase\""));
}

/// Wrong passphrases count with those of Basic authentication, and none tells whether there is such an actor.
#[tokio::test]
async fn guessing_passphrases_at_the_page_ends_soon() {
    let site = Site::with_clock(app(), Arc::new(FakeClock::new())).await;
    let ann = site.actor("ann").await;
    let browser = Browser::new(&site);
    let page = browser.open("/oauth/login").await.expect(200);
    let right = browser.sign_in_form(&page, &ann);
    let wrong = right.clone().with("passphrase", "guessed");
    let unknown = browser.submit(&right.clone().with("actor", &"0f".repeat(16))).await.expect(403);
    let guessed = browser.submit(&wrong).await.expect(403);
    let alert = |answer: &Answer| answer.body.split("</p>").next().unwrap_or_default().to_owned();
    assert_eq!(alert(&unknown), alert(&guessed));
    browser.submit(&right.clone().with("actor", "ann@example.com")).await.expect(403);

    let from = |address: &'static str, passphrase: &str| {
        let fields = right.clone().with("passphrase", passphrase).fields;
        let request = with_form(browser.request(Method::POST, "/oauth/login"), &fields);
        Answer::of(request.header("sec-fetch-site", "same-origin").header("x-test-address", address))
    };
    for _ in 0..20 {
        from("192.0.2.1", "guessed").await.expect(403);
    }
    let blocked = from("192.0.2.1", &ann.passphrase).await.expect(429);
    assert!(blocked.header("retry-after").parse::<u64>().unwrap() <= 60);
    let basic = ann.request(Method::GET, "/properties").header("x-test-address", "192.0.2.1");
    Answer::of(basic).await.problem(429);
    from("192.0.2.2", &ann.passphrase).await.expect(303);
}

/// Registrations, requests and attempts are limited per address and minute; clients that nobody uses are forgotten.
#[tokio::test]
async fn floods_are_answered_with_429_and_leave_nothing_behind() {
    let clock = FakeClock::new();
    let site = Site::adjusted_with_clock(app(), Arc::new(clock.clone()), |state| {
        state.rate_limits.register = 3;
        state.rate_limits.authorize = 4;
        state.rate_limits.sign_in = 2;
        state.rate_limits.token_failure = 3;
    })
    .await;
    let ann = site.actor("ann").await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none" });
    let client = OauthClient::register_as(&site, &metadata).await;
    let second = register(&site, &metadata).await.expect(201).json();
    register(&site, &metadata).await.expect(201);
    let limited = register(&site, &metadata).await.expect(429);
    assert!((1..=60).contains(&limited.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(limited.header("access-control-allow-origin"), "*");
    let elsewhere = site.request(Method::POST, "/oauth/register").header("x-test-address", "192.0.2.7");
    Answer::of(elsewhere.json(&metadata)).await.expect(201);

    let browser = Browser::new(&site);
    for _ in 0..4 {
        browser.open(&client.url(&client.asking())).await.expect(303);
    }
    browser.open(&client.url(&client.asking())).await.expect(429);

    for _ in 0..2 {
        Browser::new(&site).sign_in(&ann).await.expect(303);
    }
    assert!(Browser::new(&site).sign_in(&ann).await.expect(429).body.contains("Too many attempts"));

    for _ in 0..3 {
        assert_eq!(client.refresh("guessed").await.expect(400).json()["error"], "invalid_grant");
    }
    client.refresh("guessed").await.expect(429);

    // The next minute, all of them are let in again.
    clock.advance(std::time::Duration::from_secs(60));
    let tokens = client.connect(&site, &ann).await;
    // A day later the clients that nobody let in are gone, and the other is not.
    clock.advance(std::time::Duration::from_secs(25 * 3600));
    let gone = OauthClient::described(&site, &second).await;
    let refused = browser.open(&gone.url(&gone.asking())).await.expect(400);
    assert!(refused.body.contains("register again"), "{}", refused.body);
    Tokens::of(&client.refresh(&tokens.refresh).await);
}
