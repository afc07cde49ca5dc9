//! Single-page and native applications sign people in.

use actingweb_hooks::prelude::*;
use actingweb_protocol::oauth::CodeChallenge;
use actingweb_testkit::provider_standin::{CLIENT_ID, Mischief};
use actingweb_tests::{Answer, Browser, ProvidedSite};
use reqwest::Method;
use serde_json::{Value, json};

const ORIGIN: &str = "https://app.example.com";
const LINK: &str = "com.example.app:/signed-in";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn app() -> App {
    App::new("urn:actingweb:example.com:apps").spa_origin(ORIGIN).deep_link(LINK)
}

fn challenge() -> String {
    CodeChallenge::of(VERIFIER).unwrap().as_str().to_owned()
}

/// A POST of JSON by a page of this origin.
async fn post(browser: &Browser, origin: &str, path: &str, body: &Value) -> Answer {
    let request = browser.request(Method::POST, path).header("origin", origin).header("sec-fetch-site", "cross-site");
    browser.go(request.json(body)).await
}

/// Signs somebody in for a page, and gives the parameters that it is led back with.
async fn led_back(site: &ProvidedSite, browser: &Browser, asked: &Value) -> Vec<(String, String)> {
    let begun = post(browser, ORIGIN, "/oauth/spa/authorize", asked).await.expect(200).json();
    let callback = site.callback_of(browser, begun["authorization_url"].as_str().unwrap()).await;
    let back = browser.open(&callback).await.expect(303);
    let location = back.header("location").to_owned();
    assert!(location.starts_with(asked["redirect_uri"].as_str().unwrap()), "{location}");
    let params: Vec<_> = reqwest::Url::parse(&location).unwrap().query_pairs().into_owned().collect();
    assert!(params.contains(&("state".to_owned(), begun["state"].as_str().unwrap().to_owned())), "{params:?}");
    params
}

fn param<'a>(params: &'a [(String, String)], name: &str) -> &'a str {
    params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn asked(delivery: &str) -> Value {
    json!({ "provider": "house", "redirect_uri": format!("{ORIGIN}/done?page=1"), "token_delivery": delivery,
            "return_path": "/home/{actor_id}" })
}

async fn session(browser: &Browser, bearer: Option<&str>) -> Value {
    let request = browser.request(Method::GET, "/oauth/session");
    let request = match bearer {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    Answer::of(request).await.expect(200).json()
}

#[tokio::test]
async fn a_page_picks_its_tokens_up_once_and_refreshes_them() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let params = led_back(&site, &browser, &asked("json")).await;
    assert_eq!(param(&params, "page"), "1", "what the address had stays");
    let path = format!("/oauth/spa/session/{}", param(&params, "session"));

    // Reloads, previews and prefetches take nothing; nor does whoever saw the address.
    assert_eq!(browser.open(&path).await.expect(405).header("allow"), "POST, OPTIONS");
    let stranger = Browser::new(&site.site);
    post(&stranger, ORIGIN, &path, &json!({})).await.expect(403);
    let body = post(&browser, ORIGIN, &path, &json!({})).await.expect(200).json();
    let again = post(&browser, ORIGIN, &path, &json!({})).await.expect(404).json();
    assert_eq!((&again["error"], &again["status_code"]), (&json!(true), &json!(404)));

    let actor = body["actor_id"].as_str().unwrap().to_owned();
    assert_eq!((&body["success"], &body["email"]), (&json!(true), &json!("ann@example.org")));
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(3600), &json!("Bearer")));
    assert_eq!(body["redirect_url"], format!("/home/{actor}"));
    let access = body["access_token"].as_str().unwrap();
    assert_eq!(session(&stranger, Some(access)).await["actor_id"], actor);
    let own = site.site.request(Method::PUT, &format!("/{actor}/properties/mood")).bearer_auth(access);
    Answer::of(own.json(&json!("sunny"))).await.expect(204);

    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": body["refresh_token"] });
    let next = post(&stranger, ORIGIN, "/oauth/spa/token", &refresh).await.expect(200).json();
    assert_ne!((&next["access_token"], &next["refresh_token"]), (&body["access_token"], &body["refresh_token"]));
    assert!(next["refresh_token"].is_string() && next["access_token"].is_string());

    let revoke = json!({ "token": next["refresh_token"] });
    post(&stranger, ORIGIN, "/oauth/spa/revoke", &revoke).await.expect(200);
    for token in [access, next["access_token"].as_str().unwrap()] {
        assert_eq!(session(&stranger, Some(token)).await["authenticated"], false);
    }
    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": next["refresh_token"] });
    post(&stranger, ORIGIN, "/oauth/spa/token", &refresh).await.expect(401);
}

