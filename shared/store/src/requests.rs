//! Requests that callers named by an `Idempotency-Key`: who carries one out, and what came of it.
//!
//! A row is claimed by one conditional put, and completed by one conditional update or deleted again. Whoever carries a
//! request out has it until the lease ends; after that it counts as dead, and the next one may take it over.

use std::time::Duration;

use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

/// How long a request is remembered.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Where a request is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    partition: String,
    sort_key: String,
}

impl RequestKey {
    /// A request to an actor, or to none. The digest tells callers and their keys apart.
    #[must_use]
    pub fn new(actor: Option<&ActorId>, digest: &str) -> Self {
        let partition = actor.map_or_else(|| keys::open_request(digest), keys::actor);
        Self { partition, sort_key: keys::request(digest) }
    }

    fn item(&self) -> Item {
        item::key(&self.partition, &self.sort_key)
    }
}

/// A request as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// What it asked for, as a keyed hash.
    pub fingerprint: String,
    /// Until when whoever carries it out may be at it.
    pub leased_until: Timestamp,
    /// What came of it, sealed; none while it is being carried out.
    pub reply: Option<String>,
    holder: String,
}

/// What became of an attempt to carry a request out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's, under this token.
    Ours(String),
    /// Somebody else has it, or had it.
    Known(RequestRecord),
}

impl RequestRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            fingerprint: row.text("fingerprint")?.to_owned(),
            leased_until: row.timestamp("leased_until")?,
            reply: row.optional_text("reply")?.map(str::to_owned),
            holder: row.text("holder")?.to_owned(),
        })
    }
}

impl Store {
    /// Takes a request that is not remembered, or whose holder was seen to be dead: one call.
    ///
    /// # Errors
    /// [`StoreError`]. Whether it was taken is not known then; the lease ends by itself.
    pub async fn claim_request(
        &self,
        key: &RequestKey,
        fingerprint: &str,
        leased_until: Timestamp,
        dead: Option<&RequestRecord>,
    ) -> Result<Claim, StoreError> {
        let (now, holder) = (self.now(), self.nonce());
        let mut row = item::new(&key.partition, &key.sort_key);
        row.insert("fingerprint".to_owned(), text(fingerprint));
        row.insert("holder".to_owned(), text(&holder));
        row.insert("leased_until".to_owned(), number(leased_until.as_millis()));
        row.insert("expires".to_owned(), number(now.plus(KEPT_FOR).as_secs()));
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .expression_attribute_values(":now", number(now.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let call = match dead {
            None => call.condition_expression("attribute_not_exists(pk) OR expires <= :now"),
            Some(dead) => call
                .condition_expression(
                    "attribute_not_exists(pk) OR expires <= :now OR (holder = :dead AND attribute_not_exists(reply))",
                )
                .expression_attribute_values(":dead", text(&dead.holder)),
        };
        let mut pause = self.pauses();
        loop {
            let error = match self.attempt("PutItem", || call.clone().send()).await? {
                Attempt::Done(_) => return Ok(Claim::Ours(holder)),
                Attempt::Refused(error) => *error,
            };
            let found = match error {
                PutItemError::ConditionalCheckFailedException(error) => error.item,
                other => return Err(refused("PutItem", other)),
            };
            let found = match found {
                Some(found) => Some(found),
                // Engines from before 2023 do not say what stands in the way.
                None => self.batch_get(vec![key.item()]).await?.pop(),
            };
            let Some(found) = found else {
                pause.wait("PutItem", "released meanwhile".to_owned()).await?;
                continue;
            };
            let record = RequestRecord::from_row(&Row::read(&found)?)?;
            // An attempt of this call whose reply was lost.
            let is_ours = record.holder == holder;
            return Ok(if is_ours { Claim::Ours(holder) } else { Claim::Known(record) });
        }
    }

    /// Remembers what came of a request, if it still is the holder's. False when it is not: the lease ended, and
    /// somebody took it over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_request(&self, key: &RequestKey, holder: &str, reply: &str) -> Result<bool, StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(key.item()))
            .update_expression("SET reply = :reply, expires = :expires")
            .condition_expression("holder = :holder")
            .expression_attribute_values(":reply", text(reply))
            .expression_attribute_values(":expires", number(self.now().plus(KEPT_FOR).as_secs()))
            .expression_attribute_values(":holder", text(holder));
        match self.unguarded().attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// Forgets a request of which nothing came, if it still is the holder's: the next one is carried out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_request(&self, key: &RequestKey, holder: &str) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(key.item()))
            .condition_expression("holder = :holder AND attribute_not_exists(reply)")
            .expression_attribute_values(":holder", text(holder));
        match self.attempt("DeleteItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(()),
            Attempt::Refused(error) => match *error {
                // Gone, by an attempt whose reply was lost, or somebody else's by now.
                DeleteItemError::ConditionalCheckFailedException(_) => Ok(()),
                other => Err(refused("DeleteItem", other)),
            },
        }
    }
}
