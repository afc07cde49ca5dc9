//! Leaving peers alone that do not answer.

use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::trust_key;
use crate::item::{Row, number};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError};

impl Store {
    /// Counts an attempt that a peer did not answer, and gives how many there were in a row; `None` when there is no
    /// relationship any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_peer_failure(&self, actor: &ActorId, peer: &PeerId) -> Result<Option<u32>, StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(trust_key(actor, peer)))
            .update_expression("ADD failures :one")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew);
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(output) => {
                let updated = output.attributes.unwrap_or_default();
                let failures = Row(&updated).optional_number("failures")?.unwrap_or_default();
                Ok(Some(u32::try_from(failures).unwrap_or(u32::MAX)))
            }
            Attempt::Refused(error) => gone(*error).map(|()| None),
        }
    }

    /// Leaves a peer alone until then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hold_peer(&self, actor: &ActorId, peer: &PeerId, until: Timestamp) -> Result<(), StoreError> {
        let values = [(":until", number(until.as_millis()))];
        self.update_trust(actor, peer, "SET open_until = :until", "attribute_exists(pk)", values).await.map(|_| ())
    }

    /// Takes the one attempt that may be made when a peer was left alone long enough; everybody else waits until
    /// `until`. False when somebody else has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn probe_peer(&self, actor: &ActorId, peer: &PeerId, until: Timestamp) -> Result<bool, StoreError> {
        let values = [(":until", number(until.as_millis())), (":now", number(self.now().as_millis()))];
        self.update_trust(actor, peer, "SET open_until = :until", "open_until <= :now", values).await
    }

    /// Notes that a peer answered: nothing is held any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_peer(&self, actor: &ActorId, peer: &PeerId) -> Result<(), StoreError> {
        let values = [(":none", number(0))];
        let expression = "SET failures = :none REMOVE open_until";
        self.update_trust(actor, peer, expression, "attribute_exists(pk)", values).await.map(|_| ())
    }

    /// Changes a part of a relationship without reading it; false when the condition does not hold.
    async fn update_trust<const N: usize>(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        expression: &str,
        condition: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<bool, StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(trust_key(actor, peer)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_values(Some(
                values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => gone(*error).map(|()| false),
        }
    }
}

fn gone(error: UpdateItemError) -> Result<(), StoreError> {
    match error {
        UpdateItemError::ConditionalCheckFailedException(_) => Ok(()),
        other => Err(refused("UpdateItem", other)),
    }
}
