//! `Bedrock` over the real SDK and real sockets, against the stand-in.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

use std::sync::Arc;
use std::time::Duration;

use actingweb_bedrock::{Bedrock, BedrockError, Prompt, StopReason, StreamEvent, Usage};
use actingweb_protocol::Deadline;
use actingweb_testkit::bedrock_standin::{BedrockStandin, Ending, Fault, Script};
use actingweb_testkit::fakes::SeededEntropy;
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, Config, Region};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::json;

const MODEL: &str = "eu.vendor.model-v1:0";

fn credentials() -> Credentials {
    Credentials::from_keys("test", "test", None)
}

/// Settings that lack region, credentials and endpoint.
fn bare() -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

fn bedrock_over(config: Builder) -> Bedrock {
    let entropy = Arc::new(SeededEntropy::new(1));
    Bedrock::new(Some(Client::from_conf(config.build())), Some(MODEL.into()), entropy)
}

fn bedrock(standin: &BedrockStandin) -> Bedrock {
    let config =
        bare().region(Region::new("eu-north-1")).credentials_provider(credentials()).endpoint_url(standin.url());
    bedrock_over(config)
}

fn start(script: Script) -> (BedrockStandin, Bedrock) {
    let standin = BedrockStandin::start(script).unwrap();
    let bedrock = bedrock(&standin);
    (standin, bedrock)
}

fn within(millis: u64) -> Deadline {
    Deadline::after(std::time::Instant::now(), Duration::from_millis(millis))
}

#[tokio::test]
async fn converse_sends_the_whole_prompt_and_reads_the_whole_reply() {
    let (standin, bedrock) = start(Script::new().reply("Two notes mention it."));
    let prompt = Prompt::new("Hello")
        .assistant("Hi!")
        .user("Which notes mention Oslo?")
        .system("Be brief.")
        .max_tokens(50)
        .temperature(0.5)
        .top_p(0.25)
        .stop_at("END");
    let reply = bedrock.converse(prompt).await.unwrap();
    assert_eq!(reply.text, "Two notes mention it.");
    assert_eq!(reply.stop_reason, StopReason::EndTurn);
    assert_eq!(reply.usage, Usage { input_tokens: 8, output_tokens: 4 });
    assert!(reply.latency > Duration::ZERO);

    let [call] = &standin.calls()[..] else { panic!("{:?}", standin.calls()) };
    assert_eq!((call.operation, call.model.as_str()), ("converse", MODEL));
    let expected = json!({
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hello"}]},
            {"role": "assistant", "content": [{"text": "Hi!"}]},
            {"role": "user", "content": [{"text": "Which notes mention Oslo?"}]},
        ],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"]},
    });
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn a_plain_string_is_a_prompt_and_a_prompt_may_name_its_model() {
    let (standin, bedrock) = start(Script::new());
    assert_eq!(bedrock.converse("one two three").await.unwrap().text, "Summary: 3 words in 1 message(s).");
    bedrock.converse(Prompt::new("x").model("arn:aws:bedrock:::inference-profile/a.b")).await.unwrap();
    let calls = standin.calls();
    assert_eq!(calls[0].body, json!({"messages": [{"role": "user", "content": [{"text": "one two three"}]}]}));
    assert_eq!(calls[1].model, "arn:aws:bedrock:::inference-profile/a.b");
}

#[tokio::test]
async fn a_stream_gives_pieces_then_stop_then_usage() {
    let (_standin, bedrock) = start(Script::new().reply("one two three"));
    let events: Vec<_> = bedrock.converse_stream("count").await.unwrap().map(Result::unwrap).collect().await;
    let expected = [
        StreamEvent::Text("one ".into()),
        StreamEvent::Text("two ".into()),
        StreamEvent::Text("three".into()),
        StreamEvent::Stop(StopReason::EndTurn),
        StreamEvent::Usage(Usage { input_tokens: 1, output_tokens: 3 }),
    ];
    assert_eq!(events, expected);

    let reply = bedrock.converse_stream("count").await.unwrap().collect().await.unwrap();
    assert_eq!(reply.text, "one two three");
    assert_eq!(reply.usage, Usage { input_tokens: 1, output_tokens: 3 });
}

