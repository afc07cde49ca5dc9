//! What an actor may spend on models, over HTTP: a real table, a stand-in for Bedrock, a clock that is advanced.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{App, BedrockError, Usage};
use actingweb_testkit::bedrock_standin::{Ending, Fault, Script};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Faults, Owner, Site};
use futures_util::future::join_all;
use tokio::sync::Notify;

/// "one two" reads two tokens at the stand-in, and its answer has one word.
const PROMPT: &str = "one two";
/// What is reserved for it: a token for two bytes, eight for the turn, and the answer.
const RESERVED: u64 = 4 + 8 + 100;
const USED: u64 = 3;

async fn ask(bedrock: Bedrock) -> Result<String, HookError> {
    Ok(bedrock.converse(PROMPT).await?.text)
}

async fn ask_streamed(bedrock: Bedrock) -> Result<String, HookError> {
    Ok(bedrock.converse_stream(PROMPT).await?.collect().await?.text)
}

/// Reads the first event only.
async fn ask_and_leave(bedrock: Bedrock) -> Result<(), HookError> {
    bedrock.converse_stream(PROMPT).await?.collect().await.map(drop).or(Ok(()))
}

async fn embed(bedrock: Bedrock) -> Result<Value, HookError> {
    Ok(bedrock.invoke_model("embedder", &json!({"inputText": "a b"})).await?)
}

async fn say_much(bedrock: Bedrock) -> Result<String, HookError> {
    Ok(bedrock.converse("x".repeat(100_000)).await?.text)
}

/// What a hook sees of a budget that is spent, and what it may answer instead.
async fn cope(bedrock: Bedrock) -> Result<String, HookError> {
    match bedrock.converse(PROMPT).await {
        Ok(reply) => Ok(reply.text),
        Err(BedrockError::BudgetSpent(spent)) => Ok(format!("{} {}", spent.per, spent.limit)),
        Err(error) => Err(error.into()),
    }
}

async fn left(bedrock: Bedrock) -> Result<Value, HookError> {
    let budget = bedrock.budget().await?;
    Ok(budget.iter().map(|window| json!([window.per, window.calls_used, window.tokens_used])).collect())
}

fn app(budget: Option<BedrockBudget>) -> App {
    let app = App::new("urn:actingweb:example.com:budgets")
        .method("ask", ask)
        .method("ask_streamed", ask_streamed)
        .method("ask_and_leave", ask_and_leave)
        .method("embed", embed)
        .method("say_much", say_much)
        .method("cope", cope)
        .method("left", left);
    match budget {
        Some(budget) => app.bedrock_budget(budget.answer_tokens(100)),
        None => app,
    }
}

struct World {
    site: Site,
    clock: FakeClock,
}

impl World {
    async fn of(budget: Option<BedrockBudget>) -> Self {
        let clock = FakeClock::new();
        let site = Site::with_clock(app(budget), Arc::new(clock.clone())).await;
        site.services().bedrock.set_script(Script::new().reply("answer"));
        Self { site, clock }
    }

    fn script(&self, script: Script) {
        self.site.services().bedrock.set_script(script);
    }

    fn sent(&self) -> usize {
        self.site.services().bedrock.call_count()
    }

    /// How many calls to storage a method takes in all.
    async fn storage(&self, owner: &Owner, method: &str) -> usize {
        let (answer, calls) = self.site.meter().measure(call(owner, method)).await;
        assert!(answer.status < 300, "{method}: {}", answer.body);
        calls.count()
    }
}

async fn call(owner: &Owner, method: &str) -> Answer {
    owner.post(&format!("/methods/{method}"), &json!({})).await
}

async fn left_of(owner: &Owner) -> Value {
    call(owner, "left").await.expect(200).json()
}

#[tokio::test]
async fn spent_calls_are_refused_until_the_window_ends_and_for_that_actor_alone() {
    let world = World::of(Some(BedrockBudget::new().calls(Per::Hour, 2).calls(Per::Day, 3))).await;
    let (ann, ben) = (world.site.actor("ann").await, world.site.actor("ben").await);
    world.clock.advance(Duration::from_secs(600));
    call(&ann, "ask").await.expect(200);
    call(&ann, "ask_streamed").await.expect(200);

    let refused = call(&ann, "ask").await.expect(429);
    assert_eq!(refused.header("retry-after"), "3000");
    let problem = refused.json();
    assert_eq!(problem["title"], "Used up for now", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("the actor's budget of 2 calls of models per hour has no room"), "{detail}");
    assert!(detail.ends_with("renewed at 2026-01-01T01:00:00.000Z"), "{detail}");
    assert_eq!(call(&ann, "cope").await.expect(200).json(), "hour 2");
    assert_eq!(world.sent(), 2, "nothing is sent that is not paid for");
    call(&ben, "ask").await.expect(200);

    // The next hour is another one, the day is not.
    world.clock.advance(Duration::from_secs(3600));
    call(&ann, "ask").await.expect(200);
    assert_eq!(left_of(&ann).await, json!([["hour", 1, 0], ["day", 3, 0]]));
    let refused = call(&ann, "ask").await.expect(429);
    assert_eq!(refused.header("retry-after"), "82200", "until midnight: {}", refused.body);
    world.clock.advance(Duration::from_secs(24 * 3600));
    call(&ann, "ask").await.expect(200);
    assert_eq!(left_of(&ann).await, json!([["hour", 1, 0], ["day", 1, 0]]));
}

