//! The actor's own subscriptions to its peers: `POST /{actor}/subscriptions`, and the end of one.

use actingweb_actor::feeds::{Feeds, SubscribeTo};
use actingweb_actor::{Caller, FeedRecord};
use actingweb_protocol::PeerId;
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_web::feeds::tell_ended;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, no_content};
use http::{HeaderValue, header};
use serde_json::{Map, Value};

/// Subscribes to a peer: 204 with the URL of the subscription there.
pub(crate) async fn subscribe_to_peer(state: &AppState, incoming: &Incoming) -> Reply {
    let admission = incoming.admit(state, &[]).await?;
    let wanted = wanted(&fields(incoming)?)?;
    incoming.once(state, Some(&admission), subscribe(state, incoming, &admission, wanted)).await
}

async fn subscribe(state: &AppState, incoming: &Incoming, admission: &Admission, wanted: SubscribeTo) -> Reply {
    let feeds = Feeds::new(&state.trusts).for_request(&incoming.context.id, incoming.context.deadline);
    let subscribed = feeds.subscribe(&admission.actor, wanted).await?;
    let mut response = no_content();
    if let Ok(location) = HeaderValue::from_str(&subscribed.location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Ends a subscription of the actor to a peer, for its creator or for that peer, and tells the hooks. The peer is told by
/// a notice, unless it ended the subscription itself.
pub(crate) async fn end_feed(state: &AppState, incoming: &Incoming, admission: &Admission, feed: &FeedRecord) -> Reply {
    let feeds = Feeds::new(&state.trusts).for_request(&incoming.context.id, incoming.context.deadline);
    let by_peer = matches!(admission.access.caller(), Caller::Peer { id, .. } if id == feed.peer.as_str());
    let ended = match by_peer {
        true => feeds.ended_by_peer(&admission.actor, feed).await?,
        false => feeds.unsubscribe(&admission.actor, feed).await?,
    };
    if ended {
        tell_ended(state, &incoming.invocation(admission), feed, by_peer).await;
    }
    Ok(no_content())
}

/// The members of a JSON object, or the fields of a form.
fn fields(incoming: &Incoming) -> Result<Map<String, Value>, Problem> {
    match incoming.form() {
        Some(fields) => Ok(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()),
        None => incoming.payload.object(),
    }
}

fn wanted(fields: &Map<String, Value>) -> Result<SubscribeTo, Problem> {
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Problem::bad_request(format!("`{name}` must be a string"))),
    };
    let required = |name: &str| text(name)?.ok_or_else(|| Problem::bad_request(format!("`{name}` is missing")));
    let peer = PeerId::parse(required("peerid")?);
    let granularity = text("granularity")?.unwrap_or(Granularity::None.as_str());
    let granularity = Granularity::parse(granularity);
    Ok(SubscribeTo {
        peer: peer.map_err(|error| Problem::bad_request(format!("`peerid`: {error}")))?,
        scope: Scope {
            target: required("target")?.to_owned(),
            subtarget: text("subtarget")?.map(str::to_owned),
            resource: text("resource")?.map(str::to_owned),
        },
        granularity: granularity
            .ok_or_else(|| Problem::bad_request("`granularity` must be `high`, `low` or `none`"))?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<SubscribeTo, String> {
        wanted(body.as_object().unwrap()).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn what_is_wanted_is_read_and_what_is_missing_is_named() {
        let full = json!({ "peerid": "p", "target": "t", "subtarget": "s", "resource": "r", "granularity": "high" });
        let wanted = read(full).unwrap();
        assert_eq!((wanted.scope.to_string().as_str(), wanted.granularity), ("t/s/r", Granularity::High));
        let least = read(json!({ "peerid": "p", "target": "t", "subtarget": "", "resource": null })).unwrap();
        assert_eq!((least.scope, least.granularity), (Scope::target("t"), Granularity::None));
        for (body, reason) in [
            (json!({ "target": "t" }), "`peerid` is missing"),
            (json!({ "peerid": "p" }), "`target` is missing"),
            (json!({ "peerid": "p", "target": 1 }), "`target` must be"),
            (json!({ "peerid": "a/b", "target": "t" }), "`peerid`"),
            (json!({ "peerid": "p", "target": "t", "granularity": "bogus" }), "`granularity`"),
        ] {
            assert!(read(body.clone()).unwrap_err().contains(reason), "{body}");
        }
    }
}