#[tokio::test]
async fn cookies_hold_what_scripts_must_not_see() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let params = led_back(&site, &browser, &asked("cookie")).await;
    let path = format!("/oauth/spa/session/{}", param(&params, "session"));
    let answer = post(&browser, ORIGIN, &path, &json!({})).await.expect(200);
    let body = answer.json();
    assert_eq!(body["token_delivery"], "cookie");
    assert!(body.get("access_token").is_none() && body.get("refresh_token").is_none(), "{body}");
    for cookie in answer.headers.get_all("set-cookie") {
        let cookie = cookie.to_str().unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
    }
    let before = browser.cookie("refresh_token").expect("a cookie");
    assert!(browser.cookie("access_token").is_some() && browser.cookie("oauth_token").is_some());
    assert_eq!(session(&browser, None).await["authenticated"], true);

    // What came in a cookie is never told.
    let told = json!({ "grant_type": "refresh_token", "token_delivery": "json" });
    post(&browser, ORIGIN, "/oauth/spa/token", &told).await.expect(400);
    let next = post(&browser, ORIGIN, "/oauth/spa/token", &json!({ "grant_type": "refresh_token" })).await.expect(200);
    assert!(next.json().get("access_token").is_none());
    assert_ne!(browser.cookie("refresh_token").as_deref(), Some(before.as_str()));

    // Nobody else's page may use them, and signing out ends them.
    for evil in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
        post(&browser, evil, "/oauth/spa/token", &json!({ "grant_type": "refresh_token" })).await.expect(403);
        post(&browser, evil, "/oauth/spa/logout", &json!({})).await.expect(403);
    }
    let access = browser.cookie("access_token").unwrap();
    post(&browser, ORIGIN, "/oauth/spa/logout", &json!({})).await.expect(200);
    assert_eq!(browser.cookie("access_token"), None);
    assert_eq!(session(&browser, Some(&access)).await["authenticated"], false);
}

#[tokio::test]
async fn a_hybrid_page_sees_the_access_token_alone() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let params = led_back(&site, &browser, &asked("hybrid")).await;
    let path = format!("/oauth/spa/session/{}", param(&params, "session"));
    let body = post(&browser, ORIGIN, &path, &json!({})).await.expect(200).json();
    assert!(body["access_token"].is_string() && body.get("refresh_token").is_none(), "{body}");
    assert!(browser.cookie("refresh_token").is_some() && browser.cookie("access_token").is_none());

    // It goes on as it began: the next one in the body, what it is refreshed with in the cookie, and nothing else anywhere.
    let refresh = |delivery: &str| {
        let mut asked = json!({ "grant_type": "refresh_token" });
        if !delivery.is_empty() {
            asked["token_delivery"] = json!(delivery);
        }
        asked
    };
    let next = post(&browser, ORIGIN, "/oauth/spa/token", &refresh("")).await.expect(200).json();
    assert!(next["access_token"].is_string() && next.get("refresh_token").is_none(), "{next}");
    for other in ["json", "cookie"] {
        post(&browser, ORIGIN, "/oauth/spa/token", &refresh(other)).await.expect(400);
    }
    assert!(browser.cookie("access_token").is_none());
}

