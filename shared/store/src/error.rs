//! What can go wrong between a request and the table, sorted by what the caller can do about it.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why a storage operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Throttled, in conflict with other writers, or out of reach, until there was no time left to try again. Nothing
    /// is known to be wrong with the request: the same one may succeed later.
    #[error("storage is busy ({reason}); try again in {retry_after:?}")]
    Busy {
        /// What the last attempt met.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The actor that was written to was deleted meanwhile, or never was.
    #[error("there is no such actor; it may have been deleted")]
    Gone,
    /// More than an item, a transaction or a reply can hold.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large, for people.
        what: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A stored item that cannot be read: written by another program, or by a later version.
    #[error("stored item {key} cannot be read: {what}")]
    Corrupt {
        /// Its partition and sort key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The service refused the call: missing table, missing permission, or a fault of ours.
    #[error("DynamoDB refused {operation}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// Code and message of the service.
        message: String,
    },
}

/// What one attempt met.
pub(crate) enum Fault<E> {
    /// Worth another attempt.
    Passing(String),
    /// A condition did not hold; the error has the details.
    Condition(Box<E>),
    /// Never worth another attempt.
    Lasting(String),
}

/// Codes of AWS that mean "later": throttling, conflicts between transactions, faults of the service.
const PASSING: &[&str] = &[
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
    "LimitExceededException",
];

pub(crate) fn sort<E: ProvideErrorMetadata + std::fmt::Debug>(error: SdkError<E>) -> Fault<E> {
    match error {
        SdkError::ServiceError(context) => {
            let server_fault = context.raw().status().is_server_error();
            let error = context.into_err();
            let code = error.code().unwrap_or("unknown").to_owned();
            let message = error.message().unwrap_or("no message").to_owned();
            match code.as_str() {
                "ConditionalCheckFailedException" | "TransactionCanceledException" => Fault::Condition(Box::new(error)),
                code if server_fault || PASSING.contains(&code) => Fault::Passing(code.to_owned()),
                code => Fault::Lasting(format!("{code}: {message}")),
            }
        }
        SdkError::ConstructionFailure(failure) => Fault::Lasting(format!("{failure:?}")),
        SdkError::TimeoutError(_) => Fault::Passing("no reply in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let reason = failure.as_connector_error().map_or("not sent".to_owned(), |error| format!("{error}"));
            Fault::Passing(format!("out of reach: {reason}"))
        }
        other => Fault::Passing(format!("broken reply: {other}")),
    }
}
