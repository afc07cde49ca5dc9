//! Who signs in by the word of a provider, and whose actor that is.
//!
//! Issuer and subject together are an identity; an e-mail address is something known of it. An actor may have several
//! identities. Another identity with the same address is never given the actor by that: it is connected by whoever is
//! signed in to it.

use actingweb_protocol::{ActorId, Creator, CreatorError, Deadline, Purpose, random_hex};
use actingweb_store::{IdentityOutcome, IdentityRecord, LinkOutcome, LogView, NewActor, Store, UnlinkOutcome, Wanted};
use tokio::time::Instant;

use crate::{Actor, ActorError, Actors};

/// Somebody who proved to be who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The digest of issuer and subject.
    pub digest: String,
    /// The provider's name in this deployment.
    pub provider: String,
    /// Who says so.
    pub issuer: String,
    /// The issuer's name of the user.
    pub subject: String,
    /// A verified e-mail address in lower case.
    pub email: Option<String>,
    /// A name for people to read.
    pub name: Option<String>,
}

/// Whose actor an identity leads to.
#[derive(Debug)]
pub enum Identified {
    /// This actor.
    Actor {
        /// The actor.
        actor: Actor,
        /// Whether this call made it: nobody else can have used it yet.
        is_new: bool,
        /// Whether the caller is to tell hooks that it was made, and to note that it did: [`Actors::welcomed`]. So it is
        /// with an actor that this call made, and with one whose maker got no further.
        is_untold: bool,
    },
    /// None, and none was to be made.
    Unknown,
    /// None, since another identity with the same address has an actor. Whoever is signed in there may connect this
    /// identity.
    AddressTaken,
}

/// What an identity without an actor gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whether one is made for it.
    pub may_create: bool,
    /// Whether there are hooks to be told of it.
    pub tells_hooks: bool,
}

/// How connecting an identity ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is the actor's.
    Yes,
    /// It is another actor's.
    Taken,
    /// There is no such actor any more.
    Gone,
}

