//! What people grant: to clients, by a code and a family of tokens that follow one another; to themselves, by sessions.
//!
//! Nothing but hashes of tokens is stored. The secret of each is a keyed hash of what it belongs to, so that the same
//! successor can be handed out again to whoever lost the reply to a refresh, or made several at once.

mod consent;
mod error;
mod holder;
mod session;
mod token_endpoint;

use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::oauth::{Audience, ClientKey, GrantId, Token, TokenKind};
use actingweb_protocol::{ActorId, Deadline, Timestamp};
use actingweb_store::{ClientGrant, GrantKind, IssuedTokens, PresentedSecret, Snapshot, Store, StoreError, Wanted};

pub use consent::Consent;
pub(crate) use consent::client_trust;
pub use error::GrantError;
pub use session::SessionKind;
pub use token_endpoint::{CodeExchange, Introspection};

use crate::actors::Parts;
use crate::{Actor, ActorError, Actors};

/// How long a code may be exchanged.
pub const CODE_LIFETIME: Duration = Duration::from_secs(120);

/// How long an access token is good.
pub const ACCESS_LIFETIME: Duration = Duration::from_secs(3600);

/// How long a client may act without being consented to again.
pub const GRANT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a user stays signed in.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// How long a client is remembered after somebody let it act; longer than any grant lasts.
pub const CLIENT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// How often a relationship with a client is told that the client came for tokens.
const ACCESS_NOTED_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How long noting that may take.
const NOTED_WITHIN: Duration = Duration::from_secs(1);

/// How often a write is tried again that others came before.
const ROUNDS: usize = 16;

/// The grants of all actors of a deployment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Grants {
    actors: Actors,
}

/// What a client presents to prove which one it is.
#[derive(Clone, Copy, Debug)]
pub struct ClientAuthentication<'a> {
    /// `client_id`.
    pub id: &'a str,
    /// `client_secret`, if there is one.
    pub secret: Option<&'a str>,
}

/// Tokens just issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The access token, or that of a session.
    pub access_token: String,
    /// What the next one is got with, if there will be one.
    pub refresh_token: Option<String>,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// What they are good for.
    pub audience: Audience,
    /// The scope.
    pub scope: String,
    /// The actor that they give access to.
    pub actor: ActorId,
    /// What the client may do there, as the relationship stands; `None` for sessions.
    pub trust_type: Option<String>,
}

impl Actors {
    /// The grants of this deployment.
    #[must_use]
    pub fn grants(&self) -> Grants {
        Grants { actors: self.clone() }
    }
}