#[tokio::test]
async fn an_exception_in_mid_stream_comes_after_the_text_and_ends_it() {
    let fault = Fault::throttled();
    let (standin, bedrock) = start(Script::new().reply("one two three").ending(Ending::Exception { after: 2, fault }));
    let mut stream = bedrock.converse_stream("count").await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(StreamEvent::Text("one ".into()))));
    assert_eq!(stream.next().await, Some(Ok(StreamEvent::Text("two ".into()))));
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, BedrockError::Stream { cause } if matches!(**cause, BedrockError::Throttled { .. })));
    assert!(error.is_retryable());
    assert_eq!(stream.next().await, None);
    assert_eq!(standin.call_count(), 1);

    let fault = Fault::Invalid;
    standin.set_script(Script::new().ending(Ending::Exception { after: 0, fault }));
    let error = bedrock.converse_stream("count").await.unwrap().collect().await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_not_taken_for_complete() {
    let (standin, bedrock) = start(Script::new());
    for ending in [Ending::HangUp { after: 1 }, Ending::Short { after: 1 }, Ending::Short { after: 0 }] {
        standin.set_script(Script::new().reply("one two").ending(ending.clone()));
        let error = bedrock.converse_stream("count").await.unwrap().collect().await.unwrap_err();
        assert!(matches!(error, BedrockError::Stream { .. }), "{ending:?}: {error:?}");
        assert!(error.is_retryable(), "{ending:?}");
    }
}

#[tokio::test]
async fn a_stalled_stream_ends_at_the_deadline() {
    let (_standin, bedrock) = start(Script::new().reply("one two").ending(Ending::Stall { after: 1 }));
    let mut stream = bedrock.with_deadline(within(300)).converse_stream("count").await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(StreamEvent::Text("one ".into()))));
    assert_eq!(stream.next().await, Some(Err(BedrockError::TimedOut)));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn invoke_model_speaks_the_models_own_json() {
    let (standin, bedrock) = start(Script::new().invocation(json!({"embedding": [0.5, 1.0]})));
    let body = json!({"inputText": "hello"});
    assert_eq!(bedrock.invoke_model("embedder", &body).await.unwrap(), json!({"embedding": [0.5, 1.0]}));
    let [call] = &standin.calls()[..] else { panic!("{:?}", standin.calls()) };
    assert_eq!((call.operation, call.model.as_str(), &call.body), ("invoke", "embedder", &body));
}

#[tokio::test]
async fn what_passes_is_tried_three_times_and_by_us_alone() {
    let (standin, bedrock) = start(Script::new().fault(Fault::throttled()).fault(Fault::Internal).reply("at last"));
    assert_eq!(bedrock.converse("x").await.unwrap().text, "at last");
    assert_eq!(standin.call_count(), 3);

    standin.set_script(Script::new().always(Fault::Unavailable));
    let error = bedrock.converse("x").await.unwrap_err();
    assert!(matches!(error, BedrockError::Unavailable { .. }), "{error:?}");
    assert_eq!(standin.call_count(), 6);

    standin.set_script(Script::new().fault(Fault::NotReady).reply("streamed"));
    let stream = bedrock.converse_stream("x").await.unwrap();
    assert_eq!(stream.collect().await.unwrap().text, "streamed");
    assert_eq!(standin.call_count(), 8);
}

#[tokio::test]
async fn what_cannot_pass_is_tried_once_and_named() {
    let (standin, bedrock) = start(Script::new());
    type Check = fn(&BedrockError) -> bool;
    let cases: [(Fault, Check); 3] = [
        (Fault::Denied, |error| matches!(error, BedrockError::Denied { .. })),
        (Fault::NoSuchModel, |error| matches!(error, BedrockError::ModelNotFound { .. })),
        (Fault::Invalid, |error| matches!(error, BedrockError::Invalid { .. })),
    ];
    for (n, (fault, is_expected)) in cases.into_iter().enumerate() {
        standin.set_script(Script::new().always(fault));
        let error = bedrock.converse("x").await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert!(!error.is_retryable());
        assert_eq!(standin.call_count(), n + 1);
    }
}

