//! What a meter saw: calls, how many, and how many of them had to wait for one another.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

use super::Fault;

/// One call that came through the meter, retries and failed ones included.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) operation: String,
    pub(super) started: Instant,
    pub(super) ended: Option<Instant>,
    pub(super) request: Bytes,
    pub(super) status: Option<u16>,
    pub(super) fault: Option<Fault>,
}

impl Call {
    /// The operation as the API names it, such as `GetItem`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// When the request's head had arrived.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// When the reply was ready to leave, or was lost; `None` while the call is under way.
    #[must_use]
    pub const fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// Size of the request's body in bytes.
    #[must_use]
    pub const fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// The request's body; `None` when it is not JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.request).ok()
    }

    /// The status of the reply; `None` while the call is under way or when its connection was closed without one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// The fault injected into this call, if any.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }
}

/// The calls seen since the start or the last [`Meter::reset`](super::Meter::reset), in the order they arrived.
#[derive(Clone, Debug, Default)]
pub struct Calls(pub(super) Vec<Call>);

impl Calls {
    /// How many calls there were.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// How many calls of `operation` there were.
    #[must_use]
    pub fn count_of(&self, operation: &str) -> usize {
        self.iter().filter(|call| call.operation == operation).count()
    }

    /// How many calls had a fault injected.
    #[must_use]
    pub fn faulted(&self) -> usize {
        self.iter().filter(|call| call.fault.is_some()).count()
    }

    /// The operations by name, in the order they arrived.
    #[must_use]
    pub fn operations(&self) -> Vec<&str> {
        self.iter().map(Call::operation).collect()
    }

    /// The length of the longest sequence of calls in which each started after the one before had ended: what a
    /// caller waits for, in round trips.
    ///
    /// Calls made side by side overlap only if they take longer than it takes to make them. Take the calls from
    /// [`Meter::measure`](super::Meter::measure), which sees to that.
    #[must_use]
    pub fn longest_chain(&self) -> usize {
        // The most calls that do not overlap: always go on with the one that ends first.
        let mut ended: Vec<_> = self.iter().filter_map(|call| call.ended.map(|ended| (ended, call.started))).collect();
        ended.sort_unstable();
        let mut chain = 0;
        let mut free_from = None;
        for (end, start) in ended {
            if free_from.is_none_or(|free_from| start >= free_from) {
                chain += 1;
                free_from = Some(end);
            }
        }
        // A call still under way can only be the last of a chain.
        let one_more =
            self.iter().any(|call| call.ended.is_none() && free_from.is_none_or(|free_from| call.started >= free_from));
        chain + usize::from(one_more)
    }

    /// The calls one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Call> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Calls {
    type Item = &'a Call;
    type IntoIter = std::slice::Iter<'a, Call>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Calls from their (start, end) in milliseconds.
    fn calls(spans: &[(u64, Option<u64>)]) -> Calls {
        let epoch = Instant::now();
        let moment = |millis| epoch + Duration::from_millis(millis);
        let call = |&(start, end): &(u64, Option<u64>)| Call {
            operation: "GetItem".to_owned(),
            started: moment(start),
            ended: end.map(moment),
            request: Bytes::new(),
            status: None,
            fault: None,
        };
        Calls(spans.iter().map(call).collect())
    }

    #[test]
    fn chains_count_calls_that_waited() {
        for (spans, chain) in [
            (&[][..], 0),
            (&[(0, Some(1))], 1),
            (&[(0, Some(9)), (1, Some(10))], 1),
            (&[(0, Some(1)), (1, Some(2)), (5, Some(6))], 3),
            // One long call beside three short ones: the short ones decide.
            (&[(0, Some(9)), (0, Some(1)), (2, Some(3)), (4, Some(5))], 3),
            (&[(0, Some(1)), (2, Some(5)), (2, Some(4)), (3, Some(6))], 2),
            (&[(0, Some(1)), (2, None)], 2),
            (&[(0, Some(3)), (2, None)], 1),
            (&[(0, None), (1, None)], 1),
        ] {
            assert_eq!(calls(spans).longest_chain(), chain, "{spans:?}");
        }
    }
}
