//! The handle to the table, and the one place where calls are repeated.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::retry::Backoff;
use actingweb_protocol::{Clock, Deadline, Entropy, Name, Timestamp, random_hex};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, TransactWriteItem, WriteRequest};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use crate::error::{Fault, sort};
use crate::fence::Fence;
use crate::item::Item;
use crate::{StoreError, item};

/// The most keys of one BatchGetItem: DynamoDB's limit.
pub(crate) const MAX_BATCH_KEYS: usize = 100;

/// How many batches of deletions are under way at once.
const CONCURRENT_BATCHES: usize = 8;

/// What is kept free at the end of an invocation, to answer in.
pub(crate) const RESERVE: Duration = Duration::from_secs(5);

/// How long to wait before a call that met throttling or a conflict is repeated.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(500) };

/// How long to go on trying when nobody set a deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller is told to wait when storage stayed busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The table with all actors' state. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    pub(crate) deadline: Option<Deadline>,
    /// The actor that is written to, if it is one alone.
    pub(crate) fence: Option<Arc<Fence>>,
    /// Properties found by their values.
    pub(crate) indexed: Arc<HashSet<Name>>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("table", &self.inner.table).finish_non_exhaustive()
    }
}

/// How a conditional call ended.
pub(crate) enum Attempt<T, E> {
    Done(T),
    /// A condition did not hold.
    Refused(Box<E>),
}

/// Why a transaction was cancelled, per item: the code, and the item that stood in the way.
#[derive(Debug)]
pub(crate) struct Cancelled(pub(crate) Vec<(String, Option<Item>)>);

