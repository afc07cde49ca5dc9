//! Many at once: nothing is lost, and of two that exclude each other one wins.

use actingweb_hooks::App;
use actingweb_tests::{Answer, Site};
use futures_util::future::join_all;
use serde_json::json;

fn app() -> App {
    App::new("urn:actingweb:example.com:races")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_nested_property_lose_no_update() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let writes = (0..32).map(|n| {
        let ann = &ann;
        async move { ann.put(&format!("/properties/shared/writer{n}"), &json!(n)).await.expect(204) }
    });
    join_all(writes).await;
    let all = ann.get("/properties/shared").await.expect(200).json();
    for n in 0..32 {
        assert_eq!(all[format!("writer{n}")], n, "{all}");
    }

    let deletes = (0..32).filter(|n| n % 2 == 0).map(|n| {
        let ann = &ann;
        async move { ann.delete(&format!("/properties/shared/writer{n}")).await.expect(204) }
    });
    join_all(deletes).await;
    let rest = ann.get("/properties/shared").await.expect(200).json();
    assert_eq!(rest.as_object().unwrap().len(), 16, "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_creations_by_a_unique_creator_one_wins() {
    let site = Site::of(app().unique_creator(true)).await;
    let create = |passphrase: &str| {
        let body = json!({ "creator": "ann@example.org", "passphrase": passphrase });
        Answer::of(site.http.post(site.url("/")).json(&body))
    };

    let both = join_all([create("the first passphrase"), create("another passphrase")]).await;
    let mut statuses: Vec<u16> = both.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{both:?}");
    let winner = both.iter().find(|answer| answer.status == 201).unwrap().json();

    let again = create(winner["passphrase"].as_str().unwrap()).await.expect(201).json();
    assert_eq!(again["id"], winner["id"]);
    create("neither of the two").await.problem(409);
    let without = json!({ "creator": "Ann@Example.org" });
    Answer::of(site.http.post(site.url("/")).json(&without)).await.problem(409);

    let same = join_all((0..8).map(|_| {
        let body = json!({ "creator": "bob", "passphrase": "the same for all" });
        Answer::of(site.http.post(site.url("/")).json(&body))
    }))
    .await;
    let ids: std::collections::BTreeSet<String> =
        same.into_iter().map(|answer| answer.expect(201).json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_unique_creator_is_free_again_once_the_actor_is_deleted() {
    let site = Site::of(app().unique_creator(true)).await;
    let first = site.actor("ann").await;
    first.delete("").await.expect(204);
    let second = site.actor("ann").await;
    assert_ne!(first.id, second.id);
    site.drain().await;
    second.get("").await.expect(200);
    first.get("").await.problem(404);
}
