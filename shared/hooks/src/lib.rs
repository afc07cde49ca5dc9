//! The hook-dispatch crate: what an application author sees, and what runs it.
//!
//! An application is functions, registered by name and kind on an [`App`]. Arguments are extractors ([`FromCall`]),
//! results are `Result<T, HookError>`; whether a function is plain, `async` or [`blocking`] is told from its type.
//! [`App::build`] turns it into [`Hooks`], which the framework's endpoints call.

mod answer;
mod app;
mod as_task;
mod block_on;
mod bot;
mod budget;
mod build;
mod call;
mod dispatch;
mod engine;
mod error;
mod extract;
mod hook;
mod info;
mod kind;
mod mcp;
mod panics;
mod peers;
mod property;
mod registry;
mod resources;
mod schedules;
mod schema;
mod services;
mod sign_in;
mod streamed;
mod streaming;
mod tasks;
mod watchdog;

pub use actingweb_actor::peers::{
    About, Capabilities, Capability, Known, NoPeer, Options, Peer, PeerCallError, PeerGroup, PeerOutcome, Peers,
    Profile,
};
pub use actingweb_actor::schedules::{PastRun, Schedule};
pub use actingweb_actor::services::{Account, ServiceCallError, ServiceRequest};
pub use actingweb_actor::{Actor, AttributeList, Caller, Directory, DirectoryError, Found, ListEdit, ListError};
pub use actingweb_bedrock::{Allowance, Bedrock, BedrockBudget, BedrockError, BudgetSpent, Per, Usage};
pub use actingweb_peer::{Outcome, PeerError, PeerReply};
pub use actingweb_protocol::permission::{Category, Operation, PermissionOverride, Rules, TrustDefinition};
pub use actingweb_protocol::retry::Retry;
pub use actingweb_protocol::schedule::{NewSchedule, Timing};
pub use actingweb_providers::{Service, ServiceCredentials};
pub use answer::IntoAnswer;
pub use app::App;
pub use as_task::TaskRules;
pub use block_on::{BlockOnError, block_on};
pub use bot::{BotMessage, BotToken};
pub use build::{BuildError, Problem};
pub use call::{Call, Event, EventKind, Invocation, Op, PeerChange, SubscriptionEvent, TrustEvent};
pub use dispatch::{CallOutcome, HookRun, Hooks};
pub use error::{BoxError, HookError, HookFailure};
pub use extract::{
    Context, FromCall, GuardedHttp, Http, Input, Now, Random, Services, Signature, State, Task, TaskHandle, Wait,
};
pub use hook::{Blocking, Hook, blocking};
pub use info::{Annotations, AppInfo, HookInfo};
pub use kind::{
    Action, Bot, Callback, Kind, Lifecycle, MayBlock, Method, OnPool, Property, Resource, Subscription,
    TakesBotMessage, TakesChange, TakesEvent, TakesInput, TakesProperty, TakesTask,
};
pub use mcp::{
    AiClient, Ask, CANCEL_TASK_TOOL, GET_TASK_TOOL, Icon, McpCall, McpClient, McpHook, McpInfo, McpItem, McpItems,
    PromptMessages, Question, Reply, ResourceContent, ToolContent, UriTemplate, UriTemplateError,
};
pub use property::{Filtered, PropertyAccess, Verdict};
pub use resources::{Init, Limits, Resources};
pub use schedules::Schedules;
pub use schema::Schema;
pub use sign_in::{EmailEvent, SignInEvent};
pub use streamed::{Outlet, Parts, Streamed};
pub use streaming::{Collected, MAX_COLLECTED_BYTES, MethodAnswer, MethodReply, StreamPart, Streaming};
pub use tasks::Tasks;

// What the types of hooks' inputs and outputs derive: the versions this crate understands.
pub use {schemars, serde, serde_json};

/// Compiles the examples of the authors' guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/hooks.md")]
struct Guide;

/// What most applications need: `use actingweb_hooks::prelude::*`.
pub mod prelude {
    pub use std::time::Duration;

    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};

    pub use crate::EventKind::{
        ActorCreated, ActorDeleted, ActorDeletedComplete, EmailVerificationRequired, EmailVerified, OauthSuccess,
        SubscriptionDeleted, TrustDeleted, TrustFullyApprovedLocal, TrustFullyApprovedRemote, TrustInitiated,
        TrustRequestReceived,
    };
    pub use crate::{
        Actor, AiClient, Annotations, App, Ask, Bedrock, BedrockBudget, BotMessage, Caller, Context, Directory, Event,
        GuardedHttp, HookError, Http, Init, Input, Now, Op, Outcome, Peer, PeerChange, PeerOutcome, Peers, Per,
        PropertyAccess, Random, Retry, Service, Services, State, Streamed, Task, Verdict, Wait, blocking,
    };
}
