//! The kinds of hooks, as types: they decide at compile time which arguments and results a hook may have.

use std::fmt;

use serde_json::Value;

use crate::bot::BotMessage;
use crate::call::{Event, Operation, PeerChange};
use crate::property::{PropertyAccess, Verdict};
use crate::streaming::MethodAnswer;

mod sealed {
    pub trait Sealed {}
}

/// A kind of hook. Write an extractor of your own for every kind with `impl<K: Kind> FromCall<K> for Mine`.
pub trait Kind: sealed::Sealed + Send + Sync + 'static {
    /// What the kind is called in messages and logs.
    const NAME: &'static str;
    /// What a call brings besides the context every kind has.
    type Payload: fmt::Debug + Send + Sync + 'static;
    /// What the engine makes of the hook's result.
    type Answer: fmt::Debug + Send + 'static;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $payload:ty => $answer:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $kind {}
        impl sealed::Sealed for $kind {}
        impl Kind for $kind {
            const NAME: &'static str = $name;
            type Payload = $payload;
            type Answer = $answer;
        }
    )*};
}

kinds! {
    /// Hooks behind `/{actor}/methods/{name}`: computations, answered with JSON, also piece by piece.
    Method = "method", Operation => MethodAnswer;
    /// Hooks behind `/{actor}/actions/{name}`: things done in the world, answered with JSON.
    Action = "action", Operation => Value;
    /// Hooks behind `/{actor}/resources/{name}`: REST resources of the application's own.
    Resource = "resource", Operation => Value;
    /// Hooks around a property: they see each read and write and may change, hide or refuse it.
    Property = "property", PropertyAccess => Verdict;
    /// Hooks behind `/{actor}/callbacks/{name}`: what others send an actor unasked, answered with JSON.
    Callback = "callback", Operation => Value;
    /// Hooks behind `/bot`: what services send to the application as a whole, of no actor. They say whether they took it.
    Bot = "bot", BotMessage => bool;
    /// Hooks that are told what changed at a peer.
    Subscription = "subscription", PeerChange => ();
    /// Hooks that are told what happened to an actor.
    Lifecycle = "lifecycle", Event => ();
}

/// The kind `K`, run on the blocking pool: what [`blocking`](crate::blocking) makes of it.
#[derive(Clone, Copy, Debug)]
pub struct OnPool<K>(std::marker::PhantomData<fn() -> K>);

impl<K: Kind> sealed::Sealed for OnPool<K> {}
impl<K: Kind> Kind for OnPool<K> {
    const NAME: &'static str = K::NAME;
    type Payload = K::Payload;
    type Answer = K::Answer;
}

/// Kinds whose call brings data: method, action, resource and callback.
#[diagnostic::on_unimplemented(
    message = "`Input<T>` and `Op` are not arguments of a hook of kind `{Self}`",
    label = "this hook asks for `Input<T>` or `Op`",
    note = "a `Property` hook takes `PropertyAccess`, a `Lifecycle` hook takes `Event`",
    note = "`Input<T>` and `Op` are for hooks registered with `.method`, `.action`, `.resource` or `.callback`"
)]
pub trait TakesInput: Kind<Payload = Operation> {}
impl TakesInput for Method {}
impl TakesInput for Action {}
impl TakesInput for Resource {}
impl TakesInput for Callback {}
impl<K: TakesInput> TakesInput for OnPool<K> {}

/// Kinds that may run as tasks.
#[diagnostic::on_unimplemented(
    message = "`Task` is not an argument of a hook of kind `{Self}`",
    label = "this hook asks for `Task`",
    note = "only actions run as tasks: register it with `.action(name, hook).as_task()`",
    note = "for tasks beside a hook, joined before its reply, see `Context::tasks`"
)]
pub trait TakesTask: Kind<Payload = Operation> {}
impl TakesTask for Action {}
impl<K: TakesTask> TakesTask for OnPool<K> {}

/// Kinds whose call is about a property.
#[diagnostic::on_unimplemented(
    message = "`PropertyAccess` is not an argument of a hook of kind `{Self}`",
    label = "this hook asks for `PropertyAccess`",
    note = "register it with `.property(name, hook)`, or take `Input<T>` for what the caller sent"
)]
pub trait TakesProperty: Kind<Payload = PropertyAccess> {}
impl TakesProperty for Property {}
impl<K: TakesProperty> TakesProperty for OnPool<K> {}

/// Kinds whose call is about an event.
#[diagnostic::on_unimplemented(
    message = "`Event` is not an argument of a hook of kind `{Self}`",
    label = "this hook asks for `Event`",
    note = "register it with `.on(event, hook)`, or take `Input<T>` for what the caller sent"
)]
pub trait TakesEvent: Kind<Payload = Event> {}
impl TakesEvent for Lifecycle {}
impl<K: TakesEvent> TakesEvent for OnPool<K> {}

/// Kinds whose call is about a change of a peer.
#[diagnostic::on_unimplemented(
    message = "`PeerChange` is not an argument of a hook of kind `{Self}`",
    label = "this hook asks for `PeerChange`",
    note = "register it with `.subscription(target, hook)`, or take `Input<T>` for what the caller sent"
)]
pub trait TakesChange: Kind<Payload = PeerChange> {}
impl TakesChange for Subscription {}
impl<K: TakesChange> TakesChange for OnPool<K> {}

/// Kinds whose call is a message to the application.
#[diagnostic::on_unimplemented(
    message = "`BotMessage` is not an argument of a hook of kind `{Self}`",
    label = "this hook asks for `BotMessage`",
    note = "register it with `.bot(hook)`, or take `Input<T>` for what the caller sent"
)]
pub trait TakesBotMessage: Kind<Payload = BotMessage> {}
impl TakesBotMessage for Bot {}
impl<K: TakesBotMessage> TakesBotMessage for OnPool<K> {}

/// Kinds whose function may block: those of [`blocking`](crate::blocking).
#[diagnostic::on_unimplemented(
    message = "`Wait` would block the runtime in a hook of kind `{Self}` that is not `blocking`",
    label = "this hook takes `Wait`",
    note = "register it with `blocking(hook)`, or make it an `async fn` and use `.await`"
)]
pub trait MayBlock: Kind {}
impl<K: Kind> MayBlock for OnPool<K> {}

/// Kinds whose hooks may answer piece by piece: methods. Nobody awaits the pieces of the others.
#[doc(hidden)]
pub trait MayStream: Kind<Answer = MethodAnswer> {}
impl MayStream for Method {}