impl Actors {
    /// The actor of an identity, made if there is none and `entry` says so: two calls to storage, a third for a known one
    /// of which hooks are still to be told.
    ///
    /// The creator of a new actor is the address, or `provider/subject` without one, or where that name is taken. It has a
    /// passphrase that nobody knows.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn identified(
        &self,
        identity: &Identity,
        entry: Entry,
        deadline: Deadline,
    ) -> Result<Identified, ActorError> {
        let store = self.store().with_deadline(deadline);
        let mut gone: Vec<ActorId> = Vec::new();
        // By then this request is over, whatever becomes of it.
        let now = self.parts().clock.now();
        let welcome_by = now.plus(deadline.remaining(Instant::now().into_std()));
        if let Some(owner) = store.identity_owner(&identity.digest).await? {
            match self.alive(&store, &owner.actor).await? {
                Some(actor) => {
                    let late = owner.welcome_by.filter(|until| entry.tells_hooks && *until <= now);
                    let is_untold = match late {
                        // Whoever made it got no further.
                        Some(seen) => store.take_welcome(&identity.digest, seen, welcome_by).await?,
                        None => false,
                    };
                    return Ok(Identified::Actor { actor, is_new: false, is_untold });
                }
                None => gone.push(owner.actor),
            }
        }
        if !entry.may_create {
            return Ok(Identified::Unknown);
        }
        let parts = self.parts();
        // Where creators are unique a name may be another's, who need not have proved that the address is theirs: whoever
        // did is neither kept out by that nor let in there, but called something else.
        let mut taken_names = 0;
        let record = self.identity_record(identity);
        loop {
            let id = ActorId::generate(&parts.base_url, &*parts.entropy);
            let passphrase = random_hex(&*parts.entropy, 20);
            let creator =
                creator_of(identity, &id, taken_names).map_err(|error| ActorError::Invalid(error.to_string()))?;
            let new = NewActor {
                passphrase_hash: parts.keys.hash(Purpose::Passphrase, id.as_str(), &passphrase),
                id,
                creator,
                trustee_root: None,
                unique_creator: self.unique_creator(),
            };
            let began = Instant::now();
            let noted = entry.tells_hooks.then_some(welcome_by);
            let taken = match store.create_identified(new, &record, &gone, noted).await? {
                IdentityOutcome::Created(record) => {
                    let actor = Actor::new(record, store).knowing(LogView::read(None, began), began);
                    return Ok(Identified::Actor { actor, is_new: true, is_untold: entry.tells_hooks });
                }
                // Made by another sign-in of the same person, a moment ago.
                IdentityOutcome::Known(owner) => match self.alive(&store, &owner).await? {
                    Some(actor) => return Ok(Identified::Actor { actor, is_new: false, is_untold: false }),
                    None => owner,
                },
                IdentityOutcome::EmailTaken(owner) => match self.alive(&store, &owner).await? {
                    Some(_) => return Ok(Identified::AddressTaken),
                    None => owner,
                },
                IdentityOutcome::CreatorTaken(owner) if taken_names > 1 => owner,
                IdentityOutcome::CreatorTaken(_) => {
                    taken_names += 1;
                    continue;
                }
            };
            if gone.contains(&taken) || gone.len() > 1 {
                return Err(ActorError::Conflict("this identity changes hands at the moment: try again".to_owned()));
            }
            gone.push(taken);
        }
    }

    /// Notes that hooks were told of the new actor of an identity: one call. Until then, and once the request that made it
    /// is over, the next sign-in tells them.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn welcomed(&self, identity: &str, actor: &Actor, deadline: Deadline) -> Result<(), ActorError> {
        Ok(self.store().with_deadline(deadline).end_welcome(identity, actor.id()).await?)
    }

    /// Connects an identity with an actor that its owner is signed in to.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn link(&self, actor: &ActorId, identity: &Identity, deadline: Deadline) -> Result<Linked, ActorError> {
        let store = self.store().with_deadline(deadline);
        let record = self.identity_record(identity);
        match store.link_identity(actor, &record, &[]).await? {
            LinkOutcome::Linked => Ok(Linked::Yes),
            LinkOutcome::Gone => Ok(Linked::Gone),
            LinkOutcome::Taken(owner) => match self.alive(&store, &owner).await? {
                Some(_) => Ok(Linked::Taken),
                None => Ok(match store.link_identity(actor, &record, &[owner]).await? {
                    LinkOutcome::Linked => Linked::Yes,
                    LinkOutcome::Taken(_) => Linked::Taken,
                    LinkOutcome::Gone => Linked::Gone,
                }),
            },
        }
    }

    async fn alive(&self, store: &Store, id: &ActorId) -> Result<Option<Actor>, ActorError> {
        let seen = Instant::now();
        let found = store.load(id, Wanted::default()).await?;
        Ok(found.actor.map(|record| Actor::new(record, store.clone()).seen_at(seen)))
    }

    fn identity_record(&self, identity: &Identity) -> IdentityRecord {
        IdentityRecord {
            digest: identity.digest.clone(),
            provider: identity.provider.clone(),
            issuer: identity.issuer.clone(),
            subject: identity.subject.clone(),
            email: identity.email.clone(),
            name: identity.name.clone(),
            linked_at: self.parts().clock.now(),
        }
    }
}

/// What the creator of an identity's actor is called: the first of what creators may be called, but for as many as are
/// others' already. The address comes first, then the provider's name of them; nobody else can have the last, which is made
/// of the new actor's id.
fn creator_of(identity: &Identity, id: &ActorId, taken: usize) -> Result<Creator, CreatorError> {
    let named = |name: &str| format!("{}/{name}", identity.provider);
    let names = [identity.email.clone(), Some(named(&identity.subject)), Some(named(id.as_str()))];
    let mut good = names.into_iter().flatten().map(|name| Creator::normalise(&name)).filter(Result::is_ok);
    good.nth(taken).unwrap_or_else(|| Creator::normalise(&named(id.as_str())))
}

impl Actor {
    /// The identities that may sign in to this actor, the one that was connected first before the others.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn identities(&self) -> Result<Vec<IdentityRecord>, ActorError> {
        let mut found = self.store().identities(self.id()).await?;
        found.sort_by_key(|identity| identity.linked_at);
        Ok(found)
    }

    /// Takes an identity away: it no longer signs in to this actor. Sessions that it began are not concerned. The last one
    /// that `leads_in`, whose provider the deployment has, stays unless `may_be_last` says that there is another way in:
    /// nobody may know the passphrase.
    ///
    /// # Errors
    /// [`ActorError`].
    pub async fn unlink(
        &self,
        identity: &str,
        may_be_last: bool,
        leads_in: impl Fn(&IdentityRecord) -> bool,
    ) -> Result<UnlinkOutcome, ActorError> {
        Ok(self.store().unlink_identity(self.id(), identity, may_be_last, leads_in).await?)
    }
}
