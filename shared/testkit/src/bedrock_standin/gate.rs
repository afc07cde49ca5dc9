//! Streamed answers that wait for the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::lock;

/// Holds the pieces of streamed answers back until the test lets them through, so that it decides what happens in between.
/// All answers of a [`Script`](super::Script) with this gate share what is let through. Clones are the same gate.
///
/// ```
/// use actingweb_testkit::bedrock_standin::{BedrockStandin, Gate, Script};
///
/// # fn main() -> std::io::Result<()> {
/// let gate = Gate::new();
/// let bedrock = BedrockStandin::start(Script::new().reply("one two three").gate(&gate))?;
/// gate.let_through(1); // "one ", and nothing else
/// gate.open(); // the rest
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A gate that lets nothing through.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets this many further pieces of text through.
    pub fn let_through(&self, pieces: usize) {
        self.0.add_permits(pieces);
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(super) async fn pass(&self) {
        // A closed semaphore is an open gate.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

/// Gates that prompts name, for tests that cannot reach the stand-in: see [`Gates::of`].
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Gate>>);

impl Gates {
    /// Opens the gate `name` of a prompt with `[go:name]`, and gives the one of a prompt with `[wait:name]`.
    pub(super) fn of(&self, request: &Value) -> Option<Gate> {
        let text = request.to_string();
        let mut gates = lock(&self.0);
        if let Some(name) = named(&text, "[go:") {
            gates.entry(name).or_default().open();
        }
        named(&text, "[wait:").map(|name| gates.entry(name).or_default().clone())
    }
}

fn named(text: &str, mark: &str) -> Option<String> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_once(']').map(|(name, _)| name.to_owned())
}
