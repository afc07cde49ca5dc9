//! What must never work: each test is a way in that was open elsewhere, and is closed here.

use actingweb_hooks::prelude::*;
use actingweb_protocol::sha256_hex;
use actingweb_tests::{Answer, Asking, Browser, OauthClient, Owner, REDIRECT_URI, Site, Tokens, form, with_form};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) fn app() -> App {
    App::new("urn:actingweb:example.com:oauth").oauth_trust_types(["viewer", "friend"])
}

pub(crate) async fn register(site: &Site, metadata: &Value) -> Answer {
    Answer::of(site.request(Method::POST, "/oauth/register").json(metadata)).await
}

async fn read(owner: &Owner, token: &str) -> Answer {
    Answer::of(owner.with_secret(token, Method::GET, "/properties")).await
}

/// The page that asks, for somebody who is signed in.
pub(crate) async fn consent(client: &OauthClient, browser: &Browser, asking: &Asking) -> Answer {
    browser.open(&client.url(asking)).await.expect(200)
}

/// Anonymous administrators: a registration that asks for rights, and a client that acts without anybody's consent.
#[tokio::test]
async fn who_registers_gets_no_rights_by_it() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let metadata = json!({
        "client_name": "Greedy",
        "redirect_uris": [REDIRECT_URI],
        "trust_type": "admin",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let given = register(&site, &metadata).await.expect(201).json();
    assert_eq!(given["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert!(given.get("trust_type").is_none(), "{given}");

    let client = OauthClient::described(&site, &given).await;
    let refused = client.post("token", &[("grant_type", "client_credentials")]).await.expect(400).json();
    assert_eq!(refused["error"], "unauthorized_client", "{refused}");

    // What it is given is what the person chose, and that is the least unless something else is chosen.
    let browser = Browser::of(&site, &ann).await;
    let tokens = client.connect_with(&browser, &client.asking_for_rest().with("trust_type", "admin")).await;
    let trusts = ann.get("/trust").await.expect(200).json();
    assert_eq!(trusts[0]["relationship"], "viewer", "{trusts}");
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/clients")).await.problem(403);
    Answer::of(ann.with_secret(&tokens.access, Method::GET, "/trust")).await.problem(403);
}

/// The list of what may be granted is the server's; what a form says is only a choice from it.
#[tokio::test]
async fn a_person_can_grant_only_what_the_application_offers() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let client = OauthClient::register(&site).await;
    let (browser, asking) = (Browser::of(&site, &ann).await, client.asking());
    let answer = form(&consent(&client, &browser, &asking).await, "/oauth/authorize").with("decision", "allow");
    assert_eq!(answer.value("trust_type"), "viewer");
    for other in ["admin", "partner", "nonsense", "", "Friend"] {
        let page = browser.submit(&answer.clone().with("trust_type", other)).await.expect(400);
        assert!(page.body.contains("Choose one of the kinds of access"), "{other}: {}", page.body);
    }
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
}

/// The confused deputy: nothing is granted by opening a link, however often it was granted before.
#[tokio::test]
async fn nothing_is_granted_without_being_asked_each_time() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::of(&site, &ann).await;
    client.connect_with(&browser, &client.asking()).await;

    let again = consent(&client, &browser, &client.asking()).await;
    assert!(again.body.contains("Test client"), "{}", again.body);
    let silent = client.asking().with("prompt", "none");
    let refused = browser.open(&client.url(&silent)).await;
    assert_eq!(client.error(&silent, &refused), "consent_required");
    let stranger = Browser::new(&site).open(&client.url(&silent)).await;
    assert_eq!(client.error(&silent, &stranger), "login_required");
    let both = client.asking().with("prompt", "none login");
    assert_eq!(client.error(&both, &browser.open(&client.url(&both)).await), "invalid_request");

    // Who is to prove again who it is does so, and is asked then.
    let login = client.asking().with("prompt", "login");
    let sign_in = browser.open(&client.url(&login)).await.expect(303);
    let page = browser.open(sign_in.header("location")).await.expect(200);
    let back = browser.submit(&browser.sign_in_form(&page, &ann)).await.expect(303);
    browser.open(back.header("location")).await.expect(200);

    let denied = client.asking();
    let answer = form(&consent(&client, &browser, &denied).await, "/oauth/authorize").with("decision", "deny");
    assert_eq!(client.error(&denied, &browser.submit(&answer).await), "access_denied");
}

/// An answer counts only from the browser that was asked, and for what it was asked.
#[tokio::test]
async fn an_answer_that_was_made_elsewhere_is_none() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let (client, other) = (OauthClient::register(&site).await, OauthClient::register(&site).await);
    let (anns, bobs) = (Browser::of(&site, &ann).await, Browser::of(&site, &bob).await);
    let asking = client.asking();
    let answer = form(&consent(&client, &anns, &asking).await, "/oauth/authorize").with("decision", "allow");

    // Bob made the answer; Ann's browser is led to send it, or the other way round.
    bobs.submit(&answer).await.expect(403);
    // The answer to one question is none to another.
    for (field, value) in [
        ("client_id", other.id.as_str()),
        ("state", "another"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("resource", &site.url("/")),
        ("scope", "more"),
        ("proof", ""),
        ("proof", "k1:AAAA"),
    ] {
        anns.submit(&answer.clone().with(field, value)).await.expect(403);
    }
    // Other sites can make a browser send a form, but not say that it is ours.
    let forged = |origin: &str, site: &str| {
        let request = with_form(anns.request(Method::POST, "/oauth/authorize"), &answer.fields);
        let request = if origin.is_empty() { request } else { request.header("origin", origin) };
        if site.is_empty() { request } else { request.header("sec-fetch-site", site) }
    };
    for (origin, from) in [
        ("https://evil.example", "cross-site"),
        ("https://evil.example", ""),
        ("null", ""),
        ("", ""),
        (&site.url(""), "same-site"),
        (&format!("{}.evil.example", site.url("")), ""),
    ] {
        Answer::of(forged(origin, from)).await.problem(403);
    }
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
    assert_eq!(bob.get("/trust").await.expect(200).json(), json!([]));
    // And the answer itself is good.
    let _ = client.code(&asking, &anns.submit(&answer).await);
}

/// Without a proof key whoever catches a code has the tokens.
#[tokio::test]
async fn a_proof_key_is_required_and_must_be_met() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::of(&site, &ann).await;
    for (name, value) in [
        ("code_challenge", ""),
        ("code_challenge", "short"),
        ("code_challenge_method", ""),
        ("code_challenge_method", "plain"),
    ] {
        let asking = client.asking().with(name, value);
        assert_eq!(
            client.error(&asking, &browser.open(&client.url(&asking)).await),
            "invalid_request",
            "{name}={value}"
        );
    }
    for verifier in [String::new(), sha256_hex("another"), "short".to_owned()] {
        let asking = client.asking();
        let code = client.authorize(&browser, &asking).await;
        let refused = client.exchange(&Asking { verifier: verifier.clone(), ..asking }, &code).await.expect(400).json();
        let expected = if verifier.len() < 43 { "invalid_request" } else { "invalid_grant" };
        assert_eq!(refused["error"], expected, "{verifier}: {refused}");
    }
}

