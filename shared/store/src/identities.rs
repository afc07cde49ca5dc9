//! Identities: who signs in, by the word of a provider, and whose actor that is.
//!
//! An identity is found by a digest of issuer and subject, in a row of its own; the actor has a row for each of its
//! identities. A verified e-mail address leads to one actor, too, so that whoever comes by another provider is told to
//! connect it rather than given a second actor; it lets nobody in. All of it is written in one transaction.

use actingweb_protocol::{ActorId, Timestamp, sha256_hex};
use aws_sdk_dynamodb::types::TransactWriteItem;

use crate::actors::actor_id;
use crate::item::{Item, Row, number, text};
use crate::lookups::FOUND_BY;
use crate::store::{Cancelled, refused};
use crate::transaction::Condition;
use crate::{ActorRecord, NewActor, Store, StoreError, item, keys};

/// Until when whoever made an actor tells hooks of it; absent once they were told.
const WELCOME_BY: &str = "welcome_by";

/// An identity, as an actor has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The digest of issuer and subject that it is found by.
    pub digest: String,
    /// The provider's name in this deployment when it was connected.
    pub provider: String,
    /// Who says so.
    pub issuer: String,
    /// The issuer's name of the user.
    pub subject: String,
    /// The verified e-mail address it came with.
    pub email: Option<String>,
    /// The name it came with.
    pub name: Option<String>,
    /// When it was connected.
    pub linked_at: Timestamp,
}

/// Whose identity it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityOwner {
    /// The actor, which may have been deleted since.
    pub actor: ActorId,
    /// Where hooks have not been told of the actor yet: until then whoever made it does so. After that it died on the way.
    pub welcome_by: Option<Timestamp>,
}

/// How the creation of an actor for an identity ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityOutcome {
    /// The actor exists now, and the identity is its.
    Created(ActorRecord),
    /// The identity has an actor.
    Known(ActorId),
    /// The address has another identity's actor.
    EmailTaken(ActorId),
    /// This creator has an actor already, and may have only one.
    CreatorTaken(ActorId),
}

/// How connecting an identity with an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutcome {
    /// It is the actor's.
    Linked,
    /// It is another actor's.
    Taken(ActorId),
    /// There is no such actor any more.
    Gone,
}

/// How taking an identity away from an actor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlinkOutcome {
    /// It no longer signs in.
    Removed,
    /// It is not the actor's.
    Unknown,
    /// It is the actor's last one, and stays.
    Last,
}

/// How often taking an identity away is tried again that other changes came before.
const UNLINK_ROUNDS: usize = 8;

impl IdentityRecord {
    fn item(&self, actor: &ActorId, address_row: bool) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::identity_of(&self.digest));
        let mut put = |name: &str, value: &str| row.insert(name.to_owned(), text(value));
        put("provider", &self.provider);
        put("issuer", &self.issuer);
        put("subject", &self.subject);
        if let Some(email) = &self.email {
            put("email", email);
            if address_row {
                put(FOUND_BY, &keys::email(&sha256_hex(email)));
            }
        }
        if let Some(name) = &self.name {
            put("name", name);
        }
        row.insert("linked_at".to_owned(), number(self.linked_at.as_millis()));
        row
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let optional = |name: &str| Ok::<_, StoreError>(row.optional_text(name)?.map(str::to_owned));
        let digest = row.text("sk")?.strip_prefix(keys::IDENTITIES).unwrap_or_default().to_owned();
        Ok(Self {
            digest,
            provider: row.text("provider")?.to_owned(),
            issuer: row.text("issuer")?.to_owned(),
            subject: row.text("subject")?.to_owned(),
            email: optional("email")?,
            name: optional("name")?,
            linked_at: row.timestamp("linked_at")?,
        })
    }
}