#[tokio::test]
async fn what_is_in_a_cookie_is_no_bearer_and_a_bearer_is_no_cookie() {
    let site = ProvidedSite::of(app()).await;
    let signed_in = async |delivery: &str| {
        let browser = Browser::new(&site.site);
        let params = led_back(&site, &browser, &asked(delivery)).await;
        let path = format!("/oauth/spa/session/{}", param(&params, "session"));
        let body = post(&browser, ORIGIN, &path, &json!({})).await.expect(200).json();
        (browser, body)
    };
    let (browser, body) = signed_in("cookie").await;
    let mood = format!("/{}/properties/mood", body["actor_id"].as_str().unwrap());
    let put = || site.site.request(Method::PUT, &mood).json(&json!("sunny")).header("origin", ORIGIN);
    let cookie = browser.cookie("access_token").unwrap();
    let with_cookie = |token: &str| Answer::of(put().header("cookie", format!("access_token={token}")));
    with_cookie(&cookie).await.expect(204);

    // Whoever reads the cookie off a disk or a log has nothing that a program could use.
    let refused = Answer::of(put().bearer_auth(&cookie)).await.problem(401);
    assert!(refused.header("www-authenticate").contains("invalid_token"), "{refused:?}");
    assert_eq!(session(&Browser::new(&site.site), Some(&cookie)).await["authenticated"], false);
    let stolen = json!({ "grant_type": "refresh_token", "refresh_token": browser.cookie("refresh_token") });
    post(&Browser::new(&site.site), ORIGIN, "/oauth/spa/token", &stolen).await.expect(401);
    // A page with its cookies is told none of them, however it asks.
    for told in ["json", "hybrid"] {
        let asked = json!({ "grant_type": "refresh_token", "token_delivery": told });
        post(&browser, ORIGIN, "/oauth/spa/token", &asked).await.expect(400);
    }
    post(&browser, ORIGIN, "/oauth/spa/token", &json!({ "grant_type": "refresh_token" })).await.expect(200);
    let next = browser.cookie("access_token").unwrap();
    assert_ne!(next, cookie);
    with_cookie(&next).await.expect(204);

    // And nothing that a program holds can be planted as a cookie.
    let (_, body) = signed_in("json").await;
    let bearer = body["access_token"].as_str().unwrap();
    Answer::of(put().bearer_auth(bearer)).await.expect(204);
    with_cookie(bearer).await.problem(401);
    let planted = site.site.request(Method::GET, "/oauth/session").header("cookie", format!("access_token={bearer}"));
    assert_eq!(Answer::of(planted).await.json()["authenticated"], false);
}

#[tokio::test]
async fn a_page_of_another_site_proves_itself_by_a_verifier() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let mut asked = asked("json");
    asked["pkce"] = json!("client");
    post(&browser, ORIGIN, "/oauth/spa/authorize", &asked).await.expect(400);
    asked["code_challenge"] = json!(challenge());
    post(&browser, ORIGIN, "/oauth/spa/authorize", &asked).await.expect(400);
    asked["code_challenge_method"] = json!("S256");
    let params = led_back(&site, &browser, &asked).await;
    let path = format!("/oauth/spa/session/{}", param(&params, "session"));
    // The cookie does not make up for it.
    post(&browser, ORIGIN, &path, &json!({ "code_verifier": VERIFIER.replace('d', "e") })).await.expect(403);
    let elsewhere = Browser::new(&site.site);
    post(&elsewhere, ORIGIN, &path, &json!({ "code_verifier": VERIFIER })).await.expect(200);
}