/// A code goes nowhere but where the client said when it registered, and is good only with the same address.
#[tokio::test]
async fn a_redirect_must_be_the_registered_one_at_both_ends() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let metadata = json!({
        "redirect_uris": ["https://client.example/cb", "http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "none",
    });
    let client = OauthClient::register_as(&site, &metadata).await;
    let browser = Browser::of(&site, &ann).await;
    for uri in [
        "",
        "https://client.example/cb/",
        "https://client.example/cb?x=1",
        "https://client.example:8443/cb",
        "https://client.example.evil.example/cb",
        "https://evil.example/cb",
        "http://client.example/cb",
        "http://127.0.0.1/other",
        "http://localhost/cb",
        "https://client.example/cb#fragment",
        "javascript:alert(1)",
        "//evil.example/cb",
    ] {
        let refused = browser.open(&client.url(&client.asking().with("redirect_uri", uri))).await.expect(400);
        assert_eq!(refused.header("location"), "", "{uri}");
        assert!(refused.header("content-type").starts_with("text/html"), "{uri}");
    }
    // A native application learns its port only when it listens.
    let native = client.asking().with("redirect_uri", "http://127.0.0.1:50123/cb");
    let code = client.authorize(&browser, &native).await;
    let elsewhere = native.clone().with("redirect_uri", "http://127.0.0.1/cb");
    assert_eq!(client.exchange(&elsewhere, &code).await.expect(400).json()["error"], "invalid_grant");
    Tokens::of(&client.exchange(&native, &code).await);

    // Nobody is led to an unknown client, whatever the link says.
    for id in ["", "mcp_00000000000000000000000000000000", "no client", "https://", "javascript:alert(1)"] {
        let refused = browser.open(&client.url(&client.asking().with("client_id", id))).await;
        assert_eq!((refused.status, refused.header("location")), (400, ""), "{id}");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", client.url(&client.asking()));
    assert_eq!(browser.open(&twice).await.expect(400).header("location"), "");
    let twice = format!("{}&client_id={}", client.url(&client.asking()), client.id);
    assert_eq!(browser.open(&twice).await.expect(400).header("location"), "");
}

/// Everything else is told to the client, with its state and our name (RFC 6749, 4.1.2.1; RFC 9207).
#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_its_client() {
    let site = Site::of(app()).await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::new(&site);
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
        ("request_uri", "https://client.example/request", "request_uri_not_supported"),
        ("resource", "https://other.example/mcp", "invalid_target"),
        ("resource", "nonsense", "invalid_target"),
    ] {
        let asking = client.asking().with(name, value);
        assert_eq!(client.error(&asking, &browser.open(&client.url(&asking)).await), error, "{name}={value}");
    }
    for (twice, error) in [("scope=a&scope=b", "invalid_request"), ("resource=a", "invalid_target")] {
        let asking = client.asking();
        let answer = browser.open(&format!("{}&{twice}", client.url(&asking))).await;
        assert_eq!(client.error(&asking, &answer), error, "{twice}");
    }
}

