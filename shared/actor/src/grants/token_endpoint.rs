//! What clients ask for with what they hold: tokens for a code, for a refresh token, for themselves; the end of a token;
//! and what one means.

use actingweb_protocol::oauth::{Audience, ClientKey, CodeChallenge, Judgement, Token, TokenKind, judge_refresh, same};
use actingweb_protocol::{ActorId, Deadline, Timestamp};
use actingweb_store::{
    ClientGrant, ClientRecord, GrantKind, GrantOutcome, GrantedCode, Snapshot, Store, TrustRecord, Wanted,
};

use super::{
    ACCESS_LIFETIME, ACCESS_NOTED_EVERY, ClientAuthentication, GrantError, Grants, Issued, NOTED_WITHIN, ROUNDS,
};
use crate::clients::check_client;
use crate::tokens::{check_access, issued, standing};
use crate::{Actor, ActorError};

const ENDED: GrantError = GrantError::InvalidGrant("this was never granted, was revoked, or has ended");
const REUSED: GrantError =
    GrantError::InvalidGrant("this was used before: all that came of it is revoked, as somebody else may hold it");

/// A code that a client wants tokens for.
#[derive(Clone, Copy, Debug)]
pub struct CodeExchange<'a> {
    /// `code`.
    pub code: &'a str,
    /// `redirect_uri`: the one the code was sent to.
    pub redirect_uri: &'a str,
    /// `code_verifier`.
    pub verifier: &'a str,
    /// `resource`, if it is named again.
    pub audience: Option<Audience>,
}

