//! A proxy in front of a DynamoDB endpoint that counts calls and injects the faults an engine never has by itself.
//!
//! ```no_run
//! # use actingweb_testkit::{engine::Engine, meter::{Faults, Meter}};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::memory()?;
//! let meter = Meter::start(engine.url())?;
//! // ... a client of `meter.url()` ...
//! let (_reply, calls) = meter.measure(async { /* one request */ }).await;
//! assert_eq!((calls.count(), calls.longest_chain()), (3, 2));
//!
//! meter.inject(Faults { throttle: 0.3, seed: 1, ..Faults::default() });
//! # Ok(())
//! # }
//! ```
//!
//! Give every test an engine and a meter of its own: calls are not attributed to callers.

mod batch;
mod calls;
mod faults;
mod gate;
mod proxy;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::calls::{Call, Calls};
pub use self::faults::{Fault, Faults};
pub use self::gate::Held;
use self::gate::{At, Door, Gate};
use crate::background::Background;
use crate::rng::Rng;

/// How long [`Meter::measure`] makes every call take. Long beside what a busy machine needs to send a few calls side
/// by side, short enough for a test.
const MEASURED_LATENCY: Duration = Duration::from_millis(60);

/// Why a meter did not start.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// The target is not the URL of a plain HTTP endpoint.
    #[error("cannot meter {0:?}: give the endpoint as http://HOST:PORT")]
    Target(String),
    /// The system has no port or thread to give.
    #[error("cannot start the meter: {0}")]
    Start(#[from] io::Error),
}

/// A running proxy on a loopback port. Dropping it stops it at once.
#[derive(Debug)]
pub struct Meter {
    url: String,
    state: Arc<State>,
    // Held for its drop.
    _server: Background,
}

impl Meter {
    /// A proxy on any free loopback port in front of the DynamoDB endpoint at `target`, such as
    /// `http://127.0.0.1:8000`. Nothing is altered until [`Meter::inject`].
    ///
    /// # Errors
    ///
    /// [`MeterError::Target`] for anything but a plain `http` URL; [`MeterError::Start`] when there is no port.
    pub fn start(target: &str) -> Result<Self, MeterError> {
        let authority = proxy::authority(target).ok_or_else(|| MeterError::Target(target.to_owned()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let server =
            Background::spawn("dynamodb-meter", 1, move |finish| proxy::serve(listener, authority, shared, finish))?;
        Ok(Self { url, state, _server: server })
    }

    /// The endpoint URL to give to the SDK, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        Calls(self.state.lock().calls.values().cloned().collect())
    }

    /// Forgets the calls so far. Faults stay.
    pub fn reset(&self) {
        self.state.lock().calls.clear();
    }

    /// From now on calls suffer `faults`, instead of those injected before.
    pub fn inject(&self, faults: Faults) {
        let mut inner = self.state.lock();
        inner.faults = faults;
        inner.since_injection = 0;
        inner.struck = 0;
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.inject(Faults::none());
    }

    /// Holds the next `count` calls of an operation before the engine sees them, until what is returned is dropped.
    #[must_use]
    pub fn hold_calls(&self, operation: &str, count: usize) -> Held {
        self.hold(operation, At::Call, count)
    }

    /// Holds the replies to the next `count` calls of an operation, which the engine has carried out by then.
    #[must_use]
    pub fn hold_replies(&self, operation: &str, count: usize) -> Held {
        self.hold(operation, At::Reply, count)
    }

    fn hold(&self, operation: &str, at: At, left: usize) -> Held {
        let door = Arc::new(Door::closed());
        let gate = Gate { operation: operation.to_owned(), at, left, door: Arc::clone(&door) };
        self.state.lock().gates.push(gate);
        Held(door)
    }

    /// Does `work` and returns what it returned with the calls it made.
    ///
    /// Meanwhile every call takes at least 60 ms, so that calls made side by side overlap and
    /// [`Calls::longest_chain`] tells them from calls that waited for one another. Forgets earlier calls.
    pub fn measure<F: Future>(&self, work: F) -> impl Future<Output = (F::Output, Calls)> {
        // Futures of SDK calls are large; boxed here, so that the tests need not.
        let work = Box::pin(work);
        async move {
            self.reset();
            self.state.lock().hold = MEASURED_LATENCY;
            let release = Release(&self.state);
            let output = work.await;
            drop(release);
            (output, self.calls())
        }
    }
}

/// Ends the added latency, also when a measurement is abandoned.
struct Release<'a>(&'a State);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.lock().hold = Duration::ZERO;
    }
}

/// What the proxy and its owner share.
#[derive(Debug, Default)]
struct State(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By number, so that a call which ends after a reset finds nothing to update.
    calls: BTreeMap<u64, Call>,
    /// Calls ever seen.
    seen: u64,
    faults: Faults,
    /// Calls seen since the faults were injected.
    since_injection: u64,
    /// Faults that have struck since then.
    struck: u64,
    /// The latency a measurement adds.
    hold: Duration,
    gates: Vec<Gate>,
}

/// What is to happen to one call.
struct Plan {
    number: u64,
    fault: Option<(Fault, Rng)>,
    latency: Duration,
    /// Where it waits for a test.
    held: Option<(At, Arc<Door>)>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whatever panicked while it held the lock has left the counts whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call that has arrived and decides its fate.
    fn begin(&self, operation: &str, started: Instant, request: Bytes) -> Plan {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let number = inner.seen;
        inner.seen += 1;
        let nth = inner.since_injection;
        inner.since_injection += 1;
        let spent = inner.faults.limit.is_some_and(|limit| inner.struck >= limit);
        let fault = if spent { None } else { inner.faults.strike(nth, operation) };
        if fault.is_some() {
            inner.struck += 1;
        }
        inner.gates.retain(|gate| gate.left > 0);
        let gate = inner.gates.iter_mut().find(|gate| gate.operation == operation);
        let held = gate.map(|gate| {
            gate.left -= 1;
            (gate.at, Arc::clone(&gate.door))
        });
        let call = Call {
            operation: operation.to_owned(),
            started,
            ended: None,
            request,
            status: None,
            fault: fault.as_ref().map(|(fault, _)| *fault),
        };
        inner.calls.insert(number, call);
        Plan { number, fault, latency: inner.faults.latency.max(inner.hold), held }
    }

    /// Notes how call `number` ended.
    fn end(&self, number: u64, status: Option<u16>) {
        if let Some(call) = self.lock().calls.get_mut(&number) {
            call.ended = Some(Instant::now());
            call.status = status;
        }
    }
}
