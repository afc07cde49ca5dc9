//! What either side decides about a relationship that exists.

use actingweb_protocol::permission::PermissionOverride;
use actingweb_store::{Notice, TrustOutcome, TrustRecord};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::{TrustError, TrustStep, Trusted, Trusts, check_text, read_override};
use crate::{Actor, ActorError};

/// How many relationships of a deleted actor are ended at once.
const CONCURRENT_ENDS: usize = 8;

/// How often a change is tried again that others came before.
const ROUNDS: usize = 8;

/// What this side changes about a relationship; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustChange {
    /// Whether it approves.
    pub approved: Option<bool>,
    /// Where the peer is now.
    pub base_uri: Option<String>,
    /// What it is for, for people.
    pub desc: Option<String>,
    /// Another relationship.
    pub relationship: Option<String>,
    /// Changes to the override of what it permits, as the body of a PUT.
    pub permissions: Option<Value>,
}

/// What a write of a relationship becomes; `None` when there is nothing to change.
pub(super) type Decision = Result<Option<(TrustRecord, Vec<Notice>)>, TrustError>;

impl Trusts {
    /// Decides about a relationship and writes what was decided, again if others wrote first. Gives what was there, and
    /// what is there now.
    pub(super) async fn update(
        &self,
        actor: &Actor,
        mut seen: TrustRecord,
        decide: impl Fn(&TrustRecord) -> Decision,
    ) -> Result<(TrustRecord, TrustRecord), TrustError> {
        for _ in 0..ROUNDS {
            let Some((changed, notices)) = decide(&seen)? else { return Ok((seen.clone(), seen)) };
            match actor.store().put_trust(actor.id(), Some(&seen), changed, &notices).await? {
                TrustOutcome::Written(now) => return Ok((seen, *now)),
                TrustOutcome::Stale => {
                    let now = actor.store().trust(actor.id(), &seen.peer).await?;
                    seen = now.ok_or(TrustError::Missing)?;
                }
                TrustOutcome::SecretTaken => {
                    return Err(TrustError::Forbidden("this secret belongs to another relationship".to_owned()));
                }
            }
        }
        Err(TrustError::Conflict("the relationship kept changing at the same time: try again".to_owned()))
    }

