//! What peers say an actor may do with them.

use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;

use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::{Store, StoreError, item, keys};

/// The rights that a peer granted to an actor, as the peer last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// The peer.
    pub peer: PeerId,
    /// The effective rights, as JSON text: an object of categories, any of which may be null.
    pub permissions: String,
    /// When the peer said so, by its own clock: what it said earlier counts no more.
    pub at: Timestamp,
}

impl GrantRecord {
    fn item(&self, actor: &ActorId, received_at: Timestamp) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::grant(&self.peer));
        row.insert("peer".to_owned(), text(self.peer.as_str()));
        row.insert("permissions".to_owned(), text(&self.permissions));
        row.insert("granted_at".to_owned(), number(self.at.as_millis()));
        row.insert("received_at".to_owned(), number(received_at.as_millis()));
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")))?,
            permissions: row.text("permissions")?.to_owned(),
            at: row.timestamp("granted_at")?,
        })
    }
}

impl Store {
    /// The rights a peer granted; `None` when it never said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant(&self, actor: &ActorId, peer: &PeerId) -> Result<Option<GrantRecord>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::actor(actor), &keys::grant(peer))]).await?;
        found.first().map(|found| GrantRecord::from_row(&Row::read(found)?)).transpose()
    }

    /// Stores the rights a peer granted, unless it said something later already: false then, with nothing changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_grant(&self, actor: &ActorId, grant: &GrantRecord) -> Result<bool, StoreError> {
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(grant.item(actor, self.now())))
            .condition_expression("attribute_not_exists(pk) OR granted_at <= :at")
            .expression_attribute_values(":at", number(grant.at.as_millis()));
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("PutItem", other)),
            },
        }
    }

    /// Forgets the rights a peer granted by then.
    pub(crate) async fn forget_grant(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(actor), &keys::grant(peer))))
            .condition_expression("attribute_not_exists(pk) OR received_at <= :before")
            .expression_attribute_values(":before", number(before.as_millis()));
        match self.attempt("DeleteItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(()),
            Attempt::Refused(error) if error.is_conditional_check_failed_exception() => Ok(()),
            Attempt::Refused(error) => Err(refused("DeleteItem", error)),
        }
    }
}
