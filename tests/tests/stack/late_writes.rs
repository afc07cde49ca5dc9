//! Writes that began before the end of their actor and come after it: refused, and nothing stored.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{NewSchedule, Schedules, Timing};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Faults, Owner, Publisher, Site, Subscribers};
use tokio::sync::Notify;

/// What every call takes, so that whoever holds an actor has held it for long: more than the 250 ms for which it counts
/// that it was there.
const LATENCY: Duration = Duration::from_millis(300);

/// Lets hooks wait until a test has deleted their actor.
#[derive(Default)]
struct Turn {
    begun: Notify,
    go: Notify,
}

impl Turn {
    async fn wait(&self) {
        self.begun.notify_one();
        self.go.notified().await;
    }
}

async fn property(actor: Actor, State(turn): State<Arc<Turn>>) -> Result<(), HookError> {
    turn.wait().await;
    Ok(actor.set_property("late", "write").await?)
}

async fn item(actor: Actor, State(turn): State<Arc<Turn>>) -> Result<(), HookError> {
    turn.wait().await;
    actor.append("notes", "late").await?;
    Ok(())
}

async fn attribute(actor: Actor, State(turn): State<Arc<Turn>>) -> Result<(), HookError> {
    turn.wait().await;
    Ok(actor.set_attribute("bucket", "late", 1, None).await?)
}

async fn attribute_item(actor: Actor, State(turn): State<Arc<Turn>>) -> Result<(), HookError> {
    turn.wait().await;
    actor.attribute_list("bucket", "late")?.append("item").await?;
    Ok(())
}

/// Every hour.
fn hourly() -> NewSchedule {
    NewSchedule::new(Timing::every(Duration::from_secs(3600)).expect("an hour"))
}

async fn schedule(schedules: Schedules, State(turn): State<Arc<Turn>>) -> Result<(), HookError> {
    turn.wait().await;
    schedules.create("work", hourly()).await?;
    Ok(())
}

fn work(Input(_): Input<Value>) -> Result<(), HookError> {
    Ok(())
}

fn app(turn: &Arc<Turn>) -> App {
    App::new("urn:actingweb:example.com:late")
        .state(Arc::clone(turn))
        .method("schedule", schedule)
        .action("work", work)
        .as_task()
        .method("property", property)
        .method("item", item)
        .method("attribute", attribute)
        .method("attribute_item", attribute_item)
}

const HOOKS: [&str; 5] = ["property", "item", "attribute", "attribute_item", "schedule"];

/// A request that writes.
type Request = fn(&Owner) -> reqwest::RequestBuilder;

fn put_property(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::PUT, "/properties/late").json(&json!("write"))
}

fn post_properties(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::POST, "/properties").json(&json!({ "late": 1, "later": 2 }))
}

fn append(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::POST, "/properties/notes").json(&json!("late"))
}

fn put_attribute(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::PUT, "/devtest/attribute/bucket/late").json(&json!(1))
}

fn ask_task(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::POST, "/actions/work").json(&json!("late"))
}

fn make_schedule(owner: &Owner) -> reqwest::RequestBuilder {
    owner.request(reqwest::Method::POST, "/actions/work/schedules").json(&json!({ "every": "PT1H" }))
}

/// What of the table tells of an actor, but its tombstone.
async fn left(site: &Site, owner: &Owner) -> Vec<Value> {
    let is_left = |row: &Value| {
        let begins = row["pk"].as_str().is_some_and(|pk| pk.starts_with(&format!("A#{}", owner.id)));
        begins && row["sk"] != "ACTOR"
    };
    site.table().await.into_iter().filter(is_left).collect()
}

async fn with_notes(owner: &Owner) {
    owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
}

/// The end of an actor, to the last thing it owned.
async fn end(site: &Site, owner: &Owner) {
    owner.delete("").await.expect(204);
    assert_eq!(site.drain().await.failed, 0);
}

/// Every write of an actor that ever had a relationship has a condition on its log, which goes with the actor: so no
/// write comes late, however it is delayed.
#[tokio::test]
async fn a_write_held_between_admission_and_commit_finds_no_log() {
    for with_subscriber in [false, true] {
        for request in [put_property as Request, post_properties, append] {
            for swept in [false, true] {
                let clock = FakeClock::new();
                let site = Site::with_clock(app(&Arc::default()), Arc::new(clock.clone())).await;
                let ann = Publisher::new(&site).await;
                let peers = Subscribers::start().await;
                let peer = ann.befriend("peer", &peers.url("peer")).await;
                clock.advance(Duration::from_secs(2));
                if with_subscriber {
                    ann.subscribe(&peer, actingweb_protocol::subscription::Scope::target("properties")).await;
                }
                with_notes(&ann.owner).await;
                let held = site.meter().hold_calls("TransactWriteItems", 1);
                let late = Answer::of(request(&ann.owner));
                let ending = async {
                    held.arrived().await;
                    if swept {
                        end(&site, &ann.owner).await
                    } else {
                        drop(ann.owner.delete("").await.expect(204))
                    }
                    held.release();
                };
                let (answer, ()) = tokio::join!(late, ending);
                answer.problem(404);
                let text = json!(left(&site, &ann.owner).await).to_string();
                assert!(!text.contains("late"), "{text}");
                site.drain().await;
                assert_eq!(left(&site, &ann.owner).await, Vec::<Value>::new());
            }
        }
    }
}

