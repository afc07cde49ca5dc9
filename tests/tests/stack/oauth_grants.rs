//! Tokens of clients: issued, refreshed, used where they are good, ended (docs/oauth.md).

use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::SessionKind;
use actingweb_hooks::{App, HookError};
use actingweb_protocol::oauth::{Audience, TOKEN_PREFIX};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::grants::{Grantee, REDIRECT_URI, VERIFIER, actor_of, session_of};
use actingweb_tests::{Answer, Owner, Site};
use http::Method;
use serde_json::{Value, json};

pub(crate) fn app() -> App {
    App::new("urn:actingweb:example.com:grants")
        .method("get_time", || Ok::<_, HookError>(json!({ "time": 1 })))
        .action("search", || Ok::<_, HookError>(json!({})))
}

pub(crate) async fn site() -> (Site, FakeClock) {
    let clock = FakeClock::new();
    (Site::with_clock(app(), Arc::new(clock.clone())).await, clock)
}

pub(crate) fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name} in {tokens}"))
}

/// What a bearer gets at a path of an actor.
pub(crate) async fn get(owner: &Owner, path: &str, bearer: &str) -> Answer {
    Answer::of(owner.anonymous(Method::GET, path).bearer_auth(bearer)).await
}

/// Asserts that a token counts for nothing, and that its bearer is told how it could get another.
pub(crate) async fn is_refused(owner: &Owner, token: &str) {
    let answer = get(owner, "/methods", token).await.problem(401);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
}

