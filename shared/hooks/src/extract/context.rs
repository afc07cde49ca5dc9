//! The call's circumstances: who, which, until when.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::Caller;
use actingweb_peer::Outcome;
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Deadline, Entropy, Timestamp, random_hex};
use tokio::time::Instant;

use super::FromCall;
use crate::call::{Call, Op, Shared};
use crate::error::HookError;
use crate::kind::Kind;
use crate::tasks::Tasks;

/// The most futures that [`Context::join_all`] has under way.
const JOINED_AT_ONCE: usize = 64;

/// The circumstances of this call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Shared>);

impl<K: Kind> FromCall<K> for Context {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(Arc::clone(&call.shared)))
    }
}

impl Context {
    /// The name that was called; for a `*` hook the one the caller asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name the hook is registered under; `*` for a wildcard.
    #[must_use]
    pub fn hook(&self) -> &str {
        &self.0.hook
    }

    /// What the caller does; `None` in lifecycle hooks.
    #[must_use]
    pub fn op(&self) -> Option<Op> {
        self.0.op
    }

    /// Who calls. Whether they may was decided before.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.invocation.caller
    }

    /// The request's id: name it in what you send on, so that logs can be joined.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.0.invocation.request_id
    }

    /// When this hook ends, whatever it does.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    /// How long this hook may still run.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.deadline.remaining(Instant::now().into_std())
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.surroundings.clock.now()
    }

    /// Tasks beside the hook, joined before the reply leaves.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks::new(Arc::clone(&self.0))
    }

    /// Awaits all of these at once and returns every outcome, in their order: one that fails or runs out of time is data,
    /// not the end of the others. The same deadline as for [`fan_out`](Self::fan_out), which also bounds how many are
    /// under way and is the one for lists whose length others decide; here at most 64 are.
    ///
    /// ```
    /// # use actingweb_hooks::{Context, HookError, Http, Outcome, Services};
    /// async fn sources(http: Http, services: Services, ctx: Context) -> Result<usize, HookError> {
    ///     let (weather, news) = (services.join("weather", "today")?, services.join("news", "today")?);
    ///     let replies = ctx.join_all([http.get(weather).send(), http.get(news).send()]).await;
    ///     Ok(replies.iter().filter(|reply| reply.is_ok()).count())
    /// }
    /// ```
    pub async fn join_all<F, T, E>(&self, futures: impl IntoIterator<Item = F>) -> Vec<Outcome<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.fan_out(futures, JOINED_AT_ONCE, |future| future).await
    }

    /// Calls `call` for every item, at most `concurrency` at once, and returns every outcome in the order of the items:
    /// one that fails or runs out of time is data, not the end of the others.
    ///
    /// What is still running shortly before the hook's own deadline is [`Outcome::TimedOut`], so that the hook has time
    /// left to report it: a tenth of what remains, at most 250 ms.
    ///
    /// ```
    /// # use actingweb_hooks::{Context, HookError, Http, Input, Outcome};
    /// async fn probe(Input(urls): Input<Vec<String>>, http: Http, ctx: Context) -> Result<Vec<bool>, HookError> {
    ///     let replies = ctx.fan_out(urls, 8, |url| http.get(url).send()).await;
    ///     Ok(replies.iter().map(Outcome::is_ok).collect())
    /// }
    /// ```
    pub async fn fan_out<I, T, E, F>(
        &self,
        items: I,
        concurrency: usize,
        call: impl FnMut(I::Item) -> F,
    ) -> Vec<Outcome<T, E>>
    where
        I: IntoIterator,
        F: Future<Output = Result<T, E>>,
    {
        let to_report = (self.remaining() / 10).min(Duration::from_millis(250));
        actingweb_peer::fan_out(items, concurrency, self.0.deadline.minus(to_report), call).await
    }
}

impl Context {
    /// Calls `attempt` again as long as it ends in [`HookError::Retryable`], as often as `retry` says: with full jitter, not
    /// before the wait that the error names, and only when the wait ends before this hook's deadline. The last error is
    /// the result.
    ///
    /// For what has no tries of its own, such as services called through [`Http`](crate::Http), and may happen twice. When
    /// not to use it: around [`Peers`](crate::Peers), [`GuardedHttp`](crate::GuardedHttp), [`Bedrock`](crate::Bedrock) or
    /// [`Actor`](crate::Actor). Their errors come after their own tries and end this, too, so that nothing is tried in two
    /// layers.
    ///
    /// ```
    /// # use actingweb_hooks::{Context, HookError, Http, Retry, Services};
    /// async fn temperature(http: Http, services: Services, ctx: Context) -> Result<f64, HookError> {
    ///     let url = services.join("weather", "today")?;
    ///     ctx.retry(Retry::default(), || async {
    ///         Ok(http.get(url.clone()).send().await?.error_for_status()?.json().await?)
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    /// The last one.
    pub async fn retry<T, F>(&self, retry: Retry, mut attempt: impl FnMut() -> F) -> Result<T, HookError>
    where
        F: Future<Output = Result<T, HookError>>,
    {
        let mut failed = 0;
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failed += 1;
            let Some(retry_after) = error.worth_another_try() else { return Err(error) };
            let wait = retry.wait(failed, retry_after, self.remaining(), &*self.0.surroundings.entropy);
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(hook = self.hook(), failed, %error, "tried again");
            tokio::time::sleep(wait).await;
        }
    }
}

/// The moment this call's arguments were made: `Now(now): Now`. For later moments see [`Context::now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub Timestamp);

impl<K: Kind> FromCall<K> for Now {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(call.shared.surroundings.clock.now()))
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Secure randomness, which tests can make repeatable.
#[derive(Clone, Debug)]
pub struct Random(Arc<dyn Entropy>);

impl<K: Kind> FromCall<K> for Random {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self(Arc::clone(&call.shared.surroundings.entropy)))
    }
}

impl Random {
    /// Randomness from this source: for tests of a hook.
    #[must_use]
    pub fn new(source: Arc<dyn Entropy>) -> Self {
        Self(source)
    }

    /// This many random bytes, in hexadecimal: an id or a token.
    #[must_use]
    pub fn hex(&self, bytes: usize) -> String {
        random_hex(self.0.as_ref(), bytes)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }
}
