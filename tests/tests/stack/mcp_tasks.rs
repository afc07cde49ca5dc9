//! Tools whose actions run as tasks: for clients that know tasks, and for those that do not.

use std::sync::Arc;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Category, McpClient, Rules, Task, TrustDefinition};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::assistant::Assistant;
use actingweb_tests::{Owner, Site};
use tokio::sync::Semaphore;

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Holds hooks until a test lets them go.
#[derive(Clone)]
struct Stage(Arc<(Semaphore, Semaphore)>);

impl Stage {
    async fn begun(&self) {
        self.0.0.acquire().await.unwrap().forget();
    }
}

#[derive(Deserialize, JsonSchema)]
struct Order {
    year: u32,
    #[serde(default)]
    how: String,
}

#[derive(Serialize, JsonSchema)]
struct Report {
    pages: u32,
    over_mcp: bool,
}

async fn report(
    Input(order): Input<Order>,
    State(stage): State<Stage>,
    client: Option<McpClient>,
    task: Task,
) -> Result<Report, HookError> {
    match order.how.as_str() {
        "waits" => {
            task.progress(0.25, "spring");
            stage.0.0.add_permits(1);
            stage.0.1.acquire().await.unwrap().forget();
        }
        "busy" => return Err(HookError::retryable("the printer is busy")),
        "retryable" if task.attempt() == 1 => return Err(HookError::retryable("the printer is busy")),
        "rejected" => return Err(HookError::rejected("not on Sundays")),
        "terminal" => return Err(HookError::terminal("the secret cause")),
        _ => {}
    }
    Ok(Report { pages: order.year, over_mcp: client.is_some() })
}

fn app(stage: &Stage) -> App {
    let all = || Rules::allow(&["*"]);
    let everything = TrustDefinition::new("everything", "Everything", "May use everything")
        .grants(Category::Tools, all())
        .grants(Category::Actions, all());
    let nothing = TrustDefinition::new("other", "Other", "May use another tool")
        .grants(Category::Tools, Rules::allow(&["at_once"]))
        .grants(Category::Actions, Rules::allow(&["at_once"]));
    App::new("urn:actingweb:example.com:reports")
        .state(stage.clone())
        .trust_type(everything)
        .trust_type(nothing)
        .action("report", report)
        .as_task()
        .tool("Writes the report of a year")
        .action("at_once", || Ok::<_, HookError>(json!({ "now": true })))
        .tool("Answers at once")
        .action("hidden", || Ok::<_, HookError>(1))
        .as_task()
}

struct Scene {
    site: Site,
    clock: FakeClock,
    stage: Stage,
    owner: Owner,
    /// Takes tasks for answers.
    modern: Assistant,
}

async fn scene() -> Scene {
    let stage = Stage(Arc::new((Semaphore::new(0), Semaphore::new(0))));
    let clock = FakeClock::new();
    let site = Site::with_clock(app(&stage), Arc::new(clock.clone())).await;
    let owner = site.actor("ann@example.com").await;
    let modern = Assistant::connect(&site, &owner, "everything").await.with_tasks();
    Scene { site, clock, stage, owner, modern }
}

/// Starts a task; gives its name.
async fn start(client: &Assistant, arguments: Value) -> String {
    let started = client.call("report", arguments).await;
    assert_eq!(started["resultType"], "task", "{started}");
    started["taskId"].as_str().unwrap().to_owned()
}

async fn get(client: &Assistant, task: &str) -> Value {
    client.result("tasks/get", json!({ "taskId": task })).await
}

