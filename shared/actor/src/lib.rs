//! The domain: who an actor is, who is calling, and what can be done with an actor's state.
//!
//! [`Actor`] is the handle that hooks and handlers work with; [`Actors`] creates and finds them. Permissions are decided
//! before: these operations do what they are told, within the limits of [`limits`].

mod actor;
mod actors;
mod bulk;
mod credentials;
mod error;
pub mod limits;
mod lists;

pub use actingweb_protocol::permission::Caller;
pub use actingweb_store::{Attribute, Change, ListItem, ListRecord, Stored, StoredProperty};
pub use actor::Actor;
pub use actors::{Actors, CreateActor, CreateError, CreatedActor, Presented, Visit, VisitError};
pub use bulk::{BulkItems, BulkWrite};
pub use credentials::{Credentials, SESSION_PREFIX};
pub use error::ActorError;
pub use lists::{ListEdit, ListError};
