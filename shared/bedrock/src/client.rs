//! The client hooks use.

use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::budget::{Allowance, Cost};
use actingweb_protocol::retry::Retry;
use actingweb_protocol::{Deadline, Entropy};
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::StalledStreamProtectionConfig;
use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_smithy_types::retry::RetryConfig;
use serde_json::Value;
use tokio::time::Instant;

use crate::error::BedrockError;
use crate::ledger::{Hold, Ledger};
use crate::prompt::{Prompt, tokens_of};
use crate::reply::{Reply, Usage};
use crate::stream::ConverseStream;
use crate::tokens::TokenHeaders;

/// The longest a call may take when no deadline was given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Amazon Bedrock. Cheap to clone; built once, at init. In a hook, take it as an argument: its deadline is set then.
///
/// Calls that were throttled or failed on the way are tried up to three times ([`Retry`]), with full jitter, as long as
/// the deadline allows; [`with_retry`](Self::with_retry) says otherwise. Dropping a call's future cancels it.
///
/// ```no_run
/// # async fn example(bedrock: actingweb_bedrock::Bedrock) -> Result<(), actingweb_bedrock::BedrockError> {
/// use actingweb_bedrock::Prompt;
///
/// let prompt = Prompt::new("What is an actor?").system("Answer in one sentence.").max_tokens(100);
/// let reply = bedrock.converse(prompt).await?;
/// println!("{} ({} tokens)", reply.text, reply.usage.output_tokens);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Bedrock {
    shared: Arc<Shared>,
    deadline: Option<Deadline>,
    retry: Retry,
    ledger: Option<Arc<dyn Ledger>>,
    reserve: Option<u64>,
}

#[derive(Debug)]
struct Shared {
    client: Option<Client>,
    model: Option<String>,
    entropy: Arc<dyn Entropy>,
}

impl Bedrock {
    /// Wraps the SDK's client. Without a client every call is [`BedrockError::NotConfigured`]; without a `model` those
    /// calls are that name none.
    ///
    /// The client's own retries and its stalled-stream check are turned off: this type retries, within the deadline,
    /// and a model that thinks for a while before the next word is not a stalled stream.
    #[must_use]
    pub fn new(client: Option<Client>, model: Option<String>, entropy: Arc<dyn Entropy>) -> Self {
        let client = client.map(|client| {
            let config = client.config().to_builder();
            let config = config
                .retry_config(RetryConfig::disabled())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            Client::from_conf(config.build())
        });
        let model = model.filter(|model| !model.is_empty());
        let shared = Arc::new(Shared { client, model, entropy });
        Self { shared, deadline: None, retry: Retry::default(), ledger: None, reserve: None }
    }

    /// This client with another policy: `bedrock.clone().with_retry(Retry::OFF)` for a call that is made once.
    #[must_use]
    pub const fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// This client for work that must end by `deadline` (the earlier one counts, if it had one).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// This client within a budget: each call reserves what it may cost at most, and is settled with what it did cost. A
    /// call that does not fit is [`BedrockError::BudgetSpent`], and is not sent. In a hook this is done already.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// This client reserving so many tokens for each call, whatever the prompt: where the estimate is wrong, such as for
    /// what a body of [`invoke_model`](Self::invoke_model) holds. No effect without a budget that limits tokens.
    ///
    /// Without this it is what the answer may have ([`Prompt::max_tokens`], else
    /// [`BedrockBudget::answer_tokens`](crate::BedrockBudget::answer_tokens)) and one token for every two bytes of the prompt.
    #[must_use]
    pub const fn reserving(mut self, tokens: u64) -> Self {
        self.reserve = Some(tokens);
        self
    }

    /// How the actor's budget stands, the shortest window first; none where there is no budget, which asks nobody.
    ///
    /// # Errors
    /// [`BedrockError::BudgetUnknown`] when storage does not answer.
    pub async fn budget(&self) -> Result<Vec<Allowance>, BedrockError> {
        match &self.ledger {
            Some(ledger) => ledger.allowances().await,
            None => Ok(Vec::new()),
        }
    }