/// The code and the message of a refusal.
async fn refused(client: &Assistant, method: &str, params: Value) -> (i64, String) {
    let body = client.ask(method, params).await.json();
    let error = &body["error"];
    (error["code"].as_i64().unwrap_or_else(|| panic!("{body}")), error["message"].as_str().unwrap().to_owned())
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[tokio::test]
async fn a_call_is_answered_by_a_task_that_a_worker_runs() {
    let Scene { site, owner, modern, .. } = scene().await;
    let started = modern.call("report", json!({ "year": 12 })).await;
    assert_eq!((&started["resultType"], &started["status"]), (&json!("task"), &json!("working")));
    assert_eq!((&started["ttlMs"], &started["pollIntervalMs"]), (&Value::Null, &json!(2000)));
    assert!(started.get("content").is_none() && started.get("result").is_none(), "{started}");
    let task = started["taskId"].as_str().unwrap();

    // Nothing ran while the caller waited.
    let working = get(&modern, task).await;
    assert_eq!((&working["resultType"], &working["status"]), (&json!("complete"), &json!("working")));
    assert_eq!((&working["taskId"], &working["createdAt"]), (&started["taskId"], &started["createdAt"]));

    assert_eq!(site.run_tasks().await, 1);
    let done = get(&modern, task).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["result"]["structuredContent"], json!({ "pages": 12, "over_mcp": false }));
    assert_eq!(
        (&done["result"]["isError"], text(&done["result"])),
        (&json!(false), r#"{"pages":12,"over_mcp":false}"#)
    );
    assert!(done["ttlMs"].as_u64().is_some_and(|ttl| ttl >= 7 * 24 * 3600 * 1000), "{done}");

    // It is the task that REST shows.
    let id = task.strip_prefix("report.").unwrap();
    let seen = owner.get(&format!("/actions/report/tasks/{id}")).await.expect(200).json();
    assert_eq!((&seen["status"], &seen["result"]["pages"]), (&json!("completed"), &json!(12)));
}

#[tokio::test]
async fn the_extension_is_declared_where_a_tool_runs_as_a_task() {
    let Scene { site: _site, modern, .. } = scene().await;
    let discovered = modern.result("server/discover", json!({})).await;
    assert_eq!(discovered["capabilities"]["extensions"], json!({ EXTENSION: {} }), "{discovered}");
    assert_eq!(modern.names("tools/list", "tools").await, ["at_once", "report"]);

    let site =
        Site::of(App::new("urn:actingweb:example.com:a").action("now", || Ok::<_, HookError>(1)).tool("Now")).await;
    let owner = site.actor("ann@example.com").await;
    let client = Assistant::connect(&site, &owner, "mcp_client").await.with_tasks();
    let discovered = client.result("server/discover", json!({})).await;
    assert!(discovered["capabilities"].get("extensions").is_none(), "{discovered}");
    assert_eq!(refused(&client, "tasks/get", json!({ "taskId": "now.1" })).await.0, -32601);
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_refused_as_those_that_can() {
    let Scene { site: _site, modern, .. } = scene().await;
    let mut unaware = modern.clone();
    unaware.capabilities = json!({});
    let plain =
        Site::of(App::new("urn:actingweb:example.com:a").action("now", || Ok::<_, HookError>(1)).tool("Now")).await;
    let owner = plain.actor("ann@example.com").await;
    let without = Assistant::connect(&plain, &owner, "mcp_client").await.with_tasks();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        for params in [json!({}), json!({ "taskId": 1 }), json!({ "taskId": null }), json!({ "task": "report.1" })] {
            assert_eq!(refused(&modern, method, params.clone()).await.0, -32602, "{method} {params}");
            let told = unaware.ask(method, params.clone()).await.expect(400).json();
            assert_eq!(told["error"]["code"], -32021, "{method} {params}: {told}");
            let needed = json!({ "requiredCapabilities": { "extensions": { EXTENSION: {} } } });
            assert_eq!(told["error"]["data"], needed, "{method} {params}");
            let told = without.ask(method, params.clone()).await.expect(404).json();
            assert_eq!(told["error"]["code"], -32601, "{method} {params}: {told}");
        }
    }
}

#[tokio::test]
async fn input_is_checked_before_there_is_a_task() {
    let Scene { site, modern, .. } = scene().await;
    let refused = modern.call("report", json!({ "year": "x" })).await;
    assert_eq!((&refused["isError"], &refused["resultType"]), (&json!(true), &json!("complete")));
    assert!(text(&refused).contains("year"), "{refused}");
    assert_eq!(site.run_tasks().await, 0);
}

#[tokio::test]
async fn failures_are_results_that_models_read() {
    let Scene { site, clock, modern, .. } = scene().await;
    let task = start(&modern, json!({ "year": 1, "how": "rejected" })).await;
    let again = start(&modern, json!({ "year": 1, "how": "retryable" })).await;
    let broken = start(&modern, json!({ "year": 1, "how": "terminal" })).await;
    site.run_tasks().await;
    let failed = get(&modern, &task).await;
    assert_eq!((&failed["status"], &failed["result"]["isError"]), (&json!("completed"), &json!(true)), "{failed}");
    assert_eq!(text(&failed["result"]), "not on Sundays");

    // Where the hook has nothing to say to its caller, the protocol says so.
    let broken = get(&modern, &broken).await;
    assert_eq!((&broken["status"], &broken["error"]["code"]), (&json!("failed"), &json!(-32603)), "{broken}");
    assert_eq!(broken["statusMessage"], broken["error"]["message"]);
    assert!(broken.get("result").is_none() && !broken.to_string().contains("secret"), "{broken}");

    // What is tried again is under way.
    let waiting = get(&modern, &again).await;
    assert_eq!(waiting["status"], "working");
    let message = waiting["statusMessage"].as_str().unwrap();
    assert!(message.starts_with("attempt 1 failed (the printer is busy); the next one is due at "), "{message}");
    clock.advance(Duration::from_secs(60));
    site.run_tasks().await;
    let done = get(&modern, &again).await;
    assert_eq!((&done["status"], &done["result"]["isError"]), (&json!("completed"), &json!(false)), "{done}");
}

#[tokio::test]
async fn what_an_administrator_runs_again_is_working_once_more() {
    const DAY: u64 = 24 * 3600 * 1000;
    let Scene { site, clock, modern, .. } = scene().await;
    let refused = start(&modern, json!({ "year": 1, "how": "rejected" })).await;
    let broken = start(&modern, json!({ "year": 1, "how": "terminal" })).await;
    let busy = start(&modern, json!({ "year": 1, "how": "busy" })).await;
    for _ in 0..5 {
        site.run_tasks().await;
        // Less than the client's token lasts, in all.
        clock.advance(Duration::from_secs(180));
    }
    let days = |task: &Value| task["ttlMs"].as_u64().unwrap() / DAY;
    let (refused, gave_up) = (get(&modern, &refused).await, get(&modern, &busy).await);
    assert_eq!((days(&refused), days(&gave_up), days(&get(&modern, &broken).await)), (7, 30, 30));
    assert_eq!((&gave_up["status"], &gave_up["result"]["isError"]), (&json!("completed"), &json!(true)), "{gave_up}");
    assert_eq!(get(&modern, &broken).await["status"], "failed");

    let store = site.state().actors.store();
    let letters = store.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 2, "nobody runs again what was refused: {letters:?}");
    for letter in &letters {
        store.redrive(letter).await.unwrap();
    }
    for task in [&broken, &busy] {
        let again = get(&modern, task).await;
        assert_eq!((&again["status"], &again["ttlMs"]), (&json!("working"), &Value::Null), "{again}");
    }
}

