//! Hooks cut off at their deadline, wherever they are: each operation on the actor happened as a whole or not at all, and
//! the next request finds nothing in its way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_protocol::Deadline;
use actingweb_runtime::handle_event;
use actingweb_tests::{Answer, Faults, Owner, Site};

/// What each storage call takes: long beside what goes on between two of them.
const LATENCY: Duration = Duration::from_millis(12);

/// Deadlines of hooks, chosen so that they fall between storage calls as well as inside of them.
const DEADLINES_MS: [u64; 12] = [13, 18, 24, 31, 37, 44, 52, 61, 68, 77, 85, 94];

/// How many operations of each sort were acknowledged to a hook, by the hook's name.
#[derive(Default)]
struct Acknowledged(Mutex<HashMap<String, [u64; 4]>>);

impl Acknowledged {
    fn count(&self, hook: &str, sort: usize) {
        self.0.lock().unwrap().entry(hook.to_owned()).or_default()[sort] += 1;
    }

    fn of(&self, hook: &str) -> [u64; 4] {
        self.0.lock().unwrap().get(hook).copied().unwrap_or_default()
    }
}

/// Writes for ever: a value found by an index, a list of the actor's, a value and a list of the application's own.
async fn writes(actor: Actor, ctx: Context, State(done): State<Arc<Acknowledged>>) -> Result<(), HookError> {
    let messages = actor.attribute_list("inbox", "messages")?;
    for n in 1_u64.. {
        actor.set_property("email", email(&actor, n)).await?;
        done.count(ctx.name(), 0);
        actor.append("log", n).await?;
        done.count(ctx.name(), 1);
        actor.set_attribute("inbox", "latest", n, None).await?;
        done.count(ctx.name(), 2);
        messages.append(n).await?;
        done.count(ctx.name(), 3);
    }
    Ok(())
}

fn email(actor: &Actor, n: u64) -> String {
    format!("{n}.{}@example.org", actor.id())
}

#[derive(Serialize, JsonSchema)]
struct Left {
    email: u64,
    log: Vec<u64>,
    latest: u64,
    messages: Vec<u64>,
    /// Which of its e-mail addresses, the next one included, the actor is found by.
    found_by: Vec<u64>,
}

/// What is left, read as the application reads it.
async fn left(actor: Actor, directory: Directory) -> Result<Left, HookError> {
    let number = |value: Option<Value>| value.and_then(|value| value.as_u64()).unwrap_or_default();
    let numbers = |values: Vec<Value>| values.iter().filter_map(Value::as_u64).collect::<Vec<_>>();
    let messages = actor.attribute_list("inbox", "messages")?;
    let stored = actor.property("email").await?;
    let stored = stored.as_ref().and_then(Value::as_str).and_then(|text| text.split('.').next()?.parse().ok());
    let email_number = stored.unwrap_or_default();
    let mut found_by = Vec::new();
    for n in 1..=email_number + 1 {
        if directory.find("email", &email(&actor, n)).await?.only().is_some() {
            found_by.push(n);
        }
    }
    let left = Left {
        email: email_number,
        log: numbers(actor.list_items("log").await?.unwrap_or_default()),
        latest: number(actor.attribute("inbox", "latest").await?),
        messages: numbers(messages.items().await?),
        found_by,
    };
    assert_eq!(actor.list("log").await?.map_or(0, |list| list.length), left.log.len() as u64);
    assert_eq!(messages.length().await?, left.messages.len() as u64);
    Ok(left)
}

fn app(done: Arc<Acknowledged>) -> App {
    let app = App::new("urn:actingweb:example.com:cancelled").state(done).indexed("email").method("left", left);
    DEADLINES_MS
        .iter()
        .fold(app, |app, ms| app.method(format!("writes_{ms}"), writes).deadline(Duration::from_millis(*ms)))
}

async fn cut_off(site: &Site, hook: &str) -> (Owner, Answer) {
    let ann = site.actor("ann").await;
    ann.post("/properties", &json!({ "log": { "_type": "list" } })).await.expect(201);
    site.meter().inject(Faults::latency(LATENCY));
    let answer = ann.post(&format!("/methods/{hook}"), &json!({})).await;
    site.meter().heal();
    (ann, answer)
}

