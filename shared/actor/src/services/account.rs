//! A client that acts at a service with an actor's account there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actingweb_peer::{PeerAddress, PeerClient, PeerError, PeerReply, Secret};
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Deadline, Timestamp};
use actingweb_providers::ServiceClient;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;

use super::{ServiceCallError, Services};
use crate::Actor;

/// An actor's account at a service, for one request: a client whose calls go below the base URL of the service's API, and
/// nowhere else, with the account's token. Cheap to clone.
///
/// Tokens that ended are renewed before a call. One that the service refuses with 401 is renewed, too, and the call made
/// once more. However many calls need that at the same time, in whatever process, the tokens are renewed once.
///
/// Every call ends by the hook's deadline. What may pass is tried again as
/// [`PeerRequest::send`](actingweb_peer::PeerRequest::send) says; redirects are not followed.
#[derive(Clone)]
pub struct Account {
    pub(super) services: Services,
    pub(super) actor: Actor,
    pub(super) client: ServiceClient,
    pub(super) deadline: Deadline,
    api: String,
    http: PeerClient,
    /// What the last call was made with. Clones share it.
    held: Arc<Mutex<Option<Held>>>,
}

/// A token, and which one it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) version: String,
    pub(super) access: Secret,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) renewed_at: Timestamp,
}

impl Account {
    pub(super) fn new(
        services: Services,
        actor: Actor,
        client: ServiceClient,
        api: String,
        http: PeerClient,
        deadline: Deadline,
    ) -> Self {
        Self { services, actor, client, deadline, api, http, held: Arc::default() }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        self.client.service().name()
    }

    /// A GET of `path` below the API's base URL: `user/repos`, `/user/repos?page=2`.
    pub fn get(&self, path: impl Into<String>) -> ServiceRequest<'_> {
        self.request(Method::GET, path)
    }

    /// A POST; give it a body with [`ServiceRequest::json`].
    pub fn post(&self, path: impl Into<String>) -> ServiceRequest<'_> {
        self.request(Method::POST, path)
    }

    /// A PUT; give it a body with [`ServiceRequest::json`].
    pub fn put(&self, path: impl Into<String>) -> ServiceRequest<'_> {
        self.request(Method::PUT, path)
    }

    /// A PATCH; give it a body with [`ServiceRequest::json`].
    pub fn patch(&self, path: impl Into<String>) -> ServiceRequest<'_> {
        self.request(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(&self, path: impl Into<String>) -> ServiceRequest<'_> {
        self.request(Method::DELETE, path)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, path: impl Into<String>) -> ServiceRequest<'_> {
        ServiceRequest {
            account: self,
            method,
            path: path.into(),
            body: None,
            headers: Vec::new(),
            key: None,
            retry: None,
            unsendable: None,
        }
    }

    /// What to call with. `refused` is a token that the service did not accept.
    async fn token(&self, refused: Option<&Held>) -> Result<Held, ServiceCallError> {
        let known = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.actor.store().now();
        if let Some(known) = known.filter(|known| Some(known) != refused && !known.is_ending(now)) {
            return Ok(known);
        }
        let fresh = self.current(refused.map(|held| held.version.as_str())).await?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(fresh)
    }

    pub(super) fn failed(&self, error: PeerError) -> ServiceCallError {
        ServiceCallError::Call { service: self.service().to_owned(), error }
    }
}

/// A call being put together; nothing happens before [`send`](Self::send).
#[must_use = "a request does nothing until it is sent"]
pub struct ServiceRequest<'a> {
    account: &'a Account,
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    key: Option<String>,
    retry: Option<Retry>,
    unsendable: Option<PeerError>,
}

impl ServiceRequest<'_> {
    /// Adds parameters to the query.
    pub fn query<N: AsRef<str>, V: AsRef<str>>(mut self, parameters: &[(N, V)]) -> Self {
        if !parameters.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str(&query);
        }
        self
    }

    /// Sends `value` as the JSON body.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = Some(body),
            Err(error) => {
                let reason = format!("the body is not JSON: {error}");
                self.unsendable = Some(PeerError::Unsendable { reason });
            }
        }
        self
    }

    /// Sends a header, such as a version that the service wants. It is not for secrets.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Names this call, for services that know `Idempotency-Key`; a POST may be tried again then.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Tries this call as often as this, [`Retry::OFF`] for once.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sends it and reads the whole reply: one call to storage for the first of an account, and those of a renewal.
    ///
    /// # Errors
    /// [`ServiceCallError`]; any status other than 2xx is [`ServiceCallError::Call`].
    pub async fn send(self) -> Result<PeerReply, ServiceCallError> {
        if let Some(error) = self.unsendable {
            return Err(self.account.failed(error));
        }
        let held = self.account.token(None).await?;
        let reply = self.attempt(&held).await;
        match reply {
            Err(PeerError::Status { status: StatusCode::UNAUTHORIZED, .. }) => {
                let held = self.account.token(Some(&held)).await?;
                self.attempt(&held).await
            }
            reply => reply,
        }
        .map_err(|error| self.account.failed(error))
    }

    async fn attempt(&self, held: &Held) -> Result<PeerReply, PeerError> {
        let Account { api, http, .. } = self.account;
        let address = PeerAddress::new(api)?.with_secret(held.access.clone());
        let mut request = http.request(self.method.clone(), &address, &self.path);
        for (name, value) in &self.headers {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(key) = &self.key {
            request = request.idempotency_key(key);
        }
        if let Some(retry) = self.retry {
            request = request.retry(retry);
        }
        if let Some(body) = &self.body {
            request = request.json_text(body.clone());
        }
        request.send().await
    }
}

/// Says whose account it is, and shows no token.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("service", &self.service())
            .field("actor", &self.actor.id())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRequest")
            .field("account", self.account)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
