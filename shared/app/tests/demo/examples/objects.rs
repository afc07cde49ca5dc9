//! A hook that reads objects of a bucket by URL, through the pooled client.

use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_peer::{HttpSettings, http_client};
use actingweb_testkit::service_standin::ServiceStandin;

use crate::world::World;

/// The longest object this hook reads, in bytes.
const MOST: usize = 100;

/// The sizes of objects; `null` for those that cannot be had.
async fn measure(
    Input(keys): Input<Vec<String>>,
    http: Http,
    services: Services,
    ctx: Context,
) -> Result<Vec<Option<usize>>, HookError> {
    if keys.len() > 100 {
        return Err(HookError::invalid(format!("ask for at most 100 objects, not {}", keys.len())));
    }
    let objects = ctx.fan_out(&keys, 8, |key| read(&http, &services, key)).await;
    Ok(objects.into_iter().map(|object| object.ok().map(|bytes| bytes.len())).collect())
}

async fn read(http: &Http, services: &Services, key: &str) -> Result<Vec<u8>, HookError> {
    let mut url = services.url("objects")?.clone();
    // Segment by segment, each encoded: a key with `?` or `..` in it leads nowhere but below the bucket.
    url.path_segments_mut()
        .map_err(|()| HookError::terminal("a bucket has a path"))?
        .pop_if_empty()
        .extend(key.split('/'));
    let mut reply = http.get(url).send().await?;
    if reply.status().as_u16() == 404 {
        return Err(HookError::not_found(format!("the object `{key}`")));
    }
    reply = reply.error_for_status()?;
    let mut object = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        if object.len() + chunk.len() > MOST {
            return Err(HookError::invalid(format!("the object `{key}` is longer than {MOST} bytes")));
        }
        object.extend_from_slice(&chunk);
    }
    Ok(object)
}

fn app() -> App {
    App::new("urn:actingweb:example.com:objects").method("measure", measure)
}

/// What the stand-in keeps under `slow-store/{key}`.
fn size(key: &str) -> usize {
    json!({ "key": key, "value": format!("value of {key}") }).to_string().len()
}

#[tokio::test]
async fn objects_are_read_a_few_at_a_time_and_each_has_its_outcome() {
    let world = World::of(app(), &[]).await;
    world.services.set_delay(Duration::from_millis(30));
    let names: Vec<_> = (0..24).map(|n| format!("n {n}?#")).collect();
    let mut keys: Vec<_> = names.iter().map(|name| format!("slow-store/{name}")).collect();
    keys.push("nowhere".to_owned());
    keys.push(format!("slow-store/{}", "long".repeat(MOST)));
    keys.push("status/500".to_owned());

    let sizes = world.method("measure", json!(keys)).await;
    let mut expected: Vec<_> = names.iter().map(|name| Some(size(name))).collect();
    expected.extend([None, None, None]);
    assert_eq!(sizes, json!(expected));
    assert_eq!((world.services.max_concurrent(), world.services.call_count()), (8, keys.len()));
}

#[tokio::test]
async fn a_store_that_is_away_is_an_outcome_too() {
    let world = World::of(app(), &["objects"]).await;
    assert_eq!(world.method("measure", json!(["a", "b"])).await, json!([null, null]));
    let refused = world.refusal("measure", json!(vec!["a"; 101])).await;
    assert_eq!((refused.status, refused.detail.contains("not 101")), (400, true), "{refused}");
}

#[tokio::test]
async fn what_reads_one_object_is_tested_without_an_application() {
    let standin = ServiceStandin::start().unwrap();
    let http = Http(http_client(&HttpSettings::default()).unwrap());
    let services = Services::new([("objects".to_owned(), standin.url().parse().unwrap())].into());
    let read = async |key: &str| read(&http, &services, key).await;

    assert_eq!(read("slow-store/a").await.unwrap().len(), size("a"));
    assert!(matches!(read("nowhere").await, Err(HookError::NotFound(what)) if what.contains("`nowhere`")));
    assert!(matches!(read("status/503").await, Err(HookError::Retryable { .. })));
    let long = format!("slow-store/{}", "long".repeat(MOST));
    assert!(matches!(read(&long).await, Err(HookError::Invalid(why)) if why.contains("longer than")));
    // Dots lead nowhere: what is left of the key is another key.
    assert!(matches!(read("slow-store/../weather").await, Ok(object) if object.len() == size("weather")));
}
