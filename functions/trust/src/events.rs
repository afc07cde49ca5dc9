//! Telling the hooks what became of a relationship.

use actingweb_actor::{TrustRecord, TrustStep, Trusted};
use actingweb_hooks::{Event, EventKind, Invocation, TrustEvent};
use actingweb_web::{Admission, AppState, Incoming};
use serde_json::json;

/// Tells the hooks of each step, in order; what happened stands whatever they do, and the engine logs what failed.
pub(crate) async fn tell(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    trusted: &Trusted,
    by_peer: bool,
) {
    for step in &trusted.steps {
        let kind = kind(*step);
        if state.hooks.has_lifecycle_hooks(kind) {
            let event = event(kind, &trusted.trust, by_peer);
            let invocation: Invocation = incoming.invocation(admission);
            let hooks = state.hooks.fire(&invocation, event);
            incoming.context.in_hook("lifecycle", kind.as_str(), hooks).await;
        }
    }
}

fn event(kind: EventKind, trust: &TrustRecord, initiated_by_peer: bool) -> Event {
    let (peer, relationship) = (trust.peer.to_string(), trust.relationship.clone());
    Event::with_data(kind, json!(TrustEvent { peer, relationship, initiated_by_peer }))
}

const fn kind(step: TrustStep) -> EventKind {
    match step {
        TrustStep::Initiated => EventKind::TrustInitiated,
        TrustStep::RequestReceived => EventKind::TrustRequestReceived,
        TrustStep::FullyApprovedLocal => EventKind::TrustFullyApprovedLocal,
        TrustStep::FullyApprovedRemote => EventKind::TrustFullyApprovedRemote,
        TrustStep::Deleted => EventKind::TrustDeleted,
    }
}
