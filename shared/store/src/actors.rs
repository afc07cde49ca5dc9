//! The actor itself: created once, read by every request, marked when it dies.

use std::collections::HashMap;

use actingweb_protocol::{ActorId, Creator, Name, PeerId, Timestamp};
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use tokio::time::Instant;

use crate::changes::log_key;
use crate::credentials::{PresentedSecret, TrustCredential};
use crate::feeds::expected_key;
use crate::identities::identity_key;
use crate::item::{Item, Row, number, text};
use crate::large::Gathered;
use crate::properties::Stored;
use crate::store::{Cancelled, MAX_BATCH_KEYS, refused};
use crate::trusts::trust_key;
use crate::{ClientGrant, ClientRecord, FeedRecord, LogHead, LogView, Store, StoreError, TrustRecord, item, keys};

/// An actor as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorRecord {
    /// Its id.
    pub id: ActorId,
    /// Who created it.
    pub creator: String,
    /// Keyed hash of the creator's passphrase, of [`actingweb_protocol::Keys::hash`].
    pub passphrase_hash: String,
    /// The trustee's URL root, if it has one.
    pub trustee_root: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// The sort key of its row among its creator's actors.
    pub(crate) lookup: String,
}

/// An actor about to be created.
#[derive(Clone, Debug)]
pub struct NewActor {
    /// A fresh id.
    pub id: ActorId,
    /// Who creates it.
    pub creator: Creator,
    /// Keyed hash of the passphrase.
    pub passphrase_hash: String,
    /// The trustee's URL root.
    pub trustee_root: Option<String>,
    /// Whether this creator may have one actor only.
    pub unique_creator: bool,
}

/// How a creation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The actor exists now.
    Created(ActorRecord),
    /// This creator has an actor already, and may have only one.
    CreatorTaken(ActorId),
}

/// What is read along with an actor, in the same call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Properties the request is about (at most 94, no duplicates). Of more than 46, large values take a second call.
    pub properties: &'a [&'a Name],
    /// The peer whose relationship the request is about.
    pub peer: Option<&'a PeerId>,
    /// The subscription to a peer that the request is about: the peer, and the subscription's id.
    pub feed: Option<(&'a PeerId, &'a str)>,
    /// The secret it presented.
    pub secret: Option<&'a PresentedSecret>,
    /// The address whose failed attempts count.
    pub address: Option<&'a str>,
    /// The digest of the identity that is said to lead to the actor.
    pub identity: Option<&'a str>,
    /// Whether to read where the change log stands: what a write needs to know.
    pub log: bool,
}

/// What one request needs to know, read in one call.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The actor; `None` when it never existed or was deleted.
    pub actor: Option<ActorRecord>,
    /// Those of the wanted properties that exist.
    pub properties: HashMap<Name, Stored>,
    /// Where the change log stands, if that was wanted.
    pub log: LogView,
    /// The relationship with the wanted peer.
    pub trust: Option<TrustRecord>,
    /// The wanted subscription to a peer.
    pub feed: Option<FeedRecord>,
    /// Whether the actor is just subscribing to the wanted subscription's peer.
    pub subscribing: bool,
    /// What the presented secret means, if it is a trust's.
    pub credential: Option<TrustCredential>,
    /// What was granted by the presented secret, if it is a token of ours.
    pub grant: Option<ClientGrant>,
    /// The relationship with the client of that token.
    pub client_trust: Option<TrustRecord>,
    /// The client itself, if it is one that registers.
    pub client: Option<ClientRecord>,
    /// Failed attempts from the address in this minute.
    pub failures: u64,
    /// Whether the wanted identity leads to the actor.
    pub is_led_to: bool,
}

