//! Hooks that do many things at once, wait without blocking, and leave nothing behind.

use actingweb_hooks::prelude::*;
use futures_util::future::join;

use crate::world::World;

#[derive(Serialize, JsonSchema)]
struct Processed {
    results: Vec<Option<Value>>,
    failed: usize,
}

async fn process_batch(
    Input(items): Input<Vec<String>>,
    http: Http,
    services: Services,
    ctx: Context,
) -> Result<Processed, HookError> {
    let outcomes = ctx.fan_out(items, 8, |item| process_item(&http, &services, item)).await;
    let results: Vec<_> = outcomes.into_iter().map(Outcome::ok).collect();
    let failed = results.iter().filter(|result| result.is_none()).count();
    Ok(Processed { results, failed })
}

async fn process_item(http: &Http, services: &Services, item: String) -> Result<Value, HookError> {
    let ask = http.post(services.join("processor", "items")?).json(&json!({ "item": item }));
    Ok(ask.send().await?.error_for_status()?.json().await?)
}

async fn good() -> Result<String, HookError> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok("done".to_owned())
}

fn also_good() -> Result<String, HookError> {
    std::thread::sleep(Duration::from_millis(10));
    Ok("done".to_owned())
}

async fn cleanup(actor: Actor, ctx: Context) -> Result<String, HookError> {
    for n in 0..10 {
        let actor = actor.clone();
        ctx.tasks().spawn(async move { Ok(actor.delete_attributes(&format!("cache_{n}")).await?) });
    }
    Ok("done".to_owned()) // and it is, before the caller reads this
}

fn app() -> App {
    App::new("urn:actingweb:example.com:tips")
        .method("process_batch", process_batch)
        .method("good", good)
        .method("also_good", blocking(also_good))
        .action("cleanup", cleanup)
}

#[tokio::test]
async fn a_batch_is_processed_eight_at_a_time() {
    let world = World::of(app(), &[]).await;
    world.services.set_delay(Duration::from_millis(30));
    let items: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let processed = world.method("process_batch", json!(items)).await;
    assert_eq!(processed["failed"], 0);
    assert_eq!(processed["results"].as_array().map(Vec::len), Some(20));
    assert_eq!(world.services.max_concurrent(), 8);

    let world = World::of(app(), &["processor"]).await;
    let processed = world.method("process_batch", json!(["a", "b"])).await;
    assert_eq!(processed, json!({ "results": [null, null], "failed": 2 }));
}

#[tokio::test]
async fn waiting_and_blocking_hooks_come_to_the_same() {
    let world = World::of(app(), &[]).await;
    let both = join(world.method("good", json!({})), world.method("also_good", json!({}))).await;
    assert_eq!(both, (json!("done"), json!("done")));
}

#[tokio::test]
async fn what_a_hook_started_is_done_when_it_is_answered() {
    let world = World::of(app(), &[]).await;
    let buckets: Vec<_> = (0..10).map(|n| format!("cache_{n}")).collect();
    for bucket in &buckets {
        world.actor.set_attribute(bucket, "entry", json!(1), None).await.unwrap();
    }
    assert_eq!(world.action("cleanup", json!({})).await, "done");
    for bucket in &buckets {
        assert!(world.actor.attributes(bucket).await.unwrap().is_empty(), "{bucket} is left");
    }
}
