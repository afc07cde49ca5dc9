//! What an actor owes its peers besides changes: approvals, refusals, deletions, changed rights, ended subscriptions,
//! acknowledgements. Each is written in the transaction of what it tells of and holds all that sending it takes, so that
//! it can be sent when the trust is gone. The oldest comes first.

use std::time::Duration;

use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::transaction::Condition;
use crate::{Store, StoreError, item, keys};

/// How long whoever took a notice keeps it: longer than sending it may last.
const LEASE: Duration = Duration::from_secs(60);

/// A request that is owed to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The peer.
    pub peer: PeerId,
    /// What it tells.
    pub kind: NoticeKind,
    /// The peer's URL root, without a trailing slash, as it was when the notice came about.
    pub base_uri: String,
    /// The trust's secret, sealed (see [`crate::TrustRecord::secret`]).
    pub secret: String,
    /// The HTTP method.
    pub method: String,
    /// The path below the URL root, without a leading slash.
    pub path: String,
    /// The JSON text to send, if any.
    pub body: Option<String>,
    /// How often sending it failed.
    pub attempts: u32,
    /// When it came about.
    pub created_at: Timestamp,
    /// Not to be sent before.
    pub retry_at: Option<Timestamp>,
    /// Until when somebody is sending it.
    pub leased_until: Option<Timestamp>,
    /// Its sort key; empty until it is stored.
    pub(crate) sk: String,
}

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// The relationship is approved.
    Approved,
    /// The relationship is not, or no longer, approved.
    Refused,
    /// The relationship is deleted.
    Deleted,
    /// The peer's rights have changed.
    Permissions,
    /// A subscription has ended.
    SubscriptionEnded,
    /// Changes have been received.
    Acknowledged,
}

impl NoticeKind {
    const ALL: [Self; 6] =
        [Self::Approved, Self::Refused, Self::Deleted, Self::Permissions, Self::SubscriptionEnded, Self::Acknowledged];

    /// Its word in storage and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Deleted => "deleted",
            Self::Permissions => "permissions",
            Self::SubscriptionEnded => "subscription ended",
            Self::Acknowledged => "acknowledged",
        }
    }
}

impl Notice {
    /// A notice that was not sent yet. `secret` is sealed, `path` is below `base_uri`.
    #[must_use]
    pub fn new(
        kind: NoticeKind,
        (peer, base_uri, secret): (&PeerId, &str, &str),
        (method, path): (&str, String),
        body: Option<String>,
    ) -> Self {
        Self {
            peer: peer.clone(),
            kind,
            base_uri: base_uri.to_owned(),
            secret: secret.to_owned(),
            method: method.to_owned(),
            path,
            body,
            attempts: 0,
            created_at: Timestamp::from_millis(0),
            retry_at: None,
            leased_until: None,
            sk: String::new(),
        }
    }

    fn item(&self, actor: &ActorId, created_at: Timestamp, nonce: &str) -> Item {
        let mut row = self.item_at(&keys::actor(actor), &keys::notice(created_at, nonce));
        row.insert("created_at".to_owned(), number(created_at.as_millis()));
        row
    }

    /// The notice as an item with these keys.
    pub(crate) fn item_at(&self, pk: &str, sk: &str) -> Item {
        let mut row = item::new(pk, sk);
        row.insert("peer".to_owned(), text(self.peer.as_str()));
        row.insert("kind".to_owned(), text(self.kind.as_str()));
        row.insert("base_uri".to_owned(), text(&self.base_uri));
        row.insert("secret".to_owned(), text(&self.secret));
        row.insert("method".to_owned(), text(&self.method));
        row.insert("path".to_owned(), text(&self.path));
        row.insert("attempts".to_owned(), number(self.attempts.into()));
        row.insert("created_at".to_owned(), number(self.created_at.as_millis()));
        if let Some(body) = &self.body {
            row.insert("body".to_owned(), text(body));
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let word = row.text("kind")?;
        let kind = NoticeKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")))?,
            kind: kind.ok_or_else(|| row.corrupt(format!("unknown kind `{word}`")))?,
            base_uri: row.text("base_uri")?.to_owned(),
            secret: row.text("secret")?.to_owned(),
            method: row.text("method")?.to_owned(),
            path: row.text("path")?.to_owned(),
            body: row.optional_text("body")?.map(str::to_owned),
            attempts: row.optional_number("attempts")?.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
            created_at: row.timestamp("created_at")?,
            retry_at: row.optional_number("retry_at")?.map(Timestamp::from_millis),
            leased_until: row.optional_number("leased_until")?.map(Timestamp::from_millis),
            sk: row.text("sk")?.to_owned(),
        })
    }

    pub(crate) fn key(&self, actor: &ActorId) -> Item {
        item::key(&keys::actor(actor), &self.sk)
    }
}

