//! Calls to peers.

use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Deadline, Entropy};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, HeaderName, Method};
use serde::Serialize;
use tokio::time::Instant;

use crate::error::PeerError;
use crate::guard::Guard;
use crate::http_client::{HttpClientError, HttpSettings, guarded_client};
use crate::peer::{PeerAddress, Secret};
use crate::reply::{PeerReply, read_reply};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What makes a POST one that may be sent again (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PARENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-parent-request-id");

/// What one call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest reply body read, in bytes after decompression. Default 1 MiB.
    pub reply_bytes: usize,
    /// The longest a call may take, from name resolution to the last byte of its last try; the deadline may make it
    /// shorter. Default 20 s.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { reply_bytes: 1024 * 1024, timeout: Duration::from_secs(20) }
    }
}

/// Calls other actors over one pooled, guarded HTTP client. Cheap to clone; build it once, at init.
///
/// Use it for every URL that a caller or a peer chose. Redirects are not followed, replies and times are bounded, and
/// a secret goes to its own peer's base URL only.
///
/// ```no_run
/// # async fn example(peers: actingweb_peer::PeerClient) -> Result<(), Box<dyn std::error::Error>> {
/// use actingweb_peer::{PeerAddress, Secret};
///
/// let peer = PeerAddress::new("https://peer.example/4f2a")?.with_secret(Secret::new("..."));
/// let email: String = peers.get(&peer, "properties/email").send().await?.json()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PeerClient {
    shared: Arc<Shared>,
    deadline: Option<Deadline>,
    request_id: Option<HeaderValue>,
    parent_request_id: Option<HeaderValue>,
    retry: Retry,
    entropy: Option<Arc<dyn Entropy>>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    guard: Guard,
    limits: Limits,
}

impl PeerClient {
    /// A client with its own connection pool.
    ///
    /// # Errors
    /// [`HttpClientError`] when the settings make no client.
    pub fn new(settings: &HttpSettings, guard: Guard, limits: Limits) -> Result<Self, HttpClientError> {
        let http = guarded_client(settings, guard)?;
        let shared = Arc::new(Shared { http, guard, limits });
        Ok(Self { shared, deadline: None, request_id: None, parent_request_id: None, retry: Retry::OFF, entropy: None })
    }

    /// This client trying again by itself, where that does no harm: see [`PeerRequest::send`]. `entropy` is for the
    /// jitter. A new client tries once, for those who keep an account of what is to be tried again, as deliveries do.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry, entropy: Arc<dyn Entropy>) -> Self {
        self.retry = retry;
        self.entropy = Some(entropy);
        self
    }

    /// The pooled client beneath.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.shared.http
    }

    /// What one call may cost.
    pub(crate) fn limits(&self) -> Limits {
        self.shared.limits
    }

    /// When a call that begins now must have ended.
    pub(crate) fn end_of_call(&self, now: Instant) -> Instant {
        let timeout = self.shared.limits.timeout;
        now + self.deadline.map_or(timeout, |deadline| deadline.remaining(now.into_std()).min(timeout))
    }

    /// How far this client may reach.
    #[must_use]
    pub fn guard(&self) -> Guard {
        self.shared.guard
    }

    /// This client for work that must end by `deadline` (the earlier one counts, if it had one).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// This client for one request: `X-Request-ID` goes along with every call, so that logs on both sides meet. An
    /// id that is no header value is left out.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = HeaderValue::from_str(id).ok();
        self
    }

    /// This client for one call of several that a request makes: `id` is the call's own `X-Request-ID`, `parent`, the
    /// request's, goes along as `X-Parent-Request-ID`.
    #[must_use]
    pub fn with_request_ids(mut self, id: &str, parent: &str) -> Self {
        self.parent_request_id = HeaderValue::from_str(parent).ok();
        self.with_request_id(id)
    }

    /// A GET of `path` below the peer's base (see [`PeerAddress::locate`]).
    pub fn get<'a>(&'a self, peer: &'a PeerAddress, path: &'a str) -> PeerRequest<'a> {
        self.request(Method::GET, peer, path)
    }

    /// A POST; give it a body with [`PeerRequest::json`].
    pub fn post<'a>(&'a self, peer: &'a PeerAddress, path: &'a str) -> PeerRequest<'a> {
        self.request(Method::POST, peer, path)
    }

    /// A PUT; give it a body with [`PeerRequest::json`].
    pub fn put<'a>(&'a self, peer: &'a PeerAddress, path: &'a str) -> PeerRequest<'a> {
        self.request(Method::PUT, peer, path)
    }

    /// A DELETE.
    pub fn delete<'a>(&'a self, peer: &'a PeerAddress, path: &'a str) -> PeerRequest<'a> {
        self.request(Method::DELETE, peer, path)
    }

    /// A request of any method; give it a body with [`PeerRequest::json`].
    pub fn request<'a>(&'a self, method: Method, peer: &'a PeerAddress, path: &'a str) -> PeerRequest<'a> {
        let Self { shared, deadline, .. } = self;
        let reply_bytes = shared.limits.reply_bytes;
        PeerRequest {
            client: self,
            method,
            peer,
            path,
            body: None,
            headers: HeaderMap::new(),
            hidden: &[],
            deadline: *deadline,
            reply_bytes,
            retry: self.retry,
            unsendable: None,
        }
    }
}

/// A call being put together; nothing happens before [`send`](Self::send).
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct PeerRequest<'a> {
    client: &'a PeerClient,
    method: Method,
    peer: &'a PeerAddress,
    path: &'a str,
    body: Option<Result<Bytes, PeerError>>,
    headers: HeaderMap,
    hidden: &'a [Secret],
    deadline: Option<Deadline>,
    reply_bytes: usize,
    retry: Retry,
    unsendable: Option<PeerError>,
}

