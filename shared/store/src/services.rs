//! Accounts at services: what an actor's owner connected, with the tokens sealed.
//!
//! Tokens end and are renewed, and a service may take a refresh token once only. Of all who find that the tokens ended, in
//! whatever process, one claims their renewal; the others wait for what it writes. A claim ends by itself, should its
//! holder vanish.

use std::time::Duration;

use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;

use crate::actors::actor_key;
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, Cancelled, refused};
use crate::transaction::Condition;
use crate::{Store, StoreError, item, keys};

/// An actor's account at a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The service's name.
    pub service: String,
    /// Which tokens these are: another after each renewal.
    pub version: String,
    /// The tokens, sealed; `None` once the service took them back, and the owner has to connect again.
    pub sealed: Option<String>,
    /// What was granted, as far as the service says.
    pub scope: Option<String>,
    /// When the access token ends, if it does.
    pub ends_at: Option<Timestamp>,
    /// When the owner connected it.
    pub connected_at: Timestamp,
    /// When the tokens were renewed last, or found to be none any more.
    pub renewed_at: Timestamp,
}

/// Tokens that are to take the place of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewServiceTokens {
    /// The tokens, sealed; `None` for a service that gives none any more.
    pub sealed: Option<String>,
    /// What was granted.
    pub scope: Option<String>,
    /// When the access token ends.
    pub ends_at: Option<Timestamp>,
}

impl ServiceRecord {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let optional = |name: &str| Ok::<_, StoreError>(row.optional_text(name)?.map(str::to_owned));
        Ok(Self {
            service: row.text("service")?.to_owned(),
            version: row.text("version")?.to_owned(),
            sealed: optional("sealed")?,
            scope: optional("granted")?,
            ends_at: row.optional_number("ends_at")?.map(Timestamp::from_millis),
            connected_at: row.timestamp("connected_at")?,
            renewed_at: row.timestamp("renewed_at")?,
        })
    }
}

