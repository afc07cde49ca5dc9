use std::time::{Duration, Instant};

use actingweb_testkit::meter::{Faults, Meter, MeterError};
use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};

use crate::table::{TABLE, client, has, key, metered, put, string};

#[tokio::test]
async fn calls_pass_through_and_are_recorded() {
    let (_engine, meter, client) = metered().await;

    client.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap();
    assert!(has(&client, "a").await);
    client.transact_write_items().transact_items(put("b")).transact_items(put("c")).send().await.unwrap();
    let write =
        WriteRequest::builder().put_request(PutRequest::builder().item("pk", string("d")).build().unwrap()).build();
    client.batch_write_item().request_items(TABLE, vec![write]).send().await.unwrap();
    let keys = KeysAndAttributes::builder().keys(key("a")).keys(key("c")).keys(key("d")).build().unwrap();
    let found = client.batch_get_item().request_items(TABLE, keys).send().await.unwrap();
    assert_eq!(found.responses.unwrap()[TABLE].len(), 3);

    let calls = meter.calls();
    assert_eq!(calls.operations(), ["PutItem", "GetItem", "TransactWriteItems", "BatchWriteItem", "BatchGetItem"]);
    assert_eq!((calls.count(), calls.count_of("GetItem"), calls.faulted()), (5, 1, 0));
    let put = calls.iter().next().unwrap();
    let body = put.json().unwrap();
    assert_eq!(body["Item"]["pk"]["S"], "a");
    assert_eq!(put.request_bytes(), body.to_string().len());
    assert_eq!(put.status(), Some(200));
    assert!(put.ended().unwrap() >= put.started());

    meter.reset();
    assert_eq!(meter.calls().count(), 0);
}

#[tokio::test]
async fn a_refusal_by_the_engine_passes_through() {
    let (_engine, meter, client) = metered().await;
    let refused = client
        .put_item()
        .table_name(TABLE)
        .item("pk", string("a"))
        .condition_expression("attribute_exists(pk)")
        .send()
        .await
        .unwrap_err();
    assert!(refused.into_service_error().is_conditional_check_failed_exception());
    let calls = meter.calls();
    assert_eq!(calls.iter().next().unwrap().status(), Some(400));
    assert_eq!(calls.faulted(), 0);
}

#[tokio::test]
async fn a_chain_tells_calls_that_waited_from_calls_side_by_side() {
    let (_engine, meter, client) = metered().await;

    let (_, calls) = meter
        .measure(async {
            has(&client, "first").await;
            has(&client, "second").await;
            tokio::join!(has(&client, "third"), has(&client, "beside the third"))
        })
        .await;
    assert_eq!((calls.count(), calls.longest_chain()), (4, 3));

    let (_, calls) = meter.measure(async { tokio::join!(has(&client, "one"), has(&client, "two")) }).await;
    assert_eq!((calls.count(), calls.longest_chain()), (2, 1));

    let (_, calls) = meter.measure(async {}).await;
    assert_eq!((calls.count(), calls.longest_chain()), (0, 0));
}

#[tokio::test]
async fn a_latency_delays_every_reply() {
    let (_engine, meter, client) = metered().await;
    let latency = Duration::from_millis(200);
    has(&client, "warm").await;

    let start = Instant::now();
    has(&client, "quick").await;
    let quick = start.elapsed();

    meter.inject(Faults::latency(latency));
    let start = Instant::now();
    has(&client, "slow").await;
    let slow = start.elapsed();
    assert!(slow >= latency && slow > quick, "{quick:?} without, {slow:?} with the latency");

    let (_, calls) = meter.measure(has(&client, "slow")).await;
    let call = calls.iter().next().unwrap();
    assert!(call.ended().unwrap() - call.started() >= latency, "a measurement shortens no latency");
}

#[tokio::test]
async fn an_engine_that_is_gone_closes_the_connection() {
    let (engine, meter, client) = metered().await;
    engine.stop().await;
    let error = client.list_tables().send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "{error:?}");
    assert_eq!(meter.calls().iter().next().unwrap().status(), None);
}

#[tokio::test]
async fn a_stopped_meter_answers_no_more() {
    let (_engine, meter, client) = metered().await;
    has(&client, "a").await;
    drop(meter);
    assert!(client.list_tables().send().await.is_err());
}

#[test]
fn a_target_that_is_no_endpoint_is_refused() {
    let error = Meter::start("https://dynamodb.eu-north-1.amazonaws.com").unwrap_err();
    assert!(matches!(&error, MeterError::Target(target) if target.starts_with("https")), "{error:?}");
}

#[tokio::test]
async fn other_requests_are_not_counted() {
    let (_engine, meter, client) = metered().await;
    let address = meter.url().trim_start_matches("http://").to_owned();
    let health = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    })
    .await
    .unwrap();
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    has(&client, "a").await;
    assert_eq!(meter.calls().operations(), ["GetItem"]);
}

#[tokio::test]
async fn two_clients_of_one_meter_share_its_count() {
    let (_engine, meter, one) = metered().await;
    let other = client(meter.url());
    has(&one, "a").await;
    has(&other, "a").await;
    assert_eq!(meter.calls().count(), 2);
}
