//! What calls reserve and settle, over the real SDK, with books in memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_bedrock::{
    Allowance, Bedrock, BedrockBudget, BedrockError, Cost, Ledger, Per, Prompt, Reservation, Retry, StreamEvent, Usage,
};
use actingweb_protocol::budget::Tallies;
use actingweb_protocol::{Deadline, Timestamp};
use actingweb_testkit::bedrock_standin::{BedrockStandin, Ending, Fault, Script};
use actingweb_testkit::fakes::SeededEntropy;
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Config, Region};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Books in memory, and everything that was written in them.
#[derive(Debug)]
struct Books {
    budget: BedrockBudget,
    tallies: Mutex<Tallies>,
    notes: Mutex<Vec<(&'static str, Cost)>>,
    out_of_reach: bool,
}

impl Books {
    fn new(budget: BedrockBudget) -> Self {
        Self { budget, tallies: Mutex::default(), notes: Mutex::default(), out_of_reach: false }
    }

    fn note(&self, what: &'static str, cost: Cost) -> Result<(), BedrockError> {
        self.notes.lock().unwrap().push((what, cost));
        match self.out_of_reach {
            true => Err(BedrockError::BudgetUnknown { retry_after: None, message: "no storage".into() }),
            false => Ok(()),
        }
    }

    fn notes(&self) -> Vec<(&'static str, u64, u64)> {
        self.notes.lock().unwrap().drain(..).map(|(what, cost)| (what, cost.calls, cost.tokens)).collect()
    }
}

impl Ledger for Books {
    fn budget(&self) -> &BedrockBudget {
        &self.budget
    }

    fn reserve(&self, cost: Cost) -> BoxFuture<'_, Result<Reservation, BedrockError>> {
        async move {
            self.note("reserve", cost)?;
            let mut tallies = self.tallies.lock().unwrap();
            let standing = self.budget.standing(&tallies, NOW);
            self.budget.admit(&standing, cost, NOW)?;
            *tallies = standing.iter().map(|(per, tally)| (*per, tally.plus(cost))).collect();
            Ok(Reservation { cost, begun: standing.iter().map(|(per, tally)| (*per, tally.begun)).collect() })
        }
        .boxed()
    }

    fn settle<'a>(&'a self, _: &'a Reservation, used: Cost) -> BoxFuture<'a, Result<(), BedrockError>> {
        async move { self.note("settle", used) }.boxed()
    }

    fn allowances(&self) -> BoxFuture<'_, Result<Vec<Allowance>, BedrockError>> {
        async move { Ok(self.budget.allowances(&self.tallies.lock().unwrap())) }.boxed()
    }
}

fn start(script: Script, books: Books) -> (BedrockStandin, Bedrock, Arc<Books>) {
    let standin = BedrockStandin::start(script).unwrap();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-north-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .endpoint_url(standin.url());
    let entropy = Arc::new(SeededEntropy::new(1));
    let books = Arc::new(books);
    let bedrock = Bedrock::new(Some(Client::from_conf(config.build())), Some("model".into()), entropy);
    let ledger: Arc<dyn Ledger> = books.clone();
    (standin, bedrock.with_ledger(ledger), books)
}

fn tokens() -> Books {
    Books::new(BedrockBudget::new().tokens(Per::Day, 1_000_000).answer_tokens(500))
}

#[tokio::test]
async fn a_call_reserves_its_most_and_settles_its_usage() {
    let (standin, bedrock, books) = start(Script::new().reply("a b c"), tokens());
    // 10 bytes and 4 bytes are at most 5 and 2 tokens, each of the turns 8 more.
    let prompt = || Prompt::new("0123456789").system("four");
    bedrock.converse(prompt()).await.unwrap();
    assert_eq!(books.notes(), [("reserve", 1, 5 + 8 + 2 + 8 + 500), ("settle", 1, 2 + 3)]);
    bedrock.converse(prompt().max_tokens(7)).await.unwrap();
    assert_eq!(books.notes(), [("reserve", 1, 5 + 8 + 2 + 8 + 7), ("settle", 1, 2 + 3)]);
    bedrock.clone().reserving(40).converse(prompt()).await.unwrap();
    assert_eq!(books.notes(), [("reserve", 1, 40), ("settle", 1, 2 + 3)]);
    let limits: Vec<_> = standin.calls().iter().map(|call| call.body["inferenceConfig"]["maxTokens"].clone()).collect();
    assert_eq!(limits, [json!(500), json!(7), json!(500)]);

    bedrock.invoke_model("m", &json!({ "text": "a b" })).await.unwrap();
    let [("reserve", 1, reserved), ("settle", 1, used)] = books.notes()[..] else { panic!("two notes") };
    assert_eq!(reserved, r#"{"text":"a b"}"#.len() as u64 / 2 + 500);
    assert!(used > 0 && used < 100, "{used}");
}

#[tokio::test]
async fn a_stream_is_settled_by_its_last_event_and_by_nothing_else() {
    let (standin, bedrock, books) = start(Script::new().reply("a b c"), tokens());
    let reply = bedrock.converse_stream("x").await.unwrap().collect().await.unwrap();
    assert_eq!(reply.usage, Usage { input_tokens: 1, output_tokens: 3 });
    assert_eq!(books.notes(), [("reserve", 1, 1 + 8 + 500), ("settle", 1, 4)]);

    let mut stream = bedrock.converse_stream("x").await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(StreamEvent::Text(_)))));
    drop(stream);
    assert_eq!(books.notes(), [("reserve", 1, 1 + 8 + 500)]);

    for ending in [
        Ending::HangUp { after: 1 },
        Ending::Short { after: 0 },
        Ending::Exception { after: 1, fault: Fault::throttled() },
    ] {
        standin.set_script(Script::new().reply("a b").ending(ending.clone()));
        bedrock.converse_stream("x").await.unwrap().collect().await.unwrap_err();
        assert_eq!(books.notes(), [("reserve", 1, 1 + 8 + 500)], "{ending:?}");
    }
}

