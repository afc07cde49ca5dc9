//! What hinders a start is said in one line, with a status that scripts notice.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::program::{Program, folder, run};

/// The one line on stderr, which names `what`.
async fn refusal(folder: &Path, flags: &[&str], what: &str) -> String {
    let output = run(folder, flags).await;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code().is_some_and(|code| code > 0), "{flags:?}: {}: {stderr}", output.status);
    assert!(!stdout.contains("runs at"), "{flags:?}: {stdout}");
    assert_eq!(stderr.lines().count(), 1, "{flags:?}: {stderr}");
    assert!(stderr.contains(what), "{flags:?} should name `{what}`: {stderr}");
    for internal in ["panicked", "Error {", "RUST_BACKTRACE", ".rs:"] {
        assert!(!stderr.contains(internal), "{flags:?}: {stderr}");
    }
    stderr.into_owned()
}

#[tokio::test]
async fn a_port_in_use() {
    let place = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refusal(place.path(), &["--port", &port], &port).await;
    assert!(line.contains("--port"), "{line}");
    refusal(place.path(), &["--port", "0", "--memory", "--dynamodb-port", &port], &port).await;
    refusal(place.path(), &["--engine-only", "--memory", "--dynamodb-port", &port], &port).await;
    // A second start by mistake leaves the first alone.
    let program = Program::start(place.path()).await;
    let own = program.url.rsplit(':').next().unwrap();
    refusal(place.path(), &["--port", own, "--data", "data"], own).await;
    assert_eq!(program.signal("TERM").await.status.code(), Some(0));
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used() {
    let place = folder();
    fs::write(place.path().join("file"), "not a folder").unwrap();
    // Below a file, because root may write to any folder.
    let line = refusal(place.path(), &["--port", "0", "--data", "file/data"], "file/data").await;
    assert!(line.contains("--data"), "{line}");
    refusal(place.path(), &["--port", "0", "--data", "file"], "file").await;

    fs::create_dir(place.path().join("other")).unwrap();
    fs::write(place.path().join("other/engine.db"), "this is no database, and must not be overwritten").unwrap();
    refusal(place.path(), &["--port", "0", "--data", "other"], "engine.db").await;
    let kept = fs::read_to_string(place.path().join("other/engine.db")).unwrap();
    assert_eq!(kept, "this is no database, and must not be overwritten");
}

#[tokio::test]
async fn an_endpoint_out_of_reach() {
    let place = folder();
    // Nobody listens there, and no test is given that port.
    let endpoint = "http://127.0.0.1:9";
    refusal(place.path(), &["--port", "0", "--memory", "--dynamodb-endpoint", endpoint], endpoint).await;
}

#[tokio::test]
async fn flags_that_make_no_sense() {
    let place = folder();
    refusal(place.path(), &["--port", "many"], "--port").await;
    refusal(place.path(), &["--memory", "--data", "data"], "--data").await;
    refusal(place.path(), &["--nonsense"], "--nonsense").await;
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "something was written");
}
