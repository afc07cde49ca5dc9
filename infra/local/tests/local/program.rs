//! Starts the program, reads what it says, stops it.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use actingweb_peer::{HttpSettings, http_client};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long anything here may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder to work in, which is removed at the end.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn client() -> Client {
    http_client(&HttpSettings::default()).unwrap()
}

/// The program with these flags, in this folder, knowing nothing of this process's environment.
fn command(folder: &Path, flags: &[&str], variables: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actingweb-local"));
    command.args(flags).current_dir(folder).env_clear().envs(variables.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the program to its end, which must come by itself.
pub(crate) async fn run(folder: &Path, flags: &[&str]) -> Output {
    let ended = timeout(PATIENCE, command(folder, flags, &[]).output()).await;
    ended.unwrap_or_else(|_| panic!("{flags:?} did not end")).unwrap()
}

/// The running program.
pub(crate) struct Program {
    /// All it said before it was ready.
    pub(crate) welcome: String,
    /// The address it answers at.
    pub(crate) url: String,
    /// The address of its engine.
    pub(crate) dynamodb: String,
    folder: PathBuf,
    child: Child,
    output: JoinSet<(String, String)>,
}

/// How the program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
    /// What it logged once it was ready.
    pub(crate) log: String,
}

impl Program {
    /// Starts it on free ports, with its data below `folder`, and waits until it is ready.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::with(folder, &["--port", "0", "--data", "data"], &[]).await
    }

    /// Starts it with these flags and variables, and waits until it is ready.
    pub(crate) async fn with(folder: &Path, flags: &[&str], variables: &[(String, String)]) -> Self {
        let mut child = command(folder, flags, variables).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            let mut welcome = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with('{') && line.contains("\"started\"") {
                    return welcome;
                }
                welcome.push_str(&line);
                welcome.push('\n');
            }
            panic!("{flags:?} ended before it was ready: {welcome}")
        };
        let welcome = timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("{flags:?} is not ready"));
        let mut stderr = child.stderr.take().unwrap();
        // Both pipes are read to the end: a full one would stop the program.
        let mut output = JoinSet::new();
        output.spawn(async move {
            let log = async {
                let mut log = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    log.push_str(&line);
                    log.push('\n');
                }
                log
            };
            let mut said = String::new();
            let (_, log) = tokio::join!(stderr.read_to_string(&mut said), log);
            (said, log)
        });
        let url_in = |text: &str| {
            text.split([' ', '\n', '(', ')', ';', ',']).find(|word| word.starts_with("http://")).map(str::to_owned)
        };
        let dynamodb = url_in(welcome.split_once("state:").unwrap().1).unwrap();
        // With --engine-only the engine comes first.
        let url = url_in(&welcome.replace(&dynamodb, "")).unwrap();
        Self { welcome, url, dynamodb, folder: folder.to_owned(), child, output }
    }

    /// Sends a signal by name and waits for the end.
    pub(crate) async fn signal(self, name: &str) -> Ended {
        let pid = self.child.id().unwrap();
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await.unwrap();
        assert!(sent.success());
        self.end().await
    }

    /// Kills it as nothing can prepare for (SIGKILL).
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        assert!(!self.end().await.status.success());
    }

    async fn end(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("an end in time").unwrap();
        let (stderr, log) = self.output.join_next().await.unwrap().unwrap();
        Ended { status, stderr, log }
    }

    /// Runs commands in a shell in the program's folder, and gives what they print.
    pub(crate) async fn shell(&self, commands: &str) -> String {
        let output = Command::new("sh").args(["-euc", commands]).current_dir(&self.folder).output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Creates an actor.
    pub(crate) async fn actor(&self, http: &Client, creator: &str) -> Owner {
        Owner::create(&self.url, http, creator).await.unwrap()
    }

    /// Calls the engine, past everything that is built upon it.
    pub(crate) async fn engine(&self, http: &Client, operation: &str, input: &Value) -> Value {
        call_engine(&self.dynamodb, http, operation, input).await
    }
}

/// Calls an engine directly. It checks that requests are signed, not by whom.
pub(crate) async fn call_engine(url: &str, http: &Client, operation: &str, input: &Value) -> Value {
    const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
                             SignedHeaders=host, Signature=00";
    let request = http
        .post(url)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", SIGNATURE)
        .header("content-type", "application/x-amz-json-1.0")
        .body(input.to_string());
    let (status, body) = answer(request).await.unwrap();
    assert_eq!(status, 200, "{operation}: {body}");
    body
}

/// The status and the body of a reply: JSON, or the text it was. `None` when there was no whole reply.
pub(crate) async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let text = response.text().await.ok()?;
    Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// An actor's creator; outlives the program, as people do.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) id: String,
    creator: String,
    pub(crate) passphrase: String,
    http: Client,
}

impl Owner {
    /// A new actor; `None` when there was no whole reply.
    pub(crate) async fn create(program: &str, http: &Client, creator: &str) -> Option<Self> {
        let request = http.post(format!("{program}/")).json(&json!({ "creator": creator }));
        let (status, body) = answer(request).await?;
        assert_eq!(status, 201, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Some(Self { id: text("id"), creator: text("creator"), passphrase: text("passphrase"), http: http.clone() })
    }

    /// A signed request to the program at this address; `None` when there was no whole reply.
    pub(crate) async fn call(
        &self,
        program: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let request = self.http.request(method, format!("{program}/{}{path}", self.id));
        let request = request.basic_auth(&self.creator, Some(&self.passphrase)).header("accept", "application/json");
        answer(if let Some(body) = body { request.json(body) } else { request }).await
    }

    pub(crate) async fn get(&self, program: &Program, path: &str) -> (u16, Value) {
        self.call(&program.url, Method::GET, path, None).await.unwrap()
    }
}