#[tokio::test]
async fn a_wait_longer_than_the_deadline_gives_the_reason_instead_of_waiting() {
    let wait = Duration::from_secs(3600);
    let (standin, bedrock) = start(Script::new().always(Fault::Throttled { retry_after: Some(wait) }));
    let error = bedrock.with_deadline(within(5_000)).converse("x").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(wait));
    assert_eq!(standin.call_count(), 1);
}

#[tokio::test]
async fn a_slow_model_costs_no_more_than_the_deadline() {
    let (standin, bedrock) = start(Script::new().delay(Duration::from_secs(3600)));
    let late = bedrock.clone().with_deadline(within(200)).with_deadline(within(60_000));
    assert_eq!(late.converse("x").await.unwrap_err(), BedrockError::TimedOut);
    assert_eq!(late.converse_stream("x").await.unwrap_err(), BedrockError::TimedOut);
    // Past the deadline nothing is sent, so the stream above never reached the stand-in.
    assert_eq!(standin.call_count(), 1);
}

#[tokio::test]
async fn calls_overlap() {
    let (standin, bedrock) = start(Script::new().delay(Duration::from_millis(300)));
    let replies = join_all((0..10).map(|_| bedrock.converse("x"))).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(standin.max_concurrent(), 10);
}

#[tokio::test]
async fn what_is_not_configured_names_the_setting() {
    let standin = BedrockStandin::start(Script::new()).unwrap();
    let entropy = || Arc::new(SeededEntropy::new(1));
    let region = || Region::new("eu-north-1");

    let none = Bedrock::new(None, None, entropy());
    let no_client = Bedrock::new(None, Some(MODEL.into()), entropy());
    let client = Client::from_conf(bare().region(region()).credentials_provider(credentials()).build());
    let no_model = Bedrock::new(Some(client), Some(String::new()), entropy());
    let no_credentials = bedrock_over(bare().region(region()).endpoint_url(standin.url()));
    let no_region = bedrock_over(bare().credentials_provider(credentials()));
    for (bedrock, setting) in [
        (none, "ACTINGWEB_BEDROCK_MODEL"),
        (no_client, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        (no_model, "ACTINGWEB_BEDROCK_MODEL"),
        (no_credentials, "AWS_ACCESS_KEY_ID"),
        (no_region, "AWS_REGION"),
    ] {
        let error = bedrock.converse("x").await.unwrap_err();
        assert!(matches!(error, BedrockError::NotConfigured { .. }), "{setting}: {error:?}");
        assert!(error.to_string().contains(setting), "{setting}: {error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(standin.call_count(), 0);
}

#[tokio::test]
async fn a_provider_that_has_no_credentials_names_the_setting() {
    #[derive(Debug)]
    struct Empty;
    impl aws_credential_types::provider::ProvideCredentials for Empty {
        fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let error = aws_credential_types::provider::error::CredentialsError::not_loaded("nothing here");
            aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
        }
    }
    let standin = BedrockStandin::start(Script::new()).unwrap();
    let config = bare().region(Region::new("eu-north-1")).credentials_provider(Empty).endpoint_url(standin.url());
    let error = bedrock_over(config).converse("x").await.unwrap_err();
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error:?}");
}

#[tokio::test]
async fn no_connection_is_unavailable() {
    let standin = BedrockStandin::start(Script::new()).unwrap();
    let bedrock = bedrock(&standin);
    drop(standin);
    let error = bedrock.converse("x").await.unwrap_err();
    assert!(matches!(error, BedrockError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn calls_may_cross_threads() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let (_standin, bedrock) = start(Script::new());
    assert_send(bedrock.converse("x")).await.unwrap();
    let stream = assert_send(bedrock.converse_stream("x")).await.unwrap();
    assert_send(assert_send(stream).collect()).await.unwrap();
    assert_send(bedrock.invoke_model("m", &json!({}))).await.unwrap();
}
