//! Subscriptions of peers to an actor.

use std::time::Duration;

use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;

use crate::changes::{log_key, put_scope, scope_of, signed};
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::transaction::Condition;
use crate::trusts::trust_key;
use crate::{LogHead, Notice, Store, StoreError, item, keys};

/// How long whoever delivers a subscription's diffs keeps it to itself: longer than an invocation lasts.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(90);

/// How long a write that saw no log may take at most until it commits.
const UNLOGGED_WRITE: Duration = Duration::from_secs(1);

/// What a subscription's deliveries are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Delivered as they come, or retried.
    Live,
    /// Given up after too many failures; diffs can still be polled.
    Dead,
}

/// A peer's subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// Who subscribed.
    pub peer: PeerId,
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// To what.
    pub scope: Scope,
    /// How much its callbacks tell.
    pub granularity: Granularity,
    /// The last sequence number given; 0 before the first.
    pub sequence: u64,
    /// The last change of the log when the peer subscribed: what came later is told.
    pub since: u64,
    /// The last change of the log that was looked at for it.
    pub looked: u64,
    /// The last sequence number the peer took.
    pub delivered: u64,
    /// Until when somebody is delivering.
    pub leased_until: Option<Timestamp>,
    /// Failed deliveries in a row.
    pub failures: u32,
    /// How many of the last of them were answered that there is no such subscription.
    pub gone: u32,
    /// When the first of them failed.
    pub failing_since: Option<Timestamp>,
    /// No delivery before this.
    pub retry_at: Option<Timestamp>,
    /// Whether deliveries go on.
    pub standing: Standing,
    /// When the peer subscribed.
    pub created_at: Timestamp,
}

/// How the deliveries of a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// All that was tried was taken.
    Taken,
    /// There was no time to try the rest.
    Released,
    /// The peer failed or asked to wait.
    Held {
        /// When to try again.
        retry_at: Timestamp,
        /// What the last attempt came to.
        miss: Miss,
    },
}

/// How a delivery failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It was not tried: the peer is left alone for a while.
    NotTried,
    /// It was tried.
    Failed,
    /// It was answered that there is no such subscription.
    Gone,
}

/// How an attempt to subscribe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The subscription stands.
    Done(Box<SubscriptionRecord>),
    /// The peer has as many as it may have.
    TooMany,
    /// There is no approved relationship with the peer, or no longer.
    NoTrust,
}

impl SubscriptionRecord {
    /// A subscription that was not stored yet.
    #[must_use]
    pub const fn new(peer: PeerId, id: String, scope: Scope, granularity: Granularity, created_at: Timestamp) -> Self {
        Self {
            peer,
            id,
            scope,
            granularity,
            sequence: 0,
            since: 0,
            looked: 0,
            delivered: 0,
            leased_until: None,
            failures: 0,
            gone: 0,
            failing_since: None,
            retry_at: None,
            standing: Standing::Live,
            created_at,
        }
    }

    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::subscription(&self.peer, &self.id));
        row.insert("peer".to_owned(), text(self.peer.as_str()));
        row.insert("id".to_owned(), text(&self.id));
        put_scope(&mut row, &self.scope);
        row.insert("granularity".to_owned(), text(self.granularity.as_str()));
        row.insert("last_seq".to_owned(), number(signed(self.sequence)));
        row.insert("since".to_owned(), number(signed(self.since)));
        row.insert("looked".to_owned(), number(signed(self.looked)));
        row.insert("delivered".to_owned(), number(signed(self.delivered)));
        row.insert("created_at".to_owned(), number(self.created_at.as_millis()));
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let count = |name: &str| {
            let found = row.optional_number(name)?.unwrap_or_default();
            u64::try_from(found).map_err(|_| row.corrupt(format!("`{name}` is negative")))
        };
        let time = |name: &str| Ok::<_, StoreError>(row.optional_number(name)?.map(Timestamp::from_millis));
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(error.to_string()))?,
            id: row.text("id")?.to_owned(),
            scope: scope_of(row)?,
            granularity: Granularity::parse(row.text("granularity")?)
                .ok_or_else(|| row.corrupt("unknown `granularity`"))?,
            sequence: count("last_seq")?,
            since: count("since")?,
            looked: count("looked")?,
            delivered: count("delivered")?,
            leased_until: time("leased_until")?,
            failures: u32::try_from(count("failures")?).unwrap_or(u32::MAX),
            gone: u32::try_from(count("gone")?).unwrap_or(u32::MAX),
            failing_since: time("failing_since")?,
            retry_at: time("retry_at")?,
            standing: if row.optional_number("dead")?.is_some() { Standing::Dead } else { Standing::Live },
            created_at: row.timestamp("created_at")?,
        })
    }

    pub(crate) fn key(&self, actor: &ActorId) -> Item {
        item::key(&keys::actor(actor), &keys::subscription(&self.peer, &self.id))
    }
}

