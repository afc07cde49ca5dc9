//! How many calls a stand-in has had, and how many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Load {
    calls: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Load {
    /// Counts a call that lasts until the returned value is dropped, be it answered or given up by its caller.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        Entered(Arc::clone(self))
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Entered(Arc<Load>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_at_once_is_remembered() {
        let load = Arc::new(Load::default());
        let (first, second) = (load.enter(), load.enter());
        drop(first);
        drop(load.enter());
        drop(second);
        drop(load.enter());
        assert_eq!((load.calls(), load.most()), (4, 2));
    }
}
