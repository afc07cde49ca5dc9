//! The way of a client from nothing to tokens, and back: over HTTP alone, as somebody else's client goes it.

use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, Browser, OauthClient, Site, Tokens, form};
use reqwest::Method;
use serde_json::json;

fn app() -> App {
    App::new("urn:actingweb:example.com:oauth").oauth_trust_types(["viewer", "friend"])
}

#[tokio::test]
async fn a_client_registers_is_let_in_acts_refreshes_and_is_put_out() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/color", &json!("blue")).await.expect(204);

    let client = OauthClient::register(&site).await;
    let browser = Browser::new(&site);
    let asking = client.asking_for_rest();

    // Nobody is signed in: the way leads past the sign-in page, and back.
    let sign_in = browser.open(&client.url(&asking)).await.expect(303);
    assert!(sign_in.header("location").starts_with(&site.url("/oauth/login?next=")), "{}", sign_in.header("location"));
    let page = browser.open(sign_in.header("location")).await.expect(200);
    let back = browser.submit(&browser.sign_in_form(&page, &ann)).await.expect(303);
    let consent = browser.open(back.header("location")).await.expect(200);
    for said in ["Test client", "127.0.0.1", &ann.url, "Viewer", "Friend"] {
        assert!(consent.body.contains(said), "{said}: {}", consent.body);
    }
    let answer = form(&consent, "/oauth/authorize");
    assert_eq!(
        (answer.value("trust_type"), answer.choices.as_slice()),
        ("viewer", &["viewer", "friend"].map(str::to_owned)[..])
    );

    let friend = answer.with("trust_type", "friend").with("decision", "allow");
    let code = client.code(&asking, &browser.submit(&friend).await);
    let first = Tokens::of(&client.exchange(&asking, &code).await);
    assert_eq!(read(&ann, &first.access).await.expect(200).body, "blue");

    // It is a relationship like any other.
    let trusts = ann.get("/trust").await.expect(200).json();
    assert_eq!(trusts[0]["relationship"], "friend", "{trusts}");
    assert_eq!(trusts[0]["established_via"], "oauth2_client", "{trusts}");

    let second = Tokens::of(&client.refresh(&first.refresh).await);
    assert_ne!(first, second);
    assert_eq!(read(&ann, &second.access).await.expect(200).body, "blue");
    client.revoke(&second.refresh).await.expect(200);
    for token in [&first.access, &second.access] {
        read(&ann, token).await.problem(401);
    }
    assert_eq!(client.refresh(&second.refresh).await.expect(400).json()["error"], "invalid_grant");
}

async fn read(owner: &actingweb_tests::Owner, token: &str) -> Answer {
    Answer::of(owner.with_secret(token, Method::GET, "/properties/color")).await
}

#[tokio::test]
async fn each_way_to_present_a_secret_works() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    for auth in ["client_secret_basic", "client_secret_post", "none"] {
        let metadata = json!({
            "redirect_uris": ["https://client.example/cb"],
            "token_endpoint_auth_method": auth,
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let client = OauthClient::register_as(&site, &metadata).await;
        assert_eq!(client.secret.is_some(), auth != "none", "{auth}");
        let tokens = client.connect(&site, &ann).await;
        Tokens::of(&client.refresh(&tokens.refresh).await);
        if client.secret.is_some() {
            let impostor = client.clone().with_secret("guessed");
            let refused = impostor.refresh(&tokens.refresh).await.expect(401);
            assert_eq!(refused.json()["error"], "invalid_client");
            assert_eq!(refused.header("www-authenticate").starts_with("Basic "), auth == "client_secret_basic");
        }
    }
}

#[tokio::test]
async fn the_documents_say_what_there_is() {
    let site = Site::of(app()).await;
    let server = site.send(Method::GET, "/.well-known/oauth-authorization-server").await.expect(200).json();
    assert_eq!(server, site.send(Method::GET, "/.well-known/openid-configuration").await.expect(200).json());
    assert_eq!(server["issuer"], site.url(""));
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(server["client_id_metadata_document_supported"], true);
    for (name, url) in server.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint")) {
        let path = url.as_str().unwrap().strip_prefix(&site.url("")).unwrap_or_else(|| panic!("{name}: {url}"));
        let found = site.send(Method::GET, path).await;
        assert_ne!(found.status, 404, "{name}: {path}");
    }
    for (path, resource) in [("", "/"), ("/mcp", "/mcp")] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let document = site.send(Method::GET, &path).await.expect(200).json();
        assert_eq!(document["resource"], site.url(resource));
        assert_eq!(document["authorization_servers"], json!([site.url("")]));
    }
    for path in
        ["/.well-known/oauth-authorization-server/other", "/.well-known/oauth-protected-resource/x", "/.well-known/x"]
    {
        site.send(Method::GET, path).await.problem(404);
    }
    site.send(Method::POST, "/.well-known/oauth-authorization-server").await.problem(405);
}

/// RFC 8414, 3.1: the path of the issuer comes after the name of the document.
#[tokio::test]
async fn a_deployment_below_a_path_is_found_by_both_names() {
    let site = Site::adjusted(app(), |state| state.base_url = format!("{}/aw", state.base_url).into()).await;
    for path in ["", "/aw"] {
        let path = format!("/.well-known/oauth-authorization-server{path}");
        assert_eq!(site.send(Method::GET, &path).await.expect(200).json()["issuer"], site.url("/aw"));
    }
    for path in ["/mcp", "/aw/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        assert_eq!(site.send(Method::GET, &path).await.expect(200).json()["resource"], site.url("/aw/mcp"));
    }
}
