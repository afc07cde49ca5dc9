//! A hook that computes for a while: on the blocking pool, where it keeps nobody waiting.

use std::fmt::Write as _;

use actingweb_hooks::prelude::*;
use ring::digest::{SHA256, digest};

use crate::bounded_text::BoundedText;

/// The most rounds one call may ask for: less than a second of one processor.
const MOST: u32 = 1_000_000;

/// What to make a fingerprint of.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Print {
    /// The text.
    text: BoundedText<10_000>,
    /// How often SHA-256 is applied; 10,000 times when left out.
    #[serde(default = "default_rounds")]
    #[schemars(range(min = 1, max = MOST))]
    rounds: u32,
}

const fn default_rounds() -> u32 {
    10_000
}

/// A fingerprint.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Fingerprint {
    /// SHA-256, applied as often as asked, in hexadecimal.
    sha256: String,
}

/// Method `fingerprint`, registered with `blocking(..)`.
pub(crate) fn fingerprint(Input(Print { text, rounds }): Input<Print>) -> Result<Fingerprint, HookError> {
    if !(1..=MOST).contains(&rounds) {
        return Err(HookError::invalid(format!("`rounds` must be 1 to {MOST}, not {rounds}")));
    }
    let mut hash = digest(&SHA256, text.as_bytes());
    for _ in 1..rounds {
        hash = digest(&SHA256, hash.as_ref());
    }
    let sha256 = hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(Fingerprint { sha256 })
}
