//! Rights that change while they are in use.

use actingweb_tests::{Granularity, Resident, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::subscriptions::{agrees, mirrors};

pub(crate) async fn rights_taken_away_hide_at_once_and_come_back(first: &Resident, second: &Resident) {
    let write = async |name: &str, value: Value| {
        second.owner.put(&format!("/properties/{name}"), &value).await.expect(204);
    };
    let secret = first.befriend(second).await;
    let read = async |name: &str| second.as_peer(&secret, Method::GET, &format!("/properties/{name}"), None).await;
    write("open", json!("1")).await;
    let id = first.subscribe(second, Granularity::High).await;
    write("secret_plan", json!("seen")).await;
    mirrors(first, second, json!({ "open": "1", "secret_plan": "seen" })).await;

    let excluding =
        json!({ "properties": { "patterns": ["*"], "operations": ["read"], "excluded_patterns": ["secret_*"] } });
    second.set_permissions(first, &excluding).await.expect(201);
    read("secret_plan").await.expect(403);
    read("open").await.expect(200);
    let rights = format!("/permissions/{}", first.id());
    let rights = second.as_peer(&secret, Method::GET, &rights, None).await.expect(200).json();
    assert!(excludes(&rights["permissions"]), "{rights}");
    knows(first, second, true).await;

    // The library gives the hidden change a number and sends nothing, which the next change would reveal as a gap.
    write("open", json!("2")).await;
    write("secret_plan", json!("unseen")).await;
    if !second.is_python() {
        write("open", json!("3")).await;
    }
    let last = if second.is_python() { "2" } else { "3" };
    eventually("the subscriber has what it may see", async || match first.mirror(second).await.get("open") {
        Some(open) if open == last => Ok(()),
        open => Err(format!("{open:?}")),
    })
    .await;
    let hidden = first.mirror(second).await.remove("secret_plan");
    assert_ne!(hidden, Some(json!("unseen")), "a change that the subscriber may not see");
    if !second.is_python() {
        agrees(first, second, &id, 3).await;
    }

    second.set_permissions(first, &json!({ "properties": { "excluded_patterns": ["other_*"] } })).await.expect(200);
    assert_eq!(read("secret_plan").await.expect(200).json(), "unseen");
    knows(first, second, false).await;
    second.reset_permissions(first).await;
    read("secret_plan").await.expect(200);
}

/// Waits until the subscriber was told that it may, or may not, see the plan.
async fn knows(subscriber: &Resident, publisher: &Resident, is_excluded: bool) {
    eventually("the subscriber was told of its rights", async || match subscriber.granted(publisher).await {
        Some(granted) if excludes(&granted) != is_excluded => Err(granted.to_string()),
        _ => Ok(()),
    })
    .await;
}

fn excludes(permissions: &Value) -> bool {
    let excluded = permissions["properties"]["excluded_patterns"].as_array();
    excluded.is_some_and(|patterns| patterns.iter().any(|pattern| pattern == "secret_*"))
}
