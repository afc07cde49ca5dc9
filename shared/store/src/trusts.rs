//! Relationships with other actors: one row for each peer, and one that says what its secret means. Both are written in
//! one transaction, so that a change of rights or of approval has effect from the next request on.

mod breaker;

use std::time::Duration;

use actingweb_protocol::task::TaskCaller;
use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::actors::actor_key;
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{Notice, Store, StoreError, TrustCredential, item, keys};

/// How long a peer's request for a relationship waits for an answer.
pub const PENDING_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// A relationship with a peer, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRecord {
    /// The peer's id.
    pub peer: PeerId,
    /// The peer's URL root, without a trailing slash.
    pub base_uri: String,
    /// The peer's type, such as `urn:actingweb:example.com:demo` (`type` on the wire).
    pub kind: String,
    /// What the relationship is, such as `friend`.
    pub relationship: String,
    /// What it was when it came about, which is what the peer knows it by.
    pub agreed: String,
    /// What it is for, for people.
    pub desc: String,
    /// Whether this side approves.
    pub approved: bool,
    /// Whether the peer approves, as it last said.
    pub peer_approved: bool,
    /// Whether the peer proved that it answers at its URL root.
    pub verified: bool,
    /// What the initiator proves itself with.
    pub verification_token: String,
    /// The secret of both directions, sealed for `trust/<actor>/<peer>` (see [`actingweb_protocol::Keys::seal`]).
    pub secret: String,
    /// SHA-256 of the secret, in hexadecimal digits: the key of what it means.
    pub secret_hash: String,
    /// The secret that is to follow, while the peer is asked to take it: both are good until it answered.
    pub next: Option<NextSecret>,
    /// How it came about: `trust`.
    pub established_via: String,
    /// When it came about.
    pub created_at: Timestamp,
    /// How the peer's rights differ from its relationship's, as JSON text.
    pub permissions: Option<String>,
    /// Whether this side asked for it.
    pub initiated: bool,
    /// When it is forgotten unless this side approves; whatever is past it counts as absent.
    pub expires: Option<Timestamp>,
    /// Whether the peer answers.
    pub breaker: Breaker,
    /// The client that is the peer, if it is one: it has neither a URL root nor a secret.
    pub client: Option<TrustedClient>,
    /// Changes with every write of the relationship; of the breaker it knows nothing.
    pub version: String,
}

/// What is known of a client that a user let act, in the relationship with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedClient {
    /// The client's id, as it calls itself.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Its version, if it said.
    pub version: Option<String>,
    /// What it runs on, if it said.
    pub platform: Option<String>,
    /// When it was last let in or came for tokens, to the day.
    pub last_accessed: Option<Timestamp>,
    /// Which relationship with it this is: the next one after this ended has another. Grants hang on it.
    pub instance: String,
}

/// A secret that is to follow another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextSecret {
    /// The secret, sealed as [`TrustRecord::secret`].
    pub secret: String,
    /// Its SHA-256, in hexadecimal digits.
    pub secret_hash: String,
}

/// Whether a peer is to be left alone for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// How many attempts failed in a row.
    pub failures: u32,
    /// Until when nothing is sent to it.
    pub open_until: Option<Timestamp>,
}

/// How a write of a relationship ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustOutcome {
    /// It stands, with this version.
    Written(Box<TrustRecord>),
    /// It is not what was seen any more: nothing was written.
    Stale,
    /// Another peer of this actor has the same secret: nothing was written.
    SecretTaken,
}

/// The requests for relationships that wait for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingTrusts {
    /// How many.
    pub count: usize,
    /// When the first of them is forgotten.
    pub first_expires: Option<Timestamp>,
}

impl TrustRecord {
    /// What its secret means to a request.
    #[must_use]
    pub fn credential(&self) -> TrustCredential {
        TrustCredential {
            peer: self.peer.as_str().to_owned(),
            relationship: self.relationship.clone(),
            approved: self.approved,
            permissions: self.permissions.clone(),
        }
    }

    /// The hashes of the secrets that are good.
    fn hashes(&self) -> impl Iterator<Item = &str> {
        let all =
            std::iter::once(self.secret_hash.as_str()).chain(self.next.iter().map(|next| next.secret_hash.as_str()));
        all.filter(|hash| !hash.is_empty())
    }