#[tokio::test]
async fn what_was_refused_is_given_back_and_what_nobody_knows_is_not() {
    let (standin, bedrock, books) = start(Script::new(), tokens());
    for fault in [Fault::Denied, Fault::Invalid, Fault::NoSuchModel, Fault::throttled(), Fault::Internal] {
        standin.set_script(Script::new().always(fault.clone()));
        bedrock.converse("x").await.unwrap_err();
        assert_eq!(books.notes(), [("reserve", 1, 509), ("settle", 0, 0)], "{fault:?}: one reservation for all tries");
    }
    standin.set_script(Script::new().delay(Duration::from_secs(3600)));
    let deadline = Deadline::after(std::time::Instant::now(), Duration::from_millis(200));
    let late = bedrock.clone().with_deadline(deadline);
    assert_eq!(late.converse("x").await.unwrap_err(), BedrockError::TimedOut);
    assert_eq!(books.notes(), [("reserve", 1, 509)]);
    // Too late even to reserve.
    assert_eq!(late.converse("x").await.unwrap_err(), BedrockError::TimedOut);
    assert_eq!(books.notes(), []);
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    let books = Books::new(BedrockBudget::new().calls(Per::Hour, 1));
    let (standin, bedrock, books) = start(Script::new(), books);
    bedrock.converse("x").await.unwrap();
    for error in [
        bedrock.converse("x").await.unwrap_err(),
        bedrock.converse_stream("x").await.unwrap_err(),
        bedrock.invoke_model("m", &json!({})).await.unwrap_err(),
        bedrock.hold(1).await.unwrap_err(),
    ] {
        assert!(matches!(&error, BedrockError::BudgetSpent(spent) if spent.limit == 1), "{error:?}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    }
    assert_eq!(standin.call_count(), 1);
    // Where tokens are not limited, none are counted, and answers are not cut.
    assert!(books.notes().iter().all(|(_, _, tokens)| *tokens == 0));
    assert_eq!(standin.calls()[0].body.get("inferenceConfig"), None);
    assert_eq!(bedrock.budget().await.unwrap()[0].calls_left(), Some(0));
}

#[tokio::test]
async fn without_storage_nothing_is_spent() {
    let (standin, bedrock, _books) = start(Script::new(), Books { out_of_reach: true, ..tokens() });
    let error = bedrock.converse("x").await.unwrap_err();
    assert!(matches!(error, BedrockError::BudgetUnknown { .. }), "{error:?}");
    assert_eq!(standin.call_count(), 0);
}

#[tokio::test]
async fn the_sdks_client_may_be_held_room_for() {
    let (_standin, bedrock, books) = start(Script::new(), tokens());
    let hold = bedrock.hold(70).await.unwrap();
    hold.settle(Usage { input_tokens: 3, output_tokens: 4 }).await;
    bedrock.hold(70).await.unwrap().give_back().await;
    drop(bedrock.hold(70).await.unwrap());
    let settled = [("reserve", 1, 70), ("settle", 1, 7), ("reserve", 1, 70), ("settle", 0, 0), ("reserve", 1, 70)];
    assert_eq!(books.notes(), settled);
}

#[tokio::test]
async fn tries_are_as_many_as_the_caller_says() {
    let (standin, bedrock, _books) = start(Script::new().always(Fault::Unavailable), tokens());
    bedrock.clone().with_retry(Retry::OFF).converse("x").await.unwrap_err();
    assert_eq!(standin.call_count(), 1);
    bedrock.with_retry(Retry::times(2)).converse("x").await.unwrap_err();
    assert_eq!(standin.call_count(), 3);
}
