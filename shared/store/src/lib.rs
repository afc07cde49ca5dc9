//! Actor state on DynamoDB.
//!
//! One table, one partition per actor (docs/architecture.md has the key schema). One module per aggregate; each
//! operation is one conditional write or one transaction, and each read that decides about access is strongly
//! consistent. Nothing scans, nothing is written on a read.

mod actors;
mod attributes;
mod budgets;
mod changes;
mod clients;
mod credentials;
mod deletions;
mod deliveries;
mod density;
mod diffs;
mod due;
mod error;
mod feeds;
mod fence;
mod grants;
mod identities;
mod item;
mod keys;
mod known;
mod large;
mod listing;
mod lists;
mod log_view;
mod lookups;
mod notices;
mod once;
mod pages;
mod properties;
mod rates;
mod requests;
mod schedules;
mod services;
mod store;
mod subscriptions;
mod table;
mod tasks;
mod transaction;
mod trustee;
mod trusts;
mod writes;

pub use actors::{ActorRecord, CreateOutcome, NewActor, Snapshot, Wanted};
pub use attributes::{Attribute, StoredAttribute};
pub use changes::{LogEntry, LogHead, LoggedChange, MAX_CHANGE_BYTES, Told};
pub use clients::{ClientAuthMethod, ClientRecord, MAX_OWNED_CLIENTS};
pub use credentials::{PresentedSecret, TrustCredential};
pub use deliveries::{DeadLetter, Letter, Redriven};
pub use diffs::{Diff, MAX_NUMBERED};
pub use due::{DueJob, DueWork};
pub use error::StoreError;
pub use feeds::{ACKNOWLEDGE_AFTER, FeedRecord, GAP_TIMEOUT, Generation, GrantRecord, Received, Taken};
pub use grants::{ClientGrant, ConsentOutcome, GrantKind, GrantOutcome, GrantedCode, IssuedTokens};
pub use identities::{IdentityOutcome, IdentityRecord, LinkOutcome, UnlinkOutcome};
pub use known::{Fact, FactRecord, KnownPeer, MAX_FACT_BYTES};
pub use listing::FirstPage;
pub use lists::{Home, ListChange, ListItem, ListRecord};
pub use log_view::LogView;
pub use lookups::{FoundActors, MAX_CANDIDATES};
pub use notices::{Notice, NoticeKind};
pub use properties::{Change, Stored, StoredProperty};
pub use requests::{Claim, RequestKey, RequestRecord};
pub use schedules::{REMEMBERED_RUNS, SchedulePage, ScheduleRecord, ScheduleRun, ScheduleState, Scheduled};
pub use services::{NewServiceTokens, ServiceRecord};
pub use store::Store;
pub use subscriptions::{DELIVERY_LEASE, Miss, Settled, Standing, Subscribed, SubscriptionRecord};
pub use tasks::{Beat, Cancel, HeldTask, NewTask, TaskEnd, TaskJob, TaskKey, TaskRecord};
pub use trustee::{TrusteeChange, TrusteeOutcome};
pub use trusts::{Breaker, NextSecret, PENDING_FOR, PendingTrusts, TrustOutcome, TrustRecord, TrustedClient};
pub use writes::{Decision, LOG_ITEMS, MAX_TRANSACTION_ITEMS, Write};
