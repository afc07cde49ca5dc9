//! From an author's function to something the engine can start.
//!
//! Three steps, each with one job so that the compiler can name what is wrong: [`HookFn`] takes the function apart
//! into arguments and result, [`Arguments`] makes each argument from the call, [`Returns`] tells a result from a
//! future and from work for the pool.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::answer::{Arrival, IntoAnswer, OnPoolCall, PlainResult, Returns};
use crate::call::Call;
use crate::error::HookError;
use crate::extract::{FromCall, Signature};
use crate::kind::{Kind, OnPool};

/// A function that can be a hook of kind `K`. `M` is inferred; nobody implements this but the crate.
///
/// A hook is `fn` or `async fn`, of up to eight arguments that implement [`FromCall<K>`], returning what
/// [`IntoAnswer<K>`] accepts: `Result<T, HookError>` in most cases.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hook of kind `{K}`",
    label = "not a hook",
    note = "a hook is an `fn` or `async fn` of up to eight extractors, each taken by value",
    note = "it is named, not called: `.method(\"weather\", weather)`",
    note = "closures need the types of their arguments written out"
)]
pub trait Hook<K: Kind, M>: Send + Sync + 'static {
    /// Makes the arguments and starts the function.
    #[doc(hidden)]
    fn start(self: &Arc<Self>, call: &Call<K>) -> Step<K::Answer>;

    /// What the function's types tell.
    #[doc(hidden)]
    fn signature() -> Signature;
}

/// How far a hook has come after it was started.
#[doc(hidden)]
pub enum Step<A> {
    /// It is done.
    Done(Result<A, HookError>),
    /// It waits to be awaited.
    Await(BoxFuture<'static, Result<A, HookError>>),
    /// It waits for a thread.
    Block(Box<dyn FnOnce() -> Result<A, HookError> + Send>),
}

/// A function taken apart into argument types and result.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hook",
    label = "not a hook",
    note = "a hook is an `fn` or `async fn` of up to eight extractors taken by value, `Send + Sync + 'static`",
    note = "closures need the types of their arguments written out"
)]
pub trait HookFn<M>: Send + Sync + 'static {
    /// Its arguments, as a tuple.
    type Args;
    /// What it returns.
    type Output;
    /// Where it runs.
    type Place: Place;
    /// Calls it.
    fn invoke(this: &Arc<Self>, args: Self::Args) -> Self::Output;
}

/// Where a hook's function runs: it decides what kind of call its arguments are made from.
#[doc(hidden)]
pub trait Place {
    /// `K` there.
    type Of<K: Kind>: Kind<Payload = K::Payload>;
    /// The call there.
    fn at<K: Kind>(call: &Call<K>) -> Call<Self::Of<K>>;
}

/// On the thread the request is served on.
#[doc(hidden)]
#[derive(Debug)]
pub enum Inline {}
impl Place for Inline {
    type Of<K: Kind> = K;
    fn at<K: Kind>(call: &Call<K>) -> Call<K> {
        call.clone()
    }
}

/// On the blocking pool.
#[doc(hidden)]
#[derive(Debug)]
pub enum Pool {}
impl Place for Pool {
    type Of<K: Kind> = OnPool<K>;
    fn at<K: Kind>(call: &Call<K>) -> Call<OnPool<K>> {
        call.on_pool()
    }
}

/// Arguments made from a call of kind `K`, first to last.
#[doc(hidden)]
pub trait Arguments<K: Kind>: Sized + Send + 'static {
    /// Makes them all, or gives the first one's error.
    fn from_call(call: &Call<K>) -> Result<Self, HookError>;
    /// Notes what each needs and takes.
    fn describe(signature: &mut Signature);
}

