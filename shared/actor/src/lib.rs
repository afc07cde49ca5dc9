//! The domain: who an actor is, who is calling, and what can be done with an actor's state.
//!
//! [`Actor`] is the handle that hooks and handlers work with; [`Actors`] creates and finds them. Permissions are decided
//! before: these operations do what they are told, within the limits of [`limits`].

mod actor;
mod actors;
mod announce;
mod attribute_lists;
mod attributes;
mod bulk;
mod carried;
mod clients;
mod credentials;
mod directory;
mod error;
pub mod feeds;
pub mod grants;
mod identities;
pub mod limits;
mod lists;
mod numbering;
mod once;
mod operations;
pub mod peers;
mod rates;
mod readers;
mod requests;
pub mod schedules;
pub mod services;
mod sign_in;
mod spending;
mod subscriptions;
mod tasks;
mod tokens;
mod trustee;
pub mod trusts;

pub use actingweb_protocol::Rank;
pub use actingweb_protocol::permission::Caller;
pub use actingweb_store::{
    Attribute, Change, ClientAuthMethod, ClientGrant, ClientRecord, Diff, FeedRecord, FirstPage, IdentityRecord,
    ListItem, ListRecord, LogEntry, LoggedChange, Stored, StoredAttribute, StoredProperty, SubscriptionRecord, Told,
    TrustRecord, UnlinkOutcome, Wanted,
};
pub use actor::Actor;
pub use actors::{Actors, CreateActor, CreateError, CreatedActor, Presented, Visit, VisitError};
pub use announce::scope;
pub use attribute_lists::AttributeList;
pub use bulk::{BulkItems, BulkWrite};
pub use clients::{Clients, NewClient, Registered};
pub use credentials::Credentials;
pub use directory::{Directory, DirectoryError, Found};
pub use error::ActorError;
pub use feeds::{FeedError, Feeds};
pub use grants::{GrantError, Grants, Issued, SessionKind};
pub use identities::{Entry, Identified, Identity, Linked};
pub use lists::{ListEdit, ListError};
pub use numbering::{Outstanding, Publishing};
pub use once::Once;
pub use rates::{Rate, RateLimits, network};
pub use readers::{access_of, readable};
pub use requests::{Execution, Named, NamedRequest};
pub use sign_in::SignInError;
pub use spending::Spending;
pub use subscriptions::{MAX_SUBSCRIPTIONS, SubscribeError};
pub use tasks::{AskTask, DueTask, ReadyTask, rights_now};
pub use tokens::{CallingClient, TokenRefused};
pub use trusts::{TrustError, TrustRules, TrustStep, Trusted, Trusts};
