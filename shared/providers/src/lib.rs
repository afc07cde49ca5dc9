//! Who somebody is, by the word of an identity provider.
//!
//! * [`ProviderSettings`]: what a deployment says of a provider, from its variables
//! * [`Providers`] and [`Provider`]: where to send a browser ([`Provider::authorization_url`]), and who came back
//!   ([`Provider::finish`]); for native apps, who an id_token speaks of ([`Provider::verify`])
//! * [`Profile`]: an issuer, a subject that the issuer never gives to anybody else, and an e-mail address if it is verified
//! * [`Service`], [`ServiceCredentials`] and [`ServiceClient`]: services at which actors have accounts, and how tokens for
//!   them are had, renewed and given up
//!
//! Everything goes through the guarded HTTP client: https to public addresses unless the deployment says `loopback`, no
//! redirects, bounded in size and time. What a provider says of itself and its keys are kept in the process for an hour.

mod apple;
mod error;
mod github;
mod http;
mod metadata;
mod oidc;
mod profile;
mod provider;
mod service;
mod service_client;
mod settings;

pub use error::ProviderError;
pub use profile::{Assertion, Profile, plain_email};
pub use provider::{Leg, Provider, Providers};
pub use service::{Service, ServiceCredentials};
pub use service_client::{ServiceClient, ServiceError, ServiceTokens};
pub use settings::{ProviderKind, ProviderSettings, SettingsError};
