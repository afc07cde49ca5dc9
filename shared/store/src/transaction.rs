//! The parts of a transaction.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::item::Item;
use crate::store::refused;
use crate::{Store, StoreError};

const OPERATION: &str = "TransactWriteItems";

/// What must be true of an item, as DynamoDB has it. A condition that fails returns the item.
pub(crate) struct Condition {
    expression: Cow<'static, str>,
    values: Item,
}

impl Condition {
    /// A condition with its values (`:name`).
    pub(crate) fn new(
        expression: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Self {
        Self {
            expression: expression.into(),
            values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// The item is not there.
    pub(crate) fn absent() -> Self {
        Self::new("attribute_not_exists(pk)", [])
    }

    /// The item is there.
    pub(crate) fn present() -> Self {
        Self::new("attribute_exists(pk)", [])
    }
}

impl Store {
    /// Writes an item, if `condition` holds of what it replaces.
    pub(crate) fn put_part(&self, row: Item, condition: Option<Condition>) -> Result<TransactWriteItem, StoreError> {
        let (expression, values) = split(condition);
        let put = Put::builder()
            .table_name(&self.inner.table)
            .set_item(Some(row))
            .set_condition_expression(expression)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = put.build().map_err(|error| refused(OPERATION, error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletes an item, if `condition` holds of it.
    pub(crate) fn delete_part(&self, key: Item, condition: Option<Condition>) -> Result<TransactWriteItem, StoreError> {
        let (expression, values) = split(condition);
        let delete = Delete::builder()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .set_condition_expression(expression)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let delete = delete.build().map_err(|error| refused(OPERATION, error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Changes an item by an update expression; its values stand in `values` beside the condition's.
    pub(crate) fn update_part(
        &self,
        key: Item,
        expression: &str,
        values: Item,
        condition: Option<Condition>,
    ) -> Result<TransactWriteItem, StoreError> {
        let (condition, conditions) = split(condition);
        let values: Item = values.into_iter().chain(conditions.unwrap_or_default()).collect();
        let update = Update::builder()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = update.build().map_err(|error| refused(OPERATION, error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Only checks an item.
    pub(crate) fn check_part(&self, key: Item, condition: Condition) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.inner.table)
            .set_key(Some(key))
            .condition_expression(condition.expression)
            .set_expression_attribute_values((!condition.values.is_empty()).then_some(condition.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let check = check.build().map_err(|error| refused(OPERATION, error))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

fn split(condition: Option<Condition>) -> (Option<String>, Option<Item>) {
    let Some(Condition { expression, values }) = condition else { return (None, None) };
    (Some(expression.into_owned()), (!values.is_empty()).then_some(values))
}

#[cfg(test)]
mod reserved;