#[tokio::test]
async fn tokens_are_settled_with_what_a_call_used() {
    let world = World::of(Some(BedrockBudget::new().tokens(Per::Month, 300))).await;
    let ann = world.site.actor("ann").await;
    call(&ann, "ask").await.expect(200);
    assert_eq!(left_of(&ann).await, json!([["month", 1, USED]]));
    call(&ann, "ask_streamed").await.expect(200);
    assert_eq!(left_of(&ann).await, json!([["month", 2, 2 * USED]]));
    // The stand-in counts the words of both bodies, and says so in headers.
    call(&ann, "embed").await.expect(200);
    let used = left_of(&ann).await[0][2].as_u64().unwrap();
    assert!(used > 2 * USED && used < 2 * USED + 50, "{used}");

    // A prompt that says nothing is sent with the limit that was reserved for its answer.
    let calls = world.site.services().bedrock.calls();
    assert_eq!(calls[0].body["inferenceConfig"], json!({ "maxTokens": 100 }));

    let refused = call(&ann, "say_much").await.expect(400);
    assert!(refused.json()["detail"].as_str().unwrap().contains("more than the actor's whole budget of 300"));
    assert_eq!(refused.header("retry-after"), "");
}

#[tokio::test]
async fn what_bedrock_refuses_costs_nothing_and_what_breaks_off_stays_reserved() {
    let world = World::of(Some(BedrockBudget::new().tokens(Per::Day, 1000))).await;
    let ann = world.site.actor("ann").await;
    for (fault, status) in [(Fault::Denied, 500), (Fault::throttled(), 503), (Fault::Invalid, 500)] {
        world.script(Script::new().always(fault.clone()));
        for method in ["ask", "ask_streamed", "embed"] {
            call(&ann, method).await.expect(status);
            assert_eq!(left_of(&ann).await, json!([["day", 0, 0]]), "{method}: {fault:?}");
        }
    }
    world.script(Script::new().reply("one two").ending(Ending::HangUp { after: 1 }));
    call(&ann, "ask_and_leave").await.expect(204);
    assert_eq!(left_of(&ann).await, json!([["day", 1, RESERVED]]));
    // The next day releases it.
    world.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(left_of(&ann).await, json!([["day", 0, 0]]));
}

#[tokio::test]
async fn throttling_is_tried_again_and_then_told_with_a_wait() {
    let world = World::of(None).await;
    let ann = world.site.actor("ann").await;
    world.script(Script::new().fault(Fault::throttled()).reply("answer"));
    call(&ann, "ask").await.expect(200);
    assert_eq!(world.sent(), 2);
    world.script(Script::new().always(Fault::throttled()));
    let refused = call(&ann, "ask").await.expect(503);
    assert_eq!((world.sent(), refused.header("retry-after")), (5, "4"));
    let wait = Some(Duration::from_secs(120));
    world.script(Script::new().always(Fault::Throttled { retry_after: wait }));
    let refused = call(&ann, "ask").await.expect(503);
    assert_eq!((world.sent(), refused.header("retry-after")), (6, "120"));
}

#[tokio::test]
async fn a_budget_costs_two_calls_to_storage_and_none_where_there_is_none() {
    let world = World::of(None).await;
    let ann = world.site.actor("ann").await;
    let free = world.storage(&ann, "ask").await;
    assert_eq!((free, world.storage(&ann, "left").await), (1, 1), "{:?}", left_of(&ann).await);
    assert_eq!(left_of(&ann).await, json!([]));
    assert!(world.site.table().await.iter().all(|item| item["sk"] != "AI"));

    let all = BedrockBudget::new().tokens(Per::Hour, 5000).calls(Per::Day, 100).tokens(Per::Month, 10_000);
    let world = World::of(Some(all)).await;
    let ann = world.site.actor("ann").await;
    assert_eq!(world.storage(&ann, "ask").await, free + 3, "the first one begins the windows");
    for method in ["ask", "ask_streamed"] {
        assert_eq!(world.storage(&ann, method).await, free + 2, "{method}");
    }
    assert_eq!(world.storage(&ann, "left").await, free + 1);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.storage(&ann, "ask").await, free + 3, "the hour begins anew");
    assert_eq!(left_of(&ann).await, json!([["hour", 1, USED], ["day", 4, 4 * USED], ["month", 4, 4 * USED]]));

    let world = World::of(Some(BedrockBudget::new().calls(Per::Day, 100))).await;
    let ann = world.site.actor("ann").await;
    call(&ann, "ask").await.expect(200);
    assert_eq!(world.storage(&ann, "ask").await, free + 1, "calls alone need no settling");
}