/// Asserts an error of RFC 6749.
pub(crate) fn refused(answer: Answer, status: u16, code: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.json()["error"], code, "{}", answer.body);
    assert!(answer.json()["error_description"].as_str().is_some_and(|text| text.len() > 10), "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_acts_as_the_peer_that_its_user_made_it() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    ann.put("/properties/public", &json!({ "motto": "hello" })).await.expect(204);
    let client = Grantee::public(&site).await;
    let code = client.consent(&ann, Audience::Rest, "viewer").await;
    let answer = client.exchange(&code).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let tokens = answer.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "mcp");
    assert_eq!(tokens["actor_id"], ann.id.as_str());
    assert_eq!(tokens["trust_type"], "viewer");
    let access = text(&tokens, "access_token");
    get(&ann, "/methods", access).await.expect(200);
    // What a viewer may not, and what no peer may.
    get(&ann, "/actions", access).await.problem(403);
    get(&ann, "/trust", access).await.problem(403);
    Answer::of(ann.anonymous(Method::DELETE, "").bearer_auth(access)).await.problem(403);

    let trusts = ann.get("/trust").await.expect(200).json();
    let trust = &trusts[0];
    assert_eq!(trust["peerid"], format!("oauth2_client:{}", client.id));
    assert_eq!(trust["relationship"], "viewer");
    assert_eq!(trust["established_via"], "oauth2_client");
    assert_eq!(trust["oauth_client_id"], client.id.as_str());
    assert_eq!(trust["client_name"], "A client");
    assert_eq!(trust["baseuri"], "");
    assert_eq!(trust["type"], "mcp");
    assert_eq!(trust["approved"], true);
    assert!(trust.get("secret").is_none(), "{trust}");

    // The owner's decisions about it are those about any peer.
    let path = format!("/trust/viewer/oauth2_client:{}", client.id);
    ann.put(&path, &json!({ "relationship": "friend" })).await.expect(204);
    get(&ann, "/actions", access).await.expect(200);
    let path = format!("/trust/friend/oauth2_client:{}", client.id);
    ann.put(&format!("{path}/permissions"), &json!({ "actions": { "denied": ["*"] } })).await.expect(201);
    Answer::of(ann.anonymous(Method::POST, "/actions/search").bearer_auth(access)).await.problem(403);
    ann.put(&path, &json!({ "approved": false })).await.expect(204);
    get(&ann, "/methods", access).await.problem(403);
    ann.put(&path, &json!({ "approved": true })).await.expect(204);
    get(&ann, "/methods", access).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_at_its_audience_and_its_actor_alone() {
    let (site, _) = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let client = Grantee::public(&site).await;
    let rest = client.tokens(&ann, Audience::Rest, "friend").await;
    let mcp = client.tokens(&ann, Audience::Mcp, "friend").await;
    get(&ann, "/methods", text(&rest, "access_token")).await.expect(200);
    is_refused(&ann, text(&mcp, "access_token")).await;
    is_refused(&bob, text(&rest, "access_token")).await;
    // Nothing else that begins like one of ours is taken for anything.
    let actor = actor_of(&site, &ann).await;
    let cookie = site.state().actors.grants().open_session(&actor, SessionKind::Browser).await.unwrap();
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    let others = [
        text(&rest, "refresh_token").to_owned(),
        code,
        cookie.access_token,
        TOKEN_PREFIX.to_owned(),
        format!("{TOKEN_PREFIX}0123456789abcdef0123456789abcdef"),
        text(&rest, "access_token").replacen("actw_a.", "actw_s.", 1),
        text(&rest, "access_token").replacen(".1.", ".0.", 1),
        text(&rest, "access_token").replacen(".1.", ".2.", 1),
    ];
    for other in others {
        is_refused(&ann, &other).await;
    }
    // A session is the creator's own, and no client's.
    get(&ann, "/trust", &session_of(&site, &ann).await).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_code_is_exchanged_for_has_to_be_what_was_asked_for() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let (client, other) = (Grantee::public(&site).await, Grantee::public(&site).await);
    let code = client.consent(&ann, Audience::Mcp, "mcp_client").await;
    let fields = |changed: (&'static str, &'static str)| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        fields.into_iter().filter(|(name, _)| *name != changed.0).chain([changed]).collect::<Vec<_>>()
    };
    let (asking, fields) = (&client, &fields);
    let ask = |changed| async move { asking.ask("/oauth/token", &fields(changed)).await };
    let wrong_verifier = ("code_verifier", "another-verifier-another-verifier-another-verifier");
    refused(ask(wrong_verifier).await, 400, "invalid_grant");
    refused(ask(("redirect_uri", "https://client.example/cb/")).await, 400, "invalid_grant");
    refused(ask(("resource", "https://elsewhere.example/mcp")).await, 400, "invalid_target");
    refused(ask(("code_verifier", "")).await, 400, "invalid_request");
    refused(ask(("code_verifier", "short")).await, 400, "invalid_request");
    refused(ask(("redirect_uri", "")).await, 400, "invalid_request");
    refused(ask(("code", "")).await, 400, "invalid_request");
    refused(ask(("code", "nonsense")).await, 400, "invalid_grant");
    refused(ask(("grant_type", "password")).await, 400, "unsupported_grant_type");
    refused(ask(("client_id", "mcp_unknown")).await, 401, "invalid_client");
    refused(ask(("client_secret", "guess")).await, 401, "invalid_client");
    refused(other.exchange(&code).await, 400, "invalid_grant");
    let doubled = [("grant_type", "authorization_code"), ("code", &code), ("code", &code)];
    refused(other.ask("/oauth/token", &doubled).await, 400, "invalid_request");
    // None of that used it up.
    let path = site.url("/mcp");
    let tokens = other.ask("/oauth/token", &[]).await;
    refused(tokens, 400, "invalid_request");
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", other.id.as_str()),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
        ("resource", &path),
    ];
    refused(other.send("/oauth/token", &fields).await, 400, "invalid_grant");

    let late = other.consent(&ann, Audience::Mcp, "mcp_client").await;
    clock.advance(Duration::from_secs(120));
    refused(other.exchange(&late).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_once_and_a_second_use_ends_what_it_gave() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::public(&site).await;
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    let tokens = client.exchange(&code).await.expect(200).json();
    clock.advance(Duration::from_secs(3000));
    get(&ann, "/methods", text(&tokens, "access_token")).await.expect(200);
    // Somebody who guesses at the code ends nothing.
    let guess = format!("{}A", &code[..code.len() - 1]);
    let guess = if guess == code { format!("{}B", &code[..code.len() - 1]) } else { guess };
    refused(client.exchange(&guess).await, 400, "invalid_grant");
    get(&ann, "/methods", text(&tokens, "access_token")).await.expect(200);
    refused(client.exchange(&code).await, 400, "invalid_grant");
    is_refused(&ann, text(&tokens, "access_token")).await;
    refused(client.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_tokens_rotate_with_a_minutes_grace_and_reuse_ends_them() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::confidential(&site).await;
    let first = client.tokens(&ann, Audience::Rest, "friend").await;
    clock.advance(Duration::from_secs(1800));
    let second = client.refresh(text(&first, "refresh_token")).await.expect(200).json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_ne!(second["access_token"], first["access_token"]);
    // The access token before lives until its own end.
    get(&ann, "/methods", text(&first, "access_token")).await.expect(200);
    clock.advance(Duration::from_secs(60));
    let again = client.refresh(text(&first, "refresh_token")).await.expect(200).json();
    assert_eq!(again["refresh_token"], second["refresh_token"], "the same successor");
    assert_eq!(again["access_token"], second["access_token"]);
    assert_eq!(again["expires_in"], 3540);
    clock.advance(Duration::from_secs(1740));
    is_refused(&ann, text(&first, "access_token")).await;
    get(&ann, "/methods", text(&second, "access_token")).await.expect(200);

    let narrower =
        [("grant_type", "refresh_token"), ("refresh_token", text(&second, "refresh_token")), ("scope", "admin")];
    refused(client.ask("/oauth/token", &narrower).await, 400, "invalid_scope");
    let elsewhere = site.url("/mcp");
    let elsewhere =
        [("grant_type", "refresh_token"), ("refresh_token", text(&second, "refresh_token")), ("resource", &elsewhere)];
    refused(client.ask("/oauth/token", &elsewhere).await, 400, "invalid_target");
    let thief = Grantee::known(&site, client.id.clone(), Some("wrong".to_owned()));
    refused(thief.refresh(text(&second, "refresh_token")).await, 401, "invalid_client");
    let unproven = Grantee::known(&site, client.id.clone(), None);
    refused(unproven.refresh(text(&second, "refresh_token")).await, 401, "invalid_client");

    // Whoever knows no more than whose a token is cannot end it.
    let forged = text(&second, "refresh_token").replacen(".2.", ".0.", 1);
    refused(client.refresh(&forged).await, 400, "invalid_grant");
    get(&ann, "/methods", text(&second, "access_token")).await.expect(200);
    // What was replaced long ago is somebody else's now.
    refused(client.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant");
    is_refused(&ann, text(&second, "access_token")).await;
    refused(client.refresh(text(&second, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_ends_after_thirty_days_however_often_it_is_refreshed() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::public(&site).await;
    let mut tokens = client.tokens(&ann, Audience::Rest, "friend").await;
    for _ in 0..29 {
        clock.advance(Duration::from_secs(24 * 3600));
        tokens = client.refresh(text(&tokens, "refresh_token")).await.expect(200).json();
    }
    clock.advance(Duration::from_secs(24 * 3600 - 1800));
    tokens = client.refresh(text(&tokens, "refresh_token")).await.expect(200).json();
    assert_eq!(tokens["expires_in"], 1800, "no token outlives its grant");
    clock.advance(Duration::from_secs(1800));
    is_refused(&ann, text(&tokens, "access_token")).await;
    refused(client.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_ends_at_once_with_its_family_and_no_other() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let (client, other) = (Grantee::public(&site).await, Grantee::confidential(&site).await);
    let (one, two) =
        (client.tokens(&ann, Audience::Rest, "friend").await, client.tokens(&ann, Audience::Rest, "friend").await);
    for unknown in ["nonsense", "actw_r.x", &text(&one, "refresh_token").replacen(".1.", ".7.", 1)] {
        client.revoke(unknown).await.expect(200);
    }
    refused(other.revoke(text(&one, "refresh_token")).await, 400, "unauthorized_client");
    refused(client.ask("/oauth/revoke", &[]).await, 400, "invalid_request");
    get(&ann, "/methods", text(&one, "access_token")).await.expect(200);
    client.revoke(text(&one, "refresh_token")).await.expect(200);
    is_refused(&ann, text(&one, "access_token")).await;
    get(&ann, "/methods", text(&two, "access_token")).await.expect(200);
    client.revoke(text(&two, "access_token")).await.expect(200);
    client.revoke(text(&two, "access_token")).await.expect(200);
    refused(client.refresh(text(&two, "refresh_token")).await, 400, "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_secret_learns_what_its_own_tokens_mean() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let (client, public) = (Grantee::confidential(&site).await, Grantee::public(&site).await);
    let tokens = client.tokens(&ann, Audience::Mcp, "friend").await;
    let meaning = client.introspect(text(&tokens, "access_token")).await.expect(200).json();
    assert_eq!(meaning["active"], true);
    assert_eq!(meaning["client_id"], client.id.as_str());
    assert_eq!(meaning["sub"], ann.id.as_str());
    assert_eq!(meaning["aud"], site.url("/mcp"));
    assert_eq!(meaning["trust_type"], "friend");
    assert_eq!(meaning["exp"].as_i64().unwrap() - meaning["iat"].as_i64().unwrap(), 3600);
    let refresh = client.introspect(text(&tokens, "refresh_token")).await.expect(200).json();
    assert_eq!((&refresh["active"], refresh.get("token_type")), (&json!(true), None));
    let theirs = public.tokens(&ann, Audience::Mcp, "friend").await;
    for unknown in ["nonsense", text(&theirs, "access_token")] {
        assert_eq!(client.introspect(unknown).await.expect(200).json(), json!({ "active": false }));
    }
    refused(public.introspect(text(&theirs, "access_token")).await, 401, "invalid_client");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(client.introspect(text(&tokens, "access_token")).await.expect(200).json(), json!({ "active": false }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_prove_themselves_in_the_header_or_in_the_form() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::confidential(&site).await;
    let tokens = client.tokens(&ann, Audience::Rest, "friend").await;
    let form = format!("grant_type=refresh_token&refresh_token={}", text(&tokens, "refresh_token"));
    let send = |user: &str, password: Option<&str>, body: &str| {
        let request = site.http.post(site.url("/oauth/token")).basic_auth(user, password);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()))
    };
    let secret = client.secret.as_deref();
    let wrong = send(&client.id, Some("wrong"), &form).await;
    assert!(wrong.header("www-authenticate").starts_with("Basic realm="), "{:?}", wrong.headers);
    refused(wrong, 401, "invalid_client");
    refused(send(&client.id, secret, &format!("{form}&client_secret=x")).await, 400, "invalid_request");
    refused(send(&client.id, secret, &format!("{form}&client_id=x")).await, 400, "invalid_request");
    send(&client.id, secret, &format!("{form}&client_id={}", client.id)).await.expect(200);
    // Nothing is taken from the URL or from JSON.
    let url = format!("{}?{form}&client_id={}", site.url("/oauth/token"), client.id);
    refused(Answer::of(site.http.post(url)).await, 400, "invalid_request");
    let json = site.http.post(site.url("/oauth/token")).json(&json!({ "grant_type": "refresh_token" }));
    refused(Answer::of(json).await, 400, "invalid_request");
    let get = Answer::of(site.http.get(site.url("/oauth/token"))).await.expect(405);
    assert_eq!(get.header("allow"), "POST, OPTIONS");
}
