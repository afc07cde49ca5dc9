//! Clients of OAuth, from outside: wherever the site runs.

use actingweb_tests::{Answer, Browser, OauthClient, Site, Tokens, form};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_client_is_let_in_at_the_page_and_put_out_by_the_owner() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::new(&site);
    let asking = client.asking_for_rest();

    let sign_in = browser.open(&client.url(&asking)).await.expect(303);
    let page = browser.open(sign_in.header("location")).await.expect(200);
    let back = browser.submit(&browser.sign_in_form(&page, &ann)).await.expect(303);
    let consent = browser.open(back.header("location")).await.expect(200);
    let answer = form(&consent, "/oauth/authorize");
    assert_eq!(answer.value("trust_type"), "mcp_client");
    let code = client.code(&asking, &browser.submit(&answer.with("decision", "allow")).await);
    let tokens = Tokens::of(&client.exchange(&asking, &code).await);
    let tokens = Tokens::of(&client.refresh(&tokens.refresh).await);

    let read = || Answer::of(ann.with_secret(&tokens.access, Method::GET, "/properties"));
    read().await.expect(200);
    let grants = ann.get("/grants").await.expect(200).json();
    let grants = grants["grants"].as_array().expect("a list");
    let grant = grants.iter().find(|grant| grant["client_id"] == client.id).expect("the client's grant");
    ann.delete(&format!("/grants/{}", grant["id"].as_str().expect("an id"))).await.expect(204);
    let refused = read().await.problem(401);
    assert!(refused.header("www-authenticate").contains("invalid_token"), "{}", refused.header("www-authenticate"));
    assert_eq!(client.refresh(&tokens.refresh).await.expect(400).json()["error"], "invalid_grant");
}

#[tokio::test]
async fn an_owner_has_clients_of_its_own() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let made = ann.post("/clients", &json!({ "client_name": "Night job", "trust_type": "viewer" })).await.expect(201);
    let client = OauthClient::described(&site, &made.json()).await;
    let rest = site.url("/");
    let by_itself = [("grant_type", "client_credentials"), ("resource", rest.as_str())];
    let tokens = Tokens::of(&client.post("token", &by_itself).await);
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/properties")).await.expect(200);
    ann.delete(&format!("/clients/{}", client.id)).await.expect(204);
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/properties")).await.problem(401);
}

#[tokio::test]
async fn what_malformed_requests_get() {
    let site = Site::start().await;
    for (path, body) in [
        ("/oauth/register", "{"),
        ("/oauth/register", "[]"),
        ("/oauth/register", "{\"redirect_uris\": [1]}"),
        ("/oauth/token", "{}"),
        ("/oauth/revoke", "{}"),
        ("/oauth/introspect", "{}"),
    ] {
        let request = site.request(Method::POST, path).header("content-type", "application/json").body(body);
        let refused = Answer::of(request).await.expect(400);
        let error = refused.json();
        assert!(error["error"].is_string() && error["error_description"].is_string(), "{path} {body}: {error}");
        assert_eq!(refused.header("cache-control"), "no-store", "{path}");
    }
    site.send(Method::GET, "/oauth/authorize").await.expect(400);
    site.send(Method::POST, "/oauth/authorize").await.problem(403);
    site.send(Method::POST, "/oauth/login").await.problem(403);
}