    /// Whether another server is behind it, that can be called and told of changes; a client is not.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        !self.base_uri.is_empty()
    }

    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::trust(&self.peer));
        let texts = [
            ("peer", self.peer.as_str()),
            ("base_uri", &self.base_uri),
            ("kind", &self.kind),
            ("relationship", &self.relationship),
            ("agreed", &self.agreed),
            ("desc", &self.desc),
            ("verification_token", &self.verification_token),
            ("secret", &self.secret),
            ("secret_hash", &self.secret_hash),
            ("established_via", &self.established_via),
            ("version", &self.version),
        ];
        let some = texts.into_iter().filter(|(_, value)| !value.is_empty());
        row.extend(some.map(|(name, value)| (name.to_owned(), text(value))));
        let numbers = [
            ("approved", self.approved.into()),
            ("peer_approved", self.peer_approved.into()),
            ("verified", self.verified.into()),
            ("initiated", self.initiated.into()),
            ("created_at", self.created_at.as_millis()),
            ("failures", self.breaker.failures.into()),
        ];
        row.extend(numbers.map(|(name, value)| (name.to_owned(), number(value))));
        row.extend(self.permissions.as_ref().map(|permissions| ("permissions".to_owned(), text(permissions))));
        row.extend(self.next.iter().flat_map(|next| {
            [("next_secret", &next.secret), ("next_hash", &next.secret_hash)]
                .map(|(name, value)| (name.to_owned(), text(value)))
        }));
        row.extend(self.expires.map(|at| ("expires".to_owned(), number(at.as_secs()))));
        row.extend(self.breaker.open_until.map(|at| ("open_until".to_owned(), number(at.as_millis()))));
        if let Some(client) = &self.client {
            let texts = [
                ("oauth_client_id", client.id.as_str()),
                ("client_name", &client.name),
                ("client_version", client.version.as_deref().unwrap_or_default()),
                ("client_platform", client.platform.as_deref().unwrap_or_default()),
                ("instance", &client.instance),
            ];
            let some = texts.into_iter().filter(|(_, value)| !value.is_empty());
            row.extend(some.map(|(name, value)| (name.to_owned(), text(value))));
            row.extend(client.last_accessed.map(|at| ("last_accessed".to_owned(), number(at.as_millis()))));
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let owned = |name: &str| row.text(name).map(str::to_owned);
        let or_empty = |name: &str| Ok::<_, StoreError>(row.optional_text(name)?.unwrap_or_default().to_owned());
        let flag = |name: &str| Ok::<_, StoreError>(row.optional_number(name)? == Some(1));
        let failures = row.optional_number("failures")?.unwrap_or_default();
        Ok(Self {
            peer: PeerId::parse(row.text("peer")?).map_err(|error| row.corrupt(format!("`peer`: {error}")))?,
            base_uri: or_empty("base_uri")?,
            kind: or_empty("kind")?,
            relationship: owned("relationship")?,
            agreed: owned("agreed")?,
            desc: or_empty("desc")?,
            approved: flag("approved")?,
            peer_approved: flag("peer_approved")?,
            verified: flag("verified")?,
            verification_token: or_empty("verification_token")?,
            secret: or_empty("secret")?,
            secret_hash: or_empty("secret_hash")?,
            next: match (row.optional_text("next_secret")?, row.optional_text("next_hash")?) {
                (Some(secret), Some(hash)) => {
                    Some(NextSecret { secret: secret.to_owned(), secret_hash: hash.to_owned() })
                }
                _ => None,
            },
            established_via: owned("established_via")?,
            created_at: row.timestamp("created_at")?,
            permissions: row.optional_text("permissions")?.map(str::to_owned),
            initiated: flag("initiated")?,
            expires: row.optional_number("expires")?.map(|secs| Timestamp::from_millis(secs.saturating_mul(1000))),
            breaker: Breaker {
                failures: u32::try_from(failures).unwrap_or_default(),
                open_until: row.optional_number("open_until")?.map(Timestamp::from_millis),
            },
            client: match row.optional_text("instance")? {
                None => None,
                Some(instance) => Some(TrustedClient {
                    id: owned("oauth_client_id")?,
                    name: or_empty("client_name")?,
                    version: row.optional_text("client_version")?.map(str::to_owned),
                    platform: row.optional_text("client_platform")?.map(str::to_owned),
                    last_accessed: row.optional_number("last_accessed")?.map(Timestamp::from_millis),
                    instance: instance.to_owned(),
                }),
            },
            version: owned("version")?,
        })
    }
}