impl Store {
    /// Creates an actor in one call, together with its row among its creator's actors.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_actor(&self, new: NewActor) -> Result<CreateOutcome, StoreError> {
        let (record, writes) = self.creation(new)?;
        let Err(Cancelled(reasons)) = self.transact(writes).await? else {
            return Ok(CreateOutcome::Created(record));
        };
        // Ids are random: what can be taken is the creator.
        match reasons.into_iter().nth(1) {
            Some((_, Some(taken))) => Ok(CreateOutcome::CreatorTaken(actor_id(&Row::read(&taken)?, "actor")?)),
            reason => Err(refused("TransactWriteItems", reason)),
        }
    }

    /// The writes of a creation: the actor, and its row among its creator's actors.
    pub(crate) fn creation(&self, new: NewActor) -> Result<(ActorRecord, Vec<TransactWriteItem>), StoreError> {
        let record = ActorRecord {
            lookup: if new.unique_creator { keys::UNIQUE.to_owned() } else { new.id.to_string() },
            creator: new.creator.as_str().to_owned(),
            passphrase_hash: new.passphrase_hash,
            trustee_root: new.trustee_root,
            created_at: self.now(),
            id: new.id,
        };
        let mut lookup = item::new(&keys::creator_lookup(&record.creator), &record.lookup);
        lookup.insert("actor".to_owned(), text(record.id.as_str()));
        let writes = vec![self.put_new(to_item(&record))?, self.put_new(lookup)?];
        Ok((record, writes))
    }

    /// The one actor of a creator, where creators are unique: one strongly consistent call. It may have been deleted since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn actor_of_creator(&self, creator: &Creator) -> Result<Option<ActorId>, StoreError> {
        let key = item::key(&keys::creator_lookup(creator.as_str()), keys::UNIQUE);
        let found = self.batch_get(vec![key]).await?;
        found.first().map(|found| actor_id(&Row::read(found)?, "actor")).transpose()
    }

    /// Reads the actor and what else is wanted in one call. Strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(&self, id: &ActorId, wanted: Wanted<'_>) -> Result<Snapshot, StoreError> {
        let pk = keys::actor(id);
        let mut keys_wanted = vec![item::key(&pk, keys::ACTOR)];
        keys_wanted.extend(wanted.properties.iter().map(|name| item::key(&pk, &keys::property(name))));
        let client = match wanted.secret {
            Some(PresentedSecret::Token(token)) => Some(token.client.peer()),
            _ => None,
        };
        // A client may ask about itself; no key may stand there twice.
        let other_peer = wanted.peer.filter(|peer| client.as_ref() != Some(*peer));
        keys_wanted.extend(other_peer.map(|peer| trust_key(id, peer)));
        if let Some((peer, feed)) = wanted.feed {
            keys_wanted.extend([item::key(&pk, &keys::feed(peer, feed)), expected_key(id, peer)]);
        }
        keys_wanted.extend(wanted.secret.into_iter().flat_map(|secret| secret.keys(id)));
        keys_wanted.extend(wanted.address.map(|address| self.failures_key(id, address)));
        keys_wanted.extend(wanted.log.then(|| log_key(id)));
        keys_wanted.extend(wanted.identity.map(identity_key));
        // The texts of large values are asked for along, where one call takes them all.
        if keys_wanted.len() + wanted.properties.len() <= MAX_BATCH_KEYS {
            keys_wanted.extend(wanted.properties.iter().map(|name| item::key(&pk, &keys::large_text(name))));
        }
        let read_at = Instant::now();
        let items = self.batch_get(keys_wanted).await?;
        let mut snapshot = Snapshot::default();
        let mut properties = Gathered::default();
        if wanted.log {
            snapshot.log = LogView::read(None, read_at);
        }
        for found in &items {
            let row = Row::read(found)?;
            match row.text("sk")? {
                keys::ACTOR => snapshot.actor = from_row(&row, id)?,
                keys::LOG => snapshot.log = LogView::read(Some(LogHead::from_row(&row)?), read_at),
                // A request for a relationship that nobody answered in time; DynamoDB removes it some time later.
                _ if row.expired(self.now())? => {}
                keys::IDENTITY => snapshot.is_led_to = actor_id(&row, "actor")? == *id,
                keys::CLIENT => snapshot.client = Some(ClientRecord::from_row(&row)?),
                sk if sk.starts_with(keys::AUTHORIZATION) => snapshot.grant = Some(ClientGrant::from_row(&row)?),
                sk if sk.starts_with(keys::TRUST) => {
                    let trust = TrustRecord::from_row(&row)?;
                    if client.as_ref() == Some(&trust.peer) {
                        snapshot.client_trust = Some(trust.clone());
                    }
                    if wanted.peer == Some(&trust.peer) {
                        snapshot.trust = Some(trust);
                    }
                }
                sk if sk.starts_with(keys::FEED) => snapshot.feed = Some(FeedRecord::from_row(&row)?),
                sk if sk.starts_with(keys::EXPECTED_FEED) => {
                    let until = row.optional_number("waiting_until")?.unwrap_or_default();
                    let waits = row.optional_number("waiting")?.unwrap_or_default() > 0;
                    snapshot.subscribing = waits && until > self.now().as_millis();
                }
                sk if sk.starts_with(keys::CREDENTIAL) => snapshot.credential = Some(TrustCredential::from_row(&row)?),
                sk if sk.starts_with(keys::FAILURES) => {
                    let failures = row.optional_number("failures")?.unwrap_or_default();
                    snapshot.failures = u64::try_from(failures).unwrap_or_default();
                }
                _ => properties.add(&row)?,
            }
        }
        if snapshot.actor.is_some() {
            self.saw(id, read_at);
        }
        // An actor that is being removed still has properties, for the hooks that are told of it.
        let whole = self.whole(id, properties).await?;
        snapshot.properties = whole.into_iter().map(|stored| (stored.name().clone(), stored)).collect();
        Ok(snapshot)
    }

    fn put_new(&self, new: Item) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.inner.table)
            .set_item(Some(new))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| refused("TransactWriteItems", error))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

pub(crate) fn actor_key(id: &ActorId) -> Item {
    item::key(&keys::actor(id), keys::ACTOR)
}

fn to_item(record: &ActorRecord) -> Item {
    let mut row = item::new(&keys::actor(&record.id), keys::ACTOR);
    row.insert("creator".to_owned(), text(&record.creator));
    row.insert("passphrase".to_owned(), text(&record.passphrase_hash));
    row.insert("created_at".to_owned(), number(record.created_at.as_millis()));
    row.insert("lookup".to_owned(), text(&record.lookup));
    if let Some(root) = &record.trustee_root {
        row.insert("trustee_root".to_owned(), text(root));
    }
    row
}

/// `None` for a tombstone.
pub(crate) fn from_row(row: &Row<'_>, id: &ActorId) -> Result<Option<ActorRecord>, StoreError> {
    if row.optional_number("deleted_at")?.is_some() {
        return Ok(None);
    }
    Ok(Some(ActorRecord {
        id: id.clone(),
        creator: row.text("creator")?.to_owned(),
        passphrase_hash: row.text("passphrase")?.to_owned(),
        trustee_root: row.optional_text("trustee_root")?.map(str::to_owned),
        created_at: row.timestamp("created_at")?,
        lookup: row.text("lookup")?.to_owned(),
    }))
}

pub(crate) fn actor_id(row: &Row<'_>, name: &str) -> Result<ActorId, StoreError> {
    ActorId::parse(row.text(name)?).map_err(|error| row.corrupt(format!("`{name}`: {error}")))
}
