//! The clients of AWS: built once, sharing one connection pool and one TLS stack.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use url::{Host, Url};

use crate::AwsSettings;

/// The region named to other engines when none is set; they ignore it.
const LOCAL_REGION: &str = "us-east-1";

/// How long a connection to AWS may take. Within a region it is milliseconds; a lost packet costs one second.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long one attempt on DynamoDB may take. Single-digit milliseconds are usual, the largest transactions take a
/// part of a second; the store repeats attempts that take longer.
const DYNAMODB_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The clients of AWS.
pub(crate) struct AwsClients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) bedrock: aws_sdk_bedrockruntime::Client,
}

impl AwsClients {
    /// Builds both, eagerly: what is built lazily is built at the cost of the first request.
    pub(crate) async fn build(settings: &AwsSettings) -> Self {
        let shared = Box::pin(shared_config(settings)).await;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);

        // No retries of the SDK's: the store repeats calls by itself, until shortly before the deadline.
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(&shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.clone().operation_attempt_timeout(DYNAMODB_ATTEMPT_TIMEOUT).build());
        dynamodb.set_endpoint_url(settings.dynamodb_endpoint.as_ref().map(plain));
        // A model may think for a minute: only the deadline of the hook ends a call.
        let mut bedrock = aws_sdk_bedrockruntime::config::Builder::from(&shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        bedrock.set_endpoint_url(settings.bedrock_endpoint.as_ref().map(plain));

        if !settings.has_credentials {
            if settings.dynamodb_endpoint.as_ref().is_some_and(|endpoint| !is_aws(endpoint)) {
                dynamodb = dynamodb.credentials_provider(local_credentials());
            }
            if settings.bedrock_endpoint.as_ref().is_some_and(|endpoint| !is_aws(endpoint)) {
                bedrock = bedrock.credentials_provider(local_credentials());
            }
        }
        Self {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            bedrock: aws_sdk_bedrockruntime::Client::from_conf(bedrock.build()),
        }
    }
}

async fn shared_config(settings: &AwsSettings) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let local = || {
        settings.dynamodb_endpoint.as_ref().is_some_and(|endpoint| !is_aws(endpoint)).then(|| LOCAL_REGION.to_owned())
    };
    if let Some(region) = settings.region.clone().or_else(local) {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

/// What requests to other engines are signed with, when there is nothing else. It is no secret.
fn local_credentials() -> Credentials {
    Credentials::new("local", "local", None, None, "local engines")
}

/// The SDK appends its own path, so the URL must not end in a slash.
fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Whether an endpoint is AWS itself, rather than an engine or a stand-in that speaks its protocol. Those have their
/// tables made by whoever starts them, and check no signatures.
#[must_use]
pub fn is_aws(endpoint: &Url) -> bool {
    const DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
    matches!(endpoint.host(), Some(Host::Domain(name)) if DOMAINS.iter().any(|domain| name.ends_with(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_is_told_by_its_domains() {
        let aws = |url: &str| is_aws(&Url::parse(url).unwrap());
        assert!(aws("https://dynamodb.eu-north-1.amazonaws.com") && aws("https://dynamodb.eu-north-1.api.aws/"));
        assert!(aws("https://vpce-1-a.dynamodb.eu-north-1.vpce.amazonaws.com"));
        assert!(!aws("http://127.0.0.1:8000") && !aws("http://localhost:8000") && !aws("http://[::1]:8000"));
        assert!(!aws("https://amazonaws.com.example.com") && !aws("https://notamazonaws.com"));
    }

    #[tokio::test]
    async fn another_engine_needs_neither_region_nor_credentials() {
        let endpoint = Url::parse("http://127.0.0.1:1/").ok();
        let settings = AwsSettings { dynamodb_endpoint: endpoint, ..AwsSettings::default() };
        let clients = AwsClients::build(&settings).await;
        assert_eq!(clients.dynamodb.config().region().map(AsRef::as_ref), Some(LOCAL_REGION));
        let refused = clients.dynamodb.list_tables().send().await.unwrap_err();
        assert!(matches!(refused, aws_sdk_dynamodb::error::SdkError::DispatchFailure(_)), "{refused:?}");
    }
}
