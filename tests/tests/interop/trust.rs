//! The handshake, and what it opens.

use actingweb_tests::{Answer, Resident};
use reqwest::Method;
use serde_json::json;

pub(crate) async fn a_request_is_verified_and_waits_for_approval(first: &Resident, second: &Resident) {
    second.owner.put("/properties/color", &json!("blue")).await.expect(204);
    let secret = first.ask_for_trust(second).await;

    let asked = first.trust(second).await.expect("a trust");
    assert_eq!((asked.approved, asked.peer_approved, asked.verified), (true, false, true), "{asked:?}");
    assert_eq!((&asked.baseuri, asked.peer_type), (&second.owner.url, peer_type(second).await));
    let heard = second.trust(first).await.expect("a trust");
    assert_eq!((heard.approved, heard.peer_approved, heard.verified), (false, true, true), "{heard:?}");
    assert_eq!((&heard.baseuri, heard.peer_type), (&first.owner.url, peer_type(first).await));

    // Until then the one who asked gets nothing from ours, and is told to wait. The library lets it read, but not see the
    // state of its own request.
    let own_trust = format!("/trust/friend/{}", first.id());
    let (waiting, reading) = if second.is_python() { (403, 200) } else { (202, 403) };
    second.as_peer(&secret, Method::GET, &own_trust, None).await.expect(waiting);
    second.as_peer(&secret, Method::GET, "/properties/color", None).await.expect(reading);

    second.approve(first).await;
    let approved = second.trust(first).await.expect("a trust");
    assert!(approved.approved && approved.peer_approved && approved.verified, "{approved:?}");
    actingweb_tests::eventually("the one who asked knows", async || match first.trust(second).await {
        Some(trust) if trust.approved && trust.peer_approved && trust.verified => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    second.as_peer(&secret, Method::GET, &own_trust, None).await.expect(200);
    let color = second.as_peer(&secret, Method::GET, "/properties/color", None).await.expect(200).body;
    assert_eq!(color.trim_matches('"'), "blue", "a text alone, or as JSON");

    if let Some(hooks) = first.hooks().await {
        assert_eq!(hooks, ["trust_initiated", "trust_fully_approved_remote"]);
    }
    if let Some(hooks) = second.hooks().await {
        assert_eq!(hooks, ["trust_request_received", "trust_fully_approved_local"]);
    }
}

pub(crate) async fn nobody_there_leaves_no_trust(first: &Resident, second: &Resident) {
    let nobody = second.owner.url.replace(second.id(), &"0".repeat(32));
    first.ask(&nobody).await.expect(408);
    assert_eq!(first.owner.get("/trust").await.expect(200).json(), json!([]));
}

pub(crate) async fn a_repeated_request_starts_afresh(first: &Resident, second: &Resident) {
    let old = first.befriend(second).await;
    let new = first.ask_for_trust(second).await;
    assert_ne!(old, new, "a secret of its own");
    let heard = second.trust(first).await.expect("a trust");
    assert_eq!((heard.approved, heard.verified), (false, true), "approved anew, or not: {heard:?}");
    second.as_peer(&old, Method::GET, "/properties", None).await.expect(403);
    second.approve(first).await;
    second.as_peer(&old, Method::GET, "/properties", None).await.expect(403);
    let answer = second.as_peer(&new, Method::GET, "/properties", None).await;
    assert!(matches!(answer.status, 200 | 404), "{}: {}", answer.status, answer.body);
}

pub(crate) async fn properties_are_read_both_ways(first: &Resident, second: &Resident) {
    let secret = first.befriend(second).await;
    for (reader, read) in [(first, second), (second, first)] {
        let value = json!({ "of": read.id(), "n": [1, 2] });
        read.owner.put("/properties/card", &value).await.expect(204);
        assert_eq!(read.as_peer(&secret, Method::GET, "/properties/card", None).await.expect(200).json(), value);
        let all = read.as_peer(&secret, Method::GET, "/properties", None).await.expect(200).json();
        assert_eq!(all["card"], value, "{all}");
        read.as_peer(&"0".repeat(40), Method::GET, "/properties/card", None).await.expect(403);
        // The secret opens what is shared with the peer, not what is the creator's.
        read.as_peer(&secret, Method::GET, "/trust", None).await.expect(403);
        let rights =
            read.as_peer(&secret, Method::GET, &format!("/permissions/{}", reader.id()), None).await.expect(200);
        assert_eq!(rights.json()["peer_id"], reader.id());
        assert_eq!(rights.json()["trust_type"], "friend");
    }
}

/// What an actor says of its type.
async fn peer_type(actor: &Resident) -> String {
    let meta = Answer::of(actor.owner.anonymous(Method::GET, "/meta")).await.expect(200).json();
    meta["type"].as_str().expect("a type").to_owned()
}
