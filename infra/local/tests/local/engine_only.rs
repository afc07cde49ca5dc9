//! `--engine-only`: the engine for `cargo lambda watch`, and the `.env` that leads functions to it.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::program::{Program, client, folder, run};

const FLAGS: [&str; 5] = ["--engine-only", "--dynamodb-port", "0", "--data", "data"];

/// The variables of a `.env` file.
fn variables(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').unwrap_or_else(|| panic!("no variable: {line}")));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

#[tokio::test]
async fn functions_find_everything_in_the_env_file() {
    let (place, http) = (folder(), client());
    let engine = Program::with(place.path(), &FLAGS, &[]).await;
    let file = place.path().join(".env");
    let variables = variables(&file);
    let variable = |name: &str| variables.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    assert_eq!(variable("AWS_ENDPOINT_URL_DYNAMODB"), Some(engine.dynamodb.as_str()));
    assert_eq!(variable("ACTINGWEB_BASE_URL"), Some(engine.url.as_str()));
    assert_eq!(variable("ACTINGWEB_OUTBOUND"), Some("loopback"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "the file holds keys");
    }
    let tables = engine.engine(&http, "ListTables", &json!({})).await;
    assert_eq!(tables["TableNames"], json!(["actingweb"]));

    // The same settings in another process, as a function would have them: it works, and over this engine.
    let elsewhere = folder();
    let stack = Program::with(elsewhere.path(), &["--port", "0"], &variables).await;
    let owner = stack.actor(&http, "ann@example.com").await;
    assert_eq!(owner.get(&stack, "/properties").await.0, 200);
    let key = json!({ "pk": { "S": format!("A#{}", owner.id) }, "sk": { "S": "ACTOR" } });
    let found = engine.engine(&http, "GetItem", &json!({ "TableName": "actingweb", "Key": key })).await;
    assert_eq!(found["Item"]["creator"]["S"], "ann@example.com", "{found}");

    assert_eq!(stack.signal("TERM").await.status.code(), Some(0));
    assert_eq!(engine.signal("TERM").await.status.code(), Some(0));
}

#[tokio::test]
async fn an_env_file_of_somebody_else_is_left_alone() {
    let place = folder();
    let file = place.path().join(".env");
    fs::write(&file, "PRECIOUS=1\n").unwrap();
    let output = run(place.path(), &FLAGS).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code > 0), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(".env"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "PRECIOUS=1\n");

    // Its own is replaced.
    fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        let engine = Program::with(place.path(), &FLAGS, &[]).await;
        assert!(fs::read_to_string(&file).unwrap().contains(&engine.dynamodb));
        assert_eq!(engine.signal("INT").await.status.code(), Some(0));
    }
}
