//! Outbound HTTP.
//!
//! * [`PeerClient`] calls other actors, at URLs strangers chose. A [`Guard`] decides where such a call may go:
//!   `https` to public addresses only, judged again on every resolved address, no redirects, bounded in size and time.
//! * [`http_client`] builds the plain pooled client for services whose URLs the application's author chose.
//! * [`fan_out`] runs many calls at once and keeps every outcome.
//!
//! Calls are tried once unless [`PeerClient::with_retry`] says otherwise: deliveries keep an account of their own of what is
//! to be tried again, and nothing is tried again in two layers.

mod address;
mod client;
mod error;
mod exchange;
mod fan_out;
mod freshness;
mod guard;
mod http_client;
mod peer;
mod reply;
mod resolver;

pub use actingweb_protocol::retry::Retry;
pub use address::{AddressKind, address_kind};
pub use client::{Limits, PeerClient, PeerRequest};
pub use error::PeerError;
pub use fan_out::{Outcome, fan_out};
pub use guard::{Guard, Refusal, UnknownGuard};
pub use http_client::{HttpClientError, HttpSettings, http_client};
pub use peer::{PeerAddress, Secret};
pub use reply::PeerReply;
