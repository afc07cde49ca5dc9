//! Accounts at services: an actor's owner connects them, hooks act there.
//!
//! What a service gave is sealed for its place, stands in one row of the actor, and leaves it for that service alone: its
//! authorization server, and the base URL of its API.

mod account;
mod error;
mod renewal;

use std::collections::BTreeMap;
use std::sync::Arc;

use actingweb_peer::PeerClient;
use actingweb_protocol::{ActorId, Deadline, Timestamp};
use actingweb_providers::{Service, ServiceClient, ServiceCredentials, ServiceError, ServiceTokens};
use actingweb_store::{NewServiceTokens, ServiceRecord};
use url::Url;

use crate::{Actor, ActorError, Actors};

pub use account::{Account, ServiceRequest};
pub use error::ServiceCallError;

/// The services of an application, and the accounts that actors have there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Services {
    actors: Actors,
    known: Arc<BTreeMap<String, Known>>,
    http: PeerClient,
}

/// A service of the application.
#[derive(Debug)]
struct Known {
    service: Service,
    /// `None` where the deployment says nothing of its client there.
    client: Option<ServiceClient>,
}

/// How an actor stands with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Hooks may act there.
    Connected,
    /// The service took its tokens back, or does not renew them: the owner has to connect again.
    ReconnectNeeded,
    /// There is no account.
    Disconnected,
    /// There is no account, and there can be none: the deployment says nothing of its client at the service.
    NotConfigured,
}

impl ConnectionState {
    /// The word that stands for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ReconnectNeeded => "reconnect_needed",
            Self::Disconnected => "disconnected",
            Self::NotConfigured => "not_configured",
        }
    }
}

/// A service, as the owner of an actor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The service's name.
    pub service: String,
    /// What people call it.
    pub display_name: String,
    /// How the actor stands with it.
    pub state: ConnectionState,
    /// What was granted; where the service does not say, what is asked for.
    pub scope: String,
    /// When it was connected.
    pub connected_at: Option<Timestamp>,
    /// When its tokens were renewed last.
    pub renewed_at: Option<Timestamp>,
}

/// What became of an account that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The service knows, and its tokens are worthless.
    Yes,
    /// The service cannot be told, or did not listen: whoever wants to be sure looks there.
    No,
}

/// What a browser brought back from a service.
#[derive(Clone, Copy)]
pub struct Returned<'a> {
    /// `code`.
    pub code: &'a str,
    /// The proof (PKCE) whose digest it was sent away with.
    pub verifier: &'a str,
    /// Where it came back to.
    pub redirect_uri: &'a str,
}

impl Services {
    /// These services, for actors of this deployment. `http` is the guarded client, which tries again by itself.
    #[must_use]
    pub fn new(
        actors: &Actors,
        services: Vec<Service>,
        credentials: &BTreeMap<String, ServiceCredentials>,
        http: &PeerClient,
    ) -> Self {
        let clock = actors.parts().clock;
        let known = services.into_iter().map(|service| {
            let credentials = ServiceCredentials::of(credentials, service.name()).cloned();
            let client = credentials.map(|credentials| ServiceClient::new(service.clone(), credentials, http, &clock));
            (service.name().to_owned(), Known { service, client })
        });
        Self { actors: actors.clone(), known: Arc::new(known.collect()), http: http.clone() }
    }

    /// What the application says of a service, if it knows it.
    #[must_use]
    pub fn find(&self, service: &str) -> Option<&Service> {
        self.known.get(service).map(|known| &known.service)
    }

