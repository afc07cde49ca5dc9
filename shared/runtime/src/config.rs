//! What a deployment decides, read from environment variables once, at start.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actingweb_hooks::BotToken;
use actingweb_peer::Guard;
use actingweb_protocol::Keys;
use actingweb_providers::{ProviderSettings, ServiceCredentials};
use url::Url;

use crate::Environment;
use crate::telemetry::LogFilter;

/// The table's name when `ACTINGWEB_TABLE` says none.
const DEFAULT_TABLE: &str = "actingweb";

/// What a deployment decides; docs/architecture.md has the variables. What an application decides is code.
#[derive(Clone)]
pub struct Config {
    /// `ACTINGWEB_TABLE`: the table's name; default `actingweb`.
    pub table: String,
    /// `ACTINGWEB_BASE_URL`: the public URL, without a slash at its end.
    pub base_url: String,
    /// `ACTINGWEB_KEYS`: the master keys.
    pub keys: Arc<Keys>,
    /// `ACTINGWEB_OUTBOUND`: how far calls to URLs that strangers chose may go; default strict.
    pub outbound: Guard,
    /// `ACTINGWEB_BEDROCK_MODEL`: model or inference profile for hooks; without one Bedrock answers with an error.
    pub bedrock_model: Option<String>,
    /// `ACTINGWEB_DEVTEST`: whether test endpoints are served; default false.
    pub devtest: bool,
    /// `ACTINGWEB_BOT_TOKEN`: what messages to `/bot` are checked by; without it that path is not served.
    pub bot_token: Option<BotToken>,
    /// `ACTINGWEB_LOG`: what is logged; default `info`.
    pub log: LogFilter,
    /// `ACTINGWEB_SERVICE_<NAME>`: base URLs of services that hooks call, by name in lower case.
    pub services: BTreeMap<String, Url>,
    /// `ACTINGWEB_OAUTH_<PROVIDER>_…`: the identity providers that people may sign in with.
    pub providers: Vec<ProviderSettings>,
    /// `ACTINGWEB_OAUTH_SERVICE_<NAME>_CLIENT_ID` and `_CLIENT_SECRET`: the clients that services know this deployment as.
    pub service_clients: BTreeMap<String, ServiceCredentials>,
    /// Where AWS is.
    pub aws: AwsSettings,
}

/// The standard variables of AWS that decide where calls go. Credentials are left to the SDK.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: another DynamoDB, such as a local engine.
    pub dynamodb_endpoint: Option<Url>,
    /// `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`: another Bedrock, such as a stand-in.
    pub bedrock_endpoint: Option<Url>,
    /// Whether `AWS_ACCESS_KEY_ID` or `AWS_PROFILE` is set.
    pub has_credentials: bool,
}

/// A variable that is missing or wrong. Its value is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {reason}")]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it, and what to set.
    pub reason: String,
}

impl ConfigError {
    fn new(variable: &str, reason: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), reason: reason.into() }
    }
}

impl Config {
    /// Reads every variable.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let aws = AwsSettings {
            region: environment.get("AWS_REGION").or_else(|| environment.get("AWS_DEFAULT_REGION")).map(str::to_owned),
            dynamodb_endpoint: endpoint(environment, "AWS_ENDPOINT_URL_DYNAMODB")?,
            bedrock_endpoint: endpoint(environment, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME")?,
            has_credentials: ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"].iter().any(|name| environment.get(name).is_some()),
        };
        Ok(Self {
            table: table(environment)?,
            base_url: base_url(environment)?,
            keys: Arc::new(keys(environment)?),
            outbound: outbound(environment)?,
            bedrock_model: environment.get("ACTINGWEB_BEDROCK_MODEL").map(str::to_owned),
            devtest: devtest(environment)?,
            bot_token: environment.get("ACTINGWEB_BOT_TOKEN").map(BotToken::new),
            log: Self::log(environment)?,
            services: services(environment)?,
            providers: providers(environment)?,
            service_clients: service_clients(environment)?,
            aws,
        })
    }

    /// `ACTINGWEB_LOG` alone: it is needed before the others, to say what is wrong with them.
    ///
    /// # Errors
    /// [`ConfigError`] when it is no filter.
    pub fn log(environment: &Environment) -> Result<LogFilter, ConfigError> {
        const NAME: &str = "ACTINGWEB_LOG";
        let hint = "is no filter: set it to a level such as info, or to levels by module such as \
                    info,actingweb_hooks=debug";
        let Some(text) = environment.get(NAME) else { return Ok(LogFilter::default()) };
        text.parse().map_err(|_| ConfigError::new(NAME, hint))
    }
}

