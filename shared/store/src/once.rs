//! What counts once: the state of a sign-in that is under way, tickets, tokens sent by mail, and statements that were used.
//!
//! A row is put if there is none, and taken by one conditional update that leaves it behind, so that whoever comes second
//! finds it taken, and whoever repeats a take whose reply was lost gets the same again. DynamoDB's TTL removes it.

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;

use crate::item::{Row, number, text};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

impl Store {
    /// Keeps `content` under a kind and the digest of a secret: one call. False, and nothing is changed, when there is one
    /// already, taken or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_once(
        &self,
        kind: &str,
        digest: &str,
        content: &str,
        lifetime: Duration,
    ) -> Result<bool, StoreError> {
        let nonce = self.nonce();
        let mut row = item::new(&keys::once(kind, digest), keys::ONCE);
        row.insert("content".to_owned(), text(content));
        row.insert("made_by".to_owned(), text(&nonce));
        row.insert("expires".to_owned(), number(self.now().plus(lifetime).as_secs()));
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            // Also an attempt of this call whose reply was lost.
            .condition_expression("attribute_not_exists(pk) OR expires <= :now OR made_by = :nonce")
            .expression_attribute_values(":now", number(self.now().as_secs()))
            .expression_attribute_values(":nonce", text(&nonce));
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("PutItem", other)),
            },
        }
    }

    /// Takes what is kept, if nobody took it: one call. Of any number that take the same, one gets it.
    ///
    /// # Errors
    /// [`StoreError`]; whether it was taken is not known then.
    pub async fn take_once(&self, kind: &str, digest: &str) -> Result<Option<String>, StoreError> {
        let nonce = self.nonce();
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::once(kind, digest), keys::ONCE)))
            .update_expression("SET taken_by = :nonce")
            .condition_expression(
                "attribute_exists(pk) AND expires > :now AND (attribute_not_exists(taken_by) OR taken_by = :nonce)",
            )
            .expression_attribute_values(":now", number(self.now().as_secs()))
            .expression_attribute_values(":nonce", text(&nonce))
            .return_values(ReturnValue::AllNew);
        let taken = match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(output) => output.attributes.unwrap_or_default(),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => return Ok(None),
                other => return Err(refused("UpdateItem", other)),
            },
        };
        Ok(Some(Row::read(&taken)?.text("content")?.to_owned()))
    }

    /// What is kept, if nobody took it, without taking it: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look_once(&self, kind: &str, digest: &str) -> Result<Option<String>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::once(kind, digest), keys::ONCE)]).await?;
        let Some(found) = found.first() else { return Ok(None) };
        let row = Row::read(found)?;
        if row.expired(self.now())? || row.optional_text("taken_by")?.is_some() {
            return Ok(None);
        }
        Ok(Some(row.text("content")?.to_owned()))
    }
}