#[tokio::test]
async fn pages_are_of_origins_that_the_application_names() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    for to in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "https://app.example.com@evil.example/",
        "https://app.example.com.evil.example/",
        "http://app.example.com/",
        "https://app.example.com:444/",
        "javascript:alert(1)",
        "com.example.app:/other",
        "https://app.example.com/#x",
    ] {
        let asked = json!({ "provider": "house", "redirect_uri": to });
        post(&browser, ORIGIN, "/oauth/spa/authorize", &asked).await.expect(400);
        let url =
            reqwest::Url::parse_with_params(&site.site.url("/oauth/login/house"), [("redirect_uri", to)]).unwrap();
        browser.open(url.as_str()).await.problem(400);
    }
    for (name, value) in [
        ("return_path", "https://evil.example"),
        ("return_path", "//evil.example"),
        ("token_delivery", "mail"),
        ("provider", "nobody"),
        ("pkce", "none"),
    ] {
        let mut asked = asked("json");
        asked[name] = json!(value);
        post(&browser, ORIGIN, "/oauth/spa/authorize", &asked).await.expect(400);
    }
    let form =
        browser.request(Method::POST, "/oauth/spa/token").header("content-type", "application/x-www-form-urlencoded");
    Answer::of(form.body("grant_type=refresh_token")).await.expect(400);

    let with_origin = async |method: Method, origin: &str| {
        let request = site.site.request(method, "/oauth/config").header("origin", origin);
        Answer::of(request.header("access-control-request-method", "GET")).await
    };
    for method in [Method::GET, Method::OPTIONS] {
        let own = with_origin(method.clone(), ORIGIN).await;
        assert_eq!(own.header("access-control-allow-origin"), ORIGIN, "{method}");
        assert_eq!(own.header("access-control-allow-credentials"), "true");
        let other = with_origin(method, "https://evil.example").await;
        assert_eq!(other.header("access-control-allow-origin"), "");
        assert_eq!((own.header("vary"), other.header("vary")), ("Origin", "Origin"));
    }
    let config = site.site.send(Method::GET, "/oauth/config").await.expect(200).json();
    assert_eq!(config["oauth_enabled"], true);
    let names: Vec<_> = config["oauth_providers"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["apple", "club", "github", "house"]);
}

#[tokio::test]
async fn a_page_is_told_what_went_wrong() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    for (mischief, error) in [
        (Mischief::Refused, "access_denied"),
        (Mischief::OtherNonce, "validation_failed"),
        (Mischief::TokenDown, "token_exchange_failed"),
    ] {
        site.house.set_mischief(mischief);
        let params = led_back(&site, &browser, &asked("json")).await;
        assert_eq!((param(&params, "error"), param(&params, "session")), (error, ""));
    }
}

#[tokio::test]
async fn a_native_app_exchanges_its_ticket_once() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let bare = json!({ "provider": "house", "redirect_uri": LINK });
    post(&browser, ORIGIN, "/oauth/spa/authorize", &bare).await.expect(400);
    let asked = json!({ "provider": "house", "redirect_uri": LINK, "code_challenge": challenge(),
                        "code_challenge_method": "S256" });
    let exchange = |ticket: &str, verifier: &str| {
        let body = json!({ "grant_type": "apple_mobile_ticket", "ticket": ticket, "code_verifier": verifier });
        Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&body))
    };
    let params = led_back(&site, &browser, &asked).await;
    let ticket = param(&params, "ticket");
    let body = exchange(ticket, VERIFIER).await.expect(200).json();
    assert!(body["access_token"].is_string() && body["refresh_token"].is_string());
    exchange(ticket, VERIFIER).await.expect(400);

    // Another app that took the link gets nothing, and nobody gets it after that.
    let params = led_back(&site, &browser, &asked).await;
    exchange(param(&params, "ticket"), &VERIFIER.replace('d', "e")).await.expect(400);
    exchange(param(&params, "ticket"), VERIFIER).await.expect(400);
    // It is no pick-up of a page.
    let params = led_back(&site, &browser, &asked).await;
    post(&browser, ORIGIN, &format!("/oauth/spa/session/{}", param(&params, "ticket")), &json!({})).await.expect(404);

    // Of many that come at once one gets it.
    let params = led_back(&site, &browser, &asked).await;
    let all = (0..8).map(|_| exchange(param(&params, "ticket"), VERIFIER));
    let good = futures_util::future::join_all(all).await.into_iter().filter(|answer| answer.status == 200).count();
    assert_eq!(good, 1);
}

