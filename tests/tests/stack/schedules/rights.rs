//! Whose schedules are whose, and what becomes of those whose makers lost their rights.

use actingweb_actor::{Caller, Credentials, Presented};
use actingweb_protocol::{ActorId, Deadline, Name};
use actingweb_tests::{Publisher, secret_of};

use super::*;

async fn befriended(scene: &Scene) -> Publisher<'_> {
    let id = ActorId::parse(&scene.ann.id).unwrap();
    Publisher { site: &scene.site, owner: scene.ann.clone(), id }
}

async fn by(scene: &Scene, peer: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let request = scene.ann.with_secret(&secret_of(peer), method, path);
    Answer::of(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn peers_see_their_own_and_the_creator_sees_all() {
    let scene = Scene::new().await;
    let ann = befriended(&scene).await;
    for peer in ["bob", "eve"] {
        ann.befriend(peer, &format!("http://127.0.0.1:9/{peer}")).await;
    }
    let every = json!({ "every": "PT1H" });
    let anns = scene.make(every.clone()).await;
    let bobs = by(&scene, "bob", Method::POST, "/actions/digest/schedules", Some(&every)).await.expect(201).json();
    let list = |body: Value| body["schedules"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect::<Vec<_>>();
    let all = "/actions/digest/schedules";
    let all_of_ann = list(scene.ann.get(all).await.expect(200).json());
    assert!(all_of_ann.len() == 2 && all_of_ann.contains(&anns["id"]) && all_of_ann.contains(&bobs["id"]));
    assert_eq!(list(by(&scene, "bob", Method::GET, all, None).await.expect(200).json()), [bobs["id"].clone()]);
    assert!(list(by(&scene, "eve", Method::GET, all, None).await.expect(200).json()).is_empty());
    for (peer, schedule) in [("eve", &bobs), ("bob", &anns)] {
        by(&scene, peer, Method::GET, &path(schedule), None).await.problem(404);
        by(&scene, peer, Method::DELETE, &path(schedule), None).await.problem(404);
    }
    by(&scene, "bob", Method::GET, &path(&bobs), None).await.expect(200);
    by(&scene, "bob", Method::DELETE, &path(&bobs), None).await.expect(204);
    scene.ann.delete(&path(&anns)).await.expect(204);
}

#[tokio::test]
async fn a_peer_has_room_for_twenty_and_leaves_the_creators_alone() {
    let scene = Scene::new().await;
    let ann = befriended(&scene).await;
    ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let every = json!({ "every": "PT1H" });
    for _ in 0..20 {
        by(&scene, "bob", Method::POST, "/actions/digest/schedules", Some(&every)).await.expect(201);
    }
    by(&scene, "bob", Method::POST, "/actions/digest/schedules", Some(&every)).await.problem(409);
    scene.make(every).await;
}

#[tokio::test]
async fn a_maker_without_rights_stops_its_schedule() {
    let scene = Scene::new().await;
    let ann = befriended(&scene).await;
    let bob = ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let eve = ann.befriend("eve", "http://127.0.0.1:9/eve").await;
    let every = json!({ "every": "PT1H" });
    let mut made = Vec::new();
    for peer in ["bob", "eve"] {
        made.push(by(&scene, peer, Method::POST, "/actions/digest/schedules", Some(&every)).await.expect(201).json());
    }
    scene.pass(MINUTE * 60).await;
    assert_eq!(scene.runs.all().len(), 2);

    ann.change_trust(&bob, |trust| trust.approved = false).await;
    ann.change_trust(&eve, |trust| {
        trust.permissions = Some(json!({ "actions": { "denied": ["digest"] } }).to_string())
    })
    .await;
    scene.pass(MINUTE * 60).await;
    assert_eq!(scene.runs.all().len(), 2, "nobody may");
    for (schedule, reason) in made.iter().zip(["relationship", "may not run"]) {
        let seen = scene.see(schedule).await;
        assert_eq!((&seen["status"], seen.get("next_at"), &seen["runs"]), (&json!("suspended"), None, &json!(1)));
        assert!(seen["reason"].as_str().unwrap().contains(reason), "{seen}");
    }
    // It stays stopped when the rights come back: nobody would expect it to go on by itself.
    ann.change_trust(&bob, |trust| trust.approved = true).await;
    scene.pass(DAY).await;
    assert_eq!(scene.runs.all().len(), 2);
    assert_eq!(scene.rows().await.get("DUE"), None);
    by(&scene, "bob", Method::DELETE, &path(&made[0]), None).await.expect(204);
    // And leaves room for another.
    by(&scene, "bob", Method::POST, "/actions/digest/schedules", Some(&every)).await.expect(201);
    scene.pass(MINUTE * 60).await;
    assert_eq!(scene.runs.all().len(), 3);
}

/// Whoever gets a relationship under the same id later did not ask for them.
#[tokio::test]
async fn schedules_and_tasks_end_with_the_relationship() {
    let scene = Scene::new().await;
    let ann = befriended(&scene).await;
    ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let every = json!({ "every": "PT1H" });
    let bobs = by(&scene, "bob", Method::POST, "/actions/digest/schedules", Some(&every)).await.expect(201).json();
    let anns = scene.make(every).await;
    scene.pass(MINUTE * 60).await;
    assert_eq!(scene.runs.all().len(), 2);
    let tasks = async || scene.ann.get("/actions/digest/tasks").await.expect(200).json()["tasks"].clone();
    assert_eq!(tasks().await.as_array().map(Vec::len), Some(2));

    scene.ann.delete("/trust/friend/bob").await.expect(204);
    scene.pass(MINUTE).await;
    scene.ann.get(&path(&bobs)).await.problem(404);
    scene.see(&anns).await;
    assert_eq!(tasks().await.as_array().map(Vec::len), Some(1));
    scene.pass(MINUTE * 60).await;
    assert_eq!(scene.runs.all().len(), 3, "hers goes on, his does not");
}

#[tokio::test]
async fn an_action_that_is_gone_stops_its_schedules() {
    let scene = Scene::new().await;
    let state = scene.site.state();
    let deadline = Deadline::after(std::time::Instant::now(), MINUTE);
    let (credentials, id) = (Credentials::default(), ActorId::parse(&scene.ann.id).unwrap());
    let from = Presented { credentials: &credentials, address: None };
    let actor = state.actors.visit(&id, &from, &[], deadline).await.unwrap().unwrap().actor;
    let schedules = state.actors.schedules(&actor, &Caller::Creator, deadline);
    let gone = Name::parse("gone").unwrap();
    let made = schedules.create(&gone, NewSchedule::new(Timing::every(MINUTE).unwrap())).await.unwrap();
    scene.pass(MINUTE).await;
    let seen = scene.ann.get(&format!("/actions/gone/schedules/{}", made.id)).await.expect(200).json();
    assert!(seen["reason"].as_str().unwrap().contains("no action `gone`"), "{seen}");
    assert_eq!(scene.rows().await.get("DUE"), None);
}
