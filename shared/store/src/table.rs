//! The table itself. On AWS it comes from the template in `infra/`; only local engines are asked to make one.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};

use crate::store::refused;
use crate::{Store, StoreError, item};

impl Store {
    /// Makes the table on a local engine, as `infra/template.yaml` defines it; one that exists is left as it is.
    ///
    /// # Errors
    /// [`StoreError`] when the engine is out of reach or refuses.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let attribute = |name: &str| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
        };
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let fail = |error| refused("CreateTable", error);
        let call = self
            .inner
            .client
            .create_table()
            .table_name(&self.inner.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk").map_err(fail)?)
            .attribute_definitions(attribute("sk").map_err(fail)?)
            .key_schema(key("pk", KeyType::Hash).map_err(fail)?)
            .key_schema(key("sk", KeyType::Range).map_err(fail)?)
            .stream_specification(
                StreamSpecification::builder()
                    .stream_enabled(true)
                    .stream_view_type(StreamViewType::NewAndOldImages)
                    .build()
                    .map_err(fail)?,
            );
        match self.call("CreateTable", || call.clone().send()).await {
            Ok(_) => {}
            Err(StoreError::Refused { message, .. }) if message.starts_with("ResourceInUseException") => return Ok(()),
            Err(error) => return Err(error),
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build().map_err(fail)?;
        let call =
            self.inner.client.update_time_to_live().table_name(&self.inner.table).time_to_live_specification(ttl);
        self.call("UpdateTimeToLive", || call.clone().send()).await.map(|_| ())
    }

    /// One cheap read that opens the connection, so that the first request does not pay for it. Called once during
    /// initialisation.
    ///
    /// # Errors
    /// [`StoreError`] when the table is out of reach, does not exist, or must not be read.
    pub async fn prime(&self) -> Result<(), StoreError> {
        let key = item::key("PRIME", "PRIME");
        let call = self.inner.client.get_item().table_name(&self.inner.table).set_key(Some(key));
        self.call("GetItem", || call.clone().send()).await.map(|_| ())
    }
}
