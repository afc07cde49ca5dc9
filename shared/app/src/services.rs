//! The web services this application calls, as one extractor with a method for each.
//!
//! Their base URLs are a deployment's to set: `ACTINGWEB_SERVICE_WEATHER`, `.._NEWS`, `.._QUOTES`, `.._STORE` and
//! `.._NOTIFICATIONS`. The local stack sets all five to its stand-ins. Paths below the base are the services' own
//! business and stand here.

use actingweb_hooks::prelude::*;
use actingweb_hooks::serde::de::DeserializeOwned;
use actingweb_hooks::{Call, FromCall, Kind};
use url::Url;

/// The services, for this call: `async fn hook(outside: Outside) -> ..`.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    http: Http,
    services: Services,
    ctx: Context,
}

impl<K: Kind> FromCall<K> for Outside {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(Self { http: Http::from_call(call)?, services: Services::from_call(call)?, ctx: Context::from_call(call)? })
    }
}

/// The weather somewhere.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Weather {
    /// Where.
    city: String,
    /// In degrees Celsius.
    temperature_c: f64,
    /// In a word: `sunny`.
    condition: String,
}

/// The news on something.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct News {
    /// On what.
    topic: String,
    /// The headlines.
    headlines: Vec<String>,
}

/// The price of something.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Quote {
    /// Of what.
    symbol: String,
    /// How much.
    price: f64,
    /// Of which currency: `USD`.
    currency: String,
}

/// An entry of the store.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct Entry {
    /// Where it is kept.
    key: String,
    /// What is kept there.
    value: String,
}

/// A message to a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Notification<'a> {
    pub(crate) recipient: &'a str,
    pub(crate) message: &'a str,
    pub(crate) sender: &'a str,
}

impl Outside {
    /// The weather in a city.
    pub(crate) async fn weather(&self, city: &str) -> Result<Weather, HookError> {
        self.get("weather", &["weather"], &[("city", city)]).await
    }

    /// The news on a topic.
    pub(crate) async fn news(&self, topic: &str) -> Result<News, HookError> {
        self.get("news", &["news"], &[("topic", topic)]).await
    }

    /// The price of a share.
    pub(crate) async fn quote(&self, symbol: &str) -> Result<Quote, HookError> {
        self.get("quotes", &["quotes"], &[("symbol", symbol)]).await
    }

    /// An entry of the store, which takes its time.
    pub(crate) async fn entry(&self, key: &str) -> Result<Entry, HookError> {
        self.get("store", &["slow-store", key], &[]).await
    }

    /// Sends a notification. The request's id lets the service recognise one that is sent twice.
    pub(crate) async fn notify(&self, notification: &Notification<'_>) -> Result<(), HookError> {
        let request =
            self.http.post(self.url("notifications", &["inbox"])?).header("x-request-id", self.ctx.request_id());
        request.json(notification).send().await?.error_for_status()?;
        Ok(())
    }

    async fn get<T>(&self, service: &str, path: &[&str], query: &[(&str, &str)]) -> Result<T, HookError>
    where
        T: DeserializeOwned,
    {
        let request = self.http.get(self.url(service, path)?).header("x-request-id", self.ctx.request_id());
        Ok(request.query(query).send().await?.error_for_status()?.json().await?)
    }

    /// The URL of these path segments below a service's base. They are encoded: a key that a caller chose names one
    /// entry, whatever it contains.
    fn url(&self, service: &str, path: &[&str]) -> Result<Url, HookError> {
        let mut url = self.services.url(service)?.clone();
        url.path_segments_mut()
            .map_err(|()| HookError::terminal(format!("the URL of the service `{service}` cannot have a path")))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }
}
