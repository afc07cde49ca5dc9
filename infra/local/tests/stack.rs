//! The local stack, in this process and as a program.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests may panic as tests do, and bring a client of their own"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use actingweb_local::{Options, start_app};
use actingweb_runtime::Environment;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_actingweb-local");
const CREATOR: (&str, &str) = ("ann@example.com", "open sesame");

/// Makes an actor, and gives its URL below `url`.
async fn create(http: &reqwest::Client, url: &str) -> String {
    let body = json!({ "creator": CREATOR.0, "passphrase": CREATOR.1 });
    let reply = http.post(format!("{url}/")).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    let created: Value = reply.json().await.unwrap();
    format!("{url}/{}", created["id"].as_str().unwrap())
}

#[tokio::test]
async fn requests_under_way_finish_before_it_stops() {
    let stack = start_app(Options::in_memory(), Environment::default(), actingweb_app::app()).await.unwrap();
    let http = reqwest::Client::new();
    let actor = create(&http, &stack.url).await;
    let services = stack.services().unwrap();
    services.set_delay(std::time::Duration::from_millis(300));
    let call = http.post(format!("{actor}/methods/fetch_weather")).basic_auth(CREATOR.0, Some(CREATOR.1));
    let call = tokio::spawn(call.json(&json!({ "city": "Oslo" })).send());
    while services.call_count() == 0 {
        tokio::task::yield_now().await;
    }
    let url = stack.url.clone();
    // Stopping takes the stand-in along only after the request has its answer.
    stack.stop().await;
    let reply = call.await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    assert!(http.get(url).send().await.is_err());
}

#[tokio::test]
async fn the_worker_removes_what_a_deleted_actor_owned() {
    let stack = start_app(Options::in_memory(), Environment::default(), actingweb_app::app()).await.unwrap();
    let http = reqwest::Client::new();
    let actor = create(&http, &stack.url).await;
    let deleted = http.delete(&actor).basic_auth(CREATOR.0, Some(CREATOR.1)).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    // The job is replaced by a last look, which is due later: then nothing is due any more.
    while !stack.state.actors.store().due_jobs().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    stack.stop().await;
}

/// A stack as a program, killed at the end.
struct Program(Child);

impl Program {
    /// Starts it over `data`, and waits until it says where it answers.
    fn start(data: &Path) -> (Self, String) {
        let mut command = Command::new(BINARY);
        let child = command.args(["--port", "0", "--data"]).arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut program = Self(child);
        let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.find_map(|line| line.strip_prefix("ActingWeb runs at ").map(str::to_owned)).unwrap();
        // Read on, so that the program can go on writing.
        std::thread::spawn(move || lines.for_each(drop));
        (program, url)
    }

    /// Asks it to stop, and gives its exit status.
    fn terminate(mut self) -> Option<i32> {
        let kill = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(kill.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn state_and_keys_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let http = reqwest::Client::new();
    let (first, url) = Program::start(data.path());
    let actor = create(&http, &url).await;
    let stored = http.put(format!("{actor}/properties/colour")).basic_auth(CREATOR.0, Some(CREATOR.1));
    assert_eq!(stored.json("blue").send().await.unwrap().status(), 204);
    assert_eq!(first.terminate(), Some(0));

    let (_second, new_url) = Program::start(data.path());
    let actor = actor.replace(&url, &new_url);
    let read = http.get(format!("{actor}/properties/colour")).basic_auth(CREATOR.0, Some(CREATOR.1));
    let read = read.send().await.unwrap();
    assert_eq!(read.status(), 200);
    assert!(read.text().await.unwrap().contains("blue"));
}

/// What a program that must not start says: one line.
fn refusal(flags: &[&str]) -> String {
    let mut child = Command::new(BINARY).args(flags).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "{flags:?}");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below_file = file.join("data");
    let below_file = below_file.to_str().unwrap();

    assert!(refusal(&["--memory", "--port", &port]).contains(&port));
    assert!(refusal(&["--port", "0", "--data", below_file]).contains("--data"));
    let endpoint = "http://127.0.0.1:1";
    assert!(refusal(&["--memory", "--port", "0", "--dynamodb-endpoint", endpoint]).contains(endpoint));
    assert!(refusal(&["--memory", "--port", "0", "--base-url", "ftp://example.com"]).contains("BASE_URL"));
    assert!(refusal(&["--prot", "1"]).contains("--prot"));
}
