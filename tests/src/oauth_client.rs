//! A client of OAuth, as one behaves that was written by somebody else: it learns the endpoints from the metadata,
//! registers, proves itself by PKCE, and checks what it gets.

use std::sync::atomic::{AtomicU32, Ordering};

use actingweb_protocol::oauth::CodeChallenge;
use actingweb_protocol::sha256_hex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{form, with_form};
use crate::{Answer, Browser, Owner, Site};

/// Where clients of tests have their codes sent. Nothing listens there: tests read the redirect.
pub const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback?from=test";

/// A client.
#[derive(Clone, Debug)]
pub struct OauthClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`, if it has one.
    pub secret: Option<String>,
    /// How it presents its secret.
    pub auth: String,
    /// Where its codes go.
    pub redirect_uri: String,
    /// What the authorization server says of itself.
    pub server: Value,
    http: reqwest::Client,
}

/// An authorization request, and what its maker remembers of it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The parameters.
    pub params: Vec<(String, String)>,
    /// The verifier of the challenge.
    pub verifier: String,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// `access_token`.
    pub access: String,
    /// `refresh_token`; empty when there is none.
    pub refresh: String,
}

impl Tokens {
    /// Reads them from a reply that must be a good one.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}: {}", answer.request, answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        let body = answer.json();
        assert_eq!(body["token_type"], "Bearer", "{body}");
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

impl Asking {
    /// The same with another value of a parameter; an empty one leaves it out.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.retain(|(param, _)| param != name);
        if !value.is_empty() {
            self.params.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// A parameter.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(param, _)| param == name).map_or("", |(_, value)| value)
    }
}

impl OauthClient {
    /// A public client that just registered.
    pub async fn register(site: &Site) -> Self {
        let metadata = json!({
            "client_name": "Test client",
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        Self::register_as(site, &metadata).await
    }

    /// A client that just registered with this metadata.
    pub async fn register_as(site: &Site, metadata: &Value) -> Self {
        let server = discover(site).await;
        let endpoint = server["registration_endpoint"].as_str().expect("an endpoint");
        let client = Answer::of(site.http.post(endpoint).json(metadata)).await.expect(201).json();
        Self::known(site, server, &client)
    }

    /// A client that is known already, by its id alone.
    pub async fn with_id(site: &Site, id: &str) -> Self {
        let server = discover(site).await;
        Self::known(site, server, &json!({ "client_id": id, "token_endpoint_auth_method": "none" }))
    }

    /// A client as a reply describes it.
    pub async fn described(site: &Site, client: &Value) -> Self {
        Self::known(site, discover(site).await, client)
    }

    fn known(site: &Site, server: Value, client: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            id: text(&client["client_id"]).expect("an id"),
            secret: text(&client["client_secret"]),
            auth: text(&client["token_endpoint_auth_method"]).expect("a method"),
            redirect_uri: text(&client["redirect_uris"][0]).unwrap_or_else(|| REDIRECT_URI.to_owned()),
            server,
            http: site.http.clone(),
        }
    }

    /// An endpoint's URL.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> &str {
        self.server[format!("{name}_endpoint")].as_str().unwrap_or_else(|| panic!("no {name}_endpoint"))
    }

    /// A request for access to `/mcp`.
    #[must_use]
    pub fn asking(&self) -> Asking {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let verifier = sha256_hex(&format!("verifier {count}"));
        let challenge = CodeChallenge::of(&verifier).expect("a verifier");
        let issuer = self.server["issuer"].as_str().expect("an issuer");
        let params = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &format!("state {count} &=?/\u{e9}")),
            ("scope", "mcp"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("resource", &format!("{issuer}/mcp")),
        ];
        Asking { params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), verifier }
    }

    /// A request for access to the REST paths.
    #[must_use]
    pub fn asking_for_rest(&self) -> Asking {
        let issuer = self.server["issuer"].as_str().expect("an issuer");
        self.asking().with("resource", &format!("{issuer}/"))
    }

    /// The URL that a person's browser is led to.
    #[must_use]
    pub fn url(&self, asking: &Asking) -> String {
        let url = reqwest::Url::parse_with_params(self.endpoint("authorization"), &asking.params);
        url.expect("a URL").to_string()
    }

    /// A person who is signed in allows it, with the access that is chosen on the page. Gives the code.
    pub async fn authorize(&self, browser: &Browser, asking: &Asking) -> String {
        let page = browser.open(&self.url(asking)).await.expect(200);
        let answer = browser.submit(&form(&page, "/oauth/authorize").with("decision", "allow")).await;
        self.code(asking, &answer)
    }

    /// The code that a redirect carries, after the checks that a client makes.
    #[track_caller]
    #[must_use]
    pub fn code(&self, asking: &Asking, answer: &Answer) -> String {
        let answered = self.returned(asking, answer);
        answered.into_iter().find(|(name, _)| name == "code").map(|(_, code)| code).expect("a code")
    }

    /// The error that a redirect carries.
    #[track_caller]
    #[must_use]
    pub fn error(&self, asking: &Asking, answer: &Answer) -> String {
        let answered = self.returned(asking, answer);
        assert!(answered.iter().all(|(name, _)| name != "code"), "{answered:?}");
        assert!(answered.iter().any(|(name, text)| name == "error_description" && text.len() > 5), "{answered:?}");
        answered.into_iter().find(|(name, _)| name == "error").map(|(_, error)| error).expect("an error")
    }

    /// What a redirect to the client says, after the checks that a client makes: its own address, state and issuer.
    #[track_caller]
    fn returned(&self, asking: &Asking, answer: &Answer) -> Vec<(String, String)> {
        assert_eq!(answer.status, 303, "{}: {}", answer.request, answer.body);
        let location = answer.header("location");
        let asked_for = asking.param("redirect_uri");
        assert!(location.starts_with(asked_for), "{location} is not at {asked_for}");
        let url = reqwest::Url::parse(location).expect("a URL");
        let answered: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let said = |name: &str| answered.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value).to_owned();
        assert_eq!(said("state"), asking.param("state"), "{location}");
        assert_eq!(said("iss"), self.server["issuer"].as_str().expect("an issuer"), "{location}");
        answered
    }

    /// The same with another secret.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// The whole way: the owner signs in, allows it, and the client has tokens for `/mcp`.
    pub async fn connect(&self, site: &Site, owner: &Owner) -> Tokens {
        self.connect_with(&Browser::of(site, owner).await, &self.asking()).await
    }

    /// The way from a request to tokens, with a browser in which somebody is signed in.
    pub async fn connect_with(&self, browser: &Browser, asking: &Asking) -> Tokens {
        let code = self.authorize(browser, asking).await;
        Tokens::of(&self.exchange(asking, &code).await)
    }

    /// Exchanges a code.
    pub async fn exchange(&self, asking: &Asking, code: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", asking.param("redirect_uri")),
            ("code_verifier", &asking.verifier),
            ("resource", asking.param("resource")),
        ];
        self.post("token", &form).await
    }

    /// Refreshes.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// Revokes a token.
    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("revocation", &[("token", token)]).await
    }

    /// Asks what a token means.
    pub async fn introspect(&self, token: &str) -> Answer {
        self.post("introspection", &[("token", token)]).await
    }

    /// A form to an endpoint, with the client's own credentials.
    pub async fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.http.request(Method::POST, self.endpoint(endpoint));
        let given = fields.iter().copied().filter(|(_, value)| !value.is_empty());
        let secret = self.secret.as_deref();
        let request = if self.auth == "client_secret_basic" {
            with_form(request.basic_auth(&self.id, secret), &given.collect::<Vec<_>>())
        } else {
            let own = [("client_id", self.id.as_str())].into_iter().chain(secret.map(|text| ("client_secret", text)));
            with_form(request, &own.chain(given).collect::<Vec<_>>())
        };
        Answer::of(request).await
    }
}

/// What the authorization server says of itself, found as a client of `/mcp` finds it.
pub async fn discover(site: &Site) -> Value {
    let resource = site.send(Method::GET, "/.well-known/oauth-protected-resource/mcp").await.expect(200).json();
    assert_eq!(resource["resource"], site.url("/mcp"));
    let issuer = resource["authorization_servers"][0].as_str().expect("a server").to_owned();
    let url = format!("{issuer}/.well-known/oauth-authorization-server");
    let server = Answer::of(site.http.get(url)).await.expect(200).json();
    assert_eq!(server["issuer"], issuer, "the document must be of whom it was asked for");
    server
}