#[tokio::test]
async fn each_operation_of_a_hook_that_was_cut_off_is_whole_and_the_next_request_works() {
    let done = Arc::new(Acknowledged::default());
    let site = Site::of(app(Arc::clone(&done))).await;
    let mut wrote = 0;
    for ms in DEADLINES_MS {
        let hook = format!("writes_{ms}");
        let (ann, answer) = cut_off(&site, &hook).await;
        let problem = answer.problem(504).json();
        assert_eq!(problem["unfinished"], json!([hook]), "{problem}");

        let left = ann.post("/methods/left", &json!({})).await.expect(200).json();
        let acknowledged = done.of(&hook);
        wrote += acknowledged.iter().sum::<u64>();
        let first = |n: &Value| n.as_u64().unwrap();
        let upto = |sort: usize, values: &Value| {
            let count = values.as_array().unwrap().len() as u64;
            assert_eq!(*values, json!((1..=count).collect::<Vec<_>>()), "{hook}: {left}");
            assert!((acknowledged[sort]..=acknowledged[sort] + 1).contains(&count), "{hook}: {acknowledged:?} {left}");
        };
        upto(1, &left["log"]);
        upto(3, &left["messages"]);
        for (sort, n) in [(0, first(&left["email"])), (2, first(&left["latest"]))] {
            assert!((acknowledged[sort]..=acknowledged[sort] + 1).contains(&n), "{hook}: {acknowledged:?} {left}");
        }
        // The look-up row changed together with the value.
        let found_by: Vec<u64> = (first(&left["email"]) > 0).then(|| first(&left["email"])).into_iter().collect();
        assert_eq!(left["found_by"], json!(found_by), "{hook}: {left}");

        // Nothing is held, by anybody, for anybody.
        ann.put("/properties/email", &json!("next@example.org")).await.expect(204);
        ann.post("/properties/log", &json!("next")).await.expect(201);
        assert_eq!(ann.get("/properties/email").await.expect(200).body, "next@example.org");
        ann.delete("").await.expect(204);
    }
    assert!(wrote > 0, "no hook came as far as to write anything: the test shows nothing");
}

#[tokio::test]
async fn a_listing_names_every_property_hook_that_ran_out_of_time() {
    async fn hangs(access: PropertyAccess) -> Result<Verdict, HookError> {
        if access.is_write() {
            return Ok(Verdict::Keep);
        }
        std::future::pending().await
    }
    async fn keeps() -> Result<Verdict, HookError> {
        Ok(Verdict::Keep)
    }
    let limit = Duration::from_millis(200);
    let app = App::new("urn:actingweb:example.com:cancelled")
        .property("a", keeps)
        .property("b", hangs)
        .deadline(limit)
        .property("d", hangs)
        .deadline(limit);
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    ann.post("/properties", &json!({ "a": 1, "b": 2, "c": 3, "d": 4 })).await.expect(201);
    let problem = ann.get("/properties").await.problem(504).json();
    let unfinished = problem["unfinished"].as_array().unwrap();
    // Whether the other one's time was up in the same instant is the machine's to say; the first is always named.
    assert!(!unfinished.is_empty() && unfinished.iter().all(|hook| *hook == "b" || *hook == "d"), "{problem}");
    ann.get("/properties/a").await.expect(200);
    assert_eq!(ann.get("/properties/d").await.problem(504).json()["unfinished"], json!(["d"]));
}

#[tokio::test]
async fn property_hooks_of_one_listing_run_at_the_same_time() {
    // Each waits for the other three: one after another they would wait for ever.
    async fn meet(State(meeting): State<tokio::sync::Barrier>) -> Result<Verdict, HookError> {
        meeting.wait().await;
        Ok(Verdict::Keep)
    }
    let properties = json!({ "a": 1, "b": 2, "c": 3, "d": 4 });
    let app = App::new("urn:actingweb:example.com:cancelled").state(tokio::sync::Barrier::new(4)).property("*", meet);
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    ann.post("/properties", &properties).await.expect(201);
    assert_eq!(ann.get("/properties").await.expect(200).json(), properties);
}

/// How long a hook has, whose own limit is no limit, in an invocation that has this long.
async fn remaining_of(invocation: Duration) -> Duration {
    fn remaining(ctx: Context) -> Result<u64, HookError> {
        Ok(u64::try_from(ctx.remaining().as_millis()).unwrap_or(u64::MAX))
    }
    let app = App::new("urn:actingweb:example.com:cancelled")
        .path_rule("", "methods", "POST", "a")
        .method("remaining", remaining)
        .deadline(Duration::from_secs(3600));
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    let path = format!("/{}/methods/remaining", ann.id);
    let event = json!({
        "version": "2.0",
        "routeKey": "ANY /{actor}/methods/{rest+}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "host": site.host(), "content-type": "application/json" },
        "requestContext": {
            "http": { "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "" },
            "stage": "$default", "requestId": "1", "domainName": site.host(), "accountId": "1", "apiId": "1",
            "domainPrefix": "a", "routeKey": "$default", "time": "", "timeEpoch": 0,
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    let ends = Deadline::after(tokio::time::Instant::now().into_std(), invocation);
    let router = actingweb_local::router(site.state().clone());
    let reply = handle_event(router, event, Some(ends)).await.unwrap();
    assert_eq!(reply["statusCode"], 200, "{reply}");
    Duration::from_millis(reply["body"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_hook_ends_before_its_invocation_and_before_the_gateway_stops_waiting() {
    let reserve = actingweb_hooks::Limits::default().reserve;
    for (invocation, at_most) in [(120, 29), (40, 29), (20, 20)] {
        let remaining = remaining_of(Duration::from_secs(invocation)).await;
        let at_most = Duration::from_secs(at_most) - reserve;
        assert!(remaining <= at_most, "{remaining:?} of {invocation} s");
        // What it lacks was spent on the way.
        assert!(remaining > at_most - Duration::from_secs(5), "{remaining:?} of {invocation} s");
    }
}
