//! What the hook engine costs, and what it carries.
//!
//! 1. Dispatch of a trivial hook (the caller's rights, the registry, the engine, extraction, serialisation) beside one
//!    `GetItem` of the SDK on the embedded engine.
//! 2. The watchdog, on and off, over HTTP.
//! 3. Many calls at once of a method that waits for a service: their latencies beside that of one call alone, and the
//!    threads of the process.
//!
//! Everything runs in this process, on loopback and the embedded engine in memory. Each claim compares numbers of one run,
//! is printed with `holds` or `FAILS` (`docs/benchmarks.md` keeps a run), and one that fails makes the program fail.
//!
//! `cargo bench -p actingweb-tests --bench dispatch -- [--samples N] [--calls N]`
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for a terminal, which may stop at what it did not expect"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{CallOutcome, Category, Hooks, Invocation, Limits, Operation, Resources};
use actingweb_local::{Options, Running, start_app};
use actingweb_peer::{Guard, HttpSettings, PeerClient};
use actingweb_protocol::Deadline;
use actingweb_runtime::{Environment, SystemClock, SystemEntropy};
use actingweb_tests::Owner;
use futures_util::future::join_all;

const URN: &str = "urn:actingweb:example.com:dispatch";

/// How long the service takes that the many calls wait for.
const SERVICE: Duration = Duration::from_secs(2);

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: f64,
    b: f64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: f64,
}

fn add(Input(q): Input<Add>) -> Result<Sum, HookError> {
    Ok(Sum { sum: q.a + q.b })
}

async fn add_later(Input(q): Input<Add>) -> Result<Sum, HookError> {
    Ok(Sum { sum: q.a + q.b })
}

/// Waits for a service.
async fn forecast(http: Http, services: Services) -> Result<Value, HookError> {
    let url = services.join("weather", "weather")?;
    Ok(http.get(url).query(&[("city", "Oslo")]).send().await?.error_for_status()?.json().await?)
}

fn app() -> App {
    App::new(URN).method("add", add).method("add_later", add_later).method("forecast", forecast)
}

struct Asked {
    samples: usize,
    calls: usize,
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { samples: 2_000, calls: 1_000 };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let text = arguments.next().unwrap_or_default();
            text.parse().ok().filter(|n| *n > 0).ok_or(format!("`{text}` is no number above 0"))
        };
        match argument.as_str() {
            "--samples" => asked.samples = number()?,
            "--calls" => asked.calls = number()?,
            // What cargo passes to every benchmark.
            "--bench" => {}
            other => return Err(format!("`{other}` is unknown; there are --samples N and --calls N")),
        }
    }
    Ok(asked)
}

fn main() -> std::process::ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(problem) => {
            println!("{problem}");
            return std::process::ExitCode::from(2);
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let holds = runtime.block_on(async {
        let stack = start_app(Options::in_memory(), Environment::default(), app()).await.expect("a stack");
        let dispatch = dispatch(&stack, asked.samples).await;
        let watchdog = watchdog(&stack, asked.samples).await;
        let many = many(&stack, asked.calls).await;
        stack.stop().await;
        dispatch && watchdog && many
    });
    std::process::ExitCode::from(u8::from(!holds))
}

/// The times of `work`, sorted.
async fn times(samples: usize, mut work: impl AsyncFnMut()) -> Vec<Duration> {
    for _ in 0..samples / 10 {
        work().await;
    }
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        let begun = Instant::now();
        work().await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    times
}