#[tokio::test]
async fn a_task_is_cancelled_before_it_runs_and_while_it_runs() {
    let Scene { site, stage, modern, .. } = scene().await;
    let waiting = start(&modern, json!({ "year": 1 })).await;
    let acknowledged = modern.result("tasks/cancel", json!({ "taskId": waiting })).await;
    assert_eq!(acknowledged["resultType"], "complete");
    assert_eq!(get(&modern, &waiting).await["status"], "cancelled");
    assert_eq!(site.run_tasks().await, 0);

    let running = start(&modern, json!({ "year": 1, "how": "waits" })).await;
    let cancel = async {
        stage.begun().await;
        modern.result("tasks/cancel", json!({ "taskId": running })).await;
        let asked = get(&modern, &running).await;
        assert_eq!(
            (&asked["status"], &asked["statusMessage"]),
            (&json!("working"), &json!("somebody asked for its end"))
        );
    };
    tokio::join!(site.run_tasks(), cancel);
    assert_eq!(get(&modern, &running).await["status"], "cancelled");

    // What is over stays what it is.
    let done = start(&modern, json!({ "year": 1 })).await;
    site.run_tasks().await;
    modern.result("tasks/cancel", json!({ "taskId": done })).await;
    assert_eq!(get(&modern, &done).await["status"], "completed");
}

#[tokio::test]
async fn tasks_of_others_and_unknown_ones_look_alike() {
    let Scene { site, owner, modern, .. } = scene().await;
    let task = start(&modern, json!({ "year": 1 })).await;
    let other = Assistant::named(&site, &owner, "everything", "Another client").await.with_tasks();
    let restricted = Assistant::named(&site, &owner, "other", "A third one").await.with_tasks();
    let stranger = site.actor("bob@example.com").await;
    let stranger = Assistant::connect(&site, &stranger, "everything").await.with_tasks();
    let none = format!("report.{}", "0".repeat(32));
    let id = task.strip_prefix("report.").unwrap();
    let wrong = ["", "x", id, "report.", "report.x", &format!("at_once.{id}"), &format!("hidden.{id}"), &none];
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let params = |task: &str| json!({ "taskId": task, "inputResponses": {} });
        let unknown = refused(&modern, method, params(&none)).await;
        assert_eq!(unknown, (-32602, "there is no such task".to_owned()), "{method}");
        for client in [&other, &restricted, &stranger] {
            assert_eq!(refused(client, method, params(&task)).await, unknown, "{method}");
        }
        for wrong in wrong {
            assert_eq!(refused(&modern, method, params(wrong)).await, unknown, "{method} {wrong}");
        }
    }
    // It still is there, and whatever is brought to it answers nothing.
    modern.result("tasks/update", json!({ "taskId": task, "inputResponses": { "a": { "action": "accept" } } })).await;
    assert_eq!(get(&modern, &task).await["status"], "working");
}