    /// Changes a relationship as this side decides. The peer is told of a decision, and of rights that change.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn change(&self, actor: &Actor, seen: TrustRecord, change: &TrustChange) -> Result<Trusted, TrustError> {
        if change.base_uri.is_some() && !seen.is_reachable() {
            return Err(TrustError::Invalid("a client of OAuth has no `baseuri`: it cannot be called".to_owned()));
        }
        let base_uri = change.base_uri.as_deref().map(|url| self.check_base("baseuri", url)).transpose()?;
        if let Some(relationship) = &change.relationship {
            self.check_relationship(relationship)?;
        }
        if let Some(desc) = &change.desc {
            check_text("desc", desc)?;
        }
        let decide = |seen: &TrustRecord| {
            let mut new = seen.clone();
            if let Some((_, base_uri)) = &base_uri {
                // Nobody proved anything about another place.
                new.verified &= new.base_uri == *base_uri;
                new.base_uri.clone_from(base_uri);
            }
            if let Some(desc) = &change.desc {
                new.desc.clone_from(desc);
            }
            if let Some(relationship) = &change.relationship {
                new.relationship.clone_from(relationship);
            }
            if let Some(body) = &change.permissions {
                new.permissions = Some(updated(seen, body)?);
            }
            if let Some(approved) = change.approved {
                new.approved = approved;
                // A decision was made: it no longer waits for one.
                new.expires = None;
            }
            if new == *seen {
                return Ok(None);
            }
            let answers = seen.approved != new.approved || seen.expires != new.expires;
            let answer = change.approved.filter(|_| answers);
            let mut notices: Vec<_> =
                answer.and_then(|approved| self.tell_decision(actor.id(), &new, approved)).into_iter().collect();
            let granted = (seen.approved, &seen.relationship, &seen.permissions);
            let grants = (new.approved, &new.relationship, &new.permissions);
            // An approval by itself says that the relationship's own rights are there.
            if granted != grants && (seen.approved || new.permissions.is_some() || new.relationship != new.agreed) {
                notices.extend(self.tell_permissions(actor.id(), &new)?);
            }
            Ok(Some((new, notices)))
        };
        let (before, trust) = self.update(actor, seen, decide).await?;
        let fully = trust.approved && trust.peer_approved && !before.approved;
        Ok(Trusted { trust, steps: fully.then_some(TrustStep::FullyApprovedLocal).into_iter().collect() })
    }

    /// Notes what the peer says of its own approval.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn peer_decided(&self, actor: &Actor, seen: TrustRecord, approved: bool) -> Result<Trusted, TrustError> {
        let decide = |seen: &TrustRecord| {
            let new = TrustRecord { peer_approved: approved, ..seen.clone() };
            Ok((seen.peer_approved != approved).then_some((new, Vec::new())))
        };
        let (before, trust) = self.update(actor, seen, decide).await?;
        let fully = trust.approved && trust.peer_approved && !before.peer_approved;
        Ok(Trusted { trust, steps: fully.then_some(TrustStep::FullyApprovedRemote).into_iter().collect() })
    }

    /// Ends a relationship, at once; `tell` owes the peer the news.
    ///
    /// # Errors
    /// [`TrustError::Missing`] when it ended meanwhile; storage errors.
    pub async fn end(&self, actor: &Actor, mut seen: TrustRecord, tell: bool) -> Result<Trusted, TrustError> {
        for _ in 0..ROUNDS {
            let notice = self.tell_end(actor.id(), &seen).filter(|_| tell);
            if actor.store().delete_trust(actor.id(), &seen, notice.as_slice()).await? {
                return Ok(Trusted { trust: seen, steps: vec![TrustStep::Deleted] });
            }
            seen = actor.store().trust(actor.id(), &seen.peer).await?.ok_or(TrustError::Missing)?;
        }
        Err(TrustError::Conflict("the relationship kept changing at the same time: try again".to_owned()))
    }

    /// Ends all relationships of an actor that is deleted, and owes each peer the news. False when there were none.
    ///
    /// # Errors
    /// Storage errors; relationships that were ended by then stay ended.
    pub async fn leave(&self, actor: &Actor) -> Result<bool, ActorError> {
        let trusts = self.all(actor).await?;
        let ends = trusts.iter().map(|trust| self.end(actor, trust.clone(), true));
        let ends: Vec<_> = ends.collect();
        let ended: Vec<_> = stream::iter(ends).buffer_unordered(CONCURRENT_ENDS).collect().await;
        for result in ended {
            // Any other that could not be ended was ended by its peer at the same time, or goes with the actor.
            if let Err(TrustError::Actor(error)) = result {
                return Err(error);
            }
        }
        Ok(!trusts.is_empty())
    }

    /// Changes the override of what a relationship permits by the body of a PUT. True when there was none before.
    ///
    /// # Errors
    /// [`TrustError::Invalid`] with the place of a fault.
    pub async fn put_permissions(&self, actor: &Actor, seen: TrustRecord, body: &Value) -> Result<bool, TrustError> {
        let decide = |seen: &TrustRecord| {
            let new = TrustRecord { permissions: Some(updated(seen, body)?), ..seen.clone() };
            let notices = self.tell_permissions(actor.id(), &new)?.into_iter().collect();
            Ok(Some((new, notices)))
        };
        let (before, _) = self.update(actor, seen, decide).await?;
        Ok(before.permissions.is_none())
    }

    /// Deletes the override of what a relationship permits; its type's rights are what is left.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn delete_permissions(&self, actor: &Actor, seen: TrustRecord) -> Result<(), TrustError> {
        let decide = |seen: &TrustRecord| {
            if seen.permissions.is_none() {
                return Ok(None);
            }
            let new = TrustRecord { permissions: None, ..seen.clone() };
            let notices = self.tell_permissions(actor.id(), &new)?.into_iter().collect();
            Ok(Some((new, notices)))
        };
        self.update(actor, seen, decide).await.map(|_| ())
    }
}

/// The override with the body of a PUT, as text.
fn updated(seen: &TrustRecord, body: &Value) -> Result<String, TrustError> {
    // One that cannot be read is replaced rather than kept for ever.
    let current = read_override(seen).ok().flatten().unwrap_or_default();
    let updated: PermissionOverride = current.updated(body).map_err(|error| TrustError::Invalid(error.to_string()))?;
    Ok(Value::from(updated).to_string())
}