impl Grants {
    /// The grants that stand, of clients and of sessions; what was not exchanged yet is none, nor is what hangs on a
    /// relationship that ended. Two calls.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<ClientGrant>, ActorError> {
        let store = actor.store();
        let (grants, trusts) = futures_util::try_join!(
            Box::pin(store.client_grants(actor.id(), None)),
            Box::pin(store.trusts(actor.id()))
        )?;
        let stands = |grant: &ClientGrant| {
            let hangs_on = |client: &actingweb_store::TrustedClient| Some(&client.instance) == grant.instance.as_ref();
            grant.client.is_of_users() || trusts.iter().filter_map(|trust| trust.client.as_ref()).any(hangs_on)
        };
        Ok(grants.into_iter().filter(|grant| grant.generation > 0 && stands(grant)).collect())
    }

    /// Ends one grant, at once. One that is not there is no error.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn end(&self, actor: &Actor, client: &ClientKey, id: &GrantId) -> Result<(), ActorError> {
        Ok(actor.store().delete_client_grant(actor.id(), client, id).await?)
    }

    /// What a token names, read in one call.
    async fn look_up(&self, store: &Store, token: &Token) -> Result<Snapshot, ActorError> {
        let secret = PresentedSecret::Token(token.clone());
        let wanted = Wanted { secret: Some(&secret), ..Wanted::default() };
        let mut found = store.load(&token.actor, wanted).await?;
        // Of an actor that was deleted nothing is left, whatever its rows still say.
        found.grant = found.grant.filter(|_| found.actor.is_some());
        Ok(found)
    }

    fn store(&self, deadline: Deadline) -> Store {
        self.actors.store().with_deadline(deadline)
    }

    fn now(&self) -> Timestamp {
        self.actors.store().now()
    }

    fn parts(&self) -> Parts {
        self.actors.parts()
    }

    /// A token of a grant, made by the key that the grant names.
    fn token(&self, actor: &ActorId, grant: &ClientGrant, kind: TokenKind) -> Result<Token, ActorError> {
        let keys = self.parts().keys;
        let ids = (&grant.client, &grant.id);
        let made = Token::make(&keys, &grant.kid, &grant.nonce, kind, actor, ids, grant.generation);
        made.ok_or_else(|| {
            let key = format!("the grant {} of actor {actor}", grant.id);
            let what = "the key that its tokens were made with is no longer among the keys".to_owned();
            ActorError::Internal(StoreError::Corrupt { key, what })
        })
    }

    /// The grant with a generation of tokens more.
    fn advanced(&self, actor: &ActorId, grant: &ClientGrant) -> Result<ClientGrant, ActorError> {
        let parts = self.parts();
        let now = parts.clock.now();
        let mut next = ClientGrant {
            generation: grant.generation.saturating_add(1),
            rotated_at: now,
            before: grant.current.clone(),
            kid: parts.keys.current().to_owned(),
            version: actingweb_protocol::random_hex(&*parts.entropy, 8),
            ..grant.clone()
        };
        let refreshed = matches!(grant.kind, GrantKind::Client | GrantKind::Session | GrantKind::Page);
        let lifetime = if grant.kind == GrantKind::Browser { SESSION_LIFETIME } else { ACCESS_LIFETIME };
        next.current = Some(IssuedTokens {
            access: self.token(actor, &next, access_kind(grant.kind))?.hash(),
            refresh: if refreshed { Some(self.token(actor, &next, TokenKind::Refresh)?.hash()) } else { None },
            access_ends: now.plus(lifetime).min(grant.ends),
        });
        Ok(next)
    }

    /// The current tokens of a grant, made again.
    fn issue(&self, actor: &ActorId, grant: &ClientGrant, trust_type: Option<String>) -> Result<Issued, ActorError> {
        let current = grant.current.as_ref();
        let refreshes = current.is_some_and(|tokens| tokens.refresh.is_some());
        let ends = current.map_or(grant.ends, |tokens| tokens.access_ends);
        let left = ends.as_millis().saturating_sub(self.now().as_millis()).max(0).unsigned_abs();
        Ok(Issued {
            access_token: self.token(actor, grant, access_kind(grant.kind))?.reveal(),
            refresh_token: match refreshes {
                true => Some(self.token(actor, grant, TokenKind::Refresh)?.reveal()),
                false => None,
            },
            expires_in: Duration::from_millis(left),
            audience: grant.audience,
            scope: grant.scope.clone(),
            actor: actor.clone(),
            trust_type,
        })
    }

    /// A grant about to be written, without any tokens.
    fn blank(&self, kind: GrantKind, client: ClientKey, audience: Audience, lifetime: Duration) -> ClientGrant {
        let Parts { keys, clock, entropy, .. } = self.parts();
        let now = clock.now();
        let fresh = |bytes| actingweb_protocol::random_hex(&*entropy, bytes);
        ClientGrant {
            client,
            id: GrantId::generate(&*Arc::clone(&entropy)),
            kind,
            client_id: String::new(),
            client_name: String::new(),
            instance: None,
            audience,
            scope: String::new(),
            code: None,
            generation: 0,
            rotated_at: now,
            current: None,
            before: None,
            kid: keys.current().to_owned(),
            nonce: fresh(16),
            created_at: now,
            ends: now.plus(lifetime),
            version: fresh(8),
        }
    }
}

const fn access_kind(kind: GrantKind) -> TokenKind {
    match kind {
        GrantKind::Client | GrantKind::Credentials => TokenKind::Access,
        GrantKind::Session => TokenKind::Session,
        GrantKind::Page => TokenKind::Page,
        GrantKind::Browser => TokenKind::Browser,
    }
}
