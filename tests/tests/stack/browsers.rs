//! What replies tell browsers: that they stay on TLS, guess no types, frame nothing, lead nowhere else, and what failed.

use std::collections::BTreeSet;

use actingweb_hooks::prelude::*;
use actingweb_testkit::log::Log;
use actingweb_tests::{Answer, Browser, OauthClient, Site};
use reqwest::Method;
use serde_json::json;

fn app() -> App {
    App::new("urn:actingweb:example.com:browsers")
        .spa_origin("https://app.example.com")
        .action("search", || Ok::<_, HookError>(json!("found")))
        .tool("Searches")
}

async fn look(site: &Site, method: Method, path: &str) -> Answer {
    Answer::of(site.request(method, path).header("accept", "text/html")).await
}

/// A reply of each kind, from each group that there is.
async fn replies(site: &Site) -> Vec<Answer> {
    let mut replies = Vec::new();
    for path in [
        "/",
        "/login",
        "/nothing/at/all",
        "/0123456789abcdef0123456789abcdef/properties",
        "/oauth/login",
        "/oauth/logout",
        "/oauth/authorize?client_id=none",
        "/oauth/login?next=https://evil.example/",
        "/oauth/callback?state=none",
        "/oauth/email?session=none",
        "/oauth/config",
        "/oauth/session",
        "/oauth/token",
        "/.well-known/oauth-authorization-server",
        "/mcp",
        "/openapi.json",
    ] {
        replies.push(look(site, Method::GET, path).await);
        replies.push(site.send(Method::GET, path).await);
        replies.push(look(site, Method::POST, path).await);
    }
    let ann = site.actor("ann").await;
    for path in
        ["", "/meta", "/properties", "/trust", "/methods", "/services", "/grants", "/subscriptions", "/callbacks/x"]
    {
        replies.push(ann.get(path).await);
        replies.push(Answer::of(ann.anonymous(Method::GET, path).header("accept", "text/html")).await);
    }
    replies
}

#[tokio::test]
async fn replies_keep_browsers_on_tls_and_to_the_type_they_say() {
    for (base_url, transport) in [("", ""), ("https://api.example", "max-age=31536000")] {
        let site = Site::adjusted(app(), |state| {
            if !base_url.is_empty() {
                state.base_url = base_url.into();
            }
        });
        let site = site.await;
        let replies = replies(&site).await;
        let statuses: BTreeSet<u16> = replies.iter().map(|reply| reply.status).collect();
        assert!([200, 303, 400, 401, 404, 405].iter().all(|status| statuses.contains(status)), "{statuses:?}");
        for reply in replies {
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{}", reply.request);
            assert_eq!(reply.header("strict-transport-security"), transport, "{}", reply.request);
        }
    }
}

#[tokio::test]
async fn every_page_may_be_framed_by_nobody_loads_nothing_and_tells_nobody_where_it_was() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let (browser, client) = (Browser::of(&site, &ann).await, OauthClient::register(&site).await);
    let mut pages = replies(&site).await;
    pages.push(browser.open(&client.url(&client.asking())).await.expect(200));
    pages.push(browser.open("/oauth/login").await.expect(200));
    pages.push(browser.open("/oauth/login?trouble=identity").await);
    pages.retain(|page| page.header("content-type").starts_with("text/html"));
    assert!(pages.len() >= 10, "{}", pages.len());
    for page in pages {
        let policy = page.header("content-security-policy");
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{}: {policy}", page.request);
        }
        assert!(!policy.contains("script"), "{}: {policy}", page.request);
        assert!(["same-origin", "no-referrer"].contains(&page.header("referrer-policy")), "{}", page.request);
    }
}