#[tokio::test]
async fn rights_that_were_withdrawn_show_no_task() {
    let Scene { site, owner, modern, .. } = scene().await;
    let task = start(&modern, json!({ "year": 1 })).await;
    let path = format!("/trust/everything/oauth2_client:{}/permissions", modern.client_id);
    let denied = json!({ "tools": { "denied": ["report"] }, "actions": { "denied": ["report"] } });
    let answer = owner.put(&path, &denied).await;
    assert!(answer.status < 300, "{}", answer.request);
    assert_eq!(refused(&modern, "tasks/get", json!({ "taskId": task })).await.0, -32602);
    site.run_tasks().await;
    let id = task.strip_prefix("report.").unwrap();
    let seen = owner.get(&format!("/actions/report/tasks/{id}")).await.expect(200).json();
    assert_eq!((&seen["status"], &seen["error"]["status"]), (&json!("failed"), &json!(403)), "the hook did not run");
}

#[tokio::test]
async fn a_client_that_knows_no_tasks_is_told_of_one_and_looks_after_it_by_tools() {
    let Scene { site, stage, mut modern, .. } = scene().await;
    modern.capabilities = json!({});
    let client = modern;
    let listed = client.result("tools/list", json!({})).await;
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["at_once", "cancel_task", "get_task", "report"], "by name");
    assert!(tools[3].get("outputSchema").is_none(), "its answer is a note: {listed}");

    let started = client.call("report", json!({ "year": 7, "how": "waits" })).await;
    assert_eq!((&started["resultType"], &started["isError"]), (&json!("complete"), &json!(false)));
    let note = text(&started).to_owned();
    let task = note.split('`').nth(1).unwrap();
    assert!(task.starts_with("report.") && note.contains("get_task"), "{note}");
    // The protocol's own methods are not for it.
    assert_eq!(refused(&client, "tasks/get", json!({ "taskId": task })).await.0, -32021);

    let look = async |task: &str| client.call("get_task", json!({ "task": task })).await;
    assert_eq!(text(&look(task).await), format!("The task `{task}` is under way"));
    let meanwhile = async {
        stage.begun().await;
        loop {
            let seen = look(task).await;
            if text(&seen).ends_with("25 %: spring") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stage.0.1.add_permits(1);
    };
    tokio::join!(site.run_tasks(), meanwhile);
    assert_eq!(look(task).await["structuredContent"], json!({ "pages": 7, "over_mcp": false }));
    assert_eq!(
        client.call("cancel_task", json!({ "task": task })).await["structuredContent"]["pages"],
        7,
        "it is over"
    );

    let started = client.call("report", json!({ "year": 8 })).await;
    let task = text(&started).split('`').nth(1).unwrap();
    let cancelled = client.call("cancel_task", json!({ "task": task })).await;
    assert_eq!(text(&cancelled), format!("The task `{task}` was cancelled"));
    assert_eq!(site.run_tasks().await, 0);

    for wrong in [json!({}), json!({ "task": 1 }), json!({ "task": "report.x" })] {
        assert_eq!(client.call("get_task", wrong.clone()).await["isError"], true, "{wrong}");
    }
}

#[tokio::test]
async fn the_tools_for_tasks_are_for_those_who_may_start_some() {
    let Scene { site, owner, .. } = scene().await;
    let restricted = Assistant::connect(&site, &owner, "other").await;
    assert_eq!(restricted.names("tools/list", "tools").await, ["at_once"]);
    for tool in ["report", "get_task", "cancel_task"] {
        let params = json!({ "name": tool, "arguments": { "task": "report.x" } });
        let unknown = refused(&restricted, "tools/call", params).await;
        assert_eq!(unknown, (-32602, format!("unknown tool: {tool}")));
    }
}

