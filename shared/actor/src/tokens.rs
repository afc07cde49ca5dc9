//! What a token of ours means to a request, by the rows that it names.

use actingweb_protocol::Timestamp;
use actingweb_protocol::oauth::{Audience, Token, TokenKind, judge_access};
use actingweb_protocol::permission::Caller;
use actingweb_store::{ClientGrant, GrantKind, IssuedTokens, PresentedSecret, Snapshot, TrustRecord};

/// Why a token of ours counts for nothing (`invalid_token` of RFC 6750).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Nothing here leads from it to any rights, or no longer.
    #[error("the token was revoked, or never issued")]
    Unknown,
    /// It ended.
    #[error("the token has expired")]
    Expired,
    /// It is good elsewhere.
    #[error("the token was issued for another resource")]
    Audience,
}

/// A client that calls with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallingClient {
    /// Its id, as it calls itself.
    pub id: String,
    /// Its name, as it was when the user consented.
    pub name: String,
    /// The scope of the token.
    pub scope: String,
}

/// Who presents this token, in a cookie or as a bearer, at a place for which tokens must be good.
pub(crate) fn recognise(
    (secret, in_cookie): (Option<&PresentedSecret>, bool),
    found: &Snapshot,
    audience: Audience,
    now: Timestamp,
) -> Result<(Caller, Option<CallingClient>), TokenRefused> {
    let Some(PresentedSecret::Token(token)) = secret else { return Err(TokenRefused::Unknown) };
    let (grant, trust) = standing(token, found)?;
    let goes_with = match (token.kind, grant.kind) {
        (TokenKind::Access, GrantKind::Client | GrantKind::Credentials) => !in_cookie,
        (TokenKind::Session, GrantKind::Session) => !in_cookie,
        (TokenKind::Page, GrantKind::Page) => in_cookie,
        _ => false,
    };
    if !goes_with {
        // A cookie's token is none to be carried about, nor the other way round; the rest are for the token endpoint.
        return Err(TokenRefused::Audience);
    }
    check_access(token, grant, now)?;
    if grant.audience != audience {
        return Err(TokenRefused::Audience);
    }
    let Some(trust) = trust else { return Ok((Caller::Creator, None)) };
    let peer = trust.peer.to_string();
    let caller = match trust.approved {
        true => Caller::Peer { id: peer, relationship: trust.relationship.clone() },
        false => Caller::Unapproved { id: peer },
    };
    let client =
        CallingClient { id: grant.client_id.clone(), name: grant.client_name.clone(), scope: grant.scope.clone() };
    Ok((caller, Some(client)))
}

/// The grant that a token names and what it hangs on, if all of it is still there. Nothing is said of the token itself, nor
/// of the actor, which whoever read this looked for first.
pub(crate) fn standing<'a>(
    token: &Token,
    found: &'a Snapshot,
) -> Result<(&'a ClientGrant, Option<&'a TrustRecord>), TokenRefused> {
    let grant = found.grant.as_ref().ok_or(TokenRefused::Unknown)?;
    if token.client.is_of_users() {
        return Ok((grant, None));
    }
    if token.client.is_registered() && found.client.is_none() {
        return Err(TokenRefused::Unknown);
    }
    let trust = found.client_trust.as_ref().filter(|trust| {
        let instance = trust.client.as_ref().map(|client| &client.instance);
        instance.is_some() && instance == grant.instance.as_ref()
    });
    trust.map(|trust| (grant, Some(trust))).ok_or(TokenRefused::Unknown)
}

/// Whether an access token, or that of a session, was issued and is still good.
pub(crate) fn check_access(token: &Token, grant: &ClientGrant, now: Timestamp) -> Result<(), TokenRefused> {
    let tokens = issued(token, grant).ok_or(TokenRefused::Unknown)?;
    if !token.is_hashed_as(&tokens.access) {
        return Err(TokenRefused::Unknown);
    }
    let ends = |tokens: &Option<IssuedTokens>| tokens.as_ref().map_or(Timestamp::from_millis(0), |it| it.access_ends);
    let good = judge_access(token.generation, grant.generation, [ends(&grant.current), ends(&grant.before)], now);
    if good { Ok(()) } else { Err(TokenRefused::Expired) }
}

/// The tokens of a generation, if they are remembered: the current one and the one before.
pub(crate) fn issued<'a>(token: &Token, grant: &'a ClientGrant) -> Option<&'a IssuedTokens> {
    match grant.generation.checked_sub(token.generation)? {
        0 => grant.current.as_ref(),
        1 => grant.before.as_ref(),
        _ => None,
    }
}
