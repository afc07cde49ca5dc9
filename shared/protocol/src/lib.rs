//! ActingWeb's wire types and pure rules.
//!
//! Everything here is a value or a function of its arguments: no I/O, no async, no ambient clock and no ambient
//! randomness. What needs time or randomness takes a [`Clock`] or an [`Entropy`].

pub mod budget;
mod environment;
pub mod feed;
mod ids;
pub mod json;
mod keys;
mod name;
pub mod nested;
pub mod oauth;
pub mod options;
pub mod permission;
pub mod rank;
pub mod retry;
pub mod schedule;
mod seal;
pub mod subscription;
pub mod task;
pub mod trust_types;

pub use environment::{Clock, Deadline, Entropy, Timestamp};
pub use ids::{ActorId, ActorIdError, Creator, CreatorError, PeerId, PeerIdError, random_hex};
pub use keys::{Keys, KeysError, Purpose, sha256_hex, sha256_hex_of_parts};
pub use name::{MAX_NAME_BYTES, Name, NameError, PropertyPath};
pub use rank::{Rank, RankError};
pub use seal::SealError;
