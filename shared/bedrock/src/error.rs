//! What can go wrong with a call to Bedrock, and how the SDK's errors become it.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use actingweb_protocol::budget::BudgetSpent;
use actingweb_protocol::retry::parse_retry_after;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError as StreamError;

/// A call to Bedrock that gave no usable answer. Messages hold what Bedrock said, never the prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BedrockError {
    /// Something must be set before Bedrock can be called; the text says what.
    #[error("Bedrock is not configured: {missing}")]
    NotConfigured {
        /// What is missing and which setting provides it.
        missing: &'static str,
    },
    /// The account's or the model's quota is used up for now.
    #[error("Bedrock is throttling requests: {message}")]
    Throttled {
        /// How long Bedrock asks to wait, when it says so.
        retry_after: Option<Duration>,
        /// Bedrock's words.
        message: String,
    },
    /// No complete answer before the deadline.
    #[error("Bedrock did not answer in time")]
    TimedOut,
    /// The credentials may not call this model.
    #[error("Bedrock denied the call (check the function's policy and the account's model access): {message}")]
    Denied {
        /// Bedrock's words.
        message: String,
    },
    /// There is no such model in this region.
    #[error("Bedrock knows no such model here (check ACTINGWEB_BEDROCK_MODEL and AWS_REGION): {message}")]
    ModelNotFound {
        /// Bedrock's words.
        message: String,
    },
    /// Bedrock finds the request itself wrong: too long, a parameter the model does not take, not the model's format.
    #[error("Bedrock refused the request as invalid: {message}")]
    Invalid {
        /// Bedrock's words.
        message: String,
    },
    /// Bedrock, the model or the way there failed; later it may work.
    #[error("Bedrock is unavailable: {message}")]
    Unavailable {
        /// What failed.
        message: String,
    },
    /// An answer that was streaming broke off: what came before it is incomplete.
    #[error("the streamed answer broke off: {cause}")]
    Stream {
        /// Why.
        cause: Box<BedrockError>,
    },
    /// The actor has spent what the application lets it spend. Nothing was sent.
    #[error(transparent)]
    BudgetSpent(#[from] BudgetSpent),
    /// Whether the actor may still spend could not be found out, as storage did not answer. Nothing was sent.
    #[error("the actor's budget could not be read: {message}")]
    BudgetUnknown {
        /// When to try again; `None` when that does not help.
        retry_after: Option<Duration>,
        /// What storage said.
        message: String,
    },
    /// Bedrock answered, but not with what was asked for.
    #[error("Bedrock answered unexpectedly: {message}")]
    Unexpected {
        /// What was unexpected.
        message: String,
    },
}

impl BedrockError {
    pub(crate) const NO_CLIENT: Self = Self::NotConfigured {
        missing: "no AWS client; set AWS_REGION and AWS credentials (on Lambda both are there by themselves), or \
                  AWS_ENDPOINT_URL_BEDROCK_RUNTIME for a stand-in",
    };
    pub(crate) const NO_MODEL: Self = Self::NotConfigured {
        missing: "no model; set ACTINGWEB_BEDROCK_MODEL to a model or inference profile id, or name one in the call",
    };
    const NO_CREDENTIALS: Self = Self::NotConfigured {
        missing: "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (on Lambda the function's role \
                  provides them; a stand-in at AWS_ENDPOINT_URL_BEDROCK_RUNTIME takes any)",
    };
    const NO_REGION: Self = Self::NotConfigured { missing: "no region; set AWS_REGION" };

    /// Whether the same call may well succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::TimedOut | Self::Unavailable { .. } => true,
            Self::Stream { cause } => cause.is_retryable(),
            Self::BudgetSpent(spent) => spent.renewed_at.is_some(),
            Self::BudgetUnknown { retry_after, .. } => retry_after.is_some(),
            Self::NotConfigured { .. }
            | Self::Denied { .. }
            | Self::ModelNotFound { .. }
            | Self::Invalid { .. }
            | Self::Unexpected { .. } => false,
        }
    }

    /// How long to wait before the next try: as Bedrock asked, or until an actor's budget is renewed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::BudgetUnknown { retry_after, .. } => *retry_after,
            Self::BudgetSpent(spent) => spent.retry_after(),
            Self::Stream { cause } => cause.retry_after(),
            _ => None,
        }
    }

    /// Whether a call that ended so surely costs nothing: Bedrock charges for answers, not for refusals. After a time-out
    /// or in the middle of an answer nobody knows.
    pub(crate) const fn is_free(&self) -> bool {
        match self {
            Self::TimedOut | Self::Stream { .. } | Self::Unexpected { .. } => false,
            Self::NotConfigured { .. }
            | Self::Throttled { .. }
            | Self::Denied { .. }
            | Self::ModelNotFound { .. }
            | Self::Invalid { .. }
            | Self::Unavailable { .. }
            | Self::BudgetSpent(_)
            | Self::BudgetUnknown { .. } => true,
        }
    }

    /// The error of one call. All operations share their error codes, so the code decides, not the operation's type.
    pub(crate) fn from_sdk<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match &error {
            SdkError::ServiceError(service) => {
                let headers = service.raw().headers();
                let retry_after =
                    headers.get("retry-after").and_then(|value| parse_retry_after(value, headers.get("date")));
                let status = service.raw().status().as_u16();
                from_code(service.err().code(), Some(status), retry_after, service.err().message())
            }
            SdkError::TimeoutError(_) => Self::TimedOut,
            SdkError::ResponseError(_) => Self::Unexpected { message: root_cause(&error) },
            _ => from_setup(&error),
        }
    }

    /// The error of one event in a stream. Exceptions inside a stream carry no code, their type is the code.
    pub(crate) fn from_stream<R: Debug + 'static>(error: &SdkError<StreamError, R>) -> Self {
        let cause = match error.as_service_error() {
            Some(exception) => {
                let code = match exception {
                    StreamError::ThrottlingException(_) => Some("ThrottlingException"),
                    StreamError::ValidationException(_) => Some("ValidationException"),
                    StreamError::ModelStreamErrorException(_) => Some("ModelStreamErrorException"),
                    StreamError::ServiceUnavailableException(_) => Some("ServiceUnavailableException"),
                    StreamError::InternalServerException(_) => Some("InternalServerException"),
                    other => other.code(),
                };
                from_code(code, None, None, exception.message())
            }
            None => Self::Unavailable { message: root_cause(error) },
        };
        cause.in_stream()
    }

    pub(crate) fn in_stream(self) -> Self {
        Self::Stream { cause: Box::new(self) }
    }
}