/// Of one that never had a relationship, whoever comes late looks again.
#[tokio::test]
async fn a_write_that_comes_long_after_admission_looks_for_its_actor() {
    for request in [put_property as Request, post_properties, append, put_attribute, ask_task, make_schedule] {
        let site = Site::with_devtest(app(&Arc::default())).await;
        let ann = site.actor("ann").await;
        with_notes(&ann).await;
        site.meter().inject(Faults::latency(LATENCY));
        let held = site.meter().hold_replies("BatchGetItem", 1);
        let late = Answer::of(request(&ann));
        let ending = async {
            held.arrived().await;
            end(&site, &ann).await;
            held.release();
        };
        let (answer, ()) = tokio::join!(late, ending);
        answer.problem(404);
        assert_eq!(left(&site, &ann).await, Vec::<Value>::new());
    }
}

/// Hooks may hold an actor for long.
#[tokio::test]
async fn a_hook_cannot_write_to_an_actor_that_was_deleted_meanwhile() {
    for hook in HOOKS {
        for trusted in [false, true] {
            let turn = Arc::new(Turn::default());
            let site = Site::of(app(&turn)).await;
            let ann = Publisher::new(&site).await;
            with_notes(&ann.owner).await;
            if trusted {
                ann.befriend("peer", "http://127.0.0.1:9/peer").await;
            }
            site.meter().inject(Faults::latency(LATENCY));
            let path = format!("/methods/{hook}");
            let nothing = json!({});
            let late = ann.owner.post(&path, &nothing);
            let ending = async {
                turn.begun.notified().await;
                site.meter().heal();
                end(&site, &ann.owner).await;
                turn.go.notify_one();
            };
            let (answer, ()) = tokio::join!(late, ending);
            answer.problem(404);
            let left = left(&site, &ann.owner).await;
            assert!(left.iter().all(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("OUT#"))), "{left:?}");
        }
    }
}

/// What was sent before the end and arrives after it is not acknowledged either, when it took long; the last look removes
/// it. What took less counts as made before the end.
#[tokio::test]
async fn a_plain_write_delayed_on_its_way_is_not_acknowledged_and_goes_at_the_last_look() {
    for (request, operation, rows) in [
        (put_property as Request, "PutItem", 1),
        // A task and what it is given; a schedule and how many there are.
        (ask_task, "TransactWriteItems", 2),
        (make_schedule, "TransactWriteItems", 2),
    ] {
        let clock = FakeClock::new();
        let site = Site::with_clock(app(&Arc::default()), Arc::new(clock.clone())).await;
        let ann = site.actor("ann").await;
        let held = site.meter().hold_calls(operation, 1);
        let late = Answer::of(request(&ann));
        let ending = async {
            held.arrived().await;
            site.meter().inject(Faults::latency(LATENCY));
            end(&site, &ann).await;
            held.release();
        };
        let (answer, ()) = tokio::join!(late, ending);
        answer.problem(404);
        site.meter().heal();
        assert_eq!(left(&site, &ann).await.len(), rows, "on its way when the actor ended");
        clock.advance(Duration::from_secs(16 * 60));
        site.drain().await;
        site.run_tasks().await;
        assert_eq!(left(&site, &ann).await, Vec::<Value>::new());
        let table = json!(site.table().await).to_string();
        assert!(!table.contains("RUN#"), "nobody runs what it asked for: {table}");
    }
}

/// Nobody pays for this who is not late: one look stands for all that is written in the next 250 ms.
#[tokio::test]
async fn many_writes_share_a_look() {
    let app = App::new("urn:actingweb:example.com:late").method("many", async |actor: Actor| {
        for n in 0..10 {
            actor.set_attribute("bucket", &format!("a{n}"), n, None).await?;
        }
        Ok::<_, HookError>(json!({}))
    });
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    let (answer, calls) = site.meter().measure(ann.post("/methods/many", &json!({}))).await;
    answer.expect(200);
    let looks = calls.operations().iter().filter(|operation| **operation == "BatchGetItem").count();
    // The admission, and what is due while ten writes take 60 ms each.
    assert!((2..10).contains(&looks), "{:?}", calls.operations());
}