impl Store {
    /// Adds a subscription, unless its peer has `most` already. It begins at the log's present end, or a little before:
    /// every write that commits later is told. `head` is where the log stood when it was read last.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when other peers kept subscribing until the deadline; other [`StoreError`]s.
    pub async fn subscribe(
        &self,
        actor: &ActorId,
        mut new: SubscriptionRecord,
        head: Option<LogHead>,
        most: usize,
    ) -> Result<Subscribed, StoreError> {
        let mut pause = self.pauses();
        let head = match head {
            Some(head) => Some(head),
            None => self.log_head(actor).await?,
        };
        let Some(mut head) = head else { return Ok(Subscribed::NoTrust) };
        // A write that saw no log yet may still be on its way: it commits, unlogged, before the subscription does.
        let settled = head.created_at.plus(UNLOGGED_WRITE).as_millis().saturating_sub(self.now().as_millis());
        tokio::time::sleep(Duration::from_millis(u64::try_from(settled).unwrap_or(0)).min(UNLOGGED_WRITE)).await;
        loop {
            // Counted after the head was read: one that is added meanwhile changes the head.
            if self.subscriptions(actor, Some(&new.peer)).await?.len() >= most {
                return Ok(Subscribed::TooMany);
            }
            (new.since, new.looked) = (head.last, head.last);
            let values = Item::from([(":one".to_owned(), number(1))]);
            // Writers that see subscribers log, and those that see none move no log: wherever the log stands by now, what is
            // written from here on comes after `last`.
            let seen = Condition::new("subscribers = :counted", [(":counted", number(signed(head.subscribers)))]);
            let trusted = Condition::new("attribute_exists(pk) AND approved = :yes", [(":yes", number(1))]);
            let parts = vec![
                self.update_part(log_key(actor), "SET subscribers = subscribers + :one", values, Some(seen))?,
                self.check_part(trust_key(actor, &new.peer), trusted)?,
                self.put_part(new.item(actor), Some(Condition::absent()))?,
            ];
            let Err(cancelled) = self.unguarded().transact(parts).await? else {
                return Ok(Subscribed::Done(Box::new(new)));
            };
            if cancelled.0.get(1).is_some_and(|(code, _)| code == "ConditionalCheckFailed") {
                return Ok(Subscribed::NoTrust);
            }
            head = self.where_it_moved(actor, cancelled).await?;
            pause.wait_unless_learnt("TransactWriteItems", "others are subscribing to the same actor").await?;
        }
    }