/// From the error's code, and where Bedrock (or something in front of it) gave none, from the HTTP status.
fn from_code(
    code: Option<&str>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    message: Option<&str>,
) -> BedrockError {
    let message = match (message, code, status) {
        (Some(message), _, _) => message.to_owned(),
        (None, Some(code), _) => code.to_owned(),
        (None, None, Some(status)) => format!("status {status}"),
        (None, None, None) => "no reason given".to_owned(),
    };
    match (code.unwrap_or_default(), status.unwrap_or_default()) {
        ("ThrottlingException" | "TooManyRequestsException" | "ServiceQuotaExceededException", _) => {
            BedrockError::Throttled { retry_after, message }
        }
        (
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException",
            _,
        ) => BedrockError::Denied { message },
        ("ResourceNotFoundException", _) => BedrockError::ModelNotFound { message },
        ("ValidationException", _) => BedrockError::Invalid { message },
        (
            "ModelNotReadyException"
            | "ModelTimeoutException"
            | "ModelErrorException"
            | "ModelStreamErrorException"
            | "ServiceUnavailableException"
            | "InternalServerException",
            _,
        ) => BedrockError::Unavailable { message },
        (_, 429) => BedrockError::Throttled { retry_after, message },
        (_, 401 | 403) => BedrockError::Denied { message },
        (_, 404) => BedrockError::ModelNotFound { message },
        (_, 400..=499) => BedrockError::Invalid { message },
        _ => BedrockError::Unavailable { message },
    }
}

/// Failures before or instead of an answer: settings that are missing, or no connection.
fn from_setup(error: &(dyn Error + 'static)) -> BedrockError {
    for cause in chain(error) {
        if let Some(CredentialsError::CredentialsNotLoaded(_)) = cause.downcast_ref() {
            return BedrockError::NO_CREDENTIALS;
        }
    }
    // The SDK gives these two no type of their own.
    let text = chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let lower = text.to_ascii_lowercase();
    if lower.contains("missing region") || lower.contains("region must be set") {
        return BedrockError::NO_REGION;
    }
    if lower.contains("auth scheme") || lower.contains("identity resolver") {
        return BedrockError::NO_CREDENTIALS;
    }
    BedrockError::Unavailable { message: root_cause(error) }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The innermost cause: the outer layers only say that the call failed.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_and_statuses_fill_in() {
        let kind = |code, status| from_code(code, status, None, Some("m"));
        let message = || "m".to_owned();
        let cases = [
            (
                kind(Some("ThrottlingException"), Some(400)),
                BedrockError::Throttled { retry_after: None, message: message() },
            ),
            (kind(Some("ModelNotReadyException"), Some(429)), BedrockError::Unavailable { message: message() }),
            (kind(Some("AccessDeniedException"), Some(403)), BedrockError::Denied { message: message() }),
            (kind(Some("ResourceNotFoundException"), Some(404)), BedrockError::ModelNotFound { message: message() }),
            (kind(Some("ValidationException"), None), BedrockError::Invalid { message: message() }),
            (kind(None, Some(429)), BedrockError::Throttled { retry_after: None, message: message() }),
            (kind(None, Some(401)), BedrockError::Denied { message: message() }),
            (kind(Some("NewException"), Some(422)), BedrockError::Invalid { message: message() }),
            (kind(Some("NewException"), Some(502)), BedrockError::Unavailable { message: message() }),
            (kind(None, None), BedrockError::Unavailable { message: message() }),
        ];
        for (actual, expected) in cases {
            assert_eq!(actual, expected);
        }
    }

    #[test]
    fn an_error_without_words_still_says_something() {
        let error = from_code(None, Some(503), None, None);
        assert_eq!(error.to_string(), "Bedrock is unavailable: status 503");
    }

    #[test]
    fn a_broken_stream_is_as_retryable_as_its_cause() {
        let wait = Some(Duration::from_secs(1));
        let throttled = BedrockError::Throttled { retry_after: wait, message: String::new() }.in_stream();
        assert!(throttled.is_retryable());
        assert_eq!(throttled.retry_after(), wait);
        assert!(!BedrockError::Invalid { message: String::new() }.in_stream().is_retryable());
    }
}