#[tokio::test]
async fn fifty_calls_at_once_stay_within_the_budget() {
    let world = World::of(Some(BedrockBudget::new().calls(Per::Hour, 20).tokens(Per::Month, 100_000))).await;
    let ann = world.site.actor("ann").await;
    world.script(Script::new().reply("answer").delay(Duration::from_millis(100)));
    let at_once = async |method: &'static str| {
        let answers = join_all((0..50).map(|_| call(&ann, method))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!(count(200) + count(429), 50, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        count(200)
    };
    assert_eq!((at_once("ask").await, world.sent()), (20, 20));
    assert_eq!(left_of(&ann).await, json!([["hour", 20, 20 * USED], ["month", 20, 20 * USED]]));

    // Of tokens, as many calls are under way as have room for what each reserves.
    let most = 10;
    let world = World::of(Some(BedrockBudget::new().tokens(Per::Day, most * RESERVED))).await;
    let ann = world.site.actor("ann").await;
    world.script(Script::new().reply("answer").delay(Duration::from_millis(100)));
    let answers = join_all((0..50).map(|_| call(&ann, "ask"))).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    assert!(done >= most, "{done}");
    assert!(world.site.services().bedrock.max_concurrent() as u64 <= most);
    assert_eq!(left_of(&ann).await, json!([["day", done, done * USED]]));
}

#[tokio::test]
async fn what_is_counted_goes_with_the_actor() {
    let world = World::of(Some(BedrockBudget::new().calls(Per::Month, 5))).await;
    let ann = world.site.actor("ann").await;
    call(&ann, "ask").await.expect(200);
    let rows = async || world.site.table().await.into_iter().filter(|item| item["sk"] == "AI").collect::<Vec<_>>();
    let [row] = &rows().await[..] else { panic!("one row") };
    // A day after the month, whenever DynamoDB gets to it.
    assert_eq!(row["expires"], "1769990400", "{row}");
    ann.delete("").await.expect(204);
    world.site.drain().await;
    assert!(rows().await.is_empty());
}

/// What storage does between reserving and settling, and what the books say then.
async fn settled_under(faults: Faults) -> Value {
    let (reserved, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at, until) = (Arc::clone(&reserved), Arc::clone(&go_on));
    let hold = move |bedrock: Bedrock| {
        let (at, until) = (Arc::clone(&at), Arc::clone(&until));
        async move {
            let hold = bedrock.hold(70).await?;
            at.notify_one();
            until.notified().await;
            hold.settle(Usage { input_tokens: 3, output_tokens: 4 }).await;
            Ok::<_, HookError>("settled")
        }
    };
    let site = Site::of(app(Some(BedrockBudget::new().tokens(Per::Month, 1000))).method("hold", hold)).await;
    let ann = site.actor("ann").await;
    let between = async {
        reserved.notified().await;
        assert_eq!(left_of(&ann).await, json!([["month", 1, 70]]));
        site.meter().inject(faults);
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(call(&ann, "hold"), between);
    answer.expect(200);
    site.meter().heal();
    left_of(&ann).await
}

#[tokio::test]
async fn storage_that_fails_gives_nothing_back_twice() {
    let updates = |faults: Faults| faults.on(["UpdateItem"]);
    let settled = json!([["month", 1, 7]]);
    assert_eq!(settled_under(Faults::none()).await, settled);
    assert_eq!(settled_under(updates(Faults::always_throttle()).at_most(2)).await, settled, "it did not happen: again");
    let lost = Faults { drop_reply_after_apply: 1.0, ..Faults::default() };
    assert_eq!(settled_under(updates(lost.clone()).at_most(1)).await, settled, "it happened: once");
    let broken = Faults { server_error: 1.0, ..Faults::default() };
    assert_eq!(settled_under(updates(broken.clone()).at_most(1)).await, json!([["month", 1, 70]]), "nobody knows");

    // A reservation whose reply was lost is made again: the first one stays, and nothing is spent that was not reserved.
    let world = World::of(Some(BedrockBudget::new().tokens(Per::Month, 1000))).await;
    let ann = world.site.actor("ann").await;
    call(&ann, "ask").await.expect(200);
    world.site.meter().inject(updates(lost).at_most(1));
    call(&ann, "ask").await.expect(200);
    world.site.meter().heal();
    assert_eq!(left_of(&ann).await, json!([["month", 3, 2 * USED + RESERVED]]));
}

#[tokio::test]
async fn without_storage_no_model_is_asked() {
    let budget = BedrockBudget::new().calls(Per::Month, 5);
    let site = Site::limited(app(Some(budget)), Duration::from_millis(5_600)).await;
    let ann = site.actor("ann").await;
    site.meter().inject(Faults::always_throttle().on(["UpdateItem"]));
    let refused = call(&ann, "ask").await.problem(503);
    assert_eq!((refused.detail().as_str(), refused.header("retry-after")), ("storage is busy", "1"));
    site.meter().heal();
    assert_eq!(site.services().bedrock.call_count(), 0);
    assert_eq!(left_of(&ann).await, json!([["month", 0, 0]]));
}