/// Shows neither keys nor the URLs of services, which may hold tokens.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("table", &self.table)
            .field("base_url", &self.base_url)
            .field("outbound", &self.outbound)
            .field("bedrock_model", &self.bedrock_model)
            .field("devtest", &self.devtest)
            .field("services", &self.services.keys())
            .field("region", &self.aws.region)
            .finish_non_exhaustive()
    }
}

fn table(environment: &Environment) -> Result<String, ConfigError> {
    const NAME: &str = "ACTINGWEB_TABLE";
    let table = environment.get(NAME).unwrap_or(DEFAULT_TABLE);
    // Also an ARN, for a table of another account.
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    if table.len() < 3 || !table.chars().all(allowed) {
        return Err(ConfigError::new(
            NAME,
            "is no name of a table: set it to 3 to 255 letters, digits, `_`, `-` and `.`",
        ));
    }
    Ok(table.to_owned())
}

fn base_url(environment: &Environment) -> Result<String, ConfigError> {
    const NAME: &str = "ACTINGWEB_BASE_URL";
    let missing = "is not set: set it to the public URL of this deployment, such as https://actors.example.com";
    let text = environment.get(NAME).ok_or_else(|| ConfigError::new(NAME, missing))?;
    let url = http_url(NAME, text)?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(ConfigError::new(NAME, "must have no query, fragment or credentials, only scheme, host and path"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn keys(environment: &Environment) -> Result<Keys, ConfigError> {
    const NAME: &str = "ACTINGWEB_KEYS";
    let missing = "is not set: set it to a JSON object of keys, {\"k1\": \"at least 32 random characters\"}";
    let text = environment.get(NAME).ok_or_else(|| ConfigError::new(NAME, missing))?;
    Keys::parse(text).map_err(|error| ConfigError::new(NAME, format!("is wrong: {error}")))
}

fn outbound(environment: &Environment) -> Result<Guard, ConfigError> {
    const NAME: &str = "ACTINGWEB_OUTBOUND";
    let Some(text) = environment.get(NAME) else { return Ok(Guard::Strict) };
    text.parse().map_err(|error| ConfigError::new(NAME, format!("{error}")))
}

fn devtest(environment: &Environment) -> Result<bool, ConfigError> {
    const NAME: &str = "ACTINGWEB_DEVTEST";
    match environment.get(NAME) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ConfigError::new(NAME, "must be true or false")),
    }
}

fn services(environment: &Environment) -> Result<BTreeMap<String, Url>, ConfigError> {
    const PREFIX: &str = "ACTINGWEB_SERVICE_";
    environment
        .below(PREFIX)
        .map(|(name, text)| Ok((name.to_ascii_lowercase(), http_url(&format!("{PREFIX}{name}"), text)?)))
        .collect()
}

/// What variables of providers and of connected services begin with.
const OAUTH: &str = "ACTINGWEB_OAUTH_";

fn providers(environment: &Environment) -> Result<Vec<ProviderSettings>, ConfigError> {
    ProviderSettings::read(environment.below(OAUTH))
        .map_err(|error| ConfigError::new(&format!("{OAUTH}{}", error.variable), error.reason))
}

fn service_clients(environment: &Environment) -> Result<BTreeMap<String, ServiceCredentials>, ConfigError> {
    ServiceCredentials::read(environment.below(OAUTH))
        .map_err(|error| ConfigError::new(&format!("{OAUTH}{}", error.variable), error.reason))
}

fn endpoint(environment: &Environment, name: &str) -> Result<Option<Url>, ConfigError> {
    environment.get(name).map(|text| http_url(name, text)).transpose()
}

fn http_url(variable: &str, text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| ConfigError::new(variable, "is no http or https URL: set it to one, such as https://example.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#"{"k1": "0123456789abcdef0123456789abcdef"}"#;

    fn complete() -> Environment {
        [("ACTINGWEB_BASE_URL", "https://actors.example.com/"), ("ACTINGWEB_KEYS", KEYS)].into_iter().collect()
    }

    fn refusal(name: &str, value: &str) -> ConfigError {
        Config::read(&complete().with(name, value)).unwrap_err()
    }

    #[test]
    fn two_variables_are_enough() {
        let config = Config::read(&complete()).unwrap();
        assert_eq!(config.base_url, "https://actors.example.com");
        assert_eq!((config.table.as_str(), config.outbound, config.devtest), ("actingweb", Guard::Strict, false));
        assert_eq!((config.bedrock_model, config.services.len(), config.aws), (None, 0, AwsSettings::default()));
    }

    #[test]
    fn every_variable_counts() {
        let environment = complete()
            .with("ACTINGWEB_TABLE", "actors-test")
            .with("ACTINGWEB_BASE_URL", "https://example.com/actors//")
            .with("ACTINGWEB_OUTBOUND", "loopback")
            .with("ACTINGWEB_BEDROCK_MODEL", "amazon.nova-lite-v1:0")
            .with("ACTINGWEB_DEVTEST", "true")
            .with("ACTINGWEB_BOT_TOKEN", "shared-with-the-bot")
            .with("ACTINGWEB_SERVICE_NEWS_FEED", "http://127.0.0.1:9/news")
            .with("ACTINGWEB_OAUTH_GOOGLE_CLIENT_ID", "web")
            .with("ACTINGWEB_OAUTH_SERVICE_GITHUB_CLIENT_ID", "ours")
            .with("AWS_DEFAULT_REGION", "eu-north-1")
            .with("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")
            .with("AWS_ACCESS_KEY_ID", "id");
        let config = Config::read(&environment).unwrap();
        assert_eq!(config.table, "actors-test");
        assert_eq!(config.base_url, "https://example.com/actors");
        assert_eq!((config.outbound, config.devtest), (Guard::Loopback, true));
        assert!(config.bot_token.is_some() && !format!("{:?}", config.bot_token).contains("shared"));
        assert_eq!(config.bedrock_model.as_deref(), Some("amazon.nova-lite-v1:0"));
        assert_eq!(config.services["news_feed"].as_str(), "http://127.0.0.1:9/news");
        assert_eq!(config.providers.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["google"]);
        assert_eq!(config.service_clients["github"].client_id, "ours");
        assert_eq!(config.aws.region.as_deref(), Some("eu-north-1"));
        assert_eq!(config.aws.dynamodb_endpoint.unwrap().port(), Some(8000));
        assert!(config.aws.has_credentials);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (name, value) in [
            ("ACTINGWEB_BASE_URL", ""),
            ("ACTINGWEB_BASE_URL", "actors.example.com"),
            ("ACTINGWEB_BASE_URL", "ftp://example.com"),
            ("ACTINGWEB_BASE_URL", "https://u:p@example.com"),
            ("ACTINGWEB_BASE_URL", "https://example.com/?a"),
            ("ACTINGWEB_KEYS", " "),
            ("ACTINGWEB_KEYS", "not-json-but-secret"),
            ("ACTINGWEB_KEYS", r#"{"k1": "not-long-but-secret"}"#),
            ("ACTINGWEB_TABLE", "a b"),
            ("ACTINGWEB_OUTBOUND", "everywhere"),
            ("ACTINGWEB_DEVTEST", "yes"),
            ("ACTINGWEB_LOG", "info,=,"),
            ("ACTINGWEB_SERVICE_WEATHER", "not-a-url-but-secret"),
            ("ACTINGWEB_OAUTH_GOOGLE_COLOUR", "secret"),
            ("ACTINGWEB_OAUTH_SERVICE_GITHUB_COLOUR", "secret"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "8000"),
        ] {
            let error = refusal(name, value);
            assert_eq!(error.variable, name, "{value}");
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let environment = complete().with("ACTINGWEB_SERVICE_PAY", "https://user:hunter2@pay.example");
        let config = Config::read(&environment).unwrap();
        let printed = format!("{environment:?} {config:?}");
        assert!(!printed.contains("0123456789") && !printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("pay"), "{printed}");
    }
}