impl Store {
    /// Whose identity this is: one strongly consistent call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identity_owner(&self, digest: &str) -> Result<Option<IdentityOwner>, StoreError> {
        let found = self.batch_get(vec![identity_key(digest)]).await?;
        let owner = |found: &Item| {
            let row = Row::read(found)?;
            let welcome_by = row.optional_number(WELCOME_BY)?.map(Timestamp::from_millis);
            Ok(IdentityOwner { actor: actor_id(&row, "actor")?, welcome_by })
        };
        found.first().map(owner).transpose()
    }

    /// Takes over the telling of hooks from whoever had until `seen`, until `until`: one call. False when somebody else did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_welcome(&self, digest: &str, seen: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let condition = Condition::new("welcome_by = :seen", [(":seen", number(seen.as_millis()))]);
        self.note_welcome(digest, "SET welcome_by = :until", condition, Some(until)).await
    }

    /// Notes that hooks were told of the actor that an identity made: one call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_welcome(&self, digest: &str, actor: &ActorId) -> Result<(), StoreError> {
        let condition = Condition::new("actor = :actor", [(":actor", text(actor.as_str()))]);
        // Another actor's by now: not ours to change.
        self.note_welcome(digest, "REMOVE welcome_by", condition, None).await.map(drop)
    }

    async fn note_welcome(
        &self,
        digest: &str,
        change: &str,
        condition: Condition,
        until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let values = until.map(|until| (":until".to_owned(), number(until.as_millis()))).into_iter().collect();
        let part = self.update_part(identity_key(digest), change, values, Some(condition))?;
        Ok(self.transact(vec![part]).await?.is_ok())
    }

    /// The identities of an actor, in the order of their digests.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identities(&self, actor: &ActorId) -> Result<Vec<IdentityRecord>, StoreError> {
        Ok(self.connected(actor).await?.into_iter().map(|(identity, _)| identity).collect())
    }

    /// Creates an actor for an identity that has none, in one call. `gone` are actors that no longer exist, whose rows the
    /// worker has not removed yet: what leads to them counts as nothing. Where hooks are to be told of it, whoever calls this
    /// does so until `welcome_by`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_identified(
        &self,
        new: NewActor,
        identity: &IdentityRecord,
        gone: &[ActorId],
        welcome_by: Option<Timestamp>,
    ) -> Result<IdentityOutcome, StoreError> {
        let (record, mut writes) = self.creation(new)?;
        let mut own = identity_key(&identity.digest);
        own.extend(welcome_by.map(|until| (WELCOME_BY.to_owned(), number(until.as_millis()))));
        writes.push(self.lead(own, &record.id, gone)?);
        writes.push(self.put_part(identity.item(&record.id, true), None)?);
        if let Some(email) = &identity.email {
            writes.push(self.lead(email_key(email), &record.id, gone)?);
        }
        let Err(Cancelled(reasons)) = self.transact(writes).await? else {
            return Ok(IdentityOutcome::Created(record));
        };
        let taken = |at: usize| match reasons.get(at) {
            Some((_, Some(row))) => actor_id(&Row::read(row)?, "actor").map(Some),
            _ => Ok(None),
        };
        match (taken(2)?, taken(4)?, taken(1)?) {
            (Some(actor), _, _) => Ok(IdentityOutcome::Known(actor)),
            (_, Some(actor), _) => Ok(IdentityOutcome::EmailTaken(actor)),
            (_, _, Some(actor)) => Ok(IdentityOutcome::CreatorTaken(actor)),
            _ => Err(refused("TransactWriteItems", reasons)),
        }
    }

    /// Connects an identity with an actor, together with its address if that leads nowhere yet: one call, two when it does.
    /// One that the actor has stays as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_identity(
        &self,
        actor: &ActorId,
        identity: &IdentityRecord,
        gone: &[ActorId],
    ) -> Result<LinkOutcome, StoreError> {
        let mut with_address = identity.email.is_some();
        loop {
            let alive = Condition::new("attribute_exists(pk) AND attribute_not_exists(deleted_at)", []);
            let mut writes = vec![
                self.check_part(crate::actors::actor_key(actor), alive)?,
                self.lead(identity_key(&identity.digest), actor, gone)?,
                self.put_part(identity.item(actor, with_address), None)?,
            ];
            if let Some(email) = identity.email.as_ref().filter(|_| with_address) {
                writes.push(self.lead(email_key(email), actor, &[gone, std::slice::from_ref(actor)].concat())?);
            }
            let Err(Cancelled(reasons)) = self.transact(writes).await? else { return Ok(LinkOutcome::Linked) };
            let failed = |at: usize| reasons.get(at).filter(|(code, _)| code == "ConditionalCheckFailed");
            return match (failed(0), failed(1), failed(3)) {
                (Some(_), _, _) => Ok(LinkOutcome::Gone),
                (_, Some((_, Some(row))), _) => Ok(match actor_id(&Row::read(row)?, "actor")? {
                    owner if owner == *actor => LinkOutcome::Linked,
                    owner => LinkOutcome::Taken(owner),
                }),
                // The address leads to somebody else: the identity itself was proved, so it is connected without it.
                (None, None, Some(_)) if with_address => {
                    with_address = false;
                    continue;
                }
                _ => Err(refused("TransactWriteItems", reasons)),
            };
        }
    }

    /// Takes an identity away from an actor, and what leads from it and its address to the actor: two calls. The last one
    /// that `leads_in` stays unless `may_be_last`, also where several are taken away at the same time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unlink_identity(
        &self,
        actor: &ActorId,
        digest: &str,
        may_be_last: bool,
        leads_in: impl Fn(&IdentityRecord) -> bool,
    ) -> Result<UnlinkOutcome, StoreError> {
        let partition = keys::actor(actor);
        let own = || Condition::new("attribute_not_exists(pk) OR actor = :actor", [(":actor", text(actor.as_str()))]);
        // What led to the actor once, and leads to another by now: not ours to remove.
        let (mut identity_is_ours, mut address_is_ours) = (true, true);
        // Each round is begun by another change to the same rows; there are as many identities as people connect.
        for _ in 0..UNLINK_ROUNDS {
            let connected = self.connected(actor).await?;
            let (goes, others): (Vec<_>, Vec<_>) = connected.into_iter().partition(|(it, _)| it.digest == digest);
            let Some((_, address)) = goes.into_iter().next() else { return Ok(UnlinkOutcome::Unknown) };
            let way_in = match others.iter().find(|(identity, _)| leads_in(identity)) {
                Some((identity, _)) => Some(identity).filter(|_| !may_be_last),
                None if may_be_last => None,
                None => return Ok(UnlinkOutcome::Last),
            };
            // Another identity with the same address still leads people here; while it is there, the address stays.
            let keeper = others.iter().find(|(_, other)| address.is_some() && *other == address);
            let keeper = keeper.map(|(identity, _)| identity);
            // None of them is named twice: DynamoDB takes one part for each item.
            let stay = way_in.into_iter().chain(keeper.filter(|keeper| Some(*keeper) != way_in));
            let row = |digest: &str| item::key(&partition, &keys::identity_of(digest));
            let mut writes = vec![self.delete_part(row(digest), Some(Condition::present()))?];
            for identity in stay {
                writes.push(self.check_part(row(&identity.digest), Condition::present())?);
            }
            let fixed = writes.len();
            if identity_is_ours {
                writes.push(self.delete_part(identity_key(digest), Some(own()))?);
            }
            let leads = address.filter(|_| keeper.is_none() && address_is_ours);
            if let Some(address) = &leads {
                writes.push(self.delete_part(item::key(address, keys::EMAIL), Some(own()))?);
            }
            let address_at = leads.is_some().then(|| writes.len() - 1);
            let Err(Cancelled(reasons)) = self.transact(writes).await? else { return Ok(UnlinkOutcome::Removed) };
            let failed = |at: usize| reasons.get(at).is_some_and(|(code, _)| code == "ConditionalCheckFailed");
            if !(0..reasons.len()).any(failed) {
                return Err(refused("TransactWriteItems", reasons));
            }
            identity_is_ours &= !(identity_is_ours && failed(fixed));
            address_is_ours &= !address_at.is_some_and(failed);
        }
        let reason = "identities of this actor kept changing".to_owned();
        Err(StoreError::Busy { reason, retry_after: std::time::Duration::from_secs(1) })
    }

    /// The identities of an actor, each with the partition of the address that it has the actor found by.
    async fn connected(&self, actor: &ActorId) -> Result<Vec<(IdentityRecord, Option<String>)>, StoreError> {
        let mut identities = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), keys::IDENTITIES, None);
        while let Some(items) = pages.next().await? {
            for found in &items {
                let row = Row::read(found)?;
                identities.push((IdentityRecord::from_row(&row)?, row.optional_text(FOUND_BY)?.map(str::to_owned)));
            }
        }
        Ok(identities)
    }

    /// Removes what leads from an identity, and from its address, to this actor.
    pub(crate) async fn release_identity(&self, actor: &ActorId, row: &Row<'_>) -> Result<(), StoreError> {
        let digest = row.text("sk")?.strip_prefix(keys::IDENTITIES).unwrap_or_default();
        let address = row.optional_text(FOUND_BY)?.map(|partition| item::key(partition, keys::EMAIL));
        for key in [Some(identity_key(digest)), address].into_iter().flatten() {
            let own = Condition::new("attribute_not_exists(pk) OR actor = :actor", [(":actor", text(actor.as_str()))]);
            match self.transact(vec![self.delete_part(key, Some(own))?]).await? {
                // Another actor's by now: not ours to remove.
                Ok(()) | Err(Cancelled(_)) => {}
            }
        }
        Ok(())
    }

    /// Leads to `actor` what leads nowhere, or to one of `gone`.
    fn lead(&self, key: Item, actor: &ActorId, gone: &[ActorId]) -> Result<TransactWriteItem, StoreError> {
        let mut row = key;
        row.insert("v".to_owned(), number(item::VERSION));
        row.insert("actor".to_owned(), text(actor.as_str()));
        // At most two are known to be gone: whom the identity and whom the address led to; and the actor itself.
        let condition = match gone {
            [] => Condition::absent(),
            [first] => Condition::new("attribute_not_exists(pk) OR actor = :a", [(":a", text(first.as_str()))]),
            [first, second] => Condition::new(
                "attribute_not_exists(pk) OR actor IN (:a, :b)",
                [(":a", text(first.as_str())), (":b", text(second.as_str()))],
            ),
            [first, second, third, ..] => Condition::new(
                "attribute_not_exists(pk) OR actor IN (:a, :b, :c)",
                [(":a", text(first.as_str())), (":b", text(second.as_str())), (":c", text(third.as_str()))],
            ),
        };
        self.put_part(row, Some(condition))
    }
}

pub(crate) fn identity_key(digest: &str) -> Item {
    item::key(&keys::identity(digest), keys::IDENTITY)
}

fn email_key(email: &str) -> Item {
    item::key(&keys::email(&sha256_hex(email)), keys::EMAIL)
}
