//! How many tokens an invocation of a model took: InvokeModel says so in headers only.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_bedrockruntime::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_bedrockruntime::error::BoxError;

use crate::reply::Usage;

const INPUT: &str = "x-amzn-bedrock-input-token-count";
const OUTPUT: &str = "x-amzn-bedrock-output-token-count";

/// Reads the headers of the reply that it is sent along for.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenHeaders(Arc<Mutex<Option<Usage>>>);

impl TokenHeaders {
    /// What the last reply said; `None` when it did not.
    pub(crate) fn usage(&self) -> Option<Usage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for TokenHeaders {
    fn name(&self) -> &'static str {
        "TokenHeaders"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let count = |name: &str| headers.get(name)?.parse::<u32>().ok();
        // A model that writes nothing, such as one for embeddings, sends no second header.
        let usage = count(INPUT).map(|input_tokens| Usage { input_tokens, output_tokens: count(OUTPUT).unwrap_or(0) });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usage;
        Ok(())
    }
}
