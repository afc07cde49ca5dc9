//! What a subscriber does with what it is told: in which order diffs are applied, and what a diff does to the data that
//! is kept of a peer.
//!
//! [`sequence`] decides about order, [`diff`] about data, [`lenient`] reads what peers of any implementation send.

pub mod diff;
pub mod lenient;
pub mod sequence;

pub use diff::{Applied, Kept, Remote, Touched, announced_lists, apply, baseline, touched};
pub use sequence::{Arrival, MAX_PENDING, MAX_PENDING_BYTES, Pending, Queue};
