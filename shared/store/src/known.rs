//! What an actor knows of its peers: copies of what they say of themselves, good until they are looked up again.

use std::time::Duration;

use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use serde_json::Value;

use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, refused};
use crate::{GrantRecord, Store, StoreError, item, keys};

/// How long a copy that nobody renews is kept.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// The largest copy, in bytes of JSON text: DynamoDB's items hold 400 KB with their keys.
pub const MAX_FACT_BYTES: usize = 256_000;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// What its owner shows of itself.
    Profile,
    /// Its methods and actions.
    Capabilities,
    /// Which parts of the protocol it speaks.
    Options,
}

impl Fact {
    /// All there are: a peer has no more rows than that.
    pub const ALL: [Self; 3] = [Self::Profile, Self::Capabilities, Self::Options];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Capabilities => "capabilities",
            Self::Options => "options",
        }
    }
}

/// A copy of what a peer said.
#[derive(Clone, Debug, PartialEq)]
pub struct FactRecord {
    /// What it is about.
    pub fact: Fact,
    /// What the peer said.
    pub value: Value,
    /// When it was asked for that.
    pub fetched_at: Timestamp,
    /// When the relationship came about in which it said so: another relationship knows nothing of it.
    pub trust_since: Timestamp,
}

/// What is known of a peer, and what it granted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownPeer {
    /// What it said of itself.
    pub facts: Vec<FactRecord>,
    /// The rights it granted, as it last said.
    pub grant: Option<GrantRecord>,
    /// When it last said so, by this side's clock: what was fetched before may have changed with the rights.
    pub granted_at: Option<Timestamp>,
}

impl FactRecord {
    fn item(&self, actor: &ActorId, peer: &PeerId, value: String) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::known(peer, self.fact.as_str()));
        row.insert("value".to_owned(), text(value));
        row.insert("fetched_at".to_owned(), number(self.fetched_at.as_millis()));
        row.insert("trust_since".to_owned(), number(self.trust_since.as_millis()));
        row.insert("expires".to_owned(), number(self.fetched_at.plus(KEPT_FOR).as_secs()));
        row
    }
}

impl Store {
    /// What is known of a peer: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_peer(&self, actor: &ActorId, peer: &PeerId) -> Result<KnownPeer, StoreError> {
        let pk = keys::actor(actor);
        let mut wanted = fact_keys(actor, peer);
        wanted.push(item::key(&pk, &keys::grant(peer)));
        let mut known = KnownPeer::default();
        for found in &self.batch_get(wanted).await? {
            let row = Row::read(found)?;
            let sk = row.text("sk")?;
            let Some(fact) = Fact::ALL.into_iter().find(|fact| sk == keys::known(peer, fact.as_str())) else {
                known.grant = Some(GrantRecord::from_row(&row)?);
                known.granted_at = Some(row.timestamp("received_at")?);
                continue;
            };
            if !row.expired(self.now())? {
                known.facts.push(FactRecord {
                    fact,
                    value: row.json("value")?,
                    fetched_at: row.timestamp("fetched_at")?,
                    trust_since: row.timestamp("trust_since")?,
                });
            }
        }
        Ok(known)
    }

    /// Keeps what a peer said, unless it was asked again since: false then, with nothing changed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above [`MAX_FACT_BYTES`]; other [`StoreError`]s.
    pub async fn put_fact(&self, actor: &ActorId, peer: &PeerId, record: &FactRecord) -> Result<bool, StoreError> {
        let value = record.value.to_string();
        if value.len() > MAX_FACT_BYTES {
            let what = format!("the copy of the {} of a peer", record.fact.as_str());
            return Err(StoreError::TooLarge { what, limit: MAX_FACT_BYTES });
        }
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(record.item(actor, peer, value)))
            .condition_expression("attribute_not_exists(pk) OR fetched_at <= :at")
            .expression_attribute_values(":at", number(record.fetched_at.as_millis()));
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("PutItem", other)),
            },
        }
    }

    /// Forgets what is known of a peer. A relationship that came about meanwhile finds nothing either, and asks again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn forget_facts(&self, actor: &ActorId, peer: &PeerId) -> Result<(), StoreError> {
        self.batch_delete(fact_keys(actor, peer)).await
    }
}

fn fact_keys(actor: &ActorId, peer: &PeerId) -> Vec<Item> {
    let pk = keys::actor(actor);
    Fact::ALL.iter().map(|fact| item::key(&pk, &keys::known(peer, fact.as_str()))).collect()
}
