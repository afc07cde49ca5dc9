//! Stand-ins on loopback for what the demo calls, so that it works without a network.

use actingweb_runtime::Environment;
use actingweb_testkit::bedrock_standin::{BedrockStandin, Script};
use actingweb_testkit::service_standin::ServiceStandin;

use crate::StartError;

/// The services of the demo application.
const SERVICES: [&str; 5] = ["weather", "news", "quotes", "store", "notifications"];

/// The model the stand-in for Bedrock is asked for; it answers any.
const MODEL: &str = "standin.model-v1";

const BEDROCK_ENDPOINT: &str = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME";

/// Those that run.
#[derive(Debug, Default)]
pub(crate) struct Standins {
    pub(crate) bedrock: Option<BedrockStandin>,
    pub(crate) services: Option<ServiceStandin>,
    /// What is stood in for, for people.
    pub(crate) names: Vec<&'static str>,
}

impl Standins {
    /// Starts those whose place nothing configured takes, and adds their addresses to the environment.
    pub(crate) fn start(mut environment: Environment) -> Result<(Self, Environment), StartError> {
        let mut standins = Self::default();
        if environment.get(BEDROCK_ENDPOINT).is_none() {
            let bedrock = BedrockStandin::start(Script::new())
                .map_err(|source| StartError::Standin { what: "Bedrock", source })?;
            environment =
                environment.with(BEDROCK_ENDPOINT, bedrock.url()).with_default("ACTINGWEB_BEDROCK_MODEL", MODEL);
            standins.bedrock = Some(bedrock);
            standins.names.push("Bedrock");
        }
        let variable = |service: &str| format!("ACTINGWEB_SERVICE_{}", service.to_ascii_uppercase());
        let missing: Vec<_> =
            SERVICES.into_iter().filter(|service| environment.get(&variable(service)).is_none()).collect();
        if !missing.is_empty() {
            let services =
                ServiceStandin::start().map_err(|source| StartError::Standin { what: "services", source })?;
            for service in &missing {
                environment = environment.with(variable(service), services.url());
            }
            standins.services = Some(services);
            standins.names.extend(missing);
        }
        Ok((standins, environment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_not_stood_in_for() {
        let given: Environment = [
            (BEDROCK_ENDPOINT, "https://bedrock-runtime.eu-north-1.amazonaws.com"),
            ("ACTINGWEB_SERVICE_WEATHER", "https://weather.example"),
        ]
        .into_iter()
        .collect();
        let (standins, environment) = Standins::start(given).unwrap();
        assert!(standins.bedrock.is_none());
        assert_eq!(standins.names, ["news", "quotes", "store", "notifications"]);
        assert_eq!(environment.get("ACTINGWEB_SERVICE_WEATHER"), Some("https://weather.example"));
        assert_eq!(environment.get("ACTINGWEB_SERVICE_NEWS"), standins.services.as_ref().map(ServiceStandin::url));
        assert_eq!(environment.get("ACTINGWEB_BEDROCK_MODEL"), None);
    }
}
