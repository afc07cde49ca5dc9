//! What every endpoint group shares.
//!
//! A group's handlers take an [`Incoming`] request, learn from [`Incoming::admit`] which actor it is about and what the
//! caller may do, and answer with a [`Reply`] or a [`Problem`]. [`serve`] puts around them what no handler should think about:
//! request ids, deadlines, panics, problem documents, the request log line.

mod admission;
mod apps;
mod authorization;
pub mod calls;
mod compression;
pub mod conditional;
pub mod events;
pub mod feeds;
mod idempotency;
mod incoming;
mod observe;
pub mod openapi;
mod origin;
pub mod paging;
mod path;
mod problem;
mod reply;
mod state;
mod telling;

pub use admission::{Admission, not_allowed};
pub use idempotency::{MAX_KEPT_ANONYMOUS_REPLY_BYTES, MAX_KEPT_REPLY_BYTES, passing};
pub use incoming::{Incoming, MAX_BODY_BYTES, Payload, Verb, accepts_html};
pub use observe::{ClientAddress, RequestContext, serve, subtree};
pub use problem::Problem;
pub use reply::{Reply, html, json, no_content, text};
pub use state::AppState;
pub use telling::Telling;
