//! The one way from sync code into async code.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle};

/// Why [`block_on`] did not run its future.
#[derive(Debug, thiserror::Error)]
pub enum BlockOnError {
    /// The calling thread belongs to an async runtime: blocking it would hold up, or deadlock, everything else on it.
    #[error(
        "`block_on` was called inside an async runtime, whose thread it would block: in an `async fn` use `.await`, in a \
         hook registered with `blocking(..)` take the `Wait` extractor and call `wait.on(future)`"
    )]
    InsideRuntime,
    /// The system refused what a runtime needs: file descriptors or threads.
    #[error("no runtime could be started")]
    NoRuntime(#[source] io::Error),
}

/// Runs a future to its end on the calling thread: for scripts, tests and other programs without a runtime, such as
/// calling an `async` hook from a plain `main`.
///
/// It starts a small runtime of its own, so it is no way to await something in a hook: there it errs.
///
/// ```
/// use actingweb_hooks::{BlockOnError, HookError, block_on};
///
/// async fn answer() -> Result<u8, HookError> { Ok(42) }
/// assert_eq!(block_on(answer())?.unwrap(), 42);
///
/// let inside = block_on(async { block_on(answer()) })?;
/// assert!(matches!(inside, Err(BlockOnError::InsideRuntime)));
/// # Ok::<(), BlockOnError>(())
/// ```
///
/// # Errors
/// [`BlockOnError::InsideRuntime`] when called inside a runtime, on its blocking threads too. Never panics for that.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, BlockOnError> {
    if Handle::try_current().is_ok() {
        return Err(BlockOnError::InsideRuntime);
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(BlockOnError::NoRuntime)?;
    Ok(runtime.block_on(future))
}
