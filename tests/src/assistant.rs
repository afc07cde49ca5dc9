//! An AI client that an actor's owner let act, as it speaks to `/mcp`.

use actingweb_actor::NewClient;
use actingweb_actor::grants::{ClientAuthentication, CodeExchange, Consent};
use actingweb_protocol::oauth::{Audience, CodeChallenge};
use actingweb_store::ClientAuthMethod;
use serde_json::{Value, json};

use crate::grants::{actor_of, deadline};
use crate::{Answer, Owner, Site};

/// The current revision of the protocol.
pub const MODERN: &str = "2026-07-28";

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1/callback";

/// A client with a token of its own.
#[derive(Clone, Debug)]
pub struct Assistant {
    http: reqwest::Client,
    url: String,
    /// Its access token, for `/mcp`.
    pub token: String,
    /// What it registered as.
    pub client_id: String,
    /// What it says that it can, in the current revision.
    pub capabilities: Value,
}

impl Assistant {
    /// A client that the owner consented to, with this trust type. Made without pages, on a site in this process.
    pub async fn connect(site: &Site, owner: &Owner, trust_type: &str) -> Self {
        Self::named(site, owner, trust_type, "Test client").await
    }

    /// A client of this name.
    pub async fn named(site: &Site, owner: &Owner, trust_type: &str, name: &str) -> Self {
        Self::scoped(site, owner, (trust_type, name), (Audience::Mcp, "mcp")).await
    }

    /// A client whose token is for another resource, or has another scope.
    pub async fn scoped(
        site: &Site,
        owner: &Owner,
        (trust_type, name): (&str, &str),
        (audience, scope): (Audience, &str),
    ) -> Self {
        let actors = &site.state().actors;
        let new = NewClient {
            name: name.to_owned(),
            redirect_uris: vec![REDIRECT.to_owned()],
            auth: ClientAuthMethod::None,
            grant_types: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
            metadata: None,
        };
        let client = actors.clients().register(new, deadline()).await.expect("a client").client;
        let actor = actor_of(site, owner).await;
        let challenge = CodeChallenge::of(VERIFIER).expect("a challenge");
        let consent =
            Consent { client: &client, redirect_uri: REDIRECT, challenge: &challenge, audience, scope, trust_type };
        let grants = actors.grants();
        let code = grants.authorize(&actor, &consent).await.expect("a code");
        let exchange = CodeExchange { code: &code, redirect_uri: REDIRECT, verifier: VERIFIER, audience: None };
        let authentication = ClientAuthentication { id: &client.id, secret: None };
        let issued = grants.exchange(&authentication, &exchange, deadline()).await.expect("tokens");
        Self::with_token(site, issued.access_token, client.id)
    }

    /// A client with a token that came about elsewhere.
    pub fn with_token(site: &Site, token: String, client_id: String) -> Self {
        let capabilities = json!({});
        Self { http: site.http.clone(), url: site.url("/mcp"), token, client_id, capabilities }
    }

    /// The same client, which can show its user forms.
    #[must_use]
    pub fn with_forms(mut self) -> Self {
        self.capabilities = json!({ "elicitation": { "form": {} } });
        self
    }

    /// The same client, which takes tasks for answers.
    #[must_use]
    pub fn with_tasks(mut self) -> Self {
        self.capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        self
    }

    /// A POST of anything, signed, with the headers that every request has.
    pub fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.unsigned(body).bearer_auth(&self.token)
    }

    /// The same, which nobody signed.
    pub fn unsigned(&self, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let request = self.http.post(&self.url).body(body);
        request.header("content-type", "application/json").header("accept", "application/json, text/event-stream")
    }

    /// A request of the current revision, with all that it must bring.
    pub fn modern(&self, method: &str, params: Value) -> reqwest::RequestBuilder {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1.0" },
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        });
        let target = ["name", "uri", "taskId"]
            .iter()
            .find_map(|key| params.get(*key))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.post(body.to_string()).header("mcp-protocol-version", MODERN).header("mcp-method", method);
        match target {
            Some(target) => request.header("mcp-name", target),
            None => request,
        }
    }

    /// The answer to a request of the current revision.
    pub async fn ask(&self, method: &str, params: Value) -> Answer {
        Answer::of(self.modern(method, params)).await
    }

    /// The result of a request of the current revision.
    pub async fn result(&self, method: &str, params: Value) -> Value {
        result_of(&self.ask(method, params).await)
    }

    /// The result of calling a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// The answer to a request of an earlier revision.
    pub async fn ask_in(&self, revision: &str, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        Answer::of(self.post(body.to_string()).header("mcp-protocol-version", revision)).await
    }

    /// The result of a request of an earlier revision.
    pub async fn result_in(&self, revision: &str, method: &str, params: Value) -> Value {
        result_of(&self.ask_in(revision, method, params).await)
    }

    /// The names in a list: of `tools`, `prompts`, `resources` or `resourceTemplates`.
    pub async fn names(&self, method: &str, list: &str) -> Vec<String> {
        let result = self.result(method, json!({})).await;
        let entries = result[list].as_array().expect("a list");
        entries.iter().map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
    }
}

#[track_caller]
fn result_of(answer: &Answer) -> Value {
    let body = answer.clone().expect(200).json();
    body.get("result").unwrap_or_else(|| panic!("{}: {body}", answer.request)).clone()
}