/// What a token means (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Whether it is a refresh token.
    pub is_refresh: bool,
    /// The client's id.
    pub client_id: String,
    /// The scope.
    pub scope: String,
    /// What it is good for.
    pub audience: Audience,
    /// The actor that it gives access to.
    pub actor: ActorId,
    /// What the client may do there.
    pub trust_type: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl Grants {
    /// Exchanges a code for the first tokens: two calls. A code that comes a second time ends what it was exchanged for:
    /// whoever was first may not have been the client.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn exchange(
        &self,
        client: &ClientAuthentication<'_>,
        exchange: &CodeExchange<'_>,
        deadline: Deadline,
    ) -> Result<Issued, GrantError> {
        let store = self.store(deadline);
        let (token, found) = self.presented(&store, client, exchange.code, TokenKind::Code, deadline).await?;
        let (grant, trust) = standing(&token, &found).map_err(|_| ENDED)?;
        let trust_type = trust.map(|trust| trust.relationship.clone());
        let code = grant.code.as_ref().filter(|code| token.is_hashed_as(&code.hash)).ok_or(ENDED)?;
        if code.used {
            return Err(self.end_reused(&store, &token).await?);
        }
        self.check_exchange(grant, code, exchange)?;
        let mut next = self.advanced(&token.actor, grant)?;
        next.code = Some(GrantedCode { used: true, ..code.clone() });
        match store.replace_client_grant(&token.actor, &grant.version, &next).await? {
            GrantOutcome::Written => Ok(self.issue(&token.actor, &next, trust_type)?),
            // Nothing changes an unused code but its use.
            GrantOutcome::Changed(Some(_)) => Err(self.end_reused(&store, &token).await?),
            GrantOutcome::Changed(None) => Err(ENDED),
        }
    }

    fn check_exchange(
        &self,
        grant: &ClientGrant,
        code: &GrantedCode,
        exchange: &CodeExchange<'_>,
    ) -> Result<(), GrantError> {
        if code.expires <= self.now() {
            return Err(GrantError::InvalidGrant("the code has expired"));
        }
        if !same(&code.redirect_uri, exchange.redirect_uri) {
            return Err(GrantError::InvalidGrant("`redirect_uri` is not the one that the code was sent to"));
        }
        let challenge = CodeChallenge::parse(Some(&code.challenge), Some("S256")).map_err(|_| ENDED)?;
        if !challenge.is_met_by(exchange.verifier) {
            return Err(GrantError::InvalidGrant("`code_verifier` does not meet the code challenge"));
        }
        if exchange.audience.is_some_and(|audience| audience != grant.audience) {
            return Err(GrantError::InvalidTarget);
        }
        Ok(())
    }

    /// Gives a client its next tokens: two calls. The refresh token that was replaced within the last minute gives the
    /// current tokens again; any that was replaced before ends the grant.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn refresh(
        &self,
        client: &ClientAuthentication<'_>,
        refresh_token: &str,
        (scope, audience): (Option<&str>, Option<Audience>),
        deadline: Deadline,
    ) -> Result<Issued, GrantError> {
        let store = self.store(deadline);
        let (token, found) = self.presented(&store, client, refresh_token, TokenKind::Refresh, deadline).await?;
        let check = |grant: &ClientGrant| {
            if audience.is_some_and(|audience| audience != grant.audience) {
                return Err(GrantError::InvalidTarget);
            }
            let granted = |word: &str| grant.scope.split(' ').any(|granted| granted == word);
            match scope.is_none_or(|scope| scope.split(' ').filter(|word| !word.is_empty()).all(granted)) {
                true => Ok(()),
                false => Err(GrantError::InvalidScope),
            }
        };
        self.rotate(&store, &token, &found, check).await
    }

    /// Begins the next generation of tokens, or gives the current ones again.
    pub(super) async fn rotate(
        &self,
        store: &Store,
        token: &Token,
        found: &Snapshot,
        check: impl Fn(&ClientGrant) -> Result<(), GrantError>,
    ) -> Result<Issued, GrantError> {
        let (grant, trust) = standing(token, found).map_err(|_| ENDED)?;
        let trust_type = trust.map(|trust| trust.relationship.clone());
        let mut grant = grant.clone();
        let mut was_current = false;
        for _ in 0..ROUNDS {
            match self.judge(token, &grant).ok_or(ENDED)? {
                Judgement::Rotate => {
                    was_current = true;
                    check(&grant)?;
                    let next = self.advanced(&token.actor, &grant)?;
                    match store.replace_client_grant(&token.actor, &grant.version, &next).await? {
                        GrantOutcome::Written => {
                            self.note_access(store, &token.actor, trust).await;
                            return Ok(self.issue(&token.actor, &next, trust_type)?);
                        }
                        GrantOutcome::Changed(Some(other)) => grant = *other,
                        GrantOutcome::Changed(None) => return Err(ENDED),
                    }
                }
                Judgement::Reused if !was_current => return Err(self.end_reused(store, token).await?),
                // It was the current one when this request came, however far others have got since.
                Judgement::Repeat | Judgement::Reused => {
                    check(&grant)?;
                    return Ok(self.issue(&token.actor, &grant, trust_type)?);
                }
            }
        }
        let reason = "these tokens kept being refreshed at the same time: try again".to_owned();
        Err(ActorError::Conflict(reason).into())
    }

    /// Notes that a client came for tokens, once a day: whoever looks at the relationship sees whether it is used. Nobody
    /// is refused anything over it, nor waits long: the tokens are already written, and the next request notes it as well.
    async fn note_access(&self, store: &Store, actor: &ActorId, trust: Option<&TrustRecord>) {
        let Some((trust, client)) = trust.and_then(|trust| Some((trust, trust.client.as_ref()?))) else { return };
        let now = self.now();
        if client.last_accessed.is_some_and(|at| now < at.plus(ACCESS_NOTED_EVERY)) {
            return;
        }
        let noting = store.stamp_client(actor, &trust.peer, &client.instance, now);
        match tokio::time::timeout(NOTED_WITHIN, noting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, peer = %trust.peer, "that a client came for tokens was not noted");
            }
            Err(_) => tracing::warn!(peer = %trust.peer, "that a client came for tokens was not noted in time"),
        }
    }

    /// What to do about a refresh token; `None` for one that was never issued, which must not end what was.
    fn judge(&self, token: &Token, grant: &ClientGrant) -> Option<Judgement> {
        let hash = issued(token, grant).map(|tokens| tokens.refresh.as_deref().unwrap_or_default());
        let is_known = match hash {
            Some(hash) => token.is_hashed_as(hash),
            None => token.generation < grant.generation && token.is_made_by(&self.parts().keys, &grant.nonce),
        };
        is_known.then(|| judge_refresh(token.generation, grant.generation, grant.rotated_at, self.now()))
    }

    /// Gives an owner's client a token for its owner's actor.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn client_credentials(
        &self,
        client: &ClientAuthentication<'_>,
        (scope, audience): (&str, Audience),
        deadline: Deadline,
    ) -> Result<Issued, GrantError> {
        const FOR_OWNERS: GrantError =
            GrantError::UnauthorizedClient("only a client that an actor's owner made may act without a user");
        let record = self.actors.clients().authenticate(client, deadline).await?.ok_or(FOR_OWNERS)?;
        let ClientRecord { owner: Some(owner), secret_hash: Some(_), .. } = &record else { return Err(FOR_OWNERS) };
        let store = self.store(deadline);
        let peer = record.key.peer();
        let found = store.load(owner, Wanted { peer: Some(&peer), ..Wanted::default() }).await?;
        let (Some(actor), Some(trust)) = (found.actor, found.trust) else {
            return Err(GrantError::UnauthorizedClient("the owner ended the relationship with this client"));
        };
        let mut blank = self.blank(GrantKind::Credentials, record.key.clone(), audience, ACCESS_LIFETIME);
        blank.client_id.clone_from(&record.id);
        blank.client_name.clone_from(&record.name);
        scope.clone_into(&mut blank.scope);
        blank.instance = trust.client.as_ref().map(|client| client.instance.clone());
        let grant = self.advanced(owner, &blank)?;
        let actor = Actor::new(actor, store);
        actor.store().put_client_grant(owner, &grant).await?;
        self.note_access(actor.store(), owner, Some(&trust)).await;
        Ok(self.issue(owner, &grant, Some(trust.relationship))?)
    }

    /// Ends what a token of this client belongs to, at once: all its tokens (RFC 7009). What is no token, or none any
    /// more, is no error.
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`], [`GrantError::UnauthorizedClient`] for another client's; storage errors.
    pub async fn revoke(
        &self,
        client: &ClientAuthentication<'_>,
        token: &str,
        deadline: Deadline,
    ) -> Result<(), GrantError> {
        self.actors.clients().authenticate(client, deadline).await?;
        let Ok(token) = Token::parse(token) else { return Ok(()) };
        if token.client != ClientKey::of(client.id) {
            return Err(GrantError::UnauthorizedClient("the token was issued to another client"));
        }
        Ok(self.end_by(&self.store(deadline), &token).await?)
    }

    /// What a token of this client means; `None` for any that is not good, or another's (RFC 7662). The client has to
    /// prove itself by a secret.
    ///
    /// # Errors
    /// [`GrantError::InvalidClient`]; storage errors.
    pub async fn introspect(
        &self,
        client: &ClientAuthentication<'_>,
        token: &str,
        deadline: Deadline,
    ) -> Result<Option<Introspection>, GrantError> {
        let record = self.actors.clients().authenticate(client, deadline).await?;
        if record.is_none_or(|record| record.secret_hash.is_none()) {
            return Err(GrantError::InvalidClient("only a client that has a secret may ask what a token means"));
        }
        let own = |token: &Token| token.client == ClientKey::of(client.id);
        let Some(token) = Token::parse(token).ok().filter(own) else { return Ok(None) };
        let found = self.look_up(&self.store(deadline), &token).await?;
        let Ok((grant, trust)) = standing(&token, &found) else { return Ok(None) };
        let Some(tokens) = issued(&token, grant) else { return Ok(None) };
        let is_good = match token.kind {
            TokenKind::Access => check_access(&token, grant, self.now()).is_ok(),
            // The one before the current is good for a moment, for repeats alone.
            TokenKind::Refresh => {
                let is_current = token.generation == grant.generation;
                is_current && tokens.refresh.as_deref().is_some_and(|hash| token.is_hashed_as(hash))
            }
            _ => false,
        };
        let is_refresh = token.kind == TokenKind::Refresh;
        Ok(is_good.then(|| Introspection {
            is_refresh,
            client_id: grant.client_id.clone(),
            scope: grant.scope.clone(),
            audience: grant.audience,
            actor: token.actor.clone(),
            trust_type: trust.map(|trust| trust.relationship.clone()),
            issued_at: if token.generation == grant.generation { grant.rotated_at } else { grant.created_at },
            expires: if is_refresh { grant.ends } else { tokens.access_ends },
        }))
    }

    /// A token of a kind that a client presents, and what it names: one call. The client proves itself first.
    async fn presented(
        &self,
        store: &Store,
        client: &ClientAuthentication<'_>,
        text: &str,
        kind: TokenKind,
        deadline: Deadline,
    ) -> Result<(Token, Snapshot), GrantError> {
        let key = ClientKey::of(client.id);
        let token = Token::parse(text).ok().filter(|token| token.kind == kind && token.client == key);
        let Some(token) = token else {
            self.actors.clients().authenticate(client, deadline).await?;
            return Err(ENDED);
        };
        let found = self.look_up(store, &token).await?;
        check_client(&key, found.client.as_ref(), client)?;
        Ok((token, found))
    }

    /// Ends the grant of a token that somebody used again.
    async fn end_reused(&self, store: &Store, token: &Token) -> Result<GrantError, ActorError> {
        tracing::warn!(?token, "a code or a refresh token was used again: its grant ends");
        store.delete_client_grant(&token.actor, &token.client, &token.grant).await?;
        Ok(REUSED)
    }

    /// Ends the grant that a token belongs to, if it was issued: whoever only knows whose it is cannot.
    pub(super) async fn end_by(&self, store: &Store, token: &Token) -> Result<(), ActorError> {
        let found = self.look_up(store, token).await?;
        let Some(grant) = found.grant.as_ref() else { return Ok(()) };
        let hash = match (token.kind, issued(token, grant)) {
            (TokenKind::Code, _) => grant.code.as_ref().map(|code| code.hash.as_str()),
            (TokenKind::Refresh, tokens) => tokens.and_then(|tokens| tokens.refresh.as_deref()),
            (_, tokens) => tokens.map(|tokens| tokens.access.as_str()),
        };
        let was_issued = match hash {
            Some(hash) => token.is_hashed_as(hash),
            None => token.generation < grant.generation && token.is_made_by(&self.parts().keys, &grant.nonce),
        };
        if was_issued {
            store.delete_client_grant(&token.actor, &token.client, &token.grant).await?;
        }
        Ok(())
    }
}
