//! Many calls at once, every outcome kept.

use std::future::Future;

use actingweb_protocol::Deadline;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

/// How one of many concurrent calls ended. Serialises as `{"outcome": "ok", "value": ..}`,
/// `{"outcome": "error", "error": ..}` or `{"outcome": "timed_out"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<T, E> {
    /// It gave a value.
    Ok {
        /// The value.
        value: T,
    },
    /// It failed.
    Error {
        /// Why.
        error: E,
    },
    /// The deadline came first, or came before its turn did.
    TimedOut,
}

impl<T, E> Outcome<T, E> {
    /// The value, if there is one.
    #[must_use]
    pub fn ok(self) -> Option<T> {
        match self {
            Self::Ok { value } => Some(value),
            Self::Error { .. } | Self::TimedOut => None,
        }
    }

    /// Whether it gave a value.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// As a result, with an error of the caller's for running out of time.
    ///
    /// # Errors
    /// The call's own error, or `timed_out()`.
    pub fn into_result(self, timed_out: impl FnOnce() -> E) -> Result<T, E> {
        match self {
            Self::Ok { value } => Ok(value),
            Self::Error { error } => Err(error),
            Self::TimedOut => Err(timed_out()),
        }
    }

    /// The same outcome with its value mapped.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U, E> {
        match self {
            Self::Ok { value } => Outcome::Ok { value: map(value) },
            Self::Error { error } => Outcome::Error { error },
            Self::TimedOut => Outcome::TimedOut,
        }
    }

    /// The same outcome with its error mapped.
    pub fn map_err<F>(self, map: impl FnOnce(E) -> F) -> Outcome<T, F> {
        match self {
            Self::Ok { value } => Outcome::Ok { value },
            Self::Error { error } => Outcome::Error { error: map(error) },
            Self::TimedOut => Outcome::TimedOut,
        }
    }
}

impl<T, E> From<Result<T, E>> for Outcome<T, E> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Ok { value },
            Err(error) => Self::Error { error },
        }
    }
}

/// Runs `call` on every target, at most `concurrency` at a time, and returns every outcome in the order of the
/// targets: a failure is data, not the end of the others. What has not ended at `deadline` is dropped and
/// `TimedOut`; what has not begun by then is never begun. A `concurrency` of 0 counts as 1.
///
/// The calls share the caller's task, so they may borrow from it; they overlap wherever they wait.
pub async fn fan_out<I, T, E, F>(
    targets: I,
    concurrency: usize,
    deadline: Deadline,
    mut call: impl FnMut(I::Item) -> F,
) -> Vec<Outcome<T, E>>
where
    I: IntoIterator,
    F: Future<Output = Result<T, E>>,
{
    let end = Instant::from_std(deadline.instant());
    let mut waiting = targets.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut outcomes = Vec::new();
    loop {
        while running.len() < concurrency.max(1) {
            let Some((index, target)) = waiting.next() else { break };
            if Instant::now() >= end {
                outcomes.push((index, Outcome::TimedOut));
                continue;
            }
            running.push(bounded(index, end, call(target)));
        }
        match running.next().await {
            Some(outcome) => outcomes.push(outcome),
            None => break,
        }
    }
    outcomes.sort_unstable_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn bounded<T, E>(index: usize, end: Instant, call: impl Future<Output = Result<T, E>>) -> (usize, Outcome<T, E>) {
    let outcome = tokio::time::timeout_at(end, call).await.map_or(Outcome::TimedOut, Outcome::from);
    (index, outcome)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    fn within(millis: u64) -> Deadline {
        Deadline::after(Instant::now().into_std(), Duration::from_millis(millis))
    }

    async fn answer_after(millis: u64) -> Result<u64, String> {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        match millis % 2 {
            0 => Ok(millis),
            _ => Err(format!("{millis} is odd")),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_outcome_comes_back_in_the_order_of_the_targets() {
        let outcomes = fan_out([300, 1, 200, 5000, 0], 10, within(1000), answer_after).await;
        let expected = [
            Outcome::Ok { value: 300 },
            Outcome::Error { error: "1 is odd".to_owned() },
            Outcome::Ok { value: 200 },
            Outcome::TimedOut,
            Outcome::Ok { value: 0 },
        ];
        assert_eq!(outcomes, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_calls_overlap_up_to_the_bound() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let begun = Instant::now();
        let outcomes = fan_out(0..10, 4, within(10_000), async |n: u32| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_millis(100)).await;
            running.set(running.get() - 1);
            Ok::<_, ()>(n)
        })
        .await;
        assert_eq!(outcomes.into_iter().filter_map(Outcome::ok).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert_eq!(most.get(), 4);
        // Ten calls of 100 ms, four at a time: three rounds.
        assert_eq!(begun.elapsed().as_millis(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_call_does_not_hold_up_the_others() {
        let begun = Instant::now();
        let targets = [1000, 100, 100, 100, 100, 100, 100];
        let outcomes = fan_out(targets, 2, within(10_000), answer_after).await;
        assert!(outcomes.iter().all(Outcome::is_ok));
        assert_eq!(begun.elapsed().as_millis(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_not_begun_by_the_deadline_is_never_begun() {
        let begun = Cell::new(0);
        let outcomes = fan_out(0..6, 2, within(150), async |_| {
            begun.set(begun.get() + 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok::<_, ()>(())
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
        assert_eq!(outcomes.len(), 6);
        assert_eq!(begun.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn no_targets_no_outcomes_and_a_bound_of_zero_still_moves() {
        assert_eq!(fan_out([], 3, within(10), answer_after).await, []);
        assert_eq!(fan_out([2], 0, within(10), answer_after).await, [Outcome::Ok { value: 2 }]);
    }

    #[test]
    fn the_future_may_cross_threads_and_borrow() {
        fn assert_send(_: &impl Send) {}
        let names = ["a".to_owned(), "b".to_owned()];
        let deadline = Deadline::at(std::time::Instant::now());
        let future = fan_out(&names, 2, deadline, |name| async move { Ok::<_, ()>(name.len()) });
        assert_send(&future);
    }

    #[test]
    fn outcomes_serialise_with_a_tag() {
        let outcomes: [Outcome<u8, &str>; 3] =
            [Outcome::Ok { value: 1 }, Outcome::Error { error: "no" }, Outcome::TimedOut];
        assert_eq!(
            serde_json::to_string(&outcomes).unwrap(),
            r#"[{"outcome":"ok","value":1},{"outcome":"error","error":"no"},{"outcome":"timed_out"}]"#
        );
    }
}