impl Store {
    /// Keeps the tokens of an account that was connected now, in place of those that may be there: one call.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when the actor was deleted meanwhile; other [`StoreError`]s.
    pub async fn connect_service(
        &self,
        actor: &ActorId,
        service: &str,
        tokens: &NewServiceTokens,
    ) -> Result<(), StoreError> {
        let mut row = item::new(&keys::actor(actor), &keys::service(service));
        row.insert("service".to_owned(), text(service));
        row.insert("connected_at".to_owned(), number(self.now().as_millis()));
        row.extend(self.tokens_of(tokens, self.nonce()));
        let alive = Condition::new("attribute_exists(pk) AND attribute_not_exists(deleted_at)", []);
        let writes = vec![self.check_part(actor_key(actor), alive)?, self.put_part(row, None)?];
        match self.unguarded().transact(writes).await? {
            Ok(()) => Ok(()),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Err(StoreError::Gone)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// An actor's account at a service, strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn service(&self, actor: &ActorId, service: &str) -> Result<Option<ServiceRecord>, StoreError> {
        let found = self.batch_get(vec![service_key(actor, service)]).await?;
        found.first().map(|found| ServiceRecord::from_row(&Row::read(found)?)).transpose()
    }

    /// All accounts of an actor, in the order of their services' names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn services(&self, actor: &ActorId) -> Result<Vec<ServiceRecord>, StoreError> {
        let mut services = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), keys::SERVICES, None);
        while let Some(items) = pages.next().await? {
            for found in &items {
                services.push(ServiceRecord::from_row(&Row::read(found)?)?);
            }
        }
        Ok(services)
    }

    /// Forgets an account: two calls. What was forgotten, `None` when there was nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn disconnect_service(
        &self,
        actor: &ActorId,
        service: &str,
    ) -> Result<Option<ServiceRecord>, StoreError> {
        // Read first: of a deletion whose reply was lost nobody would hear what it removed.
        let Some(known) = self.service(actor, service).await? else { return Ok(None) };
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(service_key(actor, service)))
            .return_values(ReturnValue::AllOld);
        let output = self.call("DeleteItem", || call.clone().send()).await?;
        // The tokens may have been renewed in between.
        let removed = output.attributes.as_ref().map(|row| ServiceRecord::from_row(&Row::read(row)?)).transpose()?;
        Ok(Some(removed.unwrap_or(known)))
    }

    /// Claims the renewal of the tokens of this version, for as long as `lease`: one call. The claim, `None` when somebody
    /// else holds one, or the tokens are others by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_service_renewal(
        &self,
        actor: &ActorId,
        service: &str,
        version: &str,
        lease: Duration,
    ) -> Result<Option<String>, StoreError> {
        let claim = self.nonce();
        let values = Item::from([
            (":claim".to_owned(), text(&claim)),
            (":version".to_owned(), text(version)),
            (":now".to_owned(), number(self.now().as_millis())),
            (":until".to_owned(), number(self.now().plus(lease).as_millis())),
        ]);
        let update = ("SET claimed_by = :claim, claimed_until = :until", values);
        // The last part holds for an attempt of this call whose reply was lost.
        let condition =
            "version = :version AND (attribute_not_exists(claimed_by) OR claimed_until <= :now OR claimed_by = :claim)";
        Ok(self.change_service(actor, service, update, condition).await?.then_some(claim))
    }

    /// Writes what came of a renewal, and ends its claim: one call. The version of the new tokens; `None` when the claim ended
    /// before, and with it the right to write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_service(
        &self,
        actor: &ActorId,
        service: &str,
        claim: &str,
        tokens: &NewServiceTokens,
    ) -> Result<Option<String>, StoreError> {
        let version = self.nonce();
        let mut values: Item = self
            .tokens_of(tokens, version.clone())
            .into_iter()
            .map(|(name, value)| (format!(":{name}"), value))
            .collect();
        values.insert(":claim".to_owned(), text(claim));
        let update = match (tokens.sealed.is_some(), tokens.scope.is_some(), tokens.ends_at.is_some()) {
            (false, ..) => {
                values.retain(|name, _| matches!(name.as_str(), ":version" | ":renewed_at" | ":claim"));
                "SET version = :version, renewed_at = :renewed_at REMOVE sealed, ends_at, claimed_by, claimed_until"
            }
            (true, false, false) => {
                "SET version = :version, renewed_at = :renewed_at, sealed = :sealed \
                 REMOVE granted, ends_at, claimed_by, claimed_until"
            }
            (true, true, false) => {
                "SET version = :version, renewed_at = :renewed_at, sealed = :sealed, granted = :granted \
                 REMOVE ends_at, claimed_by, claimed_until"
            }
            (true, false, true) => {
                "SET version = :version, renewed_at = :renewed_at, sealed = :sealed, ends_at = :ends_at \
                 REMOVE granted, claimed_by, claimed_until"
            }
            (true, true, true) => {
                "SET version = :version, renewed_at = :renewed_at, sealed = :sealed, granted = :granted, \
                 ends_at = :ends_at REMOVE claimed_by, claimed_until"
            }
        };
        // The version is random: it is there only when an attempt of this call wrote it.
        let condition = "claimed_by = :claim OR version = :version";
        Ok(self.change_service(actor, service, (update, values), condition).await?.then_some(version))
    }

    /// Gives a claim up, so that others may try: one call.
    ///
    /// # Errors
    /// [`StoreError`]; the claim ends by itself then.
    pub async fn release_service_renewal(&self, actor: &ActorId, service: &str, claim: &str) -> Result<(), StoreError> {
        let values = Item::from([(":claim".to_owned(), text(claim))]);
        let update = ("REMOVE claimed_by, claimed_until", values);
        self.change_service(actor, service, update, "claimed_by = :claim").await.map(drop)
    }

    async fn change_service(
        &self,
        actor: &ActorId,
        service: &str,
        (expression, values): (&str, Item),
        condition: &str,
    ) -> Result<bool, StoreError> {
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(service_key(actor, service)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values));
        // The conditions hold only where there is a row, which goes with its actor.
        match self.unguarded().attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// The attributes that change with the tokens.
    fn tokens_of(&self, tokens: &NewServiceTokens, version: String) -> Item {
        let mut part = Item::from([
            ("version".to_owned(), text(version)),
            ("renewed_at".to_owned(), number(self.now().as_millis())),
        ]);
        part.extend(tokens.sealed.as_ref().map(|sealed| ("sealed".to_owned(), text(sealed))));
        part.extend(tokens.scope.as_ref().map(|scope| ("granted".to_owned(), text(scope))));
        part.extend(tokens.ends_at.map(|at| ("ends_at".to_owned(), number(at.as_millis()))));
        part
    }
}

fn service_key(actor: &ActorId, service: &str) -> Item {
    item::key(&keys::actor(actor), &keys::service(service))
}
