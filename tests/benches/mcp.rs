//! What `/mcp` costs, and what it carries.
//!
//! 1. A call of a trivial tool beside a bare axum route that takes the same request, makes the same calls to storage to
//!    recognise the same token, and gives the same answer. Both are asked in turn, over many rounds; the median counts.
//! 2. Many calls at once of a tool that waits two seconds, beside one alone.
//!
//! Everything runs in this process, on loopback and the embedded engine in memory. Each claim compares numbers of one run,
//! is printed with `holds` or `FAILS`, and one that fails makes the program fail.
//!
//! `cargo bench -p actingweb-tests --bench mcp -- [--samples N] [--calls N]`
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for a terminal, which may stop at what it did not expect"
)]

use std::sync::Arc;
use std::time::Instant;

use actingweb_actor::grants::{ClientAuthentication, CodeExchange, Consent};
use actingweb_actor::{Credentials, NewClient, Presented, Wanted};
use actingweb_hooks::prelude::*;
use actingweb_hooks::{Category, Rules, TrustDefinition};
use actingweb_local::{Options, Running, start_app};
use actingweb_peer::{HttpSettings, http_client};
use actingweb_protocol::ActorId;
use actingweb_protocol::oauth::{Audience, CodeChallenge, Token};
use actingweb_runtime::Environment;
use actingweb_store::ClientAuthMethod;
use actingweb_tests::Owner;
use actingweb_tests::grants::deadline;
use actingweb_web::AppState;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use http::HeaderMap;

/// How many times the trivial tool and the bare route are compared.
const ROUNDS: usize = 20;
/// How long the slow tool waits.
const WAIT: Duration = Duration::from_secs(2);
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1/callback";

fn app() -> App {
    let all = || Rules::allow(&["*"]);
    App::new("urn:actingweb:example.com:mcp")
        .trust_type(
            TrustDefinition::new("all", "All", "May use everything")
                .grants(Category::Tools, all())
                .grants(Category::Actions, all()),
        )
        .action("trivial", || Ok::<_, HookError>(json!({ "ok": true })))
        .tool("Answers at once")
        .action("slow", async || {
            tokio::time::sleep(WAIT).await;
            Ok::<_, HookError>(json!({ "ok": true }))
        })
        .tool("Answers two seconds later")
}

fn main() -> std::process::ExitCode {
    let number = |name: &str, default: usize| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (samples, calls) = (number("--samples", 2_000), number("--calls", 1_000));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let holds = runtime.block_on(async {
        let stack = start_app(Options::in_memory(), Environment::default(), app()).await.expect("a stack");
        let client = Client::connect(&stack).await;
        let trivial = trivial(&stack, &client, samples).await;
        let many = many(&client, calls).await;
        stack.stop().await;
        trivial & many
    });
    std::process::ExitCode::from(u8::from(!holds))
}

/// An AI client with its token.
struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn connect(stack: &Running) -> Self {
        let http = http_client(&HttpSettings::default()).expect("a client");
        let owner = Owner::create(http.clone(), &stack.url, "ann@example.com").await;
        let actors = &stack.state.actors;
        let new = NewClient {
            name: "bench".to_owned(),
            redirect_uris: vec![REDIRECT.to_owned()],
            auth: ClientAuthMethod::None,
            grant_types: vec!["authorization_code".to_owned()],
            metadata: None,
        };
        let client = actors.clients().register(new, deadline()).await.expect("a client").client;
        let id = ActorId::parse(&owner.id).expect("an id");
        let nobody = Presented { credentials: &Credentials::None, address: None };
        let actor = actors.visit(&id, &nobody, &[], deadline()).await.expect("a visit").expect("an actor").actor;
        let challenge = CodeChallenge::of(VERIFIER).expect("a challenge");
        let consent = Consent {
            client: &client,
            redirect_uri: REDIRECT,
            challenge: &challenge,
            audience: Audience::Mcp,
            scope: "mcp",
            trust_type: "all",
        };
        let code = actors.grants().authorize(&actor, &consent).await.expect("a code");
        let exchange = CodeExchange { code: &code, redirect_uri: REDIRECT, verifier: VERIFIER, audience: None };
        let proof = ClientAuthentication { id: &client.id, secret: None };
        let issued = actors.grants().exchange(&proof, &exchange, deadline()).await.expect("tokens");
        Self { http, url: format!("{}/mcp", stack.url), token: issued.access_token }
    }

    /// Calls a tool, and gives the time that it took.
    async fn call(&self, url: &str, tool: &str) -> Duration {
        self.timed(url, tool).await.0
    }

    /// Calls a tool, and gives the time that it took, and its answer.
    async fn timed(&self, url: &str, tool: &str) -> (Duration, String) {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": {}, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let request = self.http.post(url).bearer_auth(&self.token).body(body);
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let begun = Instant::now();
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), 200);
        let text = response.text().await.expect("a body");
        let spent = begun.elapsed();
        assert!(text.contains("\"ok\":true"), "{text}");
        (spent, text)
    }
}

