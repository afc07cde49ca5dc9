//! Panics, caught: one costs one call, never the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Stop;

/// Runs `work`, turning a panic into [`Stop::Panicked`].
///
/// Asserting unwind safety is sound for hooks: what a panicking call owned is dropped, and what it shared (handles,
/// `State`) guards itself, as a poisoned `Mutex` does.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Stop::Panicked(message(payload.as_ref())))
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(no message)".to_owned()
    }
}
