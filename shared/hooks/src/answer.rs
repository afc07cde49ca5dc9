//! What hooks return, and how it is recognised: now, later or on the pool.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::error::HookError;
use crate::kind::{Action, Bot, Callback, Kind, Lifecycle, MayStream, Method, Property, Resource, Subscription};
use crate::property::Verdict;
use crate::schema::{self, Schema};
use crate::streamed::{self, Parts, Streamed};
use crate::streaming::MethodAnswer;

/// What a hook of kind `K` may return. Not implemented outside this crate.
///
/// | kind | result |
/// |---|---|
/// | `Method`, `Action`, `Resource`, `Callback` | `Result<T, HookError>`, `T: Serialize + JsonSchema`; `()`, `null` and `None` mean "returned nothing" |
/// | `Method` | also `Result<Streamed<T>, HookError>`, `T: Serialize + JsonSchema`: piece by piece |
/// | `Property` | `Result<Verdict, HookError>` |
/// | `Lifecycle`, `Subscription` | `Result<(), HookError>` |
/// | `Bot` | `Result<bool, HookError>`: whether it took the message; `Result<(), HookError>`: it always does |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a hook of kind `{K}` can return",
    label = "this hook returns, or resolves to, `{Self}`",
    note = "method, action and resource hooks return `Result<T, HookError>` where `T: Serialize + JsonSchema`",
    note = "method hooks, and no others, may return `Result<Streamed<T>, HookError>` where `T: Serialize + JsonSchema`",
    note = "property hooks return `Result<Verdict, HookError>`, lifecycle and subscription hooks `Result<(), HookError>`",
    note = "for another error type use `?`, or `.map_err(HookError::terminal)?`"
)]
pub trait IntoAnswer<K: Kind> {
    /// The engine's view of it.
    ///
    /// # Errors
    /// The hook's own error; [`HookError::Terminal`] when its value cannot be written as JSON.
    fn into_answer(self) -> Result<K::Answer, HookError>;

    /// The JSON Schema of what is returned, for kinds that answer with JSON.
    #[doc(hidden)]
    fn schema() -> Option<Schema> {
        None
    }

    /// Whether it comes piece by piece.
    #[doc(hidden)]
    fn streams() -> bool {
        false
    }
}

macro_rules! answers_with_json {
    ($($kind:ty),*) => {$(
        impl<T: Serialize + JsonSchema> IntoAnswer<$kind> for Result<T, HookError> {
            fn into_answer(self) -> Result<Value, HookError> {
                serde_json::to_value(self?).map_err(HookError::terminal)
            }

            fn schema() -> Option<Schema> {
                schema::of_output::<T>()
            }
        }
    )*};
}
answers_with_json!(Action, Resource, Callback);

impl<T: Serialize + JsonSchema> IntoAnswer<Method> for Result<T, HookError> {
    fn into_answer(self) -> Result<MethodAnswer, HookError> {
        serde_json::to_value(self?).map(MethodAnswer::Whole).map_err(HookError::terminal)
    }

    fn schema() -> Option<Schema> {
        schema::of_output::<T>()
    }
}

impl<K: MayStream, T: Serialize + JsonSchema + 'static> IntoAnswer<K> for Result<Streamed<T>, HookError> {
    fn into_answer(self) -> Result<MethodAnswer, HookError> {
        Ok(MethodAnswer::Streamed(Parts::of(self?)))
    }

    /// Of the whole, which callers get that take no stream.
    fn schema() -> Option<Schema> {
        if streamed::is_text::<T>() { schema::of_output::<T>() } else { schema::of_output::<Vec<T>>() }
    }

    fn streams() -> bool {
        true
    }
}

impl IntoAnswer<Property> for Result<Verdict, HookError> {
    fn into_answer(self) -> Self {
        self
    }
}

impl IntoAnswer<Lifecycle> for Result<(), HookError> {
    fn into_answer(self) -> Self {
        self
    }
}

impl IntoAnswer<Subscription> for Result<(), HookError> {
    fn into_answer(self) -> Self {
        self
    }
}

impl IntoAnswer<Bot> for Result<bool, HookError> {
    fn into_answer(self) -> Self {
        self
    }
}

impl IntoAnswer<Bot> for Result<(), HookError> {
    fn into_answer(self) -> Result<bool, HookError> {
        self.map(|()| true)
    }
}

/// How a hook's result arrives. The engine treats each differently.
#[doc(hidden)]
pub enum Arrival<T, F> {
    /// It is here: a plain `fn`.
    Now(T),
    /// It is a future: an `async fn`.
    Later(F),
    /// It must be computed where blocking does no harm.
    OnPool(Box<dyn FnOnce() -> T + Send>),
}

/// What a call of a hook's function gives, told apart by its type: a `Result`, a future of one, or work for the pool.
/// `Mode` is inferred.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a hook can return",
    label = "this hook returns `{Self}`",
    note = "a hook is `fn(..) -> Result<T, HookError>` or `async fn(..) -> Result<T, HookError>`"
)]
pub trait Returns<Mode> {
    /// What arrives in the end.
    type Output;
    /// What has to be awaited for it, if anything.
    type Future: Future<Output = Self::Output>;
    /// When it arrives.
    fn arrival(self) -> Arrival<Self::Output, Self::Future>;
}

/// Modes of [`Returns`].
#[doc(hidden)]
#[derive(Debug)]
pub enum Plain {}
#[doc(hidden)]
#[derive(Debug)]
pub enum Async {}
#[doc(hidden)]
#[derive(Debug)]
pub enum Pooled {}

/// `Result`, behind a trait: with two blanket implementations of [`Returns`] to choose from, a type that is neither
/// result nor future gets that trait's own message, not "is not a future".
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`blocking` takes a plain `fn` that returns a `Result`, this one returns `{Self}`",
    label = "not a plain `fn(..) -> Result<T, HookError>`",
    note = "register an `async fn` as it is, without `blocking`: it is awaited and holds no thread",
    note = "to await inside a blocking hook take the `Wait` extractor: `wait.on(future)?`"
)]
pub trait PlainResult {}
impl<T, E> PlainResult for Result<T, E> {}

impl<R: PlainResult> Returns<Plain> for R {
    type Output = R;
    type Future = std::future::Ready<R>;
    fn arrival(self) -> Arrival<R, Self::Future> {
        Arrival::Now(self)
    }
}

impl<F: Future> Returns<Async> for F {
    type Output = F::Output;
    type Future = F;
    fn arrival(self) -> Arrival<F::Output, F> {
        Arrival::Later(self)
    }
}

/// A call still to be made, on the pool.
#[doc(hidden)]
pub struct OnPoolCall<R>(pub(crate) Box<dyn FnOnce() -> R + Send>);

impl<R> Returns<Pooled> for OnPoolCall<R> {
    type Output = R;
    type Future = std::future::Pending<R>;
    fn arrival(self) -> Arrival<R, Self::Future> {
        Arrival::OnPool(self.0)
    }
}