/// A token for one place is none at the other (RFC 8707), and a cookie is one for neither.
#[tokio::test]
async fn a_credential_is_good_at_one_place() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let client = OauthClient::register(&site).await;
    let browser = Browser::of(&site, &ann).await;
    let mcp = client.connect_with(&browser, &client.asking()).await;
    let rest = client.connect_with(&browser, &client.asking_for_rest()).await;
    read(&ann, &rest.access).await.expect(200);
    for token in [&mcp.access, &mcp.refresh, &rest.refresh] {
        read(&ann, token).await.problem(401);
    }
    let asking = client.asking();
    let code = client.authorize(&browser, &asking).await;
    read(&ann, &code).await.problem(401);
    let other = asking.clone().with("resource", &site.url("/"));
    assert_eq!(client.exchange(&other, &code).await.expect(400).json()["error"], "invalid_target");

    // The cookie: neither as a cookie nor as a bearer.
    let cookie = browser.cookie("actingweb").expect("a cookie");
    browser.open(&format!("{}/properties", ann.url)).await.problem(401);
    browser.open(&format!("{}/clients", ann.url)).await.problem(401);
    read(&ann, &cookie).await.problem(401);
    let put = browser.request(Method::PUT, &format!("{}/properties/color", ann.url)).json(&json!("red"));
    Answer::of(put).await.problem(401);
    let deleted = browser.open(&format!("{}/properties?_method=DELETE", ann.url)).await;
    deleted.problem(401);
}

/// What one person ends is ended for that person.
#[tokio::test]
async fn who_puts_a_client_out_puts_it_out_for_nobody_else() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let client = OauthClient::register(&site).await;
    let at = |owner: &Owner| {
        let owner = owner.clone();
        let (client, site) = (client.clone(), &site);
        async move { client.connect_with(&Browser::of(site, &owner).await, &client.asking_for_rest()).await }
    };
    let (anns, bobs) = (at(&ann).await, at(&bob).await);
    read(&bob, &anns.access).await.problem(401);

    let trust = ann.get("/trust").await.expect(200).json()[0].clone();
    let peer = trust["peerid"].as_str().expect("a peer");
    ann.delete(&format!("/trust/viewer/{peer}")).await.expect(204);
    read(&ann, &anns.access).await.problem(401);
    assert_eq!(client.refresh(&anns.refresh).await.expect(400).json()["error"], "invalid_grant");
    read(&bob, &bobs.access).await.expect(200);
    Tokens::of(&client.refresh(&bobs.refresh).await);
}

/// Whoever reads the table finds no secret in it.
#[tokio::test]
async fn nothing_that_opens_anything_is_stored() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let metadata = json!({ "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "client_secret_post" });
    let client = OauthClient::register_as(&site, &metadata).await;
    let browser = Browser::of(&site, &ann).await;
    let asking = client.asking();
    let code = client.authorize(&browser, &asking).await;
    let tokens = Tokens::of(&client.exchange(&asking, &code).await);
    let own = ann.post("/clients", &json!({ "client_name": "Mine", "trust_type": "friend" })).await.expect(201).json();

    let table: String = site.table().await.iter().map(Value::to_string).collect();
    let last = |token: &str| token.rsplit('.').next().expect("a secret").to_owned();
    let cookie = browser.cookie("actingweb").expect("a cookie");
    let secrets = [
        ("the code", last(&code)),
        ("the access token", last(&tokens.access)),
        ("the refresh token", last(&tokens.refresh)),
        ("the cookie", last(&cookie)),
        ("the client's secret", client.secret.clone().expect("a secret")),
        ("the owner's client's secret", own["client_secret"].as_str().expect("a secret").to_owned()),
        ("the passphrase", ann.passphrase.clone()),
    ];
    for (what, secret) in secrets {
        assert!(secret.len() > 20, "{what}");
        assert!(!table.contains(&secret), "{what} is in the table");
    }
}

/// Documents about clients are fetched from where strangers say, so from nowhere that strangers must not reach.
#[tokio::test]
async fn a_metadata_document_is_fetched_from_public_places_alone() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let browser = Browser::of(&site, &ann).await;
    let client = OauthClient::register(&site).await;
    for id in [
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/client.json",
        "https://[fd00::1]/client.json",
        "https://127.0.0.1:1/client.json",
        "http://192.168.0.1/client.json",
        "https://client.example/../client.json",
        "https://ann:secret@client.example/client.json",
        "https://client.example/client.json#x",
        "file:///etc/passwd",
    ] {
        let refused = browser.open(&client.url(&client.asking().with("client_id", id))).await.expect(400);
        assert_eq!(refused.header("location"), "", "{id}");
        assert!(!refused.body.contains("secret"), "{id}: {}", refused.body);
    }
}