impl Store {
    /// A handle on `table`. The client must not retry by itself: this type does, within the deadline.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let inner = Arc::new(Inner { client, table: table.into(), clock, entropy });
        Self { inner, deadline: None, fence: None, indexed: Arc::default() }
    }

    /// The same table for one invocation: conflicts and throttling are retried until 5 s before its deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The time, of the clock this was made with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// 16 random hexadecimal digits: the version of a value, or the token of a transaction. Random rather than counted,
    /// so that a value deleted and written again never looks unchanged.
    pub(crate) fn nonce(&self) -> String {
        random_hex(&*self.inner.entropy, 8)
    }

    /// Repeats `call` while it meets passing faults, waiting with full jitter in between. What writes to an actor finds it
    /// alive before each attempt, and after one that took long.
    pub(crate) async fn attempt<T, E, F, Fut>(
        &self,
        operation: &'static str,
        call: F,
    ) -> Result<Attempt<T, E>, StoreError>
    where
        E: ProvideErrorMetadata + fmt::Debug,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut pause = self.pauses();
        let fence = self.fence(operation);
        loop {
            if let Some(fence) = fence {
                self.before(fence).await?;
            }
            let sent = Instant::now();
            // Boxed: the SDK's future takes several KB, in every future up to the router's.
            let reason = match Box::pin(call()).await {
                Ok(output) => {
                    if let Some(fence) = fence {
                        self.after(fence, sent).await?;
                    }
                    return Ok(Attempt::Done(output));
                }
                Err(error) => match sort(error) {
                    Fault::Passing(reason) => reason,
                    Fault::Condition(error) => return Ok(Attempt::Refused(error)),
                    Fault::Lasting(message) => return Err(StoreError::Refused { operation, message }),
                },
            };
            pause.wait(operation, reason).await?;
        }
    }

    /// Like [`Store::attempt`], for calls without conditions.
    pub(crate) async fn call<T, E, F, Fut>(&self, operation: &'static str, call: F) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + fmt::Debug,
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, SdkError<E>>>,
    {
        match self.attempt(operation, call).await? {
            Attempt::Done(output) => Ok(output),
            Attempt::Refused(error) => Err(StoreError::Refused { operation, message: format!("{error:?}") }),
        }
    }

    /// The waits of one logical operation, which ends when there is no time left.
    pub(crate) fn pauses(&self) -> Pauses<'_> {
        let now = Instant::now().into_std();
        let until = self.deadline.map_or(Deadline::after(now, PATIENCE), |deadline| deadline.minus(RESERVE));
        Pauses { store: self, until, attempt: 0, learnt: false }
    }

    /// Reads items of any partitions, strongly consistent, in one call (at most 100 keys, no duplicates). Keys that the
    /// service leaves unprocessed are asked for again: an item is absent only when the service said so.
    pub(crate) async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut wanted = keys;
        let mut pause = self.pauses();
        loop {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|error| refused("BatchGetItem", error))?;
            let call = self.inner.client.batch_get_item().request_items(&self.inner.table, request);
            let output = self.call("BatchGetItem", || call.clone().send()).await?;
            found.extend(output.responses.into_iter().flatten().flat_map(|(_, items)| items));
            wanted = output.unprocessed_keys.into_iter().flatten().flat_map(|(_, rest)| rest.keys).collect();
            if wanted.is_empty() {
                return Ok(found);
            }
            pause.wait("BatchGetItem", "unprocessed keys".to_owned()).await?;
        }
    }

    /// Deletes items, 25 a call, until none is left unprocessed.
    pub(crate) async fn batch_delete(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        let chunks: Vec<Vec<Item>> = keys.chunks(25).map(<[Item]>::to_vec).collect();
        let deletions = stream::iter(chunks).map(|chunk| self.delete_chunk(chunk));
        deletions.buffer_unordered(CONCURRENT_BATCHES).try_collect().await
    }

    async fn delete_chunk(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        self.unguarded().write_batch(keys.iter().map(delete_request).collect::<Result<_, _>>()?).await
    }

    /// Makes up to 25 unconditional writes in one call, again until none is left unprocessed.
    pub(crate) async fn write_batch(&self, mut writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut pause = self.pauses();
        loop {
            let requests = HashMap::from([(self.inner.table.clone(), std::mem::take(&mut writes))]);
            let call = self.inner.client.batch_write_item().set_request_items(Some(requests));
            let output = self.call("BatchWriteItem", || call.clone().send()).await?;
            writes = output.unprocessed_items.into_iter().flatten().flat_map(|(_, rest)| rest).collect();
            if writes.is_empty() {
                return Ok(());
            }
            pause.wait("BatchWriteItem", "unprocessed items".to_owned()).await?;
        }
    }

    /// Writes all or nothing. The request token makes a repeated attempt whose reply was lost count once.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Result<(), Cancelled>, StoreError> {
        self.transact_as(random_hex(&*self.inner.entropy, 16), writes).await
    }

    /// The same; false, with nothing written, when a condition does not hold.
    pub(crate) async fn transact_if(&self, writes: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        match self.transact(writes).await? {
            Ok(()) => Ok(true),
            Err(Cancelled(reasons)) if reasons.iter().any(|(code, _)| code == "ConditionalCheckFailed") => Ok(false),
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// [`Store::transact`] that may be repeated with the same token and the same writes, and counts once.
    pub(crate) async fn transact_as(
        &self,
        token: String,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Cancelled>, StoreError> {
        let call =
            self.inner.client.transact_write_items().set_transact_items(Some(writes)).client_request_token(token);
        let mut pause = self.pauses();
        loop {
            let error = match self.attempt("TransactWriteItems", || call.clone().send()).await? {
                Attempt::Done(_) => return Ok(Ok(())),
                Attempt::Refused(error) => *error,
            };
            let reasons = match error {
                TransactWriteItemsError::TransactionCanceledException(error) => {
                    error.cancellation_reasons.unwrap_or_default()
                }
                other => return Err(refused("TransactWriteItems", other)),
            };
            let reasons: Vec<_> =
                reasons.into_iter().map(|reason| (reason.code.unwrap_or_default(), reason.item)).collect();
            let lasting = |code: &str| {
                matches!(code, "ConditionalCheckFailed" | "ValidationError" | "ItemCollectionSizeLimitExceeded")
            };
            if reasons.iter().any(|(code, _)| lasting(code)) {
                return Ok(Err(Cancelled(reasons)));
            }
            let codes: Vec<_> = reasons.iter().map(|(code, _)| code.as_str()).filter(|code| *code != "None").collect();
            pause.wait("TransactWriteItems", codes.join(", ")).await?;
        }
    }
}

fn delete_request(key: &Item) -> Result<WriteRequest, StoreError> {
    let delete = aws_sdk_dynamodb::types::DeleteRequest::builder()
        .set_key(Some(key.clone()))
        .build()
        .map_err(|error| refused("BatchWriteItem", error))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

pub(crate) fn refused(operation: &'static str, error: impl fmt::Debug) -> StoreError {
    StoreError::Refused { operation, message: format!("{error:?}") }
}

/// Takes what [`item::key`] needs from an item that was read.
pub(crate) fn key_of(found: &Item) -> Option<Item> {
    Some(item::key(found.get("pk")?.as_s().ok()?, found.get("sk")?.as_s().ok()?))
}

/// Waits between the attempts of one logical operation.
pub(crate) struct Pauses<'a> {
    store: &'a Store,
    until: Deadline,
    attempt: u32,
    learnt: bool,
}

impl Pauses<'_> {
    /// Waits at every second time only. Who was told what stands in the way does well to try again at once: after a wait,
    /// that is what stood there, and those who wait less always come first.
    pub(crate) async fn wait_unless_learnt(&mut self, operation: &'static str, reason: &str) -> Result<(), StoreError> {
        self.learnt = !self.learnt;
        if self.learnt { Ok(()) } else { self.wait(operation, reason.to_owned()).await }
    }

    /// Waits, or gives up when the wait would end too late.
    pub(crate) async fn wait(&mut self, operation: &'static str, reason: String) -> Result<(), StoreError> {
        let delay = BACKOFF.delay(self.attempt, &*self.store.inner.entropy);
        let left = self.until.remaining(Instant::now().into_std());
        if left <= delay {
            tracing::warn!(operation, reason, attempts = self.attempt + 1, "storage stayed busy until the deadline");
            return Err(StoreError::Busy { reason, retry_after: RETRY_AFTER });
        }
        self.attempt += 1;
        tokio::time::sleep(delay).await;
        Ok(())
    }
}
