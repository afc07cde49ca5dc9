//! Sessions and grants, made without pages.

use std::sync::atomic::{AtomicU32, Ordering};

use actingweb_actor::grants::{Consent, SessionKind};
use actingweb_actor::{Actor, Credentials, NewClient, Presented, Registered};
use actingweb_protocol::oauth::{Audience, CodeChallenge};
use actingweb_protocol::{ActorId, Deadline};
use actingweb_store::ClientAuthMethod;
use serde_json::Value;
use tokio::time::Instant;

use crate::{Answer, Owner, Site};

/// How long what is done here may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The actor itself, of a site in this process.
pub async fn actor_of(site: &Site, owner: &Owner) -> Actor {
    let id = ActorId::parse(&owner.id).expect("an actor's id");
    let from = Presented { credentials: &Credentials::None, address: None };
    let visit = site.state().actors.visit(&id, &from, &[], deadline()).await.expect("a visit");
    visit.expect("an actor").actor
}

/// A session of an actor's creator: the token.
pub async fn session_of(site: &Site, owner: &Owner) -> String {
    let actor = actor_of(site, owner).await;
    let issued = site.state().actors.grants().open_session(&actor, SessionKind::Tokens).await;
    issued.expect("a session").access_token
}

/// A session of an actor's creator that has ended: the token.
pub async fn ended_session_of(site: &Site, owner: &Owner) -> String {
    let token = session_of(site, owner).await;
    let id = ActorId::parse(&owner.id).expect("an actor's id");
    let store = site.state().actors.store();
    for mut grant in store.client_grants(&id, None).await.expect("grants") {
        if grant.client.is_of_users() && token.contains(grant.id.as_str()) {
            let tokens = grant.current.as_mut().expect("tokens");
            tokens.access_ends = grant.created_at;
            store.put_client_grant(&id, &grant).await.expect("a grant");
        }
    }
    token
}

/// Time enough.
pub fn deadline() -> Deadline {
    Deadline::after(Instant::now().into_std(), PATIENCE)
}

/// The one redirect URI of clients of tests.
pub const REDIRECT_URI: &str = "https://client.example/cb";

/// What clients of tests prove their codes with.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A client that users let act, by their consent alone: no page is involved, so that tests of tokens are about tokens.
pub struct Grantee<'a> {
    site: &'a Site,
    /// Its id.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
    asked: AtomicU32,
}

impl<'a> Grantee<'a> {
    /// A client that registered, and cannot keep a secret.
    pub async fn public(site: &'a Site) -> Self {
        Self::register(site, ClientAuthMethod::None).await
    }

    /// A client that registered, and has a secret.
    pub async fn confidential(site: &'a Site) -> Self {
        Self::register(site, ClientAuthMethod::SecretPost).await
    }

    async fn register(site: &'a Site, auth: ClientAuthMethod) -> Self {
        let registered = site.state().actors.clients().register(new_client(auth), deadline()).await;
        let Registered { client, secret } = registered.expect("a client");
        Self::known(site, client.id, secret)
    }

    /// A client that is known by this id already.
    pub fn known(site: &'a Site, id: String, secret: Option<String>) -> Self {
        Self { site, id, secret, asked: AtomicU32::new(0) }
    }

    /// The owner lets it act: the code that it gets.
    pub async fn consent(&self, owner: &Owner, audience: Audience, trust_type: &str) -> String {
        let actor = actor_of(self.site, owner).await;
        let found = self.site.state().actors.clients().find(&self.id, deadline()).await.expect("a look-up");
        let consent = Consent {
            client: &found.expect("a client"),
            redirect_uri: REDIRECT_URI,
            challenge: &CodeChallenge::of(VERIFIER).expect("a challenge"),
            audience,
            scope: "mcp",
            trust_type,
        };
        self.site.state().actors.grants().authorize(&actor, &consent).await.expect("a code")
    }

    /// The owner lets it act, and it has its first tokens.
    pub async fn tokens(&self, owner: &Owner, audience: Audience, trust_type: &str) -> Value {
        let code = self.consent(owner, audience, trust_type).await;
        self.exchange(&code).await.expect(200).json()
    }

    /// Exchanges a code.
    pub async fn exchange(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ];
        self.ask("/oauth/token", &fields).await
    }

    /// Refreshes its tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.ask("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Ends a token.
    pub async fn revoke(&self, token: &str) -> Answer {
        self.ask("/oauth/revoke", &[("token", token)]).await
    }

    /// Asks what a token means.
    pub async fn introspect(&self, token: &str) -> Answer {
        self.ask("/oauth/introspect", &[("token", token)]).await
    }

    /// Sends a form, with what it knows itself by, each time from another address: what is refused does not add up.
    pub async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let known = [("client_id", Some(self.id.as_str())), ("client_secret", self.secret.as_deref())];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let given = |name: &str| fields.iter().any(|(field, _)| *field == name);
        let form: Vec<_> = known.filter(|(name, _)| !given(name)).chain(fields.iter().copied()).collect();
        self.send(path, &form).await
    }

    /// Sends a form with these fields and no others.
    pub async fn send(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let [_, a, b, c] = self.asked.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let request = self.site.http.post(self.site.url(path)).header("x-test-address", format!("10.{a}.{b}.{c}"));
        let body = form_urlencoded(form);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }
}

/// What a client of tests says of itself.
pub fn new_client(auth: ClientAuthMethod) -> NewClient {
    NewClient {
        name: "A client".to_owned(),
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        auth,
        grant_types: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
        metadata: None,
    }
}

fn form_urlencoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