#[tokio::test]
async fn what_failed_has_a_status_that_says_so_for_people_too() {
    let site = Site::of(app()).await;
    for (method, path, status) in [
        (Method::GET, "/oauth/authorize", 400),
        (Method::GET, "/oauth/authorize?client_id=mcp_none", 400),
        (Method::GET, "/oauth/login?next=//evil.example", 400),
        (Method::GET, "/oauth/login/nobody", 404),
        (Method::GET, "/oauth/login/house?link=1", 404),
        (Method::POST, "/oauth/login", 403),
        (Method::POST, "/oauth/logout", 403),
        (Method::PUT, "/oauth/login", 405),
        (Method::GET, "/oauth/callback", 400),
        (Method::GET, "/oauth/callback?error=access_denied", 400),
        (Method::GET, "/oauth/callback/apple", 405),
        (Method::GET, "/oauth/email", 400),
        (Method::GET, "/oauth/email?verify=none", 400),
        (Method::POST, "/oauth/email", 400),
    ] {
        let page = look(&site, method, path).await.expect(status);
        assert!(page.header("content-type").starts_with("text/html"), "{}: {}", page.request, page.body);
        let said = page.body.split("<h1>").nth(1).unwrap_or_default();
        assert!(said.len() > 60, "{}: {}", page.request, page.body);
    }
    // A busy storage is no reason to show people anything else.
    let site = Site::limited(app(), std::time::Duration::from_millis(5_100)).await;
    let ann = site.actor("ann").await;
    let (browser, client) = (Browser::of(&site, &ann).await, OauthClient::register(&site).await);
    site.meter().inject(actingweb_tests::Faults::always_throttle());
    for path in ["/oauth/login", &client.url(&client.asking()), "/oauth/email?verify=none"] {
        let page = browser.go(browser.request(Method::GET, path).header("accept", "text/html")).await.expect(503);
        assert!(page.body.contains("This does not work at the moment"), "{}: {}", page.request, page.body);
        assert!(page.header("retry-after").parse::<u32>().is_ok_and(|wait| wait > 0), "{}", page.request);
    }
}

#[tokio::test]
async fn a_trace_is_logged_where_it_is_one() {
    let (log, _listening) = Log::capture();
    let site = Site::of(app()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (parent, is_one) in [
        (format!("00-{trace}-00f067aa0ba902b7-01"), true),
        (format!("00-{trace}-00f067aa0ba902b7-01-more"), false),
        (format!("00-{trace}{trace}-00f067aa0ba902b7-01"), false),
        (format!("{trace} status=200 caller=creator"), false),
    ] {
        let before = log.lines().len();
        let id = format!("request-{before}");
        let request =
            site.request(Method::GET, "/oauth/config").header("traceparent", &parent).header("x-request-id", &id);
        Answer::of(request).await.expect(200);
        let lines: Vec<String> = log.with(&id).into_iter().filter(|line| line.contains("message=request")).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].contains(&format!("trace_id=\"{trace}\"")), is_one, "{parent}: {lines:?}");
        assert_eq!(lines[0].contains("trace_id"), is_one, "{parent}: {lines:?}");
    }
}

#[tokio::test]
async fn no_parameter_leads_a_browser_away() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let browser = Browser::of(&site, &ann).await;
    let names = [
        "redirect_to",
        "redirect_uri",
        "redirect",
        "redirect_url",
        "next",
        "return_to",
        "return_path",
        "url",
        "continue",
        "post_logout_redirect_uri",
        "state",
        "iss",
    ];
    for path in [
        "/",
        "/login",
        "/oauth/login",
        "/oauth/logout",
        "/oauth/login/house",
        "/oauth/callback",
        "/oauth/email",
        "/oauth/services/callback",
        "/oauth/spa/callback",
        "/oauth/authorize",
    ] {
        for name in names {
            for target in ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"] {
                for method in [Method::GET, Method::POST] {
                    let body = serde_json::Map::from_iter([(name.to_owned(), json!(target))]);
                    let request = browser.request(method.clone(), path).query(&[(name, target)]);
                    let request = request.header("sec-fetch-site", "same-origin").header("origin", site.url(""));
                    let request = if method == Method::POST { request.json(&body) } else { request };
                    let answer = Answer::of(request).await;
                    let location = answer.header("location");
                    let is_own = location.is_empty()
                        || location.starts_with(&site.url("/"))
                        || (location.starts_with('/') && !location.starts_with("//"));
                    assert!(is_own, "{method} {path} {name}={target}: {location}");
                    assert!(
                        !answer.body.contains("href=\"https://evil") && !answer.body.contains("\"javascript:"),
                        "{}",
                        answer.body
                    );
                    assert_eq!(answer.header("refresh"), "");
                }
            }
        }
    }
}
