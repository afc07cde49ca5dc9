//! From a request to who is calling and what it may do: one look-up, one decision.

use std::collections::HashMap;

use actingweb_actor::{
    Actor, Caller, CallingClient, Credentials, FeedRecord, FirstPage, Presented, Stored, TokenRefused, TrustRecord,
    Visit, VisitError, Wanted,
};
use actingweb_hooks::Invocation;
use actingweb_protocol::permission::{self, Access};
use actingweb_protocol::{Name, PeerId};

use crate::incoming::unknown_actor;
use crate::{AppState, Incoming, Problem, Verb};

/// A request that was let in: the actor, what the caller may do, and what was read in the same call.
#[derive(Debug)]
pub struct Admission {
    /// The actor.
    pub actor: Actor,
    /// The caller and its rights.
    pub access: Access,
    /// Those of the wanted properties that exist.
    pub properties: HashMap<Name, Stored>,
    /// The relationship with the peer that was asked for.
    pub trust: Option<TrustRecord>,
    /// The actor's subscription to a peer that was asked for.
    pub feed: Option<FeedRecord>,
    /// Whether the actor is just subscribing to that peer, so that a subscription may be unknown still.
    pub subscribing: bool,
    /// The client that calls with a token, if one does.
    pub client: Option<CallingClient>,
    /// Why a token of ours counts for nothing, if one was presented that does.
    refused: Option<TokenRefused>,
}

impl Incoming {
    /// Finds the actor, who is calling, and properties the request is about (at most 97), in one call to storage, and
    /// asks whether this caller may make this request at all.
    ///
    /// # Errors
    /// 404 for an actor that does not exist; 401 with a challenge for none or malformed credentials, 403 for those that
    /// are wrong or not enough, 429 after too many failed attempts; storage errors.
    pub async fn admit(&self, state: &AppState, properties: &[&Name]) -> Result<Admission, Problem> {
        self.admit_with(state, None, properties).await
    }

    /// [`Incoming::admit`] to what concerns a peer: the relationship with it is read in the same call.
    ///
    /// # Errors
    /// As [`Incoming::admit`].
    pub async fn admit_about(&self, state: &AppState, peer: Option<&PeerId>) -> Result<Admission, Problem> {
        self.admit_with(state, peer, &[]).await
    }

    /// [`Incoming::admit`] to what concerns a subscription of the actor to a peer: it is read in the same call, with the
    /// relationship.
    ///
    /// # Errors
    /// As [`Incoming::admit`].
    pub async fn admit_to_feed(&self, state: &AppState, peer: &PeerId, feed: &str) -> Result<Admission, Problem> {
        let presented = self.presented(state);
        if matches!(presented, Ok(Credentials::Basic { .. })) && self.verb != Verb::Get {
            self.check_origin(state)?;
        }
        let address = self.address();
        let from =
            Presented { credentials: presented.as_ref().unwrap_or(&Credentials::None), address: address.as_deref() };
        let wanted = Wanted { peer: Some(peer), feed: Some((peer, feed)), ..Wanted::default() };
        let visit = state.actors.visit_for(&self.actor_id()?, &from, wanted, self.context.deadline).await?;
        let admission = self.admission_of(state, visit.ok_or_else(unknown_actor)?);
        self.authorize(state, presented, admission)
    }

    async fn admit_with(
        &self,
        state: &AppState,
        peer: Option<&PeerId>,
        properties: &[&Name],
    ) -> Result<Admission, Problem> {
        let presented = self.presented(state);
        if matches!(presented, Ok(Credentials::Basic { .. })) && self.verb != Verb::Get {
            self.check_origin(state)?;
        }
        let credentials = presented.as_ref().unwrap_or(&Credentials::None);
        let admission = self.look_up(state, credentials, peer, properties).await?;
        self.authorize(state, presented, admission)
    }

    /// [`Incoming::admit`] for a request to read all properties: their first page is read at the same time, unless the
    /// request presents no credentials.
    ///
    /// # Errors
    /// As [`Incoming::admit`].
    pub async fn admit_to_all(&self, state: &AppState) -> Result<(Admission, Option<FirstPage>), Problem> {
        let presented = self.presented(state);
        let id = self.actor_id()?;
        let address = self.address();
        let from =
            Presented { credentials: presented.as_ref().unwrap_or(&Credentials::None), address: address.as_deref() };
        let visit = state.actors.visit_all(&id, &from, self.context.deadline).await?;
        let (visit, page) = visit.ok_or_else(unknown_actor)?;
        let admission = self.admission_of(state, visit);
        Ok((self.authorize(state, presented, admission)?, page))
    }