/// What the bare route has: the stack, and what the tool answers.
#[derive(Clone)]
struct Bare(AppState, Arc<Value>);

/// The same call to storage, and the same answer.
async fn bare(State(Bare(state, answer)): State<Bare>, headers: HeaderMap, Json(_): Json<Value>) -> Json<Value> {
    let bearer = headers["authorization"].to_str().expect("a token").strip_prefix("Bearer ").expect("a token");
    let token = Token::parse(bearer).expect("a token");
    let credentials = Credentials::Bearer(bearer.to_owned());
    let from = Presented { credentials: &credentials, address: None };
    let visit = state.actors.visit_at(Audience::Mcp, &token.actor, &from, Wanted::default(), deadline()).await;
    assert!(visit.expect("a visit").is_some());
    Json(Value::clone(&answer))
}

async fn trivial(stack: &Running, client: &Client, samples: usize) -> bool {
    let answer = client.timed(&client.url, "trivial").await.1;
    let answer = Arc::new(serde_json::from_str(&answer).expect("JSON"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/bare", listener.local_addr().expect("an address"));
    let router = Router::new().route("/bare", post(bare)).with_state(Bare(stack.state.clone(), answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let per_round = samples.div_ceil(ROUNDS);
    let (mut tools, mut routes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let (mut tool, mut route) = (Vec::new(), Vec::new());
        // In turn, so that whatever else the machine does concerns both, and neither is always the first.
        for pair in 0..per_round {
            if pair % 2 == 0 {
                tool.push(client.call(&client.url, "trivial").await);
                route.push(client.call(&url, "trivial").await);
            } else {
                route.push(client.call(&url, "trivial").await);
                tool.push(client.call(&client.url, "trivial").await);
            }
        }
        if round > 0 {
            ratios.push(at(&mut tool, 50).as_secs_f64() / at(&mut route, 50).as_secs_f64());
            tools.extend(tool);
            routes.extend(route);
        }
    }
    server.abort();
    ratios.sort_unstable_by(f64::total_cmp);
    let (lowest, ratio, highest) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
    println!("| {ROUNDS} rounds of {per_round} calls each, in turn | p50 µs | p95 µs |");
    println!("|---|--:|--:|");
    for (what, times) in [("a trivial tool", &mut tools), ("a bare route", &mut routes)] {
        println!("| {what} | {} | {} |", at(times, 50).as_micros(), at(times, 95).as_micros());
    }
    println!("\nrounds differ: {lowest:.2} to {highest:.2}");
    claim("a tool costs at most 1.3 times a bare route", ratio <= 1.3, &format!("{ratio:.2}"))
}

async fn many(client: &Client, calls: usize) -> bool {
    let alone = client.call(&client.url, "slow").await;
    let mut times = join_all((0..calls).map(|_| client.call(&client.url, "slow"))).await;
    let (p50, p99) = (at(&mut times, 50), at(&mut times, 99));
    println!("\n| a tool that waits {WAIT:?} | s |\n|---|--:|");
    for (what, time) in [("one call alone", alone), ("p50", p50), ("p99", p99)] {
        let what = if time == alone { what.to_owned() } else { format!("{calls} at once, {what}") };
        println!("| {what} | {:.2} |", time.as_secs_f64());
    }
    println!();
    claim("many at once take less than twice as long as one", p99 < 2 * alone, &format!("{p99:?}"))
}

/// A percentile.
fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn claim(what: &str, holds: bool, measured: &str) -> bool {
    println!("{} {what}: {measured}", if holds { "holds" } else { "FAILS" });
    holds
}
