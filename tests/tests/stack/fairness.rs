//! Hooks that block threads do not hold up those that do not, and take no more threads than they may.
//!
//! What is compared was taken in one attempt: the median with and without two hundred blocking calls under way. A
//! machine that is busy with something else for a moment costs an attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_hooks::{App, HookError, Input, Limits, State, blocking};
use actingweb_tests::{Owner, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// How many callers of the blocking hook there are at any time.
const CALLERS: usize = 200;
/// How long the blocking hook keeps its thread.
const NAP: Duration = Duration::from_millis(300);
/// How many calls a median is taken of.
const SAMPLES: usize = 60;
const ATTEMPTS: usize = 4;

/// How many naps are being taken, and were at most.
#[derive(Default)]
struct Naps {
    now: AtomicUsize,
    most: AtomicUsize,
}

fn nap(State(naps): State<Arc<Naps>>) -> Result<bool, HookError> {
    let now = naps.now.fetch_add(1, Ordering::SeqCst) + 1;
    naps.most.fetch_max(now, Ordering::SeqCst);
    std::thread::sleep(NAP);
    naps.now.fetch_sub(1, Ordering::SeqCst);
    Ok(true)
}

fn plain(Input(value): Input<Value>) -> Result<Value, HookError> {
    Ok(value)
}

async fn waits(Input(value): Input<Value>) -> Result<Value, HookError> {
    tokio::task::yield_now().await;
    Ok(value)
}

/// The medians of calls of both hooks that do not block.
#[derive(Clone, Copy, Debug)]
struct Medians {
    plain: Duration,
    waits: Duration,
}

impl Medians {
    async fn take(owner: &Owner) -> Self {
        let (plain, waits) = tokio::join!(median(owner, "plain"), median(owner, "waits"));
        Self { plain, waits }
    }

    fn within_twice(self, idle: Self) -> bool {
        self.plain < 2 * idle.plain && self.waits < 2 * idle.waits
    }
}

async fn median(owner: &Owner, method: &str) -> Duration {
    let mut spans = Vec::with_capacity(SAMPLES);
    for number in 0..SAMPLES {
        let begun = Instant::now();
        let answer = owner.post(&format!("/methods/{method}"), &json!(number)).await;
        spans.push(begun.elapsed());
        assert_eq!(answer.expect(200).json(), json!(number));
    }
    spans.sort();
    spans[SAMPLES / 2]
}

/// Calls the blocking hook again and again until `enough`.
async fn caller(owner: &Owner, enough: &AtomicBool) {
    while !enough.load(Ordering::SeqCst) {
        assert_eq!(owner.post("/methods/nap", &json!({})).await.expect(200).json(), json!(true));
    }
}

/// The medians while two hundred callers wait for, or are in, the blocking hook.
async fn medians_under_load(owner: &Owner, naps: &Naps) -> Medians {
    let enough = AtomicBool::new(false);
    let callers = join_all((0..CALLERS).map(|_| caller(owner, &enough)));
    let measured = async {
        while naps.now.load(Ordering::SeqCst) < Limits::default().blocking_threads {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let medians = Medians::take(owner).await;
        enough.store(true, Ordering::SeqCst);
        medians
    };
    // Others that queue behind the naps, or naps that do not fill the pool, must not take for ever to be found out.
    let measured =
        async { timeout(100 * NAP, measured).await.expect("a pool that is full, and others who are served") };
    tokio::join!(callers, measured).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_hooks_hold_up_nobody_else() {
    let naps = Arc::new(Naps::default());
    let app = App::new("urn:actingweb:example.com:fairness").state(Arc::clone(&naps));
    let app = app.method("plain", plain).method("waits", waits).method("nap", blocking(nap));
    let site = Site::of(app).await;
    let owner = site.actor("ann").await;
    Medians::take(&owner).await;

    let mut seen = Vec::new();
    while seen.len() < ATTEMPTS {
        let idle = Medians::take(&owner).await;
        let loaded = medians_under_load(&owner, &naps).await;
        // Full, as there were callers enough, and never more.
        assert_eq!(naps.most.load(Ordering::SeqCst), Limits::default().blocking_threads);
        println!("idle {idle:?}, loaded {loaded:?}");
        if loaded.within_twice(idle) {
            return;
        }
        seen.push((idle, loaded));
    }
    panic!("blocking hooks hold up others (idle, loaded): {seen:#?}");
}
