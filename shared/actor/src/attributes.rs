//! Internal attributes: what the application keeps for itself in an actor, in buckets, never shown to clients.

use std::collections::BTreeMap;
use std::time::Duration;

use actingweb_protocol::Name;
use actingweb_store::{Home, StoredAttribute};
use serde_json::Value;

use crate::actor::list_among_values;
use crate::{Actor, ActorError, AttributeList, ListError, limits};

impl Actor {
    /// An internal attribute: a value the application keeps for itself; of a list, all its items.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] for an empty or overlong bucket or name; storage errors.
    pub async fn attribute(&self, bucket: &str, name: &str) -> Result<Option<Value>, ActorError> {
        Ok(match self.stored_attribute(bucket, name).await? {
            None => None,
            Some(StoredAttribute::Value(attribute)) => Some(attribute.value),
            Some(StoredAttribute::List(list)) => {
                Some(self.items_of(&list).await?.into_iter().map(|item| item.value).collect())
            }
        })
    }

    /// [`Actor::attribute`] as it is stored, with the time it was written; a list without its items.
    ///
    /// # Errors
    /// As [`Actor::attribute`].
    pub async fn stored_attribute(&self, bucket: &str, name: &str) -> Result<Option<StoredAttribute>, ActorError> {
        Ok(self.store().attribute(self.id(), bucket, name).await?)
    }

    /// All attributes of exactly this bucket; a list as `{"_list": true, "count": n}`. One call per MB.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] above 5 MB in all, or for an empty or overlong bucket; storage errors.
    pub async fn attributes(&self, bucket: &str) -> Result<BTreeMap<String, Value>, ActorError> {
        let found = self.stored_attributes(bucket).await?;
        Ok(found.into_iter().map(|attribute| (attribute.name().to_owned(), shown(attribute))).collect())
    }

    /// [`Actor::attributes`] as they are stored, with the times they were written, in the order of their names.
    ///
    /// # Errors
    /// As [`Actor::attributes`].
    pub async fn stored_attributes(&self, bucket: &str) -> Result<Vec<StoredAttribute>, ActorError> {
        Ok(self.store().attributes(self.id(), bucket).await?)
    }

    /// All attributes as they are stored, each with its bucket, in the order of buckets and names.
    ///
    /// # Errors
    /// As [`Actor::attributes`].
    pub async fn all_stored_attributes(&self) -> Result<Vec<(String, StoredAttribute)>, ActorError> {
        Ok(self.store().all_attributes(self.id()).await?)
    }

    /// Writes an internal attribute, which disappears after `ttl` if one is given. `false`, `0` and `""` are values.
    ///
    /// # Errors
    /// [`ActorError::Conflict`] where a list is; as [`Actor::attribute`], and as [`Actor::set_property`] for the value.
    pub async fn set_attribute(
        &self,
        bucket: &str,
        name: &str,
        value: impl Into<Value>,
        ttl: Option<Duration>,
    ) -> Result<(), ActorError> {
        let value = value.into();
        limits::check_value(name, &value)?;
        if self.store().put_attribute(self.id(), bucket, name, &value, ttl).await? {
            return Ok(());
        }
        let reason = format!("attribute `{name}` of bucket `{bucket}` is a list: change its items, or delete it first");
        Err(ActorError::Conflict(reason))
    }

    /// Deletes an internal attribute, plain or list; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Actor::attribute`].
    pub async fn delete_attribute(&self, bucket: &str, name: &str) -> Result<(), ActorError> {
        loop {
            if self.store().delete_attribute(self.id(), bucket, name).await? {
                return Ok(());
            }
            match self.attribute_list(bucket, name)?.delete().await {
                // A value was written where the list was: that one is meant now.
                Err(ListError::Plain(_)) => {}
                Err(ListError::Actor(error)) => return Err(error),
                Err(error) => return Err(ActorError::Conflict(error.to_string())),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Deletes all attributes of exactly this bucket, lists too.
    ///
    /// # Errors
    /// As [`Actor::attribute`]; some attributes may be gone by then.
    pub async fn delete_attributes(&self, bucket: &str) -> Result<(), ActorError> {
        Ok(self.store().delete_attributes(self.id(), Some(bucket)).await?)
    }

    /// Deletes all attributes of all buckets, lists too.
    ///
    /// # Errors
    /// Storage errors; some attributes may be gone by then.
    pub async fn delete_all_attributes(&self) -> Result<(), ActorError> {
        Ok(self.store().delete_attributes(self.id(), None).await?)
    }

    /// A list among the internal attributes of a bucket, there or not. Calls nothing.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no [`Name`], [`ActorError::TooLarge`] for an empty or overlong bucket.
    pub fn attribute_list(&self, bucket: &str, name: &str) -> Result<AttributeList, ActorError> {
        let name = Name::parse(name).map_err(|error| ActorError::Invalid(format!("attribute `{name}`: {error}")))?;
        Ok(AttributeList::new(self.clone(), Home::bucket(bucket)?, name))
    }
}

fn shown(attribute: StoredAttribute) -> Value {
    match attribute {
        StoredAttribute::Value(attribute) => attribute.value,
        StoredAttribute::List(list) => list_among_values(&list),
    }
}
