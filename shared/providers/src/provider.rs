//! The providers of a deployment.

use std::fmt;
use std::sync::Arc;

use actingweb_peer::PeerClient;
use actingweb_protocol::{Clock, Deadline, Timestamp};
use url::Url;

use crate::http::Transport;
use crate::metadata::Discovery;
use crate::{Assertion, Profile, ProviderError, ProviderKind, ProviderSettings};
use crate::{github, oidc};

/// The providers of a deployment, built once per process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Providers(Arc<[Provider]>);

/// A provider's settings, and what it said of itself.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) settings: ProviderSettings,
    pub(crate) discovery: Discovery,
}

/// What one sign-in is known by: made before the browser leaves, wanted when it comes back. All of it random and secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Leg {
    /// Names the sign-in at the callback.
    pub state: String,
    /// Comes back in the id_token.
    pub nonce: String,
    /// Proves to the provider that who redeems the code is who sent the browser (PKCE): 43 to 128 characters.
    pub verifier: String,
}

impl Providers {
    /// These providers, asked over this client.
    #[must_use]
    pub fn new(settings: Vec<ProviderSettings>, http: &PeerClient, clock: &Arc<dyn Clock>) -> Self {
        let provider = |settings| Provider {
            known: Arc::new(Known { settings, discovery: Discovery::default() }),
            http: Transport(http.clone()),
            clock: Arc::clone(clock),
        };
        Self(settings.into_iter().map(provider).collect())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.name() == name)
    }
}

/// One provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provider {
    pub(crate) known: Arc<Known>,
    pub(crate) http: Transport,
    clock: Arc<dyn Clock>,
}

impl Provider {
    /// This provider for work that must end by `deadline`.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { http: Transport(self.http.0.clone().with_deadline(deadline)), ..self.clone() }
    }

    /// What the deployment says of it.
    #[must_use]
    pub fn settings(&self) -> &ProviderSettings {
        &self.known.settings
    }

    /// Its name in URLs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings().name
    }

    /// Whether it answers by a form that another site's page sends (Apple), rather than by a link.
    #[must_use]
    pub fn answers_by_form(&self) -> bool {
        self.settings().kind == ProviderKind::Apple
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where to send the browser. `choose` asks the provider to let people choose their account.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`].
    pub async fn authorization_url(&self, redirect_uri: &str, leg: &Leg, choose: bool) -> Result<Url, ProviderError> {
        match self.settings().kind {
            ProviderKind::GitHub => github::authorization_url(self, redirect_uri, leg, choose),
            ProviderKind::Oidc | ProviderKind::Apple => oidc::authorization_url(self, redirect_uri, leg, choose).await,
        }
    }

    /// Who came back with `code`. It is redeemed once, with the proof of `leg`.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn finish(&self, redirect_uri: &str, leg: &Leg, code: &str) -> Result<Profile, ProviderError> {
        match self.settings().kind {
            ProviderKind::GitHub => github::finish(self, redirect_uri, leg, code).await,
            ProviderKind::Oidc | ProviderKind::Apple => oidc::finish(self, redirect_uri, leg, code).await,
        }
    }

    /// Whom an id_token speaks of that a native app was given for this deployment (its client id, or one of its
    /// `audiences`), with the nonce that the app chose. The caller sees to it that it counts once.
    ///
    /// # Errors
    /// [`ProviderError`]; [`ProviderError::Identity`] of GitHub, which makes none.
    pub async fn verify(&self, id_token: &str, nonce: &str) -> Result<Assertion, ProviderError> {
        match self.settings().kind {
            ProviderKind::GitHub => Err(ProviderError::identity(self.name(), "it makes no id_tokens")),
            ProviderKind::Oidc | ProviderKind::Apple => oidc::verify(self, id_token, nonce).await,
        }
    }
}

/// All of it is secret.
impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leg").finish_non_exhaustive()
    }
}
