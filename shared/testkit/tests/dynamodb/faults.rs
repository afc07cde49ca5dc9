use std::collections::HashSet;

use actingweb_testkit::meter::{Fault, Faults};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};

use crate::table::{TABLE, client, has, key, metered, put, string};

#[tokio::test]
async fn throttling_comes_in_all_its_forms_and_applies_nothing() {
    let (engine, meter, client) = metered().await;
    meter.inject(Faults::always_throttle());

    let mut codes = HashSet::new();
    for _ in 0..40 {
        let error = client.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap_err();
        let error = error.into_service_error();
        let modelled = error.is_provisioned_throughput_exceeded_exception()
            || error.is_throttling_exception()
            || error.is_request_limit_exceeded();
        assert!(modelled, "{error:?}");
        codes.insert(error.code().unwrap().to_owned());
    }
    assert_eq!(codes.len(), 3, "{codes:?}");
    assert_eq!(meter.calls().faulted(), 40);
    assert!(!has(&crate::table::client(engine.url()), "a").await);

    meter.heal();
    client.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap();
}

#[tokio::test]
async fn a_throttled_transaction_may_say_so_in_its_reasons() {
    let (_engine, meter, client) = metered().await;
    meter.inject(Faults::always_throttle());
    let mut codes = HashSet::new();
    for _ in 0..60 {
        let error = client
            .transact_write_items()
            .transact_items(put("a"))
            .transact_items(put("b"))
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        if let TransactWriteItemsError::TransactionCanceledException(cancelled) = error {
            let reasons = cancelled.cancellation_reasons();
            assert_eq!(reasons.len(), 2);
            codes.extend(reasons.iter().filter_map(|reason| reason.code()).map(str::to_owned));
        }
    }
    let expected = ["None", "ProvisionedThroughputExceeded", "ThrottlingError"].map(str::to_owned);
    assert_eq!(codes, HashSet::from(expected));
}

#[tokio::test]
async fn a_transaction_conflict_names_the_items() {
    let (engine, meter, client) = metered().await;
    meter.inject(Faults { transaction_conflict: 1.0, ..Faults::default() });

    let error = client
        .transact_write_items()
        .transact_items(put("a"))
        .transact_items(put("b"))
        .transact_items(put("c"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), 3);
    assert!(codes.contains(&"TransactionConflict"), "{codes:?}");
    assert!(codes.iter().all(|code| ["TransactionConflict", "None"].contains(code)), "{codes:?}");
    assert!(cancelled.message().unwrap().contains("TransactionConflict"));

    let error = client.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_transaction_conflict_exception());
    let error = client.delete_item().table_name(TABLE).set_key(Some(key("a"))).send().await.unwrap_err();
    assert!(error.into_service_error().is_transaction_conflict_exception());

    assert!(!has(&client, "a").await, "reads have no conflicts, and nothing was applied");
    assert!(!has(&crate::table::client(engine.url()), "b").await);
}

#[tokio::test]
async fn a_server_error_applies_nothing() {
    let (_engine, meter, client) = metered().await;
    meter.inject(Faults { server_error: 1.0, ..Faults::default() }.on(["PutItem"]));
    let error = client.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap_err();
    assert!(error.into_service_error().is_internal_server_error());
    assert!(!has(&client, "a").await);
}

#[tokio::test]
async fn unprocessed_keys_are_not_read_and_come_back() {
    let (_engine, meter, client) = metered().await;
    let names: Vec<String> = (0..20).map(|n| format!("item-{n}")).collect();
    for name in &names {
        client.put_item().table_name(TABLE).item("pk", string(name)).send().await.unwrap();
    }
    meter.inject(Faults { unprocessed_keys: 1.0, seed: 3, ..Faults::default() });

    let mut asked = KeysAndAttributes::builder()
        .set_keys(Some(names.iter().map(|name| key(name)).collect()))
        .consistent_read(true)
        .build()
        .unwrap();
    let mut found = HashSet::new();
    let mut rounds = 0;
    loop {
        let wanted = asked.keys().len();
        if wanted == 1 {
            // As on AWS, a batch of which nothing could be read is throttled.
            let error = client.batch_get_item().request_items(TABLE, asked.clone()).send().await.unwrap_err();
            let error = error.into_service_error();
            assert!(error.meta().code().is_some(), "{error:?}");
            meter.heal();
        }
        let reply = client.batch_get_item().request_items(TABLE, asked.clone()).send().await.unwrap();
        rounds += 1;
        let items = reply.responses.unwrap().remove(TABLE).unwrap_or_default();
        let left = reply.unprocessed_keys.unwrap_or_default().remove(TABLE);
        let back = left.as_ref().map_or(0, |left| left.keys().len());
        assert_eq!(items.len() + back, wanted);
        for item in items {
            assert!(found.insert(item["pk"].as_s().unwrap().clone()), "read twice");
        }
        match left {
            Some(left) => {
                assert_eq!(left.consistent_read(), Some(true), "the request's options come back with the keys");
                asked = left;
            }
            None => break,
        }
    }
    assert!(rounds > 1, "nothing was left unprocessed");
    assert_eq!(found.len(), names.len());
}