    /// Reserves room for a call through [`client`](Self::client), which no budget knows of otherwise. Settle it with what
    /// the call used.
    ///
    /// # Errors
    /// [`BedrockError::BudgetSpent`] when there is no room; [`BedrockError::BudgetUnknown`].
    pub async fn hold(&self, tokens: u64) -> Result<Hold, BedrockError> {
        let Some(ledger) = &self.ledger else { return Ok(Hold::NONE) };
        if Instant::now() >= self.end() {
            return Err(BedrockError::TimedOut);
        }
        let tokens = if ledger.budget().limits_tokens() { self.reserve.unwrap_or(tokens) } else { 0 };
        let reservation = ledger.reserve(Cost { calls: 1, tokens }).await?;
        Ok(Hold::new(Arc::clone(ledger), reservation))
    }

    /// The prompt as it is sent: where tokens are limited, no answer is without a limit.
    fn limited(&self, prompt: Prompt) -> Prompt {
        match &self.ledger {
            Some(ledger) if ledger.budget().limits_tokens() => prompt.limited(ledger.budget().default_answer()),
            _ => prompt,
        }
    }

    /// Whether calls that name no model can be made: a client and a model are configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.shared.client.is_some() && self.shared.model.is_some()
    }

    /// The configured model or inference profile.
    ///
    /// # Errors
    /// [`BedrockError::NotConfigured`] when there is none.
    pub fn model(&self) -> Result<&str, BedrockError> {
        self.shared.model.as_deref().ok_or(BedrockError::NO_MODEL)
    }

    /// The SDK's client, for what is not wrapped here: tools, documents, guardrails, images. It does not retry and
    /// knows neither a deadline nor a budget ([`hold`](Self::hold) room for it).
    ///
    /// # Errors
    /// [`BedrockError::NotConfigured`] when there is none.
    pub fn client(&self) -> Result<&Client, BedrockError> {
        self.shared.client.as_ref().ok_or(BedrockError::NO_CLIENT)
    }

    /// Asks a model and waits for the whole answer. A plain string is a prompt, too.
    ///
    /// # Errors
    /// [`BedrockError`].
    pub async fn converse(&self, prompt: impl Into<Prompt>) -> Result<Reply, BedrockError> {
        let prompt = self.limited(prompt.into());
        let begun = Instant::now();
        let model = self.model_of(&prompt)?;
        let request = self.client()?.converse().model_id(model);
        let request = request
            .set_system(prompt.system_blocks())
            .set_messages(Some(prompt.messages()?))
            .set_inference_config(prompt.inference());
        let hold = self.hold(prompt.most_tokens()).await?;
        let output = self
            .retrying("Converse", model, || {
                let request = request.clone();
                async move { request.send().await.map_err(BedrockError::from_sdk) }
            })
            .await;
        let (output, hold) = hold.unless_free(output).await?;
        let reply = reply_of(&output, begun);
        if let Some(usage) = output.usage() {
            hold.settle(usage.into()).await;
        }
        let reply = reply?;
        tracing::debug!(
            model,
            input_tokens = reply.usage.input_tokens,
            output_tokens = reply.usage.output_tokens,
            elapsed_ms = u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
            "Bedrock answered"
        );
        Ok(reply)
    }

    /// Asks a model and hands out the answer while it is being written. Failures before the first event are retried;
    /// later ones are the stream's last item.
    ///
    /// # Errors
    /// [`BedrockError`].
    pub async fn converse_stream(&self, prompt: impl Into<Prompt>) -> Result<ConverseStream, BedrockError> {
        let prompt = self.limited(prompt.into());
        let begun = Instant::now();
        let model = self.model_of(&prompt)?;
        let request = self.client()?.converse_stream().model_id(model);
        let request = request
            .set_system(prompt.system_blocks())
            .set_messages(Some(prompt.messages()?))
            .set_inference_config(prompt.inference());
        let hold = self.hold(prompt.most_tokens()).await?;
        let response = self
            .retrying("ConverseStream", model, || {
                let request = request.clone();
                async move { request.send().await.map_err(BedrockError::from_sdk) }
            })
            .await;
        let (response, hold) = hold.unless_free(response).await?;
        Ok(ConverseStream::new(response, begun, self.end(), hold))
    }

    /// Sends a model its own request format and returns its own reply format, both JSON: for embeddings and other
    /// models that do not converse.
    ///
    /// What the model may answer is up to the body, so a budget reserves for it what
    /// [`answer_tokens`](crate::BedrockBudget::answer_tokens) says, or [`reserving`](Self::reserving); it is settled with
    /// the tokens that Bedrock reports, and stays as it is when there is no report.
    ///
    /// # Errors
    /// [`BedrockError`]; [`BedrockError::Unexpected`] when the reply is not JSON.
    pub async fn invoke_model(&self, model: &str, body: &Value) -> Result<Value, BedrockError> {
        let body = body.to_string();
        let answer = self.ledger.as_ref().map_or(0, |ledger| ledger.budget().default_answer());
        let most = tokens_of(body.len()).saturating_add(u64::from(answer));
        let request = self
            .client()?
            .invoke_model()
            .model_id(model)
            .content_type("application/json")
            .accept("application/json")
            .body(Blob::new(body));
        let hold = self.hold(most).await?;
        let counted = TokenHeaders::default();
        let output = self
            .retrying("InvokeModel", model, || {
                let request = request.clone().customize().interceptor(counted.clone());
                async move { request.send().await.map_err(BedrockError::from_sdk) }
            })
            .await;
        let (output, hold) = hold.unless_free(output).await?;
        if let Some(usage) = counted.usage() {
            hold.settle(usage).await;
        }
        serde_json::from_slice(output.body().as_ref()).map_err(|error| BedrockError::Unexpected {
            message: format!("the model's reply is not JSON (line {}, column {})", error.line(), error.column()),
        })
    }

    fn model_of<'a>(&'a self, prompt: &'a Prompt) -> Result<&'a str, BedrockError> {
        match prompt.model.as_deref() {
            Some(model) if !model.is_empty() => Ok(model),
            _ => self.model(),
        }
    }

    fn end(&self) -> Instant {
        self.deadline.map_or_else(|| Instant::now() + DEFAULT_TIMEOUT, |deadline| deadline.instant().into())
    }

    /// Tries until it works, cannot work, or the next wait would pass the deadline: then the last reason is worth
    /// more to the caller than a timeout.
    async fn retrying<T, F>(
        &self,
        operation: &str,
        model: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, BedrockError>
    where
        F: Future<Output = Result<T, BedrockError>>,
    {
        let end = self.end();
        let mut failed = 0;
        loop {
            if Instant::now() >= end {
                return Err(BedrockError::TimedOut);
            }
            // The SDK's futures are large; on the heap they do not swell every hook that awaits one.
            let error = match tokio::time::timeout_at(end, Box::pin(attempt())).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => BedrockError::TimedOut,
            };
            failed += 1;
            let left = end.saturating_duration_since(Instant::now());
            let wait = self.retry.wait(failed, error.retry_after(), left, &*self.shared.entropy);
            let wait = wait.filter(|_| error.is_retryable());
            tracing::debug!(operation, model, failed, again = wait.is_some(), %error, "Bedrock call failed");
            let Some(wait) = wait else { return Err(error) };
            tokio::time::sleep(wait).await;
        }
    }
}

fn reply_of(output: &ConverseOutput, begun: Instant) -> Result<Reply, BedrockError> {
    let message = output.output().and_then(|output| output.as_message().ok());
    let message = message.ok_or_else(|| BedrockError::Unexpected { message: "the reply holds no message".into() })?;
    let text = message.content().iter().filter_map(|block| block.as_text().ok()).map(String::as_str).collect();
    Ok(Reply {
        text,
        stop_reason: output.stop_reason().clone(),
        usage: output.usage().map(Usage::from).unwrap_or_default(),
        latency: begun.elapsed(),
    })
}
