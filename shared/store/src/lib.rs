//! Actor state on DynamoDB.
//!
//! One table, one partition per actor (docs/architecture.md has the key schema). One module per aggregate; each
//! operation is one conditional write or one transaction, and each read that decides about access is strongly
//! consistent. Nothing scans, nothing is written on a read.

mod actors;
mod attributes;
mod credentials;
mod deletions;
mod due;
mod error;
mod item;
mod keys;
mod listing;
mod lists;
mod properties;
mod store;
mod table;
mod transaction;
mod writes;

pub use actors::{ActorRecord, CreateOutcome, NewActor, Snapshot, Wanted};
pub use attributes::Attribute;
pub use credentials::{PresentedSecret, Session, TrustCredential};
pub use due::{DueJob, DueWork};
pub use error::StoreError;
pub use lists::{Home, ListChange, ListItem, ListRecord};
pub use properties::{Change, Expect, Stored, StoredProperty, WriteOutcome};
pub use store::Store;
pub use writes::{MAX_TRANSACTION_ITEMS, Write};
