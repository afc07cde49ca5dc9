//! How often somebody did something in this minute.
//!
//! One row per kind, somebody and minute, changed by one conditional update; DynamoDB's TTL removes it. At the limit the
//! condition fails and nothing is written, so whoever goes on asking makes no work but that.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::item::number;
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

/// How long a minute is remembered.
const MEMORY: Duration = Duration::from_secs(300);

impl Store {
    /// Counts one more request of `kind` by `who` in this minute: one call. False, and nothing is counted, when there
    /// were `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_request(&self, kind: &str, who: &str, limit: u32) -> Result<bool, StoreError> {
        let minute = self.now().as_secs().div_euclid(60);
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::rate(kind, who), &keys::rate_minute(minute))))
            .update_expression("SET expires = :expires, v = :v ADD hits :one")
            .condition_expression("attribute_not_exists(hits) OR hits < :limit")
            .expression_attribute_values(":expires", number(self.now().plus(MEMORY).as_secs()))
            .expression_attribute_values(":v", number(item::VERSION))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(limit.into()));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }
}
