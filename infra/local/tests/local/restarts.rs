//! What the program prints works, and what it was told is still there after a restart.

use reqwest::Method;
use serde_json::json;

use crate::program::{Program, answer, client, folder};

#[tokio::test]
async fn the_printed_commands_work() {
    let place = folder();
    let program = Program::start(place.path()).await;
    let commands: String =
        program.welcome.lines().filter(|line| line.contains("curl")).map(|line| format!("{line}\n")).collect();
    assert_eq!(commands.lines().count(), 2, "{}", program.welcome);
    // Needs curl, as the user does.
    let printed = program.shell(&format!("{commands}echo; echo $ACTOR")).await;
    let mut lines = printed.lines();
    let sum: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(sum, json!({ "result": 5.0 }), "{printed}");

    let actor = lines.last().unwrap();
    let request = client().get(format!("{}/{actor}", program.url)).basic_auth("ann@example.com", Some("open sesame"));
    let (status, body) = answer(request).await.unwrap();
    assert_eq!((status, &body["id"]), (200, &json!(actor)), "{body}");
}

#[tokio::test]
async fn state_outlives_the_program() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann@example.com").await;
    let value = json!({ "city": "Oslo", "zip": [1, 5, 0] });
    let put = owner.call(&program.url, Method::PUT, "/properties/address", Some(&value)).await.unwrap();
    assert_eq!(put.0, 204, "{}", put.1);

    for signal in ["TERM", "INT"] {
        let program = Program::start(place.path()).await;
        // The passphrase still fits: the keys were kept, too.
        assert_eq!(owner.get(&program, "/properties/address").await, (200, value.clone()));
        let ended = program.signal(signal).await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "SIG{signal}");
    }
}
