//! What bearer secrets mean, and how often somebody guessed.

use std::time::Duration;

use actingweb_protocol::oauth::Token;
use actingweb_protocol::{ActorId, sha256_hex};
use aws_sdk_dynamodb::types::Put;
use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::clients::client_key;
use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, refused};
use crate::trusts::trust_key;
use crate::{Store, StoreError, item, keys};

/// How long the failed attempts of a minute are remembered.
const MEMORY: Duration = Duration::from_secs(300);

/// What a trust's secret means, whole, so that one read decides about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustCredential {
    /// The peer's actor id.
    pub peer: String,
    /// The relationship, such as `friend`.
    pub relationship: String,
    /// Whether this side approves of the relationship.
    pub approved: bool,
    /// The permissions of this trust that differ from its type's, as JSON text.
    pub permissions: Option<String>,
}

/// A secret that a request presented: what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedSecret {
    /// A trust's secret.
    Trust(String),
    /// A token of ours, with the rows that it names.
    Token(Token),
}

impl PresentedSecret {
    /// The rows that decide about it.
    pub(crate) fn keys(&self, actor: &ActorId) -> Vec<Item> {
        match self {
            Self::Trust(secret) => vec![item::key(&keys::actor(actor), &keys::credential(&sha256_hex(secret)))],
            // What belongs to another actor is not looked for.
            Self::Token(token) if token.actor != *actor => Vec::new(),
            Self::Token(token) => {
                let mut rows = vec![item::key(&keys::actor(actor), &keys::authorization(&token.client, &token.grant))];
                if !token.client.is_of_users() {
                    rows.push(trust_key(actor, &token.client.peer()));
                }
                if token.client.is_registered() {
                    rows.push(client_key(&token.client));
                }
                rows
            }
        }
    }
}

impl TrustCredential {
    pub(crate) fn item(&self, actor: &ActorId, secret_hash: &str) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::credential(secret_hash));
        row.insert("peer".to_owned(), text(&self.peer));
        row.insert("relationship".to_owned(), text(&self.relationship));
        row.insert("approved".to_owned(), number(self.approved.into()));
        if let Some(permissions) = &self.permissions {
            row.insert("permissions".to_owned(), text(permissions));
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            peer: row.text("peer")?.to_owned(),
            relationship: row.text("relationship")?.to_owned(),
            approved: row.optional_number("approved")? == Some(1),
            permissions: row.optional_text("permissions")?.map(str::to_owned),
        })
    }
}

impl Store {
    /// Says what a trust's secret means, from the next request on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_credential(
        &self,
        actor: &ActorId,
        secret: &str,
        credential: &TrustCredential,
    ) -> Result<(), StoreError> {
        self.put_row(credential.item(actor, &sha256_hex(secret))).await
    }

    async fn put_row(&self, row: Item) -> Result<(), StoreError> {
        let put = Put::builder().table_name(&self.inner.table).set_item(Some(row)).build();
        let put = put.map_err(|error| refused("TransactWriteItems", error))?;
        match self.transact(vec![TransactWriteItem::builder().put(put).build()]).await? {
            Ok(()) => Ok(()),
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Remembers a failed attempt from an address in this minute.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_failure(&self, actor: &ActorId, address: &str) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(self.failures_key(actor, address)))
            .update_expression("SET expires = :expires, v = :v ADD failures :one")
            .expression_attribute_values(":expires", number(self.now().plus(MEMORY).as_secs()))
            .expression_attribute_values(":v", number(item::VERSION))
            .expression_attribute_values(":one", number(1));
        self.call("UpdateItem", || call.clone().send()).await.map(|_| ())
    }

    /// One item for each address and minute: counting needs no condition, and forgetting no write.
    pub(crate) fn failures_key(&self, actor: &ActorId, address: &str) -> Item {
        item::key(&keys::actor(actor), &keys::failures(address, self.now().as_secs().div_euclid(60)))
    }
}
