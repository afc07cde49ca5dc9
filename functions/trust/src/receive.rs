//! `POST /{actor}/trust/{relationship}`: a peer asks for a relationship. Anybody may.

use actingweb_actor::TrustRecord;
use actingweb_actor::trusts::TrustRequest;
use actingweb_protocol::PeerId;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply};
use http::StatusCode;

use crate::fields::Fields;
use crate::{events, view};

/// Takes the request: 201 when it is approved at once, 202 when it waits for the actor's owner.
pub(crate) async fn receive(state: &AppState, incoming: &Incoming, relationship: &str) -> Reply {
    let request = read(incoming, relationship);
    let peer = request.as_ref().ok().and_then(|request| PeerId::parse(&request.id).ok());
    let mut admission = incoming.admit_about(state, peer.as_ref()).await?;
    let seen = admission.trust.take();
    incoming.once(state, Some(&admission), take(state, incoming, &admission, request?, seen)).await
}

async fn take(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    request: TrustRequest,
    seen: Option<TrustRecord>,
) -> Reply {
    let trusts = state.trusts.for_request(&incoming.context.id, incoming.context.deadline);
    let received = trusts.receive(&admission.actor, request, seen).await?;
    events::tell(state, incoming, admission, &received, true).await;
    let (actor, trust) = (admission.actor.id(), &received.trust);
    let status = if trust.approved { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    // The caller chose the secret, or is told this once which one was made for it.
    let body = view::show(&trusts, actor, trust, true)?;
    Ok(view::located(&trusts, status, actor, trust, &body))
}

fn read(incoming: &Incoming, relationship: &str) -> Result<TrustRequest, Problem> {
    let fields = Fields::of(incoming)?;
    let text = |name: &str| Ok::<_, Problem>(fields.text(name)?.unwrap_or_default());
    Ok(TrustRequest {
        relationship: relationship.to_owned(),
        base_uri: fields.required("baseuri")?,
        id: fields.required("id")?,
        kind: text("type")?,
        secret: text("secret")?,
        desc: text("desc")?,
        verify: text("verify")?,
    })
}
