//! Clients as peers of an actor: what they may be, how they end, and what stays of them (docs/oauth.md).

use std::time::Duration;

use actingweb_protocol::oauth::Audience;
use actingweb_store::ClientAuthMethod;
use actingweb_tests::Answer;
use actingweb_tests::grants::{Grantee, actor_of, new_client, session_of};
use http::Method;
use serde_json::json;

use crate::oauth_grants::{get, is_refused, refused, site, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_relationship_ends_its_grants_at_once_and_for_good() {
    let (site, _) = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let client = Grantee::public(&site).await;
    let (of_ann, of_bob) =
        (client.tokens(&ann, Audience::Rest, "friend").await, client.tokens(&bob, Audience::Rest, "friend").await);
    let waiting = client.consent(&ann, Audience::Rest, "friend").await;
    ann.delete(&format!("/trust/friend/oauth2_client:{}", client.id)).await.expect(204);
    is_refused(&ann, text(&of_ann, "access_token")).await;
    // Another relationship brings nothing of the old one back, removed or not.
    let renewed = client.tokens(&ann, Audience::Rest, "viewer").await;
    for _ in 0..2 {
        is_refused(&ann, text(&of_ann, "access_token")).await;
        refused(client.refresh(text(&of_ann, "refresh_token")).await, 400, "invalid_grant");
        refused(client.exchange(&waiting).await, 400, "invalid_grant");
        get(&ann, "/methods", text(&renewed, "access_token")).await.expect(200);
        // Nobody else's grants are touched, nor is the client.
        get(&bob, "/methods", text(&of_bob, "access_token")).await.expect(200);
        site.drain().await;
    }
    let store = site.state().actors.store();
    let left = store.client_grants(actor_of(&site, &ann).await.id(), None).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    client.refresh(text(&of_bob, "refresh_token")).await.expect(200);
    // The client itself may end it, too.
    let own = format!("/trust/viewer/oauth2_client:{}", client.id);
    Answer::of(ann.anonymous(Method::DELETE, &own).bearer_auth(text(&renewed, "access_token"))).await.expect(204);
    is_refused(&ann, text(&renewed, "access_token")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_takes_its_grants_and_its_clients_along() {
    let (site, _) = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let clients = site.state().actors.clients();
    let owned =
        clients.create_owned(&actor_of(&site, &ann).await, new_client(ClientAuthMethod::SecretPost), "friend").await;
    let owned = owned.unwrap();
    let client = Grantee::known(&site, owned.client.id.clone(), owned.secret.clone());
    let (of_ann, of_bob) =
        (client.tokens(&ann, Audience::Rest, "friend").await, client.tokens(&bob, Audience::Rest, "friend").await);
    let session = session_of(&site, &ann).await;
    ann.delete("").await.expect(204);
    for token in [text(&of_ann, "access_token"), &session] {
        get(&ann, "/methods", token).await.problem(404);
    }
    refused(client.refresh(text(&of_ann, "refresh_token")).await, 400, "invalid_grant");
    get(&bob, "/methods", text(&of_bob, "access_token")).await.expect(200);
    site.drain().await;
    let left = format!("{:?}", site.table().await);
    assert!(!left.contains("OWNED#") && !left.contains(&format!("C#{}", client.id)), "{left}");
    is_refused(&bob, text(&of_bob, "access_token")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owners_client_acts_for_itself_at_its_owners_actor() {
    let (site, _) = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let actor = actor_of(&site, &ann).await;
    let clients = site.state().actors.clients();
    let owned = clients.create_owned(&actor, new_client(ClientAuthMethod::SecretPost), "friend").await.unwrap();
    let client = Grantee::known(&site, owned.client.id.clone(), owned.secret.clone());
    let rest = site.url("/");
    let fields = [("grant_type", "client_credentials"), ("resource", rest.as_str())];
    let tokens = client.ask("/oauth/token", &fields).await.expect(200).json();
    assert_eq!((tokens.get("refresh_token"), &tokens["trust_type"]), (None, &json!("friend")));
    assert_eq!(tokens["actor_id"], ann.id.as_str());
    get(&ann, "/actions", text(&tokens, "access_token")).await.expect(200);
    get(&ann, "/trust", text(&tokens, "access_token")).await.problem(403);
    is_refused(&bob, text(&tokens, "access_token")).await;
    // Whoever registered by itself is nobody's.
    let stranger = Grantee::confidential(&site).await;
    refused(stranger.ask("/oauth/token", &fields).await, 400, "unauthorized_client");
    refused(Grantee::public(&site).await.ask("/oauth/token", &fields).await, 400, "unauthorized_client");

    let other = clients.rotate_secret(&actor_of(&site, &bob).await, &owned.client.key).await.unwrap();
    assert_eq!(other, None, "somebody else's client");
    let secret = clients.rotate_secret(&actor, &owned.client.key).await.unwrap();
    refused(client.ask("/oauth/token", &fields).await, 401, "invalid_client");
    let client = Grantee::known(&site, owned.client.id.clone(), secret);
    client.ask("/oauth/token", &fields).await.expect(200);
    get(&ann, "/actions", text(&tokens, "access_token")).await.expect(200);

    assert_eq!(clients.list(&actor).await.unwrap().len(), 1);
    assert!(!clients.delete(&actor_of(&site, &bob).await, &owned.client.key).await.unwrap());
    assert!(clients.delete(&actor, &owned.client.key).await.unwrap());
    is_refused(&ann, text(&tokens, "access_token")).await;
    refused(client.ask("/oauth/token", &fields).await, 401, "invalid_client");
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
    assert_eq!(clients.list(&actor).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_a_peer_that_is_never_called() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::public(&site).await;
    let tokens = client.tokens(&ann, Audience::Rest, "friend").await;
    let access = text(&tokens, "access_token");
    let peer = format!("oauth2_client:{}", client.id);
    let subscribe = |granularity: &str| {
        let body = json!({ "target": "properties", "granularity": granularity });
        let request = ann.anonymous(Method::POST, &format!("/subscriptions/{peer}"));
        Answer::of(request.bearer_auth(access).json(&body))
    };
    subscribe("high").await.problem(400);
    let subscription = subscribe("none").await.expect(201).json();
    ann.put("/properties/public", &json!({ "motto": "hello" })).await.expect(204);
    site.drain().await;
    let path = format!("/subscriptions/{peer}/{}", subscription["subscriptionid"].as_str().unwrap());
    get(&ann, &path, access).await.expect(200);

    let own = format!("/trust/friend/{peer}");
    ann.put(&own, &json!({ "baseuri": "https://elsewhere.example/x" })).await.problem(400);
    ann.post(&format!("{own}/secret"), &json!({})).await.problem(409);
    // A secret of its own choice would outlive its tokens.
    let secret = json!({ "secret": "0123456789abcdef0123456789abcdef" });
    Answer::of(ann.anonymous(Method::POST, &own).bearer_auth(access).json(&secret)).await.problem(403);
    let to_it = json!({ "peerid": peer, "target": "properties" });
    assert!((400..500).contains(&ann.post("/subscriptions", &to_it).await.status));
    // Nobody takes the place of a client.
    let ask = json!({ "baseuri": "http://127.0.0.1:9/x", "id": format!("{peer}x") });
    Answer::of(ann.anonymous(Method::POST, "/trust/friend").json(&ask)).await.problem(400);
    ann.delete(&path).await.expect(204);
    ann.delete(&own).await.expect(204);
    site.drain().await;
    let stored = format!("{:?}", site.table().await);
    assert!(!stored.contains("OUT#"), "nothing is owed to it: {stored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stored_is_a_token_or_a_secret() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::confidential(&site).await;
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    let first = client.exchange(&code).await.expect(200).json();
    let second = client.refresh(text(&first, "refresh_token")).await.expect(200).json();
    let stored = format!("{:?}", site.table().await);
    assert!(stored.contains("AUTH#"), "{stored}");
    let mut secrets = vec![code, client.secret.clone().unwrap()];
    for tokens in [&first, &second] {
        secrets.extend(["access_token", "refresh_token"].map(|name| text(tokens, name).to_owned()));
    }
    for secret in secrets {
        let secret = secret.rsplit('.').next().unwrap();
        assert!(!stored.contains(secret), "{secret}: {stored}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_nobody_lets_act_is_forgotten_within_a_day() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let (used, unused) = (Grantee::public(&site).await, Grantee::public(&site).await);
    let tokens = used.tokens(&ann, Audience::Rest, "friend").await;
    clock.advance(Duration::from_secs(24 * 3600));
    refused(unused.refresh("nonsense").await, 401, "invalid_client");
    used.refresh(text(&tokens, "refresh_token")).await.expect(200);
}
