//! Reading and making items: typed access with errors that name the item.

use std::collections::HashMap;

use actingweb_protocol::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::StoreError;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// The schema version written to every item as `v`. Readers accept this one and the one before.
pub(crate) const VERSION: i64 = 1;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with its keys and version.
pub(crate) fn new(pk: &str, sk: &str) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk)), ("v".to_owned(), number(VERSION))])
}

/// The key of an item, as the SDK wants it.
pub(crate) fn key(pk: &str, sk: &str) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// How many bytes DynamoDB counts for an item: names of attributes and values.
pub(crate) fn size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + size_of(value)).sum()
}

fn size_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + size_of(value)).sum::<usize>(),
        AttributeValue::M(members) => 3 + size(members) + members.len(),
        _ => 1,
    }
}

/// A stored item being read.
pub(crate) struct Row<'a>(pub(crate) &'a Item);

impl<'a> Row<'a> {
    /// Checks the version first: a later one may mean anything.
    pub(crate) fn read(item: &'a Item) -> Result<Self, StoreError> {
        let row = Self(item);
        match row.optional_number("v")? {
            Some(version) if version == VERSION || version == VERSION - 1 => Ok(row),
            version => Err(row.corrupt(format!("its version is {version:?}, this program reads {VERSION}"))),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.optional_text(name)?.ok_or_else(|| self.corrupt(format!("it has no `{name}`")))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(value)) => Ok(Some(value)),
            Some(_) => Err(self.corrupt(format!("`{name}` is not a string"))),
        }
    }

    /// The members of a set of strings; none when there is none.
    pub(crate) fn texts(&self, name: &str) -> Result<&'a [String], StoreError> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(AttributeValue::Ss(values)) => Ok(values),
            Some(_) => Err(self.corrupt(format!("`{name}` is not a set of strings"))),
        }
    }

    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<i64>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(value)) => {
                value.parse().map(Some).map_err(|_| self.corrupt(format!("`{name}` is not an integer")))
            }
            Some(_) => Err(self.corrupt(format!("`{name}` is not a number"))),
        }
    }

    pub(crate) fn timestamp(&self, name: &str) -> Result<Timestamp, StoreError> {
        let millis = self.optional_number(name)?.ok_or_else(|| self.corrupt(format!("it has no `{name}`")))?;
        Ok(Timestamp::from_millis(millis))
    }

    /// Whether the TTL has passed: DynamoDB removes such items only hours later.
    pub(crate) fn expired(&self, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.optional_number("expires")?.is_some_and(|expires| expires <= now.as_secs()))
    }

    pub(crate) fn json(&self, name: &str) -> Result<serde_json::Value, StoreError> {
        serde_json::from_str(self.text(name)?).map_err(|error| self.corrupt(format!("`{name}` is not JSON: {error}")))
    }

    pub(crate) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        let part = |name: &str| self.0.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        StoreError::Corrupt { key: format!("{}/{}", part("pk"), part("sk")), what: what.into() }
    }
}
