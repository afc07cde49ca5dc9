//! Awaiting inside a blocking hook.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::FromCall;
use crate::call::{Call, Shared};
use crate::error::HookError;
use crate::kind::MayBlock;

/// How a [`blocking`](crate::blocking) hook awaits something: its thread waits, the runtime does the work. Only
/// blocking hooks can have it; anywhere else it would hold up every other request, and does not compile.
///
/// ```
/// # use actingweb_hooks::{Actor, App, HookError, Wait, blocking};
/// fn digest(actor: Actor, wait: Wait) -> Result<usize, HookError> {
///     let notes = wait.on(actor.property("notes"))??;
///     Ok(notes.map_or(0, |notes| notes.to_string().len()))
/// }
/// let app = App::new("urn:actingweb:example.com:demo").method("digest", blocking(digest));
/// ```
#[derive(Clone, Debug)]
pub struct Wait(Arc<Shared>);

impl<K: MayBlock> FromCall<K> for Wait {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(Arc::clone(&call.shared)))
    }
}

impl Wait {
    /// Waits for `future` and gives its output.
    ///
    /// # Errors
    /// [`HookError::Retryable`] when the hook's deadline passes first. The caller has its 504 by then: return, so that
    /// the thread is free again.
    pub fn on<F: Future>(&self, future: F) -> Result<F::Output, HookError> {
        let end = Instant::from_std(self.0.deadline.instant());
        let bounded = async { tokio::time::timeout_at(end, future).await };
        self.0.runtime.block_on(bounded).map_err(|_| HookError::retryable("the hook ran out of time"))
    }
}