fn at(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

fn line(what: &str, times: &[Duration]) {
    let micros = |percent| at(times, percent).as_secs_f64() * 1e6;
    println!("| {what} | {:.1} | {:.1} | {:.1} |", micros(50), micros(95), micros(99));
}

fn claim(what: &str, holds: bool) -> bool {
    println!("\n{what}: {}\n", if holds { "holds" } else { "FAILS" });
    holds
}

fn head(what: &str) {
    println!("| {what} | p50 µs | p95 µs | p99 µs |\n|---|--:|--:|--:|");
}

async fn dispatch(stack: &Running, samples: usize) -> bool {
    let state = &stack.state;
    let call = async |name: &'static str| {
        let access = state.hooks.policy().access(Caller::Creator, None);
        access.check(Category::Methods, name, Operation::Call).expect("the creator may");
        let invocation = Invocation {
            actor: None,
            caller: access.caller().clone(),
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            deadline: Deadline::after(Instant::now(), Duration::from_secs(29)),
            mcp: None,
        };
        let sent: Value = serde_json::from_slice(black_box(br#"{"a": 1.5, "b": 2.5}"#)).expect("JSON");
        match state.hooks.call_method(&invocation, name, Op::Post, sent).await {
            CallOutcome::Answer(answer) => black_box(serde_json::to_vec(&answer).expect("JSON")),
            other => panic!("{other:?}"),
        };
    };
    let get_item = times(samples, async || state.actors.store().prime().await.expect("an item")).await;
    let plain = times(samples, async || call("add").await).await;
    let later = times(samples, async || call("add_later").await).await;
    head("one of");
    line("GetItem, SDK to embedded engine", &get_item);
    line("dispatch of a plain hook", &plain);
    line("dispatch of an async hook", &later);
    let tenth = at(&get_item, 50) / 10;
    claim("dispatch takes less than a tenth of a GetItem", at(&plain, 50) < tenth && at(&later, 50) < tenth)
}

/// Two servers over the same storage that differ in nothing but the watchdog, asked in turn.
async fn watchdog(stack: &Running, samples: usize) -> bool {
    let (on, _on) = serve(stack, Limits::default()).await;
    let (off, _off) = serve(stack, Limits { watchdog: None, ..Limits::default() }).await;
    let sum = json!({ "a": 1.5, "b": 2.5 });
    let one = async |owner: &Owner| {
        let begun = Instant::now();
        owner.post("/methods/add_later", &sum).await.expect(200);
        begun.elapsed()
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..samples / 10 {
        one(&on).await;
        one(&off).await;
    }
    // In turn, so that whatever else the machine does meets both alike.
    for _ in 0..samples {
        without.push(one(&off).await);
        with.push(one(&on).await);
    }
    with.sort_unstable();
    without.sort_unstable();
    head("a method over HTTP");
    line("watchdog off", &without);
    line("watchdog on", &with);
    let (off, on) = (at(&without, 50), at(&with, 50));
    let noise = at(&without, 75).saturating_sub(at(&without, 25));
    claim("the watchdog costs less than what requests differ by anyway", on < off + noise)
}

async fn serve(stack: &Running, limits: Limits) -> (Owner, tokio::task::JoinHandle<()>) {
    let mut state = stack.state.clone();
    state.hooks = build(limits).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move {
        axum::serve(listener, actingweb_local::router(state)).await.expect("a server");
    });
    (Owner::create(client(), &url, "ann").await, server)
}

/// The same application with other limits.
async fn build(limits: Limits) -> Hooks {
    let settings = HttpSettings::default();
    let entropy = Arc::new(SystemEntropy::new());
    let resources = Resources {
        http: client(),
        peers: PeerClient::new(&settings, Guard::Loopback, actingweb_peer::Limits::default()).expect("a client"),
        actors: None,
        bedrock: Bedrock::new(None, None, entropy.clone()),
        directory: Directory::default(),
        services: BTreeMap::new(),
        clock: Arc::new(SystemClock),
        entropy,
        limits,
    };
    app().build(resources).await.expect("hooks")
}

async fn many(stack: &Running, calls: usize) -> bool {
    let owner = Owner::create(client(), &stack.url, "ann").await;
    let services = stack.services().expect("stand-ins");
    let call = async || {
        let begun = Instant::now();
        owner.post("/methods/forecast", &Value::Null).await.expect(200);
        begun.elapsed()
    };
    call().await;
    services.set_delay(SERVICE);
    let alone = call().await;
    let before = threads();
    let counter = Counter::start();
    let mut all = join_all((0..calls).map(|_| call())).await;
    let during = counter.most();
    all.sort_unstable();
    let seconds = |time: Duration| time.as_secs_f64();
    println!("| a method that waits {} s for a service | s |\n|---|--:|", SERVICE.as_secs());
    println!("| one call alone | {:.2} |", seconds(alone));
    println!("| {calls} at once, p50 | {:.2} |", seconds(at(&all, 50)));
    println!("| {calls} at once, p99 | {:.2} |", seconds(at(&all, 99)));
    println!("| threads of the process before, during | {before}, {during} |");
    let no_thread_each = during < before + 16;
    let in_time = claim("p99 of all at once is below twice one call alone", at(&all, 99) < alone * 2);
    claim("calls that wait hold no thread", no_thread_each) && in_time
}

/// Counts the threads of the process until it is asked for the most there were.
struct Counter {
    done: Arc<AtomicBool>,
    counting: std::thread::JoinHandle<usize>,
}

impl Counter {
    fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&done);
        let counting = std::thread::spawn(move || {
            let mut most = 0;
            while !until.load(Ordering::Relaxed) {
                most = most.max(threads());
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        Self { done, counting }
    }

    fn most(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.counting.join().expect("a count")
    }
}

/// How many threads the process has; 0 where the system does not say it in this way.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn client() -> reqwest::Client {
    actingweb_peer::http_client(&HttpSettings::default()).expect("a client")
}