#[tokio::test]
async fn earlier_revisions_have_no_tasks() {
    let Scene { site, modern, .. } = scene().await;
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        // What the revision before the current one calls a task is another thing, which is ignored.
        let params = json!({ "name": "report", "arguments": { "year": 3 }, "task": { "ttl": 1000 } });
        let started = modern.result_in(revision, "tools/call", params).await;
        assert!(started.get("resultType").is_none() && started.get("task").is_none(), "{started}");
        let task = text(&started).split('`').nth(1).unwrap().to_owned();
        site.run_tasks().await;
        let params = json!({ "name": "get_task", "arguments": { "task": task } });
        let done = modern.result_in(revision, "tools/call", params).await;
        assert_eq!(text(&done), r#"{"pages":3,"over_mcp":false}"#, "{revision}");
        let listed = modern.result_in(revision, "tools/list", json!({})).await;
        assert_eq!(listed["tools"].as_array().unwrap().len(), 4);
        // Those that are called like the extension's need a capability that no client of these revisions can declare.
        for (method, code) in
            [("tasks/get", -32021), ("tasks/cancel", -32021), ("tasks/result", -32601), ("tasks/list", -32601)]
        {
            for params in [json!({ "taskId": task }), json!({ "taskId": 1 }), json!({})] {
                let answer = modern.ask_in(revision, method, params).await.expect(200).json();
                assert_eq!(answer["error"]["code"], code, "{revision} {method}: {answer}");
            }
        }
    }
}

/// Everything, to whoever is of the trust type `all`.
fn open_app() -> App {
    App::new("urn:actingweb:example.com:a").trust_type(
        TrustDefinition::new("all", "All", "All")
            .grants(Category::Tools, Rules::allow(&["*"]))
            .grants(Category::Actions, Rules::allow(&["*"])),
    )
}

#[tokio::test]
async fn an_application_without_tasks_may_have_tools_of_those_names() {
    let mine = || Ok::<_, HookError>("mine");
    let app = open_app().action("get_task", mine).tool("Mine").action("later", mine).as_task();
    let site = Site::of(app).await;
    let owner = site.actor("ann@example.com").await;
    let client = Assistant::connect(&site, &owner, "all").await;
    assert_eq!(client.names("tools/list", "tools").await, ["get_task"]);
    assert_eq!(text(&client.call("get_task", json!({})).await), "mine");
}

#[tokio::test]
async fn pages_have_room_for_the_tools_for_tasks() {
    let number = || Ok::<_, HookError>(1);
    let app = (0..99)
        .fold(open_app(), |app, index| app.action(format!("a{index:02}"), number).tool("Counts"))
        .action("later", number)
        .as_task()
        .tool("Later")
        .action("zero", number)
        .tool("Zero");
    let site = Site::of(app).await;
    let owner = site.actor("ann@example.com").await;
    let mut client = Assistant::connect(&site, &owner, "all").await;
    let page = async |client: &Assistant, cursor: Option<&Value>| {
        let params = cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }));
        let listed = client.result("tools/list", params).await;
        let tools = listed["tools"].as_array().unwrap().clone();
        let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        (names, listed.get("nextCursor").cloned())
    };
    let (first, next) = page(&client, None).await;
    assert_eq!((first.len(), first[99].as_str()), (100, "cancel_task"));
    let (rest, end) = page(&client, next.as_ref()).await;
    assert_eq!((rest, end), (["get_task", "later", "zero"].map(str::to_owned).to_vec(), None));
    // Whoever knows tasks has no use for them.
    client = client.with_tasks();
    let (first, next) = page(&client, None).await;
    assert_eq!((first.len(), first[99].as_str()), (100, "later"));
    assert_eq!(page(&client, next.as_ref()).await, (vec!["zero".to_owned()], None));
}

#[tokio::test]
async fn calls_keep_their_budgets() {
    let Scene { site, modern, .. } = scene().await;
    let spent = async |method: &str, params: Value| {
        let (_, calls) = site.meter().measure(modern.result(method, params)).await;
        (calls.count(), calls.longest_chain())
    };
    let call = |tool: &str| json!({ "name": tool, "arguments": { "year": 1 } });
    assert_eq!(spent("tools/list", json!({})).await, (1, 1));
    assert_eq!(spent("tools/call", call("at_once")).await, (1, 1));
    assert_eq!(spent("tools/call", call("report")).await, (2, 2), "a task is one call more");
    let task = start(&modern, json!({ "year": 1 })).await;
    assert_eq!(spent("tasks/get", json!({ "taskId": task })).await, (2, 2));
    assert_eq!(spent("tasks/cancel", json!({ "taskId": task })).await, (3, 3));
    // The tools that do the same; the one that cancels looks again, to say what became of the task.
    let tool = |tool: &str, task: &str| json!({ "name": tool, "arguments": { "task": task } });
    let task = start(&modern, json!({ "year": 1 })).await;
    assert_eq!(spent("tools/call", tool("get_task", &task)).await, (2, 2));
    assert_eq!(spent("tools/call", tool("cancel_task", &task)).await, (4, 4));
}