    /// The subscriptions of one peer, or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscriptions(
        &self,
        actor: &ActorId,
        peer: Option<&PeerId>,
    ) -> Result<Vec<SubscriptionRecord>, StoreError> {
        let prefix = peer.map_or_else(|| keys::SUBSCRIPTION.to_owned(), keys::subscriptions);
        let mut pages = self.pages(&keys::actor(actor), &prefix, None);
        let mut found = Vec::new();
        while let Some(items) = pages.next().await? {
            for item in &items {
                found.push(SubscriptionRecord::from_row(&Row::read(item)?)?);
            }
        }
        Ok(found)
    }

    /// One subscription.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscription(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        id: &str,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let found = self.batch_get(vec![item::key(&keys::actor(actor), &keys::subscription(peer, id))]).await?;
        found.first().map(|found| SubscriptionRecord::from_row(&Row::read(found)?)).transpose()
    }

    /// Ends a subscription, and owes its peer `notice` of that; its diffs go to the worker. False when it was gone
    /// already, or the actor is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsubscribe(
        &self,
        actor: &ActorId,
        ended: &SubscriptionRecord,
        notice: Option<&Notice>,
    ) -> Result<bool, StoreError> {
        let work = DueWork::RemoveDiffs { subscription: ended.id.clone() };
        let job = DueJob::new(actor, self.now(), &self.nonce(), work);
        let values = Item::from([(":one".to_owned(), number(1))]);
        let mut parts = vec![
            self.delete_part(ended.key(actor), Some(Condition::present()))?,
            // Of a deleted actor there is no log: its subscriptions go with everything else.
            self.update_part(
                log_key(actor),
                "SET subscribers = subscribers - :one",
                values,
                Some(Condition::present()),
            )?,
            self.put_part(job.item(), None)?,
        ];
        if let Some(notice) = notice {
            parts.push(self.notice_part(actor, notice)?);
        }
        self.transact_if(parts).await
    }

    /// Takes a subscription for delivery; `None` when somebody else has it, its time has not come, or it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let now = self.now();
        let values = [(":until", now.plus(DELIVERY_LEASE).as_millis()), (":now", now.as_millis())];
        self.update_subscription(
            actor,
            wanted,
            "SET leased_until = :until",
            "attribute_exists(pk) AND attribute_not_exists(dead) AND \
             (attribute_not_exists(leased_until) OR leased_until <= :now) AND \
             (attribute_not_exists(retry_at) OR retry_at <= :now)",
            &values,
        )
        .await
    }

    /// Ends the lease `held`, remembering the last number the peer took and what became of the rest. The row as it is
    /// now; `None` when the lease was lost to somebody else, or the subscription is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_subscription(
        &self,
        actor: &ActorId,
        held: &SubscriptionRecord,
        delivered: u64,
        outcome: Settled,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let mut values =
            vec![(":delivered", signed(delivered)), (":held", held.leased_until.map_or(0, Timestamp::as_millis))];
        let expression = match outcome {
            Settled::Taken => "SET delivered = :delivered REMOVE leased_until, failures, gone, failing_since, retry_at",
            Settled::Released => "SET delivered = :delivered REMOVE leased_until",
            Settled::Held { retry_at, miss } => {
                let (failures, gone, since) = match delivered > held.delivered {
                    true => (0, 0, None),
                    false => (held.failures, held.gone, held.failing_since),
                };
                let failures = failures.saturating_add(u32::from(miss != Miss::NotTried));
                let gone = match miss {
                    Miss::NotTried => gone,
                    Miss::Failed => 0,
                    Miss::Gone => gone.saturating_add(1),
                };
                values.extend([
                    (":failures", i64::from(failures)),
                    (":gone", i64::from(gone)),
                    (":since", since.unwrap_or_else(|| self.now()).as_millis()),
                    (":retry_at", retry_at.as_millis()),
                ]);
                "SET delivered = :delivered, failures = :failures, gone = :gone, failing_since = :since, \
                 retry_at = :retry_at REMOVE leased_until"
            }
        };
        self.update_subscription(actor, held, expression, "leased_until = :held", &values).await
    }

    /// Lets deliveries of a subscription go on that were held or given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revive_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        self.update_subscription(actor, wanted, revived(), "attribute_exists(pk)", &[]).await
    }

    /// Notes that the peer has what was numbered up to `upto`, without waiting for a delivery under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge(&self, actor: &ActorId, wanted: &SubscriptionRecord, upto: u64) -> Result<(), StoreError> {
        let values = [(":upto", signed(upto))];
        self.update_subscription(actor, wanted, "SET delivered = :upto", "delivered < :upto", &values).await.map(|_| ())
    }

    async fn update_subscription(
        &self,
        actor: &ActorId,
        wanted: &SubscriptionRecord,
        expression: &str,
        condition: &str,
        values: &[(&str, i64)],
    ) -> Result<Option<SubscriptionRecord>, StoreError> {
        let values: Item = values.iter().map(|(name, value)| ((*name).to_owned(), number(*value))).collect();
        let call = self
            .inner
            .client
            .update_item()
            .table_name(&self.inner.table)
            .set_key(Some(wanted.key(actor)))
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values(ReturnValue::AllNew);
        match self.unguarded().attempt("UpdateItem", || call.clone().send()).await? {
            Attempt::Done(output) => {
                let found = output.attributes.unwrap_or_default();
                Ok(Some(SubscriptionRecord::from_row(&Row::read(&found)?)?))
            }
            Attempt::Refused(error) => match *error {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(None),
                other => Err(refused("UpdateItem", other)),
            },
        }
    }
}

/// The update that lets deliveries go on.
pub(crate) const fn revived() -> &'static str {
    "REMOVE dead, failures, gone, failing_since, retry_at"
}
