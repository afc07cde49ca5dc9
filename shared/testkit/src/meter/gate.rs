//! Calls that wait until a test lets them go on: what happens in between is the test's to decide.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Where a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Before the engine sees it.
    Call,
    /// When the engine has carried it out, before the caller hears of it.
    Reply,
}

/// The calls that wait.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) operation: String,
    pub(super) at: At,
    /// How many more calls are to wait.
    pub(super) left: usize,
    pub(super) door: Arc<Door>,
}

#[derive(Debug)]
pub(super) struct Door {
    arrived: Semaphore,
    open: Semaphore,
}

impl Door {
    pub(super) fn closed() -> Self {
        Self { arrived: Semaphore::new(0), open: Semaphore::new(0) }
    }

    /// Waits at the door.
    pub(super) async fn pass(&self) {
        self.arrived.add_permits(1);
        // Only an open door is ever closed as a semaphore is.
        let _ = self.open.acquire().await;
    }
}

/// Calls that are held, until this is dropped.
#[derive(Debug)]
pub struct Held(pub(super) Arc<Door>);

impl Held {
    /// Waits until one more call stands at the gate.
    pub async fn arrived(&self) {
        if let Ok(permit) = self.0.arrived.acquire().await {
            permit.forget();
        }
    }

    /// Lets all of them go on, and those that come.
    pub fn release(self) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open.close();
    }
}
