//! A user lets a client act.

use actingweb_protocol::oauth::{Audience, CodeChallenge, TokenKind};
use actingweb_protocol::{Timestamp, random_hex};
use actingweb_store::{Breaker, ClientRecord, ConsentOutcome, GrantKind, GrantedCode, TrustRecord, TrustedClient};

use super::{CLIENT_LIFETIME, CODE_LIFETIME, GRANT_LIFETIME, GrantError, Grants, ROUNDS};
use crate::{Actor, ActorError};

/// What a user consented to; all of it was checked.
#[derive(Clone, Debug)]
pub struct Consent<'a> {
    /// The client.
    pub client: &'a ClientRecord,
    /// Where the code goes, as the request named it: the exchange must name the same.
    pub redirect_uri: &'a str,
    /// What the exchange must prove.
    pub challenge: &'a CodeChallenge,
    /// What the tokens will be good for.
    pub audience: Audience,
    /// The scope.
    pub scope: &'a str,
    /// What the client may do: it holds for all that was granted to the client before, too.
    pub trust_type: &'a str,
}

impl Grants {
    /// Writes what a user consented to, and gives the code that the client exchanges for tokens: two calls. The
    /// relationship with the client comes about, or becomes what was consented to.
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`] when the client was forgotten or deleted meanwhile; storage errors.
    pub async fn authorize(&self, actor: &Actor, consent: &Consent<'_>) -> Result<String, GrantError> {
        let Consent { client, .. } = consent;
        let store = actor.store();
        let peer = client.key.peer();
        for _ in 0..ROUNDS {
            let seen = store.trust(actor.id(), &peer).await?;
            let trust = self.trust_for(consent, seen.as_ref());
            let mut grant = self.blank(GrantKind::Client, client.key.clone(), consent.audience, GRANT_LIFETIME);
            grant.client_id.clone_from(&client.id);
            grant.client_name.clone_from(&client.name);
            consent.scope.clone_into(&mut grant.scope);
            grant.instance = trust.client.as_ref().map(|client| client.instance.clone());
            let code = self.token(actor.id(), &grant, TokenKind::Code)?;
            grant.code = Some(GrantedCode {
                hash: code.hash(),
                expires: self.now().plus(CODE_LIFETIME),
                used: false,
                redirect_uri: consent.redirect_uri.to_owned(),
                challenge: consent.challenge.as_str().to_owned(),
            });
            // What an owner made is never forgotten.
            let keep = client.owner.is_none().then(|| self.now().plus(CLIENT_LIFETIME));
            match store.consent(actor.id(), (seen.as_ref(), trust), &grant, keep).await? {
                ConsentOutcome::Written(_) => return Ok(code.reveal()),
                ConsentOutcome::Stale => {}
                ConsentOutcome::ClientGone => {
                    return Err(GrantError::InvalidClient("there is no such client any more"));
                }
            }
        }
        let reason = "the relationship with the client kept changing at the same time: try again".to_owned();
        Err(ActorError::Conflict(reason).into())
    }

    fn trust_for(&self, consent: &Consent<'_>, seen: Option<&TrustRecord>) -> TrustRecord {
        let fresh = || random_hex(&*self.parts().entropy, 8);
        let instance = seen.and_then(|seen| seen.client.as_ref()).map(|client| client.instance.clone());
        let instance = instance.unwrap_or_else(fresh);
        let new = client_trust(consent.client, consent.trust_type, self.now(), instance);
        match seen {
            None => new,
            Some(seen) => TrustRecord {
                relationship: new.relationship,
                desc: new.desc,
                approved: true,
                client: new.client,
                ..seen.clone()
            },
        }
    }
}

/// The relationship with a client: a peer that cannot be called and has no secret.
pub(crate) fn client_trust(
    client: &ClientRecord,
    trust_type: &str,
    created_at: Timestamp,
    instance: String,
) -> TrustRecord {
    TrustRecord {
        peer: client.key.peer(),
        base_uri: String::new(),
        kind: "mcp".to_owned(),
        relationship: trust_type.to_owned(),
        agreed: trust_type.to_owned(),
        desc: format!("OAuth2 client: {}", client.name),
        approved: true,
        peer_approved: true,
        verified: true,
        verification_token: String::new(),
        secret: String::new(),
        secret_hash: String::new(),
        next: None,
        established_via: "oauth2_client".to_owned(),
        created_at,
        permissions: None,
        initiated: false,
        expires: None,
        breaker: Breaker::default(),
        client: Some(TrustedClient {
            id: client.id.clone(),
            name: client.name.clone(),
            version: client.said("software_version"),
            platform: client.said("user_agent"),
            last_accessed: Some(created_at),
            instance,
        }),
        version: String::new(),
    }
}
