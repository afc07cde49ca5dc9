//! What each error becomes.

use actingweb_bedrock::BedrockError;
use actingweb_hooks::BudgetSpent;
use actingweb_hooks::prelude::*;
use actingweb_peer::{PeerError, Refusal};
use actingweb_protocol::Timestamp;
use actingweb_protocol::budget::{Cost, Tally};

use crate::common::{app, build, failure, post, resources};

/// A refusal by a budget of so many calls an hour that are spent.
fn spent(limit: u64) -> BudgetSpent {
    let now = Timestamp::from_millis(0);
    let budget = BedrockBudget::new().calls(Per::Hour, limit);
    let seen = [(Per::Hour, Tally { begun: now, calls: limit, tokens: 0 })].into();
    budget.admit(&seen, Cost { calls: 1, tokens: 0 }, now).unwrap_err()
}

#[tokio::test]
async fn errors_have_statuses_and_say_what_the_caller_may_know() {
    type Case = (fn() -> HookError, u16, &'static str, Option<u64>);
    const HIDDEN: &str = "the hook failed; the log says why, under this request's id";
    let cases: &[Case] = &[
        (|| HookError::rejected("no"), 403, "no", None),
        (|| HookError::not_found("invoice 17"), 404, "invoice 17", None),
        (|| HookError::invalid("too short"), 400, "too short", None),
        (|| HookError::retryable("busy"), 503, "busy", None),
        (|| HookError::retryable("busy").after(Duration::from_secs(7)), 503, "busy", Some(7)),
        (|| HookError::terminal("password=x"), 500, HIDDEN, None),
        (|| std::io::Error::other("password=x").into(), 500, HIDDEN, None),
        (|| serde_json::from_str::<u8>("{").unwrap_err().into(), 500, HIDDEN, None),
        (|| PeerError::TimedOut.into(), 503, "a peer does not answer", None),
        (|| PeerError::TooLarge { limit: 1 }.into(), 500, HIDDEN, None),
        (|| PeerError::from(Refusal::UserInfo).into(), 400, "this peer must not be called: ", None),
        (
            || BedrockError::Throttled { retry_after: Some(Duration::from_secs(2)), message: "x".into() }.into(),
            503,
            "the model has more requests than it takes at the moment",
            Some(2),
        ),
        // Bedrock rarely says how long; the caller is told all the same.
        (
            || BedrockError::Throttled { retry_after: None, message: "x".into() }.into(),
            503,
            "the model has more requests than it takes at the moment",
            Some(4),
        ),
        (|| BedrockError::TimedOut.into(), 503, "the model is not available at the moment", Some(4)),
        (
            || BedrockError::BudgetSpent(spent(5)).into(),
            429,
            "the actor's budget of 5 calls of models per hour",
            Some(3600),
        ),
        (|| BedrockError::BudgetSpent(spent(0)).into(), 400, "this may take 1 calls of models, more than", None),
        (
            || BedrockError::BudgetUnknown { retry_after: Some(Duration::from_secs(1)), message: "x".into() }.into(),
            503,
            "storage is busy",
            Some(1),
        ),
        (|| BedrockError::BudgetUnknown { retry_after: None, message: "x".into() }.into(), 500, HIDDEN, None),
        (|| HookError::exhausted("no votes left", Duration::from_secs(9)), 429, "no votes left", Some(9)),
        (|| BedrockError::Denied { message: "x".into() }.into(), 500, HIDDEN, None),
        (
            || actingweb_actor::ActorError::Busy { retry_after: Duration::from_secs(3) }.into(),
            503,
            "storage is busy",
            Some(3),
        ),
        (|| actingweb_actor::ActorError::Invalid("bad name".into()).into(), 400, "bad name", None),
    ];
    for (error, status, detail, retry_after) in cases {
        let make = *error;
        let hooks = build(app().method("m", move || Err::<(), _>(make()))).await;
        let failure = failure(post(&hooks, "m", Value::Null).await);
        assert_eq!(failure.status, *status, "{detail}");
        assert!(failure.detail.starts_with(detail), "{}", failure.detail);
        assert_eq!(failure.retry_after.map(|wait| wait.as_secs()), *retry_after, "{detail}");
    }
}

#[tokio::test]
async fn an_unreachable_service_is_retryable_and_its_url_stays_private() {
    // Port 9 of this machine: nobody listens there.
    let error = resources().http.get("http://127.0.0.1:9/?key=hunter2").send().await.unwrap_err();
    let error = HookError::from(error);
    assert_eq!(error.status(), 503);
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn input_that_does_not_fit_is_answered_with_place_and_reason() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only read for its shape")]
    struct Order {
        items: Vec<Item>,
    }
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only read for its shape")]
    struct Item {
        price: u32,
    }
    fn order(_: Input<Order>) -> Result<(), HookError> {
        panic!("it must not run")
    }
    let hooks = build(app().method("order", order).method("pool", blocking(order))).await;
    for (data, detail) in [
        (
            json!({"items": [{"price": 1}, {"price": "x"}]}),
            "`items[1].price`: invalid type: string \"x\", expected u32",
        ),
        (json!({}), "missing field `items`"),
        (json!([1]), "`[0]`: invalid type"),
        (json!(7), "invalid type: integer `7`"),
    ] {
        for hook in ["order", "pool"] {
            let failure = failure(post(&hooks, hook, data.clone()).await);
            assert_eq!((failure.status, failure.title), (400, "Invalid input"));
            assert!(failure.detail.starts_with(detail), "{data}: {}", failure.detail);
        }
    }
}

#[test]
fn what_is_logged_names_the_causes() {
    #[derive(Debug)]
    struct Outer(std::io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("sending failed")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = HookError::terminal(Outer(std::io::Error::other("connection refused")));
    assert_eq!(error.to_string(), "sending failed: connection refused");
}
