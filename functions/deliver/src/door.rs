//! The circuit breaker of a peer, as the parts of a delivery meet it: it holds what the peer is owed, and lets one call
//! through to see whether the peer answers again.

use actingweb_protocol::Timestamp;
use actingweb_store::{StoreError, TrustRecord};
use tokio::sync::{Mutex, MutexGuard};

use crate::attempt::Attempt;
use crate::rules::{COOLDOWN, Gate, cooldown, gate};
use crate::run::Run;

/// The way to a peer. All calls to the peer go through it.
#[derive(Debug)]
pub(crate) struct Door {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    /// Whether there is something to forget when the peer answers.
    troubled: bool,
}

/// Leave to call the peer once. Whoever probes keeps the others waiting for what comes of it.
pub(crate) struct Pass<'a> {
    probing: Option<MutexGuard<'a, Inner>>,
}

impl Door {
    pub(crate) fn new(trust: &TrustRecord, now: Timestamp) -> Self {
        let troubled = trust.breaker.failures > 0 || trust.breaker.open_until.is_some();
        Self { inner: Mutex::new(Inner { gate: gate(trust.breaker, now), troubled }) }
    }

    /// Leave to call the peer, or until when nobody has it.
    pub(crate) async fn enter(
        &self,
        run: &Run<'_>,
        trust: &TrustRecord,
    ) -> Result<Result<Pass<'_>, Timestamp>, StoreError> {
        let mut inner = self.inner.lock().await;
        match inner.gate {
            Gate::Closed => Ok(Ok(Pass { probing: None })),
            Gate::Open(until) => Ok(Err(until)),
            Gate::Probe => {
                let until = run.now().plus(COOLDOWN);
                if run.store.probe_peer(run.actor, &trust.peer, until).await? {
                    return Ok(Ok(Pass { probing: Some(inner) }));
                }
                inner.gate = Gate::Open(until);
                Ok(Err(until))
            }
        }
    }

    /// Notes what a call came to; gives until when the peer is left alone now, if it is.
    pub(crate) async fn leave(
        &self,
        run: &Run<'_>,
        trust: &TrustRecord,
        pass: Pass<'_>,
        attempt: Attempt,
    ) -> Result<Option<Timestamp>, StoreError> {
        let is_probe = pass.probing.is_some();
        let mut inner = match pass.probing {
            Some(inner) => inner,
            None => self.inner.lock().await,
        };
        let Attempt::Down(after) = attempt else {
            // Whatever it said, it answered.
            if std::mem::take(&mut inner.troubled) {
                run.store.release_peer(run.actor, &trust.peer).await?;
            }
            inner.gate = Gate::Closed;
            return Ok(None);
        };
        // Calls that were under way when the door was shut are of the same fault: they make it no worse.
        if let (Gate::Open(until), false) = (inner.gate, is_probe) {
            return Ok(Some(until));
        }
        inner.troubled = true;
        let failures = run.store.count_peer_failure(run.actor, &trust.peer).await?.unwrap_or_default();
        let Some(span) = cooldown(failures).into_iter().chain(after).max() else { return Ok(None) };
        let until = run.now().plus(span);
        run.store.hold_peer(run.actor, &trust.peer, until).await?;
        if cooldown(failures).is_some() {
            tracing::warn!(actor = %run.actor, peer = %trust.peer, failures, %until, "peer is left alone");
        }
        inner.gate = Gate::Open(until);
        Ok(Some(until))
    }
}
