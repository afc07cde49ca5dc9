//! A hook that panics, fails or hangs costs its caller an error with a reason, and nobody else anything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, Owner, Site};
use futures_util::future::join_all;
use reqwest::Method;
use tokio::task::JoinSet;

/// What the hooks of these tests know and no caller may learn.
const SECRET: &str = "hunter2";
/// When hooks that hang are given up: late enough for other requests to be answered first.
const DEADLINE: Duration = Duration::from_millis(1500);
const GROUPS: [&str; 3] = ["methods", "actions", "resources"];

/// Holds hooks until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
    passed: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.passed.fetch_add(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// Opens its gate at the latest when a test ends, however it ends: threads that wait would keep it from ending.
struct Opener<'a>(&'a Gate);

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// An error whose text, and whose cause's text, are for the log.
#[derive(Debug)]
struct Outage(Option<Box<Outage>>);

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "could not connect to db.internal as {SECRET}")
    }
}

impl std::error::Error for Outage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

fn outage() -> Outage {
    Outage(Some(Box::new(Outage(None))))
}

fn panics() -> Result<Value, HookError> {
    panic!("the password is {SECRET}")
}

async fn panics_later() -> Result<Value, HookError> {
    tokio::task::yield_now().await;
    panic!("the password is {SECRET}")
}

async fn task_panics(ctx: Context) -> Result<Value, HookError> {
    ctx.tasks().spawn(async { panic!("the password is {SECRET}") });
    Ok(json!("all went well"))
}

async fn task_hangs(ctx: Context) -> Result<Value, HookError> {
    ctx.tasks().spawn(std::future::pending());
    Ok(json!("all went well"))
}

async fn hangs(State(gate): State<Arc<Gate>>) -> Result<Value, HookError> {
    gate.waiting.fetch_add(1, Ordering::SeqCst);
    std::future::pending().await
}

fn blocks(State(gate): State<Arc<Gate>>) -> Result<Value, HookError> {
    gate.pass();
    Ok(json!(SECRET))
}

fn fails(Input(how): Input<String>) -> Result<Value, HookError> {
    Err(match how.as_str() {
        "rejected" => HookError::rejected("not on a Sunday"),
        "not found" => HookError::not_found("invoice 17"),
        "invalid" => HookError::invalid("`amount` must be positive"),
        "retryable" => HookError::retryable("the ledger is being closed").after(Duration::from_secs(7)),
        "away" => HookError::Retryable {
            reason: "the ledger does not answer".into(),
            retry_after: None,
            source: Some(Box::new(outage())),
        },
        "question mark" => std::fs::read("/nowhere/hunter2.rs").err().unwrap().into(),
        _ => HookError::terminal(outage()),
    })
}

fn echo(Input(value): Input<Value>) -> Result<Value, HookError> {
    Ok(value)
}

/// Every hook of these tests as a method; those that matter there as actions and resources, too.
fn app(gate: &Arc<Gate>) -> App {
    App::new("urn:actingweb:example.com:isolation")
        .state(Arc::clone(gate))
        .method("echo", echo)
        .method("panics", panics)
        .method("panics_later", panics_later)
        .method("panics_on_a_thread", blocking(panics))
        .method("task_panics", task_panics)
        .method("fails", fails)
        .method("hangs", hangs)
        .deadline(DEADLINE)
        .method("blocks", blocking(blocks))
        .deadline(DEADLINE)
        .method("task_hangs", task_hangs)
        .deadline(DEADLINE)
        .action("panics", panics)
        .action("panics_later", panics_later)
        .action("panics_on_a_thread", blocking(panics))
        .action("fails", fails)
        .resource("panics", panics)
        .resource("panics_later", panics_later)
        .resource("panics_on_a_thread", blocking(panics))
        .resource("fails", fails)
}

/// Asserts that a reply says nothing that only the application should know.
#[track_caller]
fn assert_discreet(answer: &Answer) {
    let headers =
        answer.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    let said = format!("{}{}", headers.collect::<String>(), answer.body);
    for secret in [SECRET, "db.internal", "panic", ".rs", "src/", "/nowhere", "actingweb_", "No such file"] {
        assert!(!said.contains(secret), "{} tells `{secret}`: {said}", answer.request);
    }
}

