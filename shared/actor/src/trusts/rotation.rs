//! Another secret for a relationship that exists, with the peer's consent.
//!
//! The new secret is good beside the old one before the peer hears of it (`POST {"secret": ".."}` to the peer's own
//! row). A peer that takes it answers 200 `{"rotated": true}`; from then on it knows the new one alone, and this side
//! forgets the old one. Any other success means that the peer knows nothing of this, and the new secret is dropped.
//! When it stays unknown what the peer did, both stay good, and the next attempt finds out.

use actingweb_peer::PeerError;
use actingweb_protocol::sha256_hex;
use actingweb_store::{NextSecret, TrustRecord};
use http::StatusCode;
use serde_json::{Value, json};

use super::changes::Decision;
use super::{TrustError, Trusts, check_secret, failed};
use crate::Actor;

impl Trusts {
    /// Gives a relationship a new secret, if the peer takes it.
    ///
    /// # Errors
    /// [`TrustError::Conflict`] when the peer does not take new secrets, or one of the sides does not approve;
    /// [`TrustError::Peer`] when it could not be asked, and both secrets are good until the next attempt.
    pub async fn rotate(&self, actor: &Actor, seen: TrustRecord) -> Result<TrustRecord, TrustError> {
        if !seen.is_reachable() {
            return Err(TrustError::Conflict(
                "a client of OAuth has no secret: its tokens change by themselves".to_owned(),
            ));
        }
        if !(seen.approved && seen.peer_approved) {
            return Err(TrustError::Conflict("both sides must approve before the secret can change".to_owned()));
        }
        let path = format!("trust/{}/{}", seen.agreed, actor.id());
        let resumed = seen.next.is_some();
        let (sealed, secret_hash) = self.seal(actor.id(), &seen.peer, &self.fresh())?;
        let fresh = NextSecret { secret: sealed, secret_hash };
        let prepare = |seen: &TrustRecord| {
            let new = TrustRecord { next: Some(fresh.clone()), ..seen.clone() };
            Ok(seen.next.is_none().then_some((new, Vec::new())))
        };
        let (_, seen) = self.update(actor, seen, prepare).await?;
        let Some(next) = seen.next.clone() else { return Err(TrustError::Missing) };
        let address = self.address(actor.id(), &seen)?;
        let secret = self.open(actor.id(), &seen.peer, &next.secret)?;
        if resumed {
            let moved = address.clone().with_secret(secret.clone());
            match self.peers.get(&moved, &path).send().await {
                Ok(_) => return self.promote(actor, seen, &next).await,
                Err(error) if is_final(&error) => {}
                Err(error) => return Err(failed("the peer could not be asked", &error)),
            }
        }
        let proposal = json!({ "secret": secret.expose() });
        let hidden = [secret];
        let reply = self.peers.post(&address, &path).json(&proposal).hiding(&hidden).send().await;
        match reply {
            Ok(reply) if reply.status() == StatusCode::OK && consents(&reply) => self.promote(actor, seen, &next).await,
            Ok(_) => self.give_up(actor, seen, &next, "the peer does not know how to change a secret").await,
            Err(error) if is_final(&error) => {
                self.give_up(actor, seen, &next, &format!("the peer did not take the new secret: {error}")).await
            }
            Err(error) => Err(failed("the peer could not be asked", &error)),
        }
    }

    async fn promote(&self, actor: &Actor, seen: TrustRecord, next: &NextSecret) -> Result<TrustRecord, TrustError> {
        let decide = |seen: &TrustRecord| {
            if seen.next.as_ref() != Some(next) {
                return Ok(None);
            }
            let NextSecret { secret, secret_hash } = next.clone();
            Ok(Some((TrustRecord { secret, secret_hash, next: None, ..seen.clone() }, Vec::new())))
        };
        self.changed(actor, seen, decide).await
    }

    /// Writes a change of the secret; what the peer is still to be told is signed with the new one.
    async fn changed(
        &self,
        actor: &Actor,
        seen: TrustRecord,
        decide: impl Fn(&TrustRecord) -> Decision,
    ) -> Result<TrustRecord, TrustError> {
        let (before, trust) = self.update(actor, seen, decide).await?;
        if before.secret != trust.secret {
            actor.store().reseal_notices(actor.id(), &trust.peer, &trust.secret).await?;
        }
        Ok(trust)
    }

    async fn give_up(
        &self,
        actor: &Actor,
        seen: TrustRecord,
        next: &NextSecret,
        reason: &str,
    ) -> Result<TrustRecord, TrustError> {
        let decide = |seen: &TrustRecord| {
            let stays = seen.next.as_ref() == Some(next);
            Ok(stays.then(|| (TrustRecord { next: None, ..seen.clone() }, Vec::new())))
        };
        self.update(actor, seen, decide).await?;
        let advice = "ask for the relationship again instead: that makes a new secret, too";
        Err(TrustError::Conflict(format!("{reason}; {advice}")))
    }

    /// Takes the secret a peer proposes for a relationship that both sides approve of. The old one ends.
    ///
    /// # Errors
    /// [`TrustError::Forbidden`] while one of the sides does not approve.
    pub async fn take_secret(&self, actor: &Actor, seen: TrustRecord, secret: &str) -> Result<TrustRecord, TrustError> {
        // A secret would outlive every token, and their end.
        if !seen.is_reachable() {
            return Err(TrustError::Forbidden("a client of OAuth has no secret".to_owned()));
        }
        check_secret(secret)?;
        let (sealed, _) = self.seal(actor.id(), &seen.peer, secret)?;
        let decide = |seen: &TrustRecord| {
            if !(seen.approved && seen.peer_approved) {
                return Err(TrustError::Forbidden("both sides must approve before the secret can change".to_owned()));
            }
            let new =
                TrustRecord { secret: sealed.clone(), secret_hash: sha256_hex(secret), next: None, ..seen.clone() };
            Ok(Some((new, Vec::new())))
        };
        self.changed(actor, seen, decide).await
    }
}

/// The peer has decided: asking again would not change it.
fn is_final(error: &PeerError) -> bool {
    error.status().is_some_and(|status| status.is_client_error()) && !error.is_retryable()
}

fn consents(reply: &actingweb_peer::PeerReply) -> bool {
    reply.json::<Value>().is_ok_and(|body| body.get("rotated") == Some(&Value::Bool(true)))
}
