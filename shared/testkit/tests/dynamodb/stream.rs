//! The engine's streams: nothing is missed, nothing grows for ever, no write waits for what was written before.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::time::Instant;

use actingweb_protocol::Timestamp;
use actingweb_testkit::engine::Engine;
use actingweb_testkit::stream::Tap;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType, StreamSpecification,
    StreamViewType, WriteRequest,
};

use crate::table::{TABLE, client, string};

async fn create(client: &Client) {
    let attribute = |name| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .stream_specification(stream.build().unwrap())
        .send()
        .await
        .unwrap();
}

async fn put(client: &Client, pk: &str, sk: &str, text: &str) {
    let call = client.put_item().table_name(TABLE).item("pk", string(pk)).item("sk", string(sk));
    call.item("text", string(text)).send().await.unwrap();
}

/// All there is, as `pk/sk`.
async fn inserted(tap: &mut Tap) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(page) = tap.next().await.unwrap() {
        found.extend(page.into_iter().map(|inserted| format!("{}/{}", inserted.pk, inserted.sk)));
    }
    found
}

#[tokio::test]
async fn insertions_are_told_in_order_and_from_the_beginning_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("engine.db");
    let engine = Engine::file(&file).unwrap();
    let mut tap = engine.tap(TABLE);
    assert!(tap.next().await.is_err(), "there is no such table yet");
    let writer = client(engine.url());
    create(&writer).await;
    assert_eq!(tap.next().await.unwrap(), None);
    put(&writer, "a", "1", "").await;
    put(&writer, "b", "1", "").await;
    put(&writer, "a", "1", "changed").await;
    assert_eq!(inserted(&mut tap).await, ["a/1", "b/1"], "a change is no insertion");
    put(&writer, "a", "2", "").await;
    assert_eq!(inserted(&mut tap).await, ["a/2"]);
    drop(tap);
    engine.stop().await;

    let engine = Engine::file(&file).unwrap();
    let mut tap = engine.tap(TABLE);
    assert_eq!(inserted(&mut tap).await, ["a/1", "b/1", "a/2"]);
    put(&client(engine.url()), "c", "1", "").await;
    assert_eq!(inserted(&mut tap).await, ["c/1"]);
}

#[tokio::test]
async fn old_records_are_forgotten_and_new_ones_follow() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::file(folder.path().join("engine.db")).unwrap();
    let writer = client(engine.url());
    create(&writer).await;
    for number in 0..5 {
        put(&writer, "a", &number.to_string(), "").await;
    }
    let mut reading = engine.tap(TABLE);
    assert_eq!(inserted(&mut reading).await.len(), 5);
    assert_eq!(engine.trim_streams(Timestamp::from_millis(0)).await.unwrap(), 0, "nothing is that old");
    assert_eq!(engine.trim_streams(Timestamp::from_millis(i64::MAX)).await.unwrap(), 5);
    assert!(inserted(&mut engine.tap(TABLE)).await.is_empty());
    put(&writer, "a", "new", "").await;
    assert_eq!(inserted(&mut reading).await, ["a/new"], "whoever read to the end goes on from there");
    assert_eq!(inserted(&mut engine.tap(TABLE)).await, ["a/new"]);
}

/// Fails without the index: after these writes another one would take some five times as long.
#[tokio::test]
async fn a_write_does_not_wait_for_what_was_written_before() {
    let text = "x".repeat(2_000);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Engine::file(folder.path().join(name)).unwrap();
    for (empty, full) in [(Engine::memory().unwrap(), Engine::memory().unwrap()), (file("empty.db"), file("full.db"))] {
        let writers = [client(empty.url()), client(full.url())];
        for writer in &writers {
            create(writer).await;
        }
        for batch in 0..160 {
            let item = |number: usize| {
                let item = [("pk", format!("{batch}")), ("sk", number.to_string()), ("text", text.clone())];
                let item = item.map(|(name, value)| (name.to_owned(), string(&value)));
                let put = PutRequest::builder().set_item(Some(item.into())).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            };
            let items: Vec<_> = (0..25).map(item).collect();
            writers[1].batch_write_item().request_items(TABLE, items).send().await.unwrap();
        }
        // By turns, so that what slows the machine down slows both.
        let mut spans = [Vec::new(), Vec::new()];
        for number in 0..100 {
            for (writer, spans) in writers.iter().zip(&mut spans) {
                let begun = Instant::now();
                put(writer, "timed", &number.to_string(), &text).await;
                spans.push(begun.elapsed());
            }
        }
        let [alone, after] = spans.map(|mut spans| {
            spans.sort();
            spans[spans.len() / 2]
        });
        assert!(after < alone * 2, "{after:?} after 4,000 writes, {alone:?} without");
    }
}
