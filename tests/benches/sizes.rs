//! What requests take as an actor grows: latency and DynamoDB calls by the number of its properties and items.
//!
//! Everything runs in this process, over HTTP on loopback and the embedded engine in memory: it shows how time grows
//! with size, not what AWS would take. Prints a table in Markdown (`docs/benchmarks.md` keeps one).
//!
//! `cargo bench -p actingweb-tests --bench sizes -- [--samples N] [--sizes A,B,..]`
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for a terminal, which may stop at what it did not expect"
)]

use std::time::{Duration, Instant};

use actingweb_hooks::{App, HookError};
use actingweb_tests::{Owner, Site};
use serde_json::{Map, Value, json};

/// What is asked for on the command line.
struct Options {
    /// How often each request is made and timed.
    samples: usize,
    /// How many properties and items there are.
    sizes: Vec<usize>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { samples: 200, sizes: vec![10, 1_000, 20_000] };
        while let Some(argument) = arguments.next() {
            let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
            match argument.as_str() {
                "--samples" => options.samples = number(&arguments.next().unwrap_or_default())?,
                "--sizes" => {
                    let sizes = arguments.next().unwrap_or_default();
                    options.sizes = sizes.split(',').map(number).collect::<Result<_, _>>()?;
                }
                // What cargo passes to every benchmark.
                "--bench" => {}
                other => return Err(format!("`{other}` is unknown; there are --samples N and --sizes A,B,..")),
            }
        }
        if options.samples == 0 || options.sizes.contains(&0) {
            return Err("samples and sizes begin at 1".to_owned());
        }
        Ok(options)
    }
}

/// One line of the table.
struct Line {
    what: &'static str,
    size: usize,
    p50: Duration,
    p95: Duration,
    calls: usize,
    chain: usize,
}

/// An actor of one size.
struct Bench<'a> {
    site: &'a Site,
    size: usize,
    samples: usize,
    lines: Vec<Line>,
}

impl Bench<'_> {
    /// Times `request`, which must be repeatable, and counts the calls of one more.
    async fn of<T>(&mut self, what: &'static str, mut request: impl AsyncFnMut() -> T) {
        request().await;
        let mut times = Vec::with_capacity(self.samples);
        for _ in 0..self.samples {
            let start = Instant::now();
            request().await;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let (_, calls) = self.site.meter().measure(request()).await;
        let (calls, chain) = (calls.count(), calls.longest_chain());
        self.lines.push(Line { what, size: self.size, p50: at(50), p95: at(95), calls, chain });
    }
}

#[tokio::main]
async fn main() {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            println!("{problem}");
            std::process::exit(2);
        }
    };
    let mut lines = Vec::new();
    for size in &options.sizes {
        lines.extend(run(*size, options.samples).await);
    }
    print(&lines, &options.sizes);
}

async fn run(size: usize, samples: usize) -> Vec<Line> {
    let app = App::new("urn:actingweb:example.com:sizes").method("nothing", || Ok::<_, HookError>(json!({})));
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    fill(&ann, size).await;
    let value = json!({ "text": "one of many values", "n": 1 });
    let middle = json!({ "action": "insert", "item_index": size / 2, "item_value": value });
    let one = format!("/properties/p{}", size / 2);
    let (ann, middle, one, value) = (&ann, &middle, one.as_str(), &value);

    let mut bench = Bench { site: &site, size, samples, lines: Vec::new() };
    bench.of("GET one property", async || ann.get(one).await.expect(200)).await;
    bench.of("PUT one property", async || ann.put(one, value).await.expect(204)).await;
    bench.of("GET /properties", async || ann.get("/properties").await.expect(200)).await;
    bench.of("GET /properties?limit=100", async || ann.get("/properties?limit=100").await.expect(200)).await;
    bench.of("GET list?limit=100", async || ann.get("/properties/notes?limit=100").await.expect(200)).await;
    bench.of("append to a list", async || ann.post("/properties/notes", value).await.expect(201)).await;
    let insert = async || ann.post("/properties/notes/items", middle).await.expect(201);
    bench.of("insert in the middle of a list", insert).await;
    bench.of("call a method", async || ann.post("/methods/nothing", &json!({})).await.expect(200)).await;
    bench.lines
}

/// Gives an actor this many properties, and a list of as many items.
async fn fill(owner: &Owner, size: usize) {
    let value = |n: usize| json!({ "text": "one of many values", "n": n });
    owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    for from in (0..size).step_by(90) {
        let numbers = from..(from + 90).min(size);
        let values: Map<_, _> = numbers.clone().map(|n| (format!("p{n}"), value(n))).collect();
        owner.post("/properties", &values.into()).await.expect(201);
        let items: Vec<Value> = numbers.map(|n| json!({ "index": n, "n": n })).collect();
        owner.post("/properties", &json!({ "notes": { "items": items } })).await.expect(201);
    }
}

fn print(lines: &[Line], sizes: &[usize]) {
    let heads: Vec<String> = sizes.iter().map(|size| format!("{size}: p50 / p95 ms")).collect();
    println!("| request | {} | calls, longest chain |", heads.join(" | "));
    println!("|---|{}---|", "--:|".repeat(sizes.len()));
    for line in lines.iter().filter(|line| line.size == sizes[0]) {
        let row: Vec<&Line> = lines.iter().filter(|other| other.what == line.what).collect();
        let times: Vec<_> = row.iter().map(|line| format!("{} / {}", millis(line.p50), millis(line.p95))).collect();
        let mut calls: Vec<_> = row.iter().map(|line| format!("{}, {}", line.calls, line.chain)).collect();
        calls.dedup();
        println!("| {} | {} | {} |", line.what, times.join(" | "), calls.join(" · "));
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1_000.0)
}