/// Calls the harmless hook many times at once; every call must succeed.
async fn others_are_served(owner: &Owner) {
    let calls = (0..20).map(|number| async move {
        let value = json!({ "number": number });
        assert_eq!(owner.post("/methods/echo", &value).await.expect(200).json(), value);
    });
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_costs_one_request() {
    let site = Site::of(app(&Arc::default())).await;
    let owner = site.actor("ann").await;
    let paths = GROUPS
        .into_iter()
        .flat_map(|group| ["panics", "panics_later", "panics_on_a_thread"].map(|hook| format!("/{group}/{hook}")));
    let paths: Vec<_> = paths.chain(["/methods/task_panics".to_owned()]).collect();
    let panicking = join_all(paths.iter().cycle().take(5 * paths.len()).map(|path| owner.post(path, &Value::Null)));
    let (answers, ()) = tokio::join!(panicking, others_are_served(&owner));
    for answer in answers {
        let answer = answer.problem(500);
        assert_discreet(&answer);
        assert!(answer.detail().contains("the log says why"), "{}", answer.detail());
    }
    others_are_served(&owner).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_its_status_and_shows_what_it_may() {
    let site = Site::of(app(&Arc::default())).await;
    let owner = &site.actor("ann").await;
    let hidden = "the hook failed; the log says why, under this request's id";
    let expected = [
        ("rejected", 403, "not on a Sunday", ""),
        ("not found", 404, "invoice 17", ""),
        ("invalid", 400, "`amount` must be positive", ""),
        ("retryable", 503, "the ledger is being closed", "7"),
        ("away", 503, "the ledger does not answer", "1"),
        ("terminal", 500, hidden, ""),
        ("question mark", 500, hidden, ""),
    ];
    let failing = GROUPS.into_iter().flat_map(|group| {
        expected.map(|(how, status, detail, retry_after)| async move {
            let answer = owner.post(&format!("/{group}/fails"), &json!(how)).await.problem(status);
            assert_discreet(&answer);
            assert_eq!(answer.detail(), detail, "{}", answer.request);
            assert_eq!(answer.header("retry-after"), retry_after, "{}", answer.request);
        })
    });
    tokio::join!(join_all(failing), others_are_served(owner));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_hangs_is_given_up_and_nobody_waits_for_it() {
    let gate = Arc::<Gate>::default();
    let opener = Opener(&gate);
    let site = Site::of(app(&gate)).await;
    let owner = site.actor("ann").await;
    others_are_served(&owner).await;
    let mut hanging = JoinSet::new();
    for hook in ["hangs", "blocks", "task_hangs"].iter().cycle().take(12) {
        let request = owner.request(Method::POST, &format!("/methods/{hook}")).json(&json!({}));
        hanging.spawn(Answer::of(request));
    }
    while gate.waiting.load(Ordering::SeqCst) < 8 {
        tokio::task::yield_now().await;
    }
    others_are_served(&owner).await;
    assert!(hanging.try_join_next().is_none(), "others had to wait for hooks that hang");

    for answer in hanging.join_all().await {
        let answer = answer.problem(504);
        assert_discreet(&answer);
        assert!(answer.detail().contains("did not finish by its deadline"), "{}", answer.detail());
    }
    // The threads are still blocked: they come back when what they wait for does.
    assert_eq!(gate.passed.load(Ordering::SeqCst), 0);
    others_are_served(&owner).await;
    drop(opener);
    assert_eq!(owner.post("/methods/blocks", &json!({})).await.expect(200).json(), json!(SECRET));
}

/// A hook that panics on this operation.
fn guard(op: Op) -> impl Fn(PropertyAccess) -> Result<Verdict, HookError> + Send + Sync + 'static {
    move |access| if access.op() == op { panic!("not for you: {}", access.value()) } else { Ok(Verdict::Keep) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_property_whose_hook_fails_is_neither_shown_nor_changed() {
    let app = App::new("urn:actingweb:example.com:isolation")
        .property("unreadable", guard(Op::Get))
        .property("unwritable", guard(Op::Put))
        .property("unwritable", |access: PropertyAccess| match access.op() {
            Op::Delete | Op::Post => Err(HookError::terminal(outage())),
            _ => Ok(Verdict::Keep),
        });
    let site = Site::of(app).await;
    let owner = site.actor("ann").await;
    owner.put("/properties/unreadable", &json!({ "pin": SECRET })).await.expect(204);
    owner.put("/properties/color", &json!("blue")).await.expect(204);
    for path in ["/unreadable", "/unreadable/pin", ""] {
        let answer = owner.get(&format!("/properties{path}")).await.problem(500);
        assert_discreet(&answer);
    }

    let (value, both) = (json!(SECRET), json!({ "unwritable": SECRET, "color": "red" }));
    let put = owner.put("/properties/unwritable", &value);
    let put_below = owner.put("/properties/unwritable/pin", &value);
    let post = owner.post("/properties", &both);
    let (put, put_below, post) = tokio::join!(put, put_below, post);
    for answer in [put, put_below, post] {
        assert_discreet(&answer.problem(500));
    }
    owner.get("/properties/unwritable").await.expect(404);
    assert_eq!(owner.get("/properties/color").await.expect(200).body, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_exists_whatever_its_lifecycle_hooks_do() {
    async fn hangs() -> Result<(), HookError> {
        std::future::pending().await
    }
    let app = App::new("urn:actingweb:example.com:isolation")
        .method("echo", echo)
        .on(ActorCreated, || -> Result<(), HookError> { panic!("the password is {SECRET}") })
        .on(ActorCreated, blocking(|| -> Result<(), HookError> { panic!("the password is {SECRET}") }))
        .on(ActorCreated, || Err::<(), _>(HookError::terminal(outage())))
        .on(ActorCreated, hangs)
        .deadline(Duration::from_millis(200))
        .on(ActorCreated, async |actor: Actor| Ok(actor.set_property("greeted", json!(true)).await?));
    let site = Site::of(app).await;
    let created = Answer::of(site.http.post(site.url("/")).json(&json!({ "creator": "ann" }))).await.expect(201);
    assert_discreet(&created);

    let owner = site.actor("bob").await;
    assert_eq!(owner.get("/properties/greeted").await.expect(200).json(), json!(true));
    others_are_served(&owner).await;
}