    /// Asks whether this caller may make this request at all.
    fn authorize(
        &self,
        state: &AppState,
        presented: Result<Credentials, &'static str>,
        admission: Admission,
    ) -> Result<Admission, Problem> {
        let path = self.segments.get(1..).unwrap_or_default().join("/");
        // Other verbs are nowhere served: whoever may read learns that, nobody else.
        let verb = verb(self.verb).unwrap_or(permission::Verb::Get);
        let Err(denied) = admission.access.authorize(&path, verb) else { return Ok(admission) };
        tracing::debug!(%denied, "request refused");
        match presented {
            Err(reason) => Err(Problem::unauthorized(state.realm(), reason)),
            Ok(Credentials::None) => {
                Err(Problem::unauthorized(state.realm(), "sign in as the actor's creator with its passphrase"))
            }
            // Whoever has a token knows how to get another.
            Ok(_) => match admission.refused {
                Some(refused) => Err(Problem::invalid_token(state.realm(), &refused.to_string())),
                None => Err(not_allowed()),
            },
        }
    }

    /// Browsers add Basic credentials to whatever any page makes them send; only pages of our own may make them change
    /// something. Programs say nothing of the kind.
    fn check_origin(&self, state: &AppState) -> Result<(), Problem> {
        match self.is_from_own_page(state) {
            Some(false) => Err(Problem::forbidden("a page of another site made this request")),
            _ => Ok(()),
        }
    }

    /// Finds the actor for a request that anybody may make: credentials are not looked at.
    ///
    /// # Errors
    /// 404 for an actor that does not exist; storage errors.
    pub async fn find(&self, state: &AppState) -> Result<Actor, Problem> {
        Ok(self.look_up(state, &Credentials::None, None, &[]).await?.actor)
    }

    async fn look_up(
        &self,
        state: &AppState,
        credentials: &Credentials,
        peer: Option<&PeerId>,
        properties: &[&Name],
    ) -> Result<Admission, Problem> {
        let id = self.actor_id()?;
        let address = self.address();
        let presented = Presented { credentials, address: address.as_deref() };
        let wanted = Wanted { properties, peer, log: self.verb != Verb::Get, ..Wanted::default() };
        let visit = state.actors.visit_for(&id, &presented, wanted, self.context.deadline).await?;
        Ok(self.admission_of(state, visit.ok_or_else(unknown_actor)?))
    }

    /// The client's address; failed attempts are counted by it.
    fn address(&self) -> Option<String> {
        self.context.address.map(actingweb_actor::network)
    }

    fn admission_of(&self, state: &AppState, visit: Visit) -> Admission {
        self.context.note_caller(visit.actor.id(), visit.caller.kind());
        let access = state.hooks.policy().access(visit.caller, visit.changed_by.as_ref());
        let Visit { actor, properties, client, refused, trust, feed, subscribing, .. } = visit;
        Admission { actor, access, properties, trust, feed, subscribing, client, refused }
    }

    /// What hooks learn of this request.
    #[must_use]
    pub fn invocation(&self, admission: &Admission) -> Invocation {
        let caller = match admission.access.caller() {
            // Without approval a peer is nobody.
            Caller::Unapproved { .. } => Caller::Anonymous,
            caller => caller.clone(),
        };
        Invocation {
            actor: Some(admission.actor.clone()),
            caller,
            request_id: self.context.id.to_string(),
            deadline: self.context.deadline,
            mcp: None,
        }
    }
}

/// 403 for rights that are not enough; what exactly is missing is in the log.
#[must_use]
pub fn not_allowed() -> Problem {
    Problem::forbidden("these credentials give no access to this")
}

impl From<permission::Denied> for Problem {
    fn from(denied: permission::Denied) -> Self {
        tracing::debug!(%denied, "request refused");
        not_allowed()
    }
}

impl From<VisitError> for Problem {
    fn from(error: VisitError) -> Self {
        match error {
            VisitError::Guessing { retry_after } => Self::guessing(retry_after),
            VisitError::Actor(error) => error.into(),
        }
    }
}

const fn verb(verb: Verb) -> Option<permission::Verb> {
    match verb {
        Verb::Get => Some(permission::Verb::Get),
        Verb::Put => Some(permission::Verb::Put),
        Verb::Post => Some(permission::Verb::Post),
        Verb::Delete => Some(permission::Verb::Delete),
        Verb::Other => None,
    }
}
