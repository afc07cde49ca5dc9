//! A throwaway table and the SDK client the tests use.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::HashMap;

use actingweb_testkit::engine::Engine;
use actingweb_testkit::meter::Meter;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put, ScalarAttributeType,
    TransactWriteItem,
};

pub(crate) const TABLE: &str = "things";

/// A client that shows every fault: it does not retry.
pub(crate) fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-north-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// An engine with the table, a meter before it, and a client of the meter.
pub(crate) async fn metered() -> (Engine, Meter, Client) {
    let engine = Engine::memory().unwrap();
    create(&client(engine.url())).await;
    let meter = Meter::start(engine.url()).unwrap();
    let client = client(meter.url());
    (engine, meter, client)
}

pub(crate) async fn create(client: &Client) {
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S).build().unwrap(),
        )
        .key_schema(KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap())
        .send()
        .await
        .unwrap();
}

pub(crate) fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub(crate) fn key(pk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), string(pk))])
}

pub(crate) fn put(pk: &str) -> TransactWriteItem {
    let put = Put::builder().table_name(TABLE).item("pk", string(pk)).build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

/// Whether the item is in the table.
pub(crate) async fn has(client: &Client, pk: &str) -> bool {
    let got = client.get_item().table_name(TABLE).consistent_read(true).set_key(Some(key(pk))).send().await.unwrap();
    got.item.is_some()
}
