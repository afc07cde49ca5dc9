//! Whose session a token is.

use actingweb_protocol::oauth::{Token, TokenKind};
use actingweb_protocol::{Deadline, Timestamp};
use actingweb_store::GrantKind;

use super::{Grants, SessionKind};
use crate::tokens::{check_access, standing};
use crate::{Actor, ActorError};

impl Grants {
    /// The actor whose creator carries this token of a session of this kind, and until when it is good: one call; `None`
    /// when it is none, or no longer.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn session_holder(
        &self,
        token: &str,
        kind: SessionKind,
        deadline: Deadline,
    ) -> Result<Option<(Actor, Timestamp)>, ActorError> {
        let (of_token, of_grant) = match kind {
            SessionKind::Tokens => (TokenKind::Session, GrantKind::Session),
            SessionKind::Cookies => (TokenKind::Page, GrantKind::Page),
            SessionKind::Browser => (TokenKind::Browser, GrantKind::Browser),
        };
        let Some(token) = Token::parse(token).ok().filter(|token| token.kind == of_token) else {
            return Ok(None);
        };
        let store = self.store(deadline);
        let mut found = self.look_up(&store, &token).await?;
        let ends = standing(&token, &found).ok().and_then(|(grant, _)| {
            let is_good = grant.kind == of_grant && check_access(&token, grant, self.now()).is_ok();
            let issued = crate::tokens::issued(&token, grant).filter(|_| is_good)?;
            Some(issued.access_ends)
        });
        Ok(ends.and_then(|ends| Some((Actor::new(found.actor.take()?, store), ends))))
    }
}