    /// The names of all services.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// How an actor stands with each service, in the order of their names: one call to storage.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<Connection>, ActorError> {
        let records = actor.store().services(actor.id()).await?;
        let record = |name: &str| records.iter().find(|record| record.service == name);
        Ok(self.known.iter().map(|(name, known)| known.seen(record(name))).collect())
    }

    /// How an actor stands with a service: one call to storage. `None` for a service that the application does not know.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn connection(&self, actor: &Actor, service: &str) -> Result<Option<Connection>, ActorError> {
        let Some(known) = self.known.get(service) else { return Ok(None) };
        Ok(Some(known.seen(actor.store().service(actor.id(), service).await?.as_ref())))
    }

    /// Where to send the owner's browser. `state` and `verifier` are random and secret.
    ///
    /// # Errors
    /// [`ServiceCallError::Unknown`] and [`ServiceCallError::NotConfigured`].
    pub fn authorization_url(
        &self,
        service: &str,
        redirect_uri: &str,
        state: &str,
        verifier: &str,
    ) -> Result<Url, ServiceCallError> {
        Ok(self.client(service)?.authorization_url(redirect_uri, state, verifier)?)
    }

    /// Connects the account for which a browser brought a code: one call to storage.
    ///
    /// # Errors
    /// [`ServiceCallError`].
    pub async fn connect(
        &self,
        actor: &ActorId,
        service: &str,
        returned: Returned<'_>,
        deadline: Deadline,
    ) -> Result<(), ServiceCallError> {
        let Returned { code, verifier, redirect_uri } = returned;
        let client = self.client(service)?.with_deadline(deadline);
        let tokens = client.redeem(redirect_uri, code, verifier).await?;
        let sealed = self.seal(actor, service, &tokens)?;
        let store = self.actors.store().with_deadline(deadline);
        Ok(store.connect_service(actor, service, &sealed).await.map_err(ActorError::from)?)
    }

    /// Gives an account up: two calls to storage. Its tokens are forgotten first, then the service is told. `None` when
    /// there was none.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn disconnect(
        &self,
        actor: &Actor,
        service: &str,
        deadline: Deadline,
    ) -> Result<Option<Revoked>, ActorError> {
        let Some(record) = actor.store().disconnect_service(actor.id(), service).await? else { return Ok(None) };
        let tokens = record.sealed.as_deref().and_then(|sealed| self.open(actor.id(), service, sealed));
        let (Some(tokens), Ok(client)) = (tokens, self.client(service)) else { return Ok(Some(Revoked::No)) };
        Ok(Some(match client.with_deadline(deadline).revoke(&tokens).await {
            // What it does not know any more is as good as revoked.
            Ok(true) | Err(ServiceError::Refused { .. }) => Revoked::Yes,
            Ok(false) => Revoked::No,
            Err(error) => {
                tracing::warn!(service, %error, "the tokens of an account that was given up may still be good");
                Revoked::No
            }
        }))
    }

    /// An actor's account at a service, for one request. Nothing is read before the first call.
    ///
    /// # Errors
    /// [`ServiceCallError::Unknown`], [`ServiceCallError::NotConfigured`], and [`ServiceCallError::NoApi`].
    pub fn account(
        &self,
        actor: &Actor,
        service: &str,
        request_id: &str,
        deadline: Deadline,
    ) -> Result<Account, ServiceCallError> {
        let client = self.client(service)?.with_deadline(deadline);
        let api = client.service().api_url().ok_or_else(|| ServiceCallError::NoApi(service.to_owned()))?.to_owned();
        let http = self.http.clone().with_deadline(deadline).with_request_id(request_id);
        Ok(Account::new(self.clone(), actor.with_deadline(deadline), client, api, http, deadline))
    }

    fn client(&self, service: &str) -> Result<&ServiceClient, ServiceCallError> {
        let known = self.known.get(service).ok_or_else(|| {
            let known = self.names().collect::<Vec<_>>().join(", ");
            ServiceCallError::Unknown { service: service.to_owned(), known }
        })?;
        known.client.as_ref().ok_or_else(|| ServiceCallError::NotConfigured(service.to_owned()))
    }

    /// Tokens as they are stored.
    fn seal(&self, actor: &ActorId, service: &str, tokens: &ServiceTokens) -> Result<NewServiceTokens, ActorError> {
        let parts = self.actors.parts();
        let text = serde_json::to_string(tokens).map_err(|error| ActorError::Invalid(error.to_string()))?;
        let sealed = parts.keys.seal(&place(actor, service), &text, &*parts.entropy);
        let sealed = sealed.map_err(|error| ActorError::Invalid(error.to_string()))?;
        Ok(NewServiceTokens { sealed: Some(sealed), scope: tokens.scope.clone(), ends_at: tokens.expires_at })
    }

    /// What cannot be opened, because its key was given up or it was put in another's place, is none.
    fn open(&self, actor: &ActorId, service: &str, sealed: &str) -> Option<ServiceTokens> {
        let text = self.actors.parts().keys.open(&place(actor, service), sealed).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl Known {
    fn seen(&self, record: Option<&ServiceRecord>) -> Connection {
        let state = match (record, &self.client) {
            (Some(ServiceRecord { sealed: Some(_), .. }), _) => ConnectionState::Connected,
            (Some(_), _) => ConnectionState::ReconnectNeeded,
            (None, Some(_)) => ConnectionState::Disconnected,
            (None, None) => ConnectionState::NotConfigured,
        };
        let granted = record.and_then(|record| record.scope.clone());
        Connection {
            service: self.service.name().to_owned(),
            display_name: self.service.label().to_owned(),
            state,
            scope: granted.unwrap_or_else(|| self.service.wanted_scopes().join(" ")),
            connected_at: record.map(|record| record.connected_at),
            renewed_at: record.map(|record| record.renewed_at),
        }
    }
}

/// Where tokens are sealed for: moved to another actor or service, they do not open.
fn place(actor: &ActorId, service: &str) -> String {
    format!("service/{actor}/{service}")
}