macro_rules! functions_of {
    ($($arg:ident),*) => {
        impl<F, R, $($arg),*> HookFn<fn($($arg),*) -> R> for F
        where
            F: Fn($($arg),*) -> R + Send + Sync + 'static,
        {
            type Args = ($($arg,)*);
            type Output = R;
            type Place = Inline;

            #[allow(non_snake_case, reason = "the arguments are named after their types")]
            fn invoke(this: &Arc<Self>, ($($arg,)*): Self::Args) -> R {
                this($($arg),*)
            }
        }

        impl<K: Kind, $($arg: FromCall<K>),*> Arguments<K> for ($($arg,)*) {
            #[allow(unused_variables, clippy::unused_unit, reason = "for the function without arguments")]
            fn from_call(call: &Call<K>) -> Result<Self, HookError> {
                Ok(($($arg::from_call(call)?,)*))
            }

            #[allow(unused_variables, reason = "for the function without arguments")]
            fn describe(signature: &mut Signature) {
                $($arg::describe(signature);)*
            }
        }
    };
}
functions_of!();
functions_of!(A);
functions_of!(A, B);
functions_of!(A, B, C);
functions_of!(A, B, C, D);
functions_of!(A, B, C, D, E);
functions_of!(A, B, C, D, E, G);
functions_of!(A, B, C, D, E, G, H);
functions_of!(A, B, C, D, E, G, H, I);

/// A plain function that runs on the blocking pool. Made by [`blocking`].
#[derive(Debug)]
pub struct Blocking<F>(Arc<F>);

/// Runs a plain hook on the blocking pool: for CPU-heavy work and for libraries that block.
///
/// Other requests go on meanwhile. The pool has [`Limits::blocking_threads`](crate::Limits::blocking_threads) threads;
/// waiting for one counts against the hook's deadline. A thread cannot be stopped: past its deadline the caller is
/// answered 504, the thread goes on and keeps its place until the function returns. To await something inside, take
/// [`Wait`](crate::Wait).
///
/// ```
/// use actingweb_hooks::{App, HookError, Input, blocking};
///
/// fn fingerprint(Input(text): Input<String>) -> Result<u64, HookError> {
///     Ok(text.bytes().fold(0, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte)))
/// }
/// let app = App::new("urn:actingweb:example.com:demo").method("fingerprint", blocking(fingerprint));
/// ```
pub fn blocking<F, M>(hook: F) -> Blocking<F>
where
    F: HookFn<M>,
    F::Output: PlainResult,
{
    Blocking(Arc::new(hook))
}

impl<F, M> HookFn<OnPool<M>> for Blocking<F>
where
    F: HookFn<M>,
    F::Args: Send + 'static,
    F::Output: PlainResult,
{
    type Args = F::Args;
    type Output = OnPoolCall<F::Output>;
    type Place = Pool;

    fn invoke(this: &Arc<Self>, args: Self::Args) -> Self::Output {
        let hook = Arc::clone(&this.0);
        OnPoolCall(Box::new(move || F::invoke(&hook, args)))
    }
}

impl<K, F, M, Mode> Hook<K, (M, Mode)> for F
where
    K: Kind,
    F: HookFn<M>,
    F::Args: Arguments<<F::Place as Place>::Of<K>>,
    F::Output: Returns<Mode>,
    <F::Output as Returns<Mode>>::Output: IntoAnswer<K> + 'static,
    <F::Output as Returns<Mode>>::Future: Send + 'static,
{
    fn start(self: &Arc<Self>, call: &Call<K>) -> Step<K::Answer> {
        let args = match F::Args::from_call(&F::Place::at(call)) {
            Ok(args) => args,
            Err(error) => return Step::Done(Err(error)),
        };
        match F::invoke(self, args).arrival() {
            Arrival::Now(result) => Step::Done(result.into_answer()),
            Arrival::Later(future) => Step::Await(Box::pin(async move { future.await.into_answer() })),
            Arrival::OnPool(work) => Step::Block(Box::new(move || work().into_answer())),
        }
    }

    fn signature() -> Signature {
        let mut signature = Signature::new(std::any::type_name::<F>());
        F::Args::describe(&mut signature);
        signature.output = <<F::Output as Returns<Mode>>::Output as IntoAnswer<K>>::schema();
        signature.streams = <<F::Output as Returns<Mode>>::Output as IntoAnswer<K>>::streams();
        signature
    }
}