#[tokio::test]
async fn unprocessed_items_are_not_written() {
    let (engine, meter, client) = metered().await;
    meter.inject(Faults { unprocessed_keys: 1.0, ..Faults::default() });
    let write = |name: &str| {
        WriteRequest::builder().put_request(PutRequest::builder().item("pk", string(name)).build().unwrap()).build()
    };
    let names = ["a", "b", "c", "d", "e"];
    let writes: Vec<_> = names.iter().map(|name| write(name)).collect();
    let reply = client.batch_write_item().request_items(TABLE, writes).send().await.unwrap();
    let left: HashSet<String> = reply.unprocessed_items.unwrap()[TABLE]
        .iter()
        .map(|write| write.put_request().unwrap().item()["pk"].as_s().unwrap().clone())
        .collect();
    assert!(!left.is_empty() && left.len() < names.len(), "{left:?}");
    let direct = crate::table::client(engine.url());
    for name in names {
        assert_eq!(has(&direct, name).await, !left.contains(name), "{name}");
    }
    assert_eq!(meter.calls().iter().next().unwrap().fault(), Some(Fault::Unprocessed));
}

#[tokio::test]
async fn a_lost_reply_leaves_the_write_applied() {
    let (engine, meter, client) = metered().await;
    let direct = crate::table::client(engine.url());
    meter.inject(Faults { drop_reply_after_apply: 1.0, ..Faults::default() });

    let (mut failed, mut hung_up) = (0, 0);
    for n in 0..12 {
        let name = format!("item-{n}");
        let error = client.put_item().table_name(TABLE).item("pk", string(&name)).send().await.unwrap_err();
        match error.as_service_error() {
            Some(error) => {
                assert!(error.is_internal_server_error(), "{error:?}");
                failed += 1;
            }
            None => hung_up += 1,
        }
        assert!(has(&direct, &name).await, "{name}");
    }
    assert!(failed > 0 && hung_up > 0, "{failed} with status 500, {hung_up} with a closed connection");
    let calls = meter.calls();
    assert_eq!(calls.count(), 12);
    assert_eq!(calls.iter().filter(|call| call.status().is_none()).count(), hung_up);
    assert!(calls.iter().all(|call| call.fault() == Some(Fault::LostReply)));
}

#[tokio::test]
async fn faults_end_at_their_limit_and_keep_to_their_operations() {
    let (_engine, meter, client) = metered().await;
    meter.inject(Faults::always_throttle().on(["PutItem"]).at_most(2));
    for expected in [false, false, true, true] {
        assert!(!has(&client, "absent").await);
        let put = client.put_item().table_name(TABLE).item("pk", string("a")).send().await;
        assert_eq!(put.is_ok(), expected);
    }
}

#[tokio::test]
async fn one_seed_gives_one_run() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (_engine, meter, client) = metered().await;
        meter.inject(Faults { throttle: 0.3, transaction_conflict: 0.3, seed: 11, ..Faults::default() });
        for _ in 0..30 {
            let _ = client.put_item().table_name(TABLE).item("pk", string("a")).send().await;
        }
        runs.push(meter.calls().iter().map(|call| call.fault()).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
    let kinds: HashSet<_> = runs[0].iter().collect();
    assert_eq!(kinds.len(), 3, "both faults and success: {kinds:?}");
}

#[tokio::test]
async fn a_client_that_retries_gets_through() {
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use std::time::Duration;

    let (_engine, meter, plain) = metered().await;
    let retries = RetryConfig::standard().with_max_attempts(8).with_initial_backoff(Duration::from_millis(1));
    let config = client(meter.url()).config().to_builder().retry_config(retries).build();
    let retrying = aws_sdk_dynamodb::Client::from_conf(config);
    for faults in [
        Faults { throttle: 1.0, ..Faults::default() },
        Faults { server_error: 1.0, ..Faults::default() },
        Faults { drop_reply_after_apply: 1.0, ..Faults::default() },
    ] {
        meter.reset();
        meter.inject(faults.at_most(2));
        retrying.put_item().table_name(TABLE).item("pk", string("a")).send().await.unwrap();
        assert_eq!(meter.calls().count(), 3, "two faults, then success");
    }
    assert!(has(&plain, "a").await);
}