#[tokio::test]
async fn an_id_token_of_a_native_app_counts_once() {
    let site = ProvidedSite::of(app()).await;
    let exchange = |assertion: &str, nonce: &str| {
        let body = json!({ "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "provider": "house",
                           "assertion": assertion, "nonce": nonce });
        Answer::of(site.site.request(Method::POST, "/oauth/spa/token").json(&body))
    };
    let token = site.house.id_token("the-native-app", "nonce-1");
    exchange(&token, "nonce-2").await.expect(400);
    exchange(&token, "").await.expect(400);
    let body = exchange(&token, "nonce-1").await.expect(200).json();
    assert_eq!(body["email"], "ann@example.org");
    let again = exchange(&token, "nonce-1").await.expect(400).json();
    assert_eq!(again["message"], "the assertion was used before");

    exchange(&site.house.id_token("another-app", "n"), "n").await.expect(400);
    exchange("not.a.token", "n").await.expect(400);
    for mischief in [Mischief::Expired, Mischief::OtherKey, Mischief::Unsigned, Mischief::OtherIssuer] {
        site.house.set_mischief(mischief);
        exchange(&site.house.id_token(CLIENT_ID, "n"), "n").await.expect(400);
    }
    site.house.set_mischief(Mischief::None);
    exchange(&site.house.id_token(CLIENT_ID, "n"), "n").await.expect(200);
    // Of another provider that signs just as well.
    exchange(&site.club.id_token(CLIENT_ID, "m"), "m").await.expect(400);
    assert_eq!(site.actors().await, 1);
}

#[tokio::test]
async fn a_page_calls_its_actor_with_its_cookies() {
    let site = ProvidedSite::of(app()).await;
    let browser = Browser::new(&site.site);
    let params = led_back(&site, &browser, &asked("cookie")).await;
    let path = format!("/oauth/spa/session/{}", param(&params, "session"));
    let actor = post(&browser, ORIGIN, &path, &json!({})).await.expect(200).json()["actor_id"].clone();
    let mood = format!("/{}/properties/mood", actor.as_str().unwrap());
    let put = async |headers: &[(&str, &str)]| {
        let request = browser.request(Method::PUT, &mood).json(&json!("sunny"));
        Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    let done = put(&[("origin", ORIGIN), ("sec-fetch-site", "cross-site")]).await.expect(204);
    assert_eq!(done.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(done.header("access-control-allow-credentials"), "true");
    put(&[("origin", &site.site.url("")), ("sec-fetch-site", "same-origin")]).await.expect(204);

    // Pages of others, what people type, and programs: the cookie is nothing.
    for headers in [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..],
        &[("origin", "https://app.example.com.evil.example")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[],
    ] {
        let refused = put(headers).await.problem(401);
        assert_eq!(refused.header("access-control-allow-origin"), "", "{headers:?}");
        assert_eq!(refused.header("vary"), "Origin");
    }
    // Another's actor is another's.
    let bob = site.site.actor("bob").await;
    let request = browser.request(Method::GET, &format!("{}/properties", bob.url)).header("origin", ORIGIN);
    let refused = Answer::of(request).await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.status);

    // The session of our own pages opens no actor, whoever asks.
    let pages = Browser::new(&site.site);
    site.sign_in(&pages, "house").await.expect(303);
    let request = pages.request(Method::GET, &mood).header("sec-fetch-site", "same-origin");
    Answer::of(request).await.problem(401);
    let session = pages.cookie("actingweb").unwrap();
    let request = site.site.request(Method::GET, &mood).header("cookie", format!("access_token={session}"));
    Answer::of(request.header("sec-fetch-site", "same-origin")).await.problem(401);

    let preflight = site.site.request(Method::OPTIONS, &mood).header("access-control-request-method", "PUT");
    let allowed = Answer::of(preflight.header("origin", ORIGIN)).await.expect(204);
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    let preflight = site.site.request(Method::OPTIONS, &mood).header("access-control-request-method", "PUT");
    let refused = Answer::of(preflight.header("origin", "https://evil.example")).await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
}
