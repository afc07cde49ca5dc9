//! Who was proved to be who they are gets their actor, if the application lets them.

use actingweb_actor::{Actor, Caller, Entry, Identified, Identity};
use actingweb_hooks::{Event, EventKind, Invocation, SignInEvent};
use actingweb_providers::Profile;
use actingweb_web::{AppState, Incoming, Problem};
use http::StatusCode;
use serde_json::json;

/// What became of somebody who was proved to be who they are.
pub(crate) enum Admitted {
    /// This is their actor, and they may enter it.
    Actor(Actor),
    /// There is none, and none without a verified e-mail address.
    NeedsEmail,
    /// There is none, because their address leads to another identity's.
    AddressTaken,
}

/// The identity that a profile is.
pub(crate) fn identity_of(profile: &Profile) -> Identity {
    Identity {
        digest: profile.identity(),
        provider: profile.provider.clone(),
        issuer: profile.issuer.clone(),
        subject: profile.subject.clone(),
        email: profile.email.clone(),
        name: profile.name.clone(),
    }
}

/// Finds or makes the actor of a profile, and asks the hooks.
///
/// # Errors
/// 403 with a hook's reason when one keeps them out, 503 while one fails; storage errors.
pub(crate) async fn admit(state: &AppState, incoming: &Incoming, profile: &Profile) -> Result<Admitted, Problem> {
    let deadline = incoming.context.deadline;
    // Where somebody sends mails, an address is wanted, and has to be verified.
    let wants_email = state.hooks.has_lifecycle_hooks(EventKind::EmailVerificationRequired);
    let entry = Entry {
        may_create: profile.email.is_some() || !wants_email,
        tells_hooks: state.hooks.has_lifecycle_hooks(EventKind::ActorCreated),
    };
    let found = Box::pin(state.actors.identified(&identity_of(profile), entry, deadline)).await?;
    let (actor, is_new, is_untold) = match found {
        Identified::Actor { actor, is_new, is_untold } => (actor, is_new, is_untold),
        Identified::AddressTaken => return Ok(Admitted::AddressTaken),
        Identified::Unknown => return Ok(Admitted::NeedsEmail),
    };
    let invocation = Invocation {
        actor: Some(actor.clone()),
        caller: Caller::Creator,
        request_id: incoming.context.id.to_string(),
        deadline,
        mcp: None,
    };
    if let Err(problem) = ask_hooks(state, incoming, &invocation, profile, is_new).await {
        if is_new {
            // This sign-in made it: nobody was told of it yet. One that was there before may hold what somebody wrote.
            actor.bury().await?;
        }
        return Err(problem);
    }
    if is_untold {
        let told = state.hooks.fire(&invocation, Event::new(EventKind::ActorCreated));
        let runs = incoming.context.in_hook("lifecycle", EventKind::ActorCreated.as_str(), told).await;
        // What may go well another time is told again at the next sign-in.
        if !runs.iter().any(|run| run.result.as_ref().is_err_and(|failure| failure.may_pass))
            && let Err(error) = state.actors.welcomed(&profile.identity(), &actor, deadline).await
        {
            // So it is where that cannot be noted; nobody is kept out by it.
            tracing::warn!(%error, actor = %actor.id(), "that hooks were told of a new actor was not noted");
        }
    }
    Ok(Admitted::Actor(actor))
}

async fn ask_hooks(
    state: &AppState,
    incoming: &Incoming,
    invocation: &Invocation,
    profile: &Profile,
    is_new: bool,
) -> Result<(), Problem> {
    let event = SignInEvent {
        provider: profile.provider.clone(),
        issuer: profile.issuer.clone(),
        subject: profile.subject.clone(),
        email: profile.email.clone(),
        name: profile.name.clone(),
        given_name: profile.given_name.clone(),
        family_name: profile.family_name.clone(),
        is_new,
    };
    let event = Event::with_data(EventKind::OauthSuccess, json!(event));
    let asked = state.hooks.fire(invocation, event);
    let runs = incoming.context.in_hook("lifecycle", EventKind::OauthSuccess.as_str(), asked).await;
    let failures: Vec<_> = runs.into_iter().filter_map(|run| run.result.err()).collect();
    let refusal = failures.iter().find(|failure| failure.status == StatusCode::FORBIDDEN.as_u16());
    match (refusal, failures.first()) {
        (Some(refusal), _) => Err(Problem::forbidden(refusal.detail.clone())),
        // A guard that fails lets nobody in.
        (None, Some(_)) => {
            let wait = std::time::Duration::from_secs(5);
            Err(Problem::unavailable("the application cannot decide about this sign-in at the moment", wait))
        }
        (None, None) => Ok(()),
    }
}
