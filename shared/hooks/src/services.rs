//! Services at which actors connect accounts of their owners: which there are, and who acts there.

use std::collections::BTreeMap;

use actingweb_actor::Actor;
use actingweb_actor::services::{Account, ServiceCallError, Services as Accounts};
use actingweb_protocol::Deadline;
use actingweb_providers::{Service, ServiceCredentials, ServiceError};

use crate::build::Problem;
use crate::error::HookError;
use crate::{App, Hooks};

impl App {
    /// Lets actors connect accounts at a service, and hooks act there: see [`Services::get`](crate::Services::get). A
    /// deployment says who its client there is, by `ACTINGWEB_OAUTH_SERVICE_<NAME>_CLIENT_ID` and `_CLIENT_SECRET`;
    /// without them the service is shown as not configured.
    ///
    /// ```
    /// # use actingweb_hooks::prelude::*;
    /// async fn repositories(services: Services) -> Result<Value, HookError> {
    ///     let github = services.get("github")?;
    ///     Ok(github.get("user/repos").query(&[("per_page", "10")]).send().await?.json()?)
    /// }
    ///
    /// let app = App::new("urn:actingweb:example.com:demo")
    ///     .service(Service::github().scopes(["read:user", "repo"]))
    ///     .method("repositories", repositories);
    /// ```
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// The clients that services know this deployment as, by the names of the services. Where the environment is read.
    pub fn service_clients(mut self, clients: BTreeMap<String, ServiceCredentials>) -> Self {
        self.service_clients = clients;
        self
    }
}

impl Hooks {
    /// The accounts that actors have at services; `None` where there is no storage, as in tests of hooks alone.
    #[must_use]
    pub fn accounts(&self) -> Option<&Accounts> {
        self.0.surroundings.accounts.as_ref()
    }
}

/// On whose behalf, and until when, hooks act at services.
#[derive(Clone, Debug)]
pub(crate) struct Acting {
    pub(crate) accounts: Accounts,
    pub(crate) actor: Option<Actor>,
    pub(crate) request_id: String,
    pub(crate) deadline: Deadline,
}

impl Acting {
    pub(crate) fn account(&self, service: &str) -> Result<Account, HookError> {
        let nobody = || HookError::terminal("this request addresses no actor, so nobody has an account");
        let actor = self.actor.as_ref().ok_or_else(nobody)?;
        Ok(self.accounts.account(actor, service, &self.request_id, self.deadline)?)
    }
}

pub(crate) fn check_services(services: &[Service], problems: &mut Vec<Problem>) {
    for (at, service) in services.iter().enumerate() {
        let name = service.name().to_owned();
        if let Some(reason) = service.problem() {
            problems.push(Problem::Service { name, reason });
        } else if services.iter().take(at).any(|other| other.name() == name) {
            problems.push(Problem::Service { name, reason: "there are two of this name".to_owned() });
        }
    }
}

/// An account that the owner has to connect is a rejection, whose text says so. What may pass is retryable; what the
/// application or the deployment has to mend is terminal.
impl From<ServiceCallError> for HookError {
    fn from(error: ServiceCallError) -> Self {
        match error {
            ServiceCallError::NotConnected { .. } | ServiceCallError::ReconnectNeeded { .. } => {
                Self::Rejected(error.to_string())
            }
            ServiceCallError::Renewing { retry_after, .. } => {
                Self::busy("a service this hook needs does not answer", Some(retry_after), error)
            }
            ServiceCallError::Service(ServiceError::Unavailable { .. }) => {
                Self::busy("a service this hook needs does not answer", None, error)
            }
            ServiceCallError::Call { error: cause, .. } if cause.is_retryable() => {
                Self::busy("a service this hook needs does not answer", cause.retry_after(), cause)
            }
            ServiceCallError::Actor(error) => error.into(),
            error => Self::terminal(error),
        }
    }
}