impl Store {
    /// The relationship with a peer, strongly consistent: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trust(&self, actor: &ActorId, peer: &PeerId) -> Result<Option<TrustRecord>, StoreError> {
        let items = self.batch_get(vec![trust_key(actor, peer)]).await?;
        self.live_trusts(&items).map(|trusts| trusts.into_iter().next())
    }

    /// The relationships with several peers (at most 100, no duplicates): one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trusts_with(&self, actor: &ActorId, peers: &[&PeerId]) -> Result<Vec<TrustRecord>, StoreError> {
        let items = self.batch_get(peers.iter().map(|peer| trust_key(actor, peer)).collect()).await?;
        self.live_trusts(&items)
    }

    /// All relationships, in the order of the peers' ids: one call per MB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trusts(&self, actor: &ActorId) -> Result<Vec<TrustRecord>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), keys::TRUST, None);
        while let Some(items) = pages.next().await? {
            found.extend(self.live_trusts(&items)?);
        }
        Ok(found)
    }

    /// Notes that a client came for tokens, in this very relationship with it: one call. The relationship's version stays,
    /// so that nobody who decides about it is in the way. Where it ended, nothing is written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stamp_client(
        &self,
        actor: &ActorId,
        peer: &PeerId,
        instance: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let same = Condition::new("instance = :instance", [(":instance", text(instance))]);
        let values = [(":at".to_owned(), number(at.as_millis()))].into_iter().collect();
        let stamp = self.update_part(trust_key(actor, peer), "SET last_accessed = :at", values, Some(same))?;
        // Whatever it is by now, it is not what came for tokens.
        self.unguarded().transact(vec![stamp]).await.map(drop)
    }

    fn live_trusts(&self, items: &[Item]) -> Result<Vec<TrustRecord>, StoreError> {
        let mut live = Vec::with_capacity(items.len());
        for found in items {
            let row = Row::read(found)?;
            if !row.expired(self.now())? {
                live.push(TrustRecord::from_row(&row)?);
            }
        }
        Ok(live)
    }

    /// The requests of peers that wait for this side's answer: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pending_trusts(&self, actor: &ActorId) -> Result<PendingTrusts, StoreError> {
        let mut pending = PendingTrusts::default();
        let mut pages = self.pages(&keys::actor(actor), keys::PENDING, None);
        while let Some(items) = pages.next().await? {
            for found in &items {
                let row = Row::read(found)?;
                if row.expired(self.now())? {
                    continue;
                }
                let secs = row.optional_number("expires")?.unwrap_or_default();
                let expires = Timestamp::from_millis(secs.saturating_mul(1000));
                pending.count += 1;
                pending.first_expires = Some(pending.first_expires.map_or(expires, |first| first.min(expires)));
            }
        }
        Ok(pending)
    }

    /// Writes a relationship where what was seen still stands (nothing, for `None`), together with the meaning of its
    /// secret and what the peer is to be told. The meaning of a secret that it replaces ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_trust(
        &self,
        actor: &ActorId,
        seen: Option<&TrustRecord>,
        record: TrustRecord,
        notices: &[Notice],
    ) -> Result<TrustOutcome, StoreError> {
        let written = self.write_trust(actor, seen, record, notices, Vec::new()).await?;
        written.map_err(|at| refused("TransactWriteItems", format!("nothing stands at {at}")))
    }

    /// [`Store::put_trust`] together with whatever else; the position of what else did not find its condition to hold, if
    /// that is why nothing was written.
    pub(crate) async fn write_trust(
        &self,
        actor: &ActorId,
        seen: Option<&TrustRecord>,
        mut record: TrustRecord,
        notices: &[Notice],
        also: Vec<TransactWriteItem>,
    ) -> Result<Result<TrustOutcome, usize>, StoreError> {
        let pk = keys::actor(actor);
        let now = self.now();
        record.version = self.nonce();
        let condition = match seen {
            Some(seen) => Condition::new("version = :seen", [(":seen", text(&seen.version))]),
            None => Condition::new("attribute_not_exists(pk) OR expires <= :now", [(":now", number(now.as_secs()))]),
        };
        let mut writes = vec![self.put_part(record.item(actor), Some(condition))?];
        for hash in record.hashes() {
            let own_secret = Condition::new(
                "attribute_not_exists(pk) OR peer = :peer OR expires <= :now",
                [(":peer", text(record.peer.as_str())), (":now", number(now.as_secs()))],
            );
            writes.push(self.put_part(credential_item(actor, &record, hash), Some(own_secret))?);
        }
        let secrets = writes.len();
        if let Some(seen) = seen {
            for hash in seen.hashes().filter(|old| !record.hashes().any(|hash| hash == *old)) {
                writes.push(self.delete_part(item::key(&pk, &keys::credential(hash)), None)?);
            }
        }
        if let Some(expires) = record.expires {
            let mut pending = item::new(&pk, &keys::pending(&record.peer));
            pending.insert("expires".to_owned(), number(expires.as_secs()));
            writes.push(self.put_part(pending, None)?);
        } else if seen.is_some_and(|seen| seen.expires.is_some()) {
            writes.push(self.delete_part(item::key(&pk, &keys::pending(&record.peer)), None)?);
        }
        if seen.is_none() {
            writes.push(self.open_log_part(actor)?);
        }
        // A log is never opened of a deleted actor. Nobody waits for this but those who open the log as well.
        let lives = writes.len();
        if seen.is_none() {
            writes.push(self.check_part(actor_key(actor), Condition::new("attribute_exists(creator)", []))?);
        }
        // One that begins anew begins without what belonged to the old one, which nothing would lead to if the new one
        // is never approved.
        if record.expires.is_some() && seen.is_some_and(|seen| seen.expires.is_none()) {
            let work = DueWork::ForgetPeer { peer: record.peer.clone(), before: now };
            writes.push(self.put_part(DueJob::new(actor, now, &self.nonce(), work).item(), None)?);
        }
        for notice in notices {
            writes.push(self.notice_part(actor, notice)?);
        }
        let others = writes.len();
        writes.extend(also);
        match self.unguarded().transact(writes).await? {
            Ok(()) => Ok(Ok(TrustOutcome::Written(Box::new(record)))),
            Err(Cancelled(reasons)) => {
                let failed = |(code, _): &(String, Option<Item>)| code == "ConditionalCheckFailed";
                match reasons.iter().position(failed) {
                    Some(0) => Ok(Ok(TrustOutcome::Stale)),
                    Some(at) if at < secrets => Ok(Ok(TrustOutcome::SecretTaken)),
                    Some(at) if at >= others => Ok(Err(at - others)),
                    Some(at) if at == lives && seen.is_none() => Err(StoreError::Gone),
                    _ => Err(refused("TransactWriteItems", reasons)),
                }
            }
        }
    }

    /// Ends a relationship that is still as it was seen, at once: the peer's secret means nothing from here on. What
    /// belongs to the peer (its subscriptions, what was received from it) is removed by a job. False when the
    /// relationship changed meanwhile; nothing happened then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_trust(
        &self,
        actor: &ActorId,
        seen: &TrustRecord,
        notices: &[Notice],
    ) -> Result<bool, StoreError> {
        let pk = keys::actor(actor);
        let now = self.now();
        let work = DueWork::ForgetPeer { peer: seen.peer.clone(), before: now };
        let job = DueJob::new(actor, now, &self.nonce(), work);
        let unchanged = Condition::new("version = :seen", [(":seen", text(&seen.version))]);
        let mut writes =
            vec![self.delete_part(trust_key(actor, &seen.peer), Some(unchanged))?, self.put_part(job.item(), None)?];
        for hash in seen.hashes() {
            writes.push(self.delete_part(item::key(&pk, &keys::credential(hash)), None)?);
        }
        if seen.expires.is_some() {
            writes.push(self.delete_part(item::key(&pk, &keys::pending(&seen.peer)), None)?);
        }
        for notice in notices {
            writes.push(self.notice_part(actor, notice)?);
        }
        match self.transact(writes).await? {
            Ok(()) => Ok(true),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(false)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Removes what belongs to a peer whose relationship ended at `before`: its subscriptions, those to it and what they
    /// told, its schedules and tasks. May be repeated, and resumed by anyone.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed by then stays removed.
    pub async fn forget_peer(&self, actor: &ActorId, peer: &PeerId, before: Timestamp) -> Result<(), StoreError> {
        for subscription in self.subscriptions(actor, Some(peer)).await? {
            if subscription.created_at <= before {
                self.unsubscribe(actor, &subscription, None).await?;
            }
        }
        self.forget_client(actor, peer).await?;
        self.forget_facts(actor, peer).await?;
        let asked_by = TaskCaller::Peer(peer.to_string());
        self.forget_schedules(actor, &asked_by, before).await?;
        self.forget_tasks(actor, &asked_by, before).await?;
        self.end_feeds(actor, Some(peer), before).await
    }
}

pub(crate) fn trust_key(actor: &ActorId, peer: &PeerId) -> Item {
    item::key(&keys::actor(actor), &keys::trust(peer))
}

fn credential_item(actor: &ActorId, record: &TrustRecord, secret_hash: &str) -> Item {
    let mut row = record.credential().item(actor, secret_hash);
    row.extend(record.expires.map(|at| ("expires".to_owned(), number(at.as_secs()))));
    row
}