impl<'a> PeerRequest<'a> {
    /// Keeps secrets that the body tells the peer out of errors, should the peer repeat them. The one of its address is
    /// kept out anyway.
    pub const fn hiding(mut self, secrets: &'a [Secret]) -> Self {
        self.hidden = secrets;
        self
    }

    /// Sends `value` as the JSON body.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|error| PeerError::Unsendable { reason: format!("the body is not JSON: {error}") });
        self.body = Some(body);
        self
    }

    /// Sends this text, which is JSON already, as the body.
    pub fn json_text(mut self, text: impl Into<Bytes>) -> Self {
        self.body = Some(Ok(text.into()));
        self
    }

    /// Sends a header. It is not for secrets, nor for what the client itself sends: a peer's secret goes to its own
    /// address by [`PeerAddress::with_secret`](crate::PeerAddress::with_secret) alone.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Reads up to this many bytes of the reply, even if that is more than the client's limit.
    pub const fn reply_up_to(mut self, bytes: usize) -> Self {
        self.reply_bytes = bytes;
        self
    }

    /// Reads no more than this many bytes of the reply, if that is less than the client's limit.
    pub fn reply_limit(mut self, bytes: usize) -> Self {
        self.reply_bytes = self.reply_bytes.min(bytes);
        self
    }

    /// Ends this call by `deadline`, or by the client's own if that is earlier.
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// Tries this call as often as this, [`Retry::OFF`] for once. A client that [`PeerClient::with_retry`] gave no
    /// randomness tries once all the same.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Names this call, so that a peer that knows `Idempotency-Key` carries it out once, however often it is sent; a POST
    /// may be tried again then. The key is for this one call: draw a new one for the next.
    ///
    /// A key that is no header value makes the call [`PeerError::Unsendable`].
    pub fn idempotency_key(mut self, key: &str) -> Self {
        match HeaderValue::from_str(key) {
            Ok(value) => drop(self.headers.insert(IDEMPOTENCY_KEY, value)),
            Err(_) => {
                let reason = "the idempotency key holds characters no header may".to_owned();
                self.unsendable = Some(PeerError::Unsendable { reason });
            }
        }
        self
    }

    /// Sends it and reads the whole reply.
    ///
    /// With a [`Retry`] of more than one try, what may pass ([`PeerError::is_retryable`]) is tried again: GET, HEAD, PUT and
    /// DELETE, which may happen twice, and any other method with an [`idempotency_key`](Self::idempotency_key). All tries
    /// together, and the waits between them, take no longer than one may. A DELETE whose first reply was lost may find
    /// nothing left to delete, and end in 404.
    ///
    /// # Errors
    /// [`PeerError`], that of the last try; any status other than 2xx is [`PeerError::Status`].
    pub async fn send(self) -> Result<PeerReply, PeerError> {
        let begun = Instant::now();
        let timeout = self.client.shared.limits.timeout;
        let left = self.deadline.map_or(timeout, |deadline| deadline.remaining(begun.into_std()));
        let end = begun + left.min(timeout);
        let method = self.method.clone();
        let host = self.peer.base().host_str().unwrap_or_default();
        let mut tries = 0;
        let result = loop {
            let result = self.attempt(end).await;
            tries += 1;
            let Err(error) = &result else { break result };
            let Some(wait) = self.wait_after(tries, error, end) else { break result };
            tokio::time::sleep(wait).await;
        };
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(reply) => {
                tracing::debug!(%method, host, status = reply.status().as_u16(), tries, elapsed_ms, "peer answered");
            }
            // Not the error's text: it may repeat what the peer wrote.
            Err(error) => tracing::debug!(
                %method, host, status = error.status().map(|status| status.as_u16()), tries, elapsed_ms,
                retryable = error.is_retryable(), "peer call failed"
            ),
        }
        result
    }

    /// How long to wait before the next try, if there is to be one.
    fn wait_after(&self, tries: u32, error: &PeerError, end: Instant) -> Option<Duration> {
        let entropy = self.client.entropy.as_deref()?;
        let may_happen_twice = self.method.is_idempotent() || self.headers.contains_key(IDEMPOTENCY_KEY);
        if !may_happen_twice || !error.is_retryable() {
            return None;
        }
        let left = end.saturating_duration_since(Instant::now());
        self.retry.wait(tries, error.retry_after(), left, entropy)
    }

    async fn attempt(&self, end: Instant) -> Result<PeerReply, PeerError> {
        let Shared { http, guard, .. } = &*self.client.shared;
        if let Some(error) = &self.unsendable {
            return Err(error.clone());
        }
        let url = self.peer.locate(self.path)?;
        guard.check_url(&url)?;
        if Instant::now() >= end {
            return Err(PeerError::TimedOut);
        }

        let mut request = http.request(self.method.clone(), url).headers(self.headers.clone());
        request = request.header(ACCEPT, "application/json");
        if let Some(id) = &self.client.request_id {
            request = request.header(REQUEST_ID, id.clone());
        }
        if let Some(id) = &self.client.parent_request_id {
            request = request.header(PARENT_REQUEST_ID, id.clone());
        }
        if let Some(body) = &self.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone()?);
        }
        if let Some(secret) = self.peer.secret() {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose())).map_err(|_| {
                PeerError::Unsendable { reason: "the peer's secret holds characters no header may".into() }
            })?;
            // Keeps it out of debug output and of HTTP/2's header compression tables.
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }

        let exchange = async {
            let response = request.send().await.map_err(PeerError::from_transport)?;
            let secrets = self.hidden.iter().chain(self.peer.secret());
            read_reply(response, self.reply_bytes, secrets).await
        };
        tokio::time::timeout_at(end, exchange).await.unwrap_or(Err(PeerError::TimedOut))
    }
}