impl Store {
    /// Writes a notice, in a transaction with what it tells of.
    pub(crate) fn notice_part(&self, actor: &ActorId, notice: &Notice) -> Result<TransactWriteItem, StoreError> {
        self.put_part(notice.item(actor, self.now(), &self.nonce()), None)
    }

    /// All notices an actor owes, oldest first: one call per MB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices(&self, actor: &ActorId) -> Result<Vec<Notice>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), keys::NOTICE, None);
        while let Some(items) = pages.next().await? {
            // One that another version of this program wrote must not keep the others waiting.
            let logged = |error: &StoreError| tracing::error!(%error, "a notice could not be read");
            let read = items.iter().map(|found| Notice::from_row(&Row::read(found)?));
            found.extend(read.filter_map(|notice| notice.inspect_err(logged).ok()));
        }
        Ok(found)
    }

    /// Takes a notice for a minute. False when somebody else has it or sent it, or when it is not to be sent yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_notice(&self, actor: &ActorId, notice: &Notice) -> Result<bool, StoreError> {
        let now = self.now();
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(notice.key(actor)))
            .update_expression("SET leased_until = :until")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(leased_until) OR leased_until <= :now) AND \
                 (attribute_not_exists(retry_at) OR retry_at <= :now)",
            )
            .expression_attribute_values(":until", number(now.plus(LEASE).as_millis()))
            .expression_attribute_values(":now", number(now.as_millis()));
        match self.attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }

    /// Gives the notices owed to a peer the secret that it knows now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reseal_notices(&self, actor: &ActorId, peer: &PeerId, secret: &str) -> Result<(), StoreError> {
        for notice in self.notices(actor).await?.iter().filter(|notice| notice.peer == *peer) {
            let call = self
                .inner
                .client
                .update_item()
                .table_name(&self.inner.table)
                .set_key(Some(notice.key(actor)))
                .update_expression("SET secret = :secret")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":secret", text(secret));
            match self.attempt("UpdateItem", || call.clone().send()).await? {
                Attempt::Done(_) => {}
                // One that was sent meanwhile needs none.
                Attempt::Refused(error) if error.is_conditional_check_failed_exception() => {}
                Attempt::Refused(error) => return Err(refused("UpdateItem", error)),
            }
        }
        Ok(())
    }

    /// Ends a notice: it was taken, or is given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_notice(&self, actor: &ActorId, notice: &Notice) -> Result<(), StoreError> {
        let key = notice.key(actor);
        let call = self.inner.client.delete_item().table_name(&self.inner.table).set_key(Some(key));
        self.call("DeleteItem", || call.clone().send()).await.map(|_| ())
    }

    /// Gives a notice back that could not be sent, and makes delivery due again at `retry_at`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn postpone_notice(
        &self,
        actor: &ActorId,
        notice: &Notice,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        let values =
            Item::from([(":retry_at".to_owned(), number(retry_at.as_millis())), (":one".to_owned(), number(1))]);
        let expression = "SET retry_at = :retry_at REMOVE leased_until ADD attempts :one";
        let postponed = self.update_part(notice.key(actor), expression, values, Some(Condition::present()))?;
        let job = DueJob::new(actor, retry_at, &self.nonce(), DueWork::Deliver);
        match self.transact(vec![postponed, self.put_part(job.item(), None)?]).await? {
            // Finished meanwhile by somebody else: nothing is owed.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes work due at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_due(&self, actor: &ActorId, due: Timestamp, work: DueWork) -> Result<(), StoreError> {
        let job = DueJob::new(actor, due, &self.nonce(), work);
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(job.item()));
        self.call("PutItem", || call.clone().send()).await.map(|_| ())
    }
}
