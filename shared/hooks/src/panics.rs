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

/// What a panic said, at most 200 characters of it.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").chars().take(200).collect()
}
