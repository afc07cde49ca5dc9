//! Extractors: the arguments of hooks.

mod context;
mod data;
mod outside;
mod state;
mod task;
mod wait;

use std::any::TypeId;

pub use context::{Context, Now, Random};
pub use data::Input;
pub(crate) use data::read_input;
pub use outside::{GuardedHttp, Http, Services};
pub use state::State;
pub(crate) use state::States;
pub use task::{Task, TaskHandle};
pub use wait::Wait;

use crate::call::Call;
use crate::error::HookError;
use crate::kind::Kind;
use crate::schema::Schema;

/// What can be an argument of a hook of kind `K`.
///
/// Every kind: [`Actor`](crate::Actor), [`Option<Actor>`], [`Context`], [`Http`], [`GuardedHttp`], [`Peers`](crate::Peers),
/// [`Bedrock`](crate::Bedrock), [`Services`], [`Directory`](crate::Directory), [`State<S>`], [`Now`], [`Random`],
/// [`Schedules`](crate::Schedules).
/// Method, action and resource:
/// [`Input<T>`], `Option<Input<T>>`, [`Op`](crate::Op). Property: [`PropertyAccess`](crate::PropertyAccess).
/// Subscription: [`PeerChange`](crate::PeerChange). Lifecycle: [`Event`](crate::Event). Inside [`blocking`](crate::blocking): [`Wait`].
/// Action that is a task: [`Task`].
///
/// # Your own
/// Build it from others. Extractors are made before the hook starts and do no I/O: keep handles in them.
///
/// ```
/// use actingweb_hooks::{Call, FromCall, HookError, Http, Kind, Services, Signature};
///
/// struct Weather { http: Http, services: Services }
///
/// impl<K: Kind> FromCall<K> for Weather {
///     fn from_call(call: &Call<K>) -> Result<Self, HookError> {
///         Ok(Self { http: Http::from_call(call)?, services: Services::from_call(call)? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an argument of a hook of kind `{K}`",
    label = "this hook has an argument of type `{Self}`, which is not an extractor here",
    note = "extractors are taken by value: `actor: Actor`, not `actor: &Actor`",
    note = "what the caller sent is `Input<{Self}>`; what the application registered with `.state(..)` is `State<{Self}>`",
    note = "the documentation of `actingweb_hooks::FromCall` lists every extractor and how to write your own"
)]
pub trait FromCall<K: Kind>: Sized + Send + 'static {
    /// Makes the argument.
    ///
    /// # Errors
    /// What the caller is told when it cannot be made; the hook does not run then.
    fn from_call(call: &Call<K>) -> Result<Self, HookError>;

    /// Tells at start what the argument needs and takes. An extractor built from others passes this on to those that
    /// need something: `State::<S>::describe(signature)`.
    fn describe(signature: &mut Signature) {
        let _ = signature;
    }
}

/// Tells whether an input fits.
pub(crate) type InputCheck = fn(&serde_json::Value) -> Result<(), HookError>;

/// What the types of a hook's function tell about it.
#[derive(Debug)]
pub struct Signature {
    /// The function's path, for logs and start-up errors.
    pub(crate) function: &'static str,
    /// The shared states it takes.
    pub(crate) states: Vec<(TypeId, &'static str)>,
    pub(crate) input: Option<Schema>,
    /// Whether it is about the task that it runs as.
    pub(crate) needs_task: bool,
    /// What tells whether the input fits, without running the hook.
    pub(crate) checks: Vec<InputCheck>,
    pub(crate) output: Option<Schema>,
    /// Whether what it answers comes piece by piece.
    pub(crate) streams: bool,
}

impl Signature {
    pub(crate) const fn new(function: &'static str) -> Self {
        Self {
            function,
            states: Vec::new(),
            input: None,
            needs_task: false,
            checks: Vec::new(),
            output: None,
            streams: false,
        }
    }
}
