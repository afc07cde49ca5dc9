//! Users who signed in: sessions, with the creator's rights.

use actingweb_protocol::Deadline;
use actingweb_protocol::oauth::{Audience, ClientKey, Token, TokenKind};
use actingweb_store::GrantKind;
use tokio::time::Instant;

use super::{GrantError, Grants, Issued, SESSION_LIFETIME};
use crate::tokens::{check_access, standing};
use crate::{Actor, ActorError};

/// What a user signed in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A program of its own, such as a page that carries tokens: a bearer token and one to refresh it with.
    Tokens,
    /// A page that keeps its tokens in cookies, and may not see them: they count there alone.
    Cookies,
    /// A browser, whose cookie is the one token, and good for nothing but pages.
    Browser,
}

impl Grants {
    /// Begins a session of an actor's creator, who just proved to be it: one call.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn open_session(&self, actor: &Actor, kind: SessionKind) -> Result<Issued, ActorError> {
        let kind = match kind {
            SessionKind::Tokens => GrantKind::Session,
            SessionKind::Cookies => GrantKind::Page,
            SessionKind::Browser => GrantKind::Browser,
        };
        let blank = self.blank(kind, ClientKey::of_users(), Audience::Rest, SESSION_LIFETIME);
        let grant = self.advanced(actor.id(), &blank)?;
        actor.store().put_client_grant(actor.id(), &grant).await?;
        self.issue(actor.id(), &grant, None)
    }

    /// The actor whose creator is signed in with this cookie: one call; `None` when nobody is, or no longer.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn browser_session(&self, cookie: &str, deadline: Deadline) -> Result<Option<Actor>, ActorError> {
        let Some(token) = Token::parse(cookie).ok().filter(|token| token.kind == TokenKind::Browser) else {
            return Ok(None);
        };
        let store = self.store(deadline);
        let seen = Instant::now();
        let mut found = self.look_up(&store, &token).await?;
        let is_good = standing(&token, &found).is_ok_and(|(grant, _)| {
            grant.kind == GrantKind::Browser && check_access(&token, grant, self.now()).is_ok()
        });
        Ok(found.actor.take().filter(|_| is_good).map(|record| Actor::new(record, store).seen_at(seen)))
    }

    /// Gives a session its next tokens, once `may` says that one of its kind may have them: two calls.
    ///
    /// # Errors
    /// [`GrantError::InvalidGrant`]; what `may` says; storage errors.
    pub async fn refresh_session(
        &self,
        refresh_token: &str,
        may: impl Fn(SessionKind) -> Result<(), GrantError>,
        deadline: Deadline,
    ) -> Result<(SessionKind, Issued), GrantError> {
        let invalid = GrantError::InvalidGrant("the session has ended: sign in again");
        let token = Token::parse(refresh_token).ok();
        let token = token.filter(|token| token.kind == TokenKind::Refresh && token.client.is_of_users());
        let token = token.ok_or(invalid)?;
        let store = self.store(deadline);
        let found = self.look_up(&store, &token).await?;
        let kind = match found.grant.as_ref().map(|grant| grant.kind) {
            Some(GrantKind::Page) => SessionKind::Cookies,
            _ => SessionKind::Tokens,
        };
        Ok((kind, self.rotate(&store, &token, &found, |_| may(kind)).await?))
    }

    /// Ends the session that any of its tokens belongs to, at once; of what is no such token nothing is said.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn close_session(&self, token: &str, deadline: Deadline) -> Result<(), ActorError> {
        let Some(token) = Token::parse(token).ok().filter(|token| token.client.is_of_users()) else { return Ok(()) };
        let store = self.store(deadline);
        self.end_by(&store, &token).await
    }
}
