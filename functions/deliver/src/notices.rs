//! Notices: what an actor owes a peer besides changes.

use std::collections::HashMap;
use std::time::Duration;

use actingweb_actor::ActorError;
use actingweb_protocol::PeerId;
use actingweb_store::{Notice, NoticeKind, StoreError};
use futures_util::{StreamExt as _, stream};
use http::Method;

use crate::attempt::{Attempt, reason};
use crate::rules::{is_hopeless, retry_at};
use crate::run::{Count, Run};

/// How many peers are told at once.
const CONCURRENT: usize = 64;

/// After how long somebody who has a notice has sent it, or died.
const LEASE: Duration = Duration::from_secs(60);

/// Sends all notices: those of one peer one after the other, oldest first. Of several about the same thing the last is
/// sent alone, so that one which was held never undoes a later one.
pub(crate) async fn deliver(run: &Run<'_>) -> Result<(), ActorError> {
    let mut by_peer: HashMap<PeerId, Vec<Notice>> = HashMap::new();
    for notice in run.store.notices(run.actor).await? {
        by_peer.entry(notice.peer.clone()).or_default().push(notice);
    }
    let work: Vec<_> = by_peer.into_values().map(|notices| send_all(run, notices)).collect();
    let results: Vec<_> = stream::iter(work).buffer_unordered(CONCURRENT).collect().await;
    results.into_iter().collect()
}

/// Sends the notices of one peer.
async fn send_all(run: &Run<'_>, notices: Vec<Notice>) -> Result<(), ActorError> {
    let mut notices = notices.as_slice();
    while let [notice, later @ ..] = notices {
        notices = later;
        if later.iter().any(|later| later.path == notice.path && later.base_uri == notice.base_uri) {
            if let Some(until) = notice.leased_until.filter(|until| *until > run.now()) {
                // Somebody is sending it just now: what came later must not arrive before it.
                run.store.deliver_later(run.actor, until).await?;
                break;
            }
            run.store.finish_notice(run.actor, notice).await?;
        } else if !send(run, notice).await? {
            break;
        }
    }
    Ok(())
}

/// Sends one; false when there is no time left.
async fn send(run: &Run<'_>, notice: &Notice) -> Result<bool, StoreError> {
    let Run { store, actor, .. } = run;
    if notice.retry_at.is_some_and(|at| at > run.now()) {
        return Ok(true);
    }
    if !run.has_time() {
        return Ok(false);
    }
    if !store.claim_notice(actor, notice).await? {
        store.deliver_later(actor, run.now().plus(LEASE)).await?;
        return Ok(true);
    }
    let address = match run.state.trusts.address_of(actor, &notice.peer, &notice.base_uri, &notice.secret) {
        Ok(address) => address,
        Err(error) => return give_up(run, notice, &error.to_string()).await,
    };
    let (client, _) = run.client();
    let method = Method::from_bytes(notice.method.as_bytes()).unwrap_or(Method::POST);
    let outcome = run
        .call(&client, (method, &address, &notice.path), |request| match &notice.body {
            Some(body) => request.json_text(body.clone()),
            None => request,
        })
        .await;
    let attempt = Attempt::of(&outcome);
    let Err(error) = outcome else { return finish(run, notice).await };
    if is_done(notice.kind, attempt) {
        return finish(run, notice).await;
    }
    let reason = reason(&error);
    // That there is nothing may change soon at the peer, not in the long run.
    let gone = if attempt == Attempt::Gone { notice.attempts.saturating_add(1) } else { 0 };
    if is_hopeless(run.now(), notice.created_at, gone) {
        return give_up(run, notice, &reason).await;
    }
    let retry_at = retry_at(run.now(), notice.attempts, attempt.retry_after(), &*run.state.entropy);
    store.postpone_notice(actor, notice, retry_at).await?;
    run.count(Count::Held);
    let (peer, kind, attempts) = (&notice.peer, notice.kind.as_str(), notice.attempts.saturating_add(1));
    tracing::warn!(%actor, %peer, kind, attempts, reason, %retry_at, "notice failed");
    Ok(true)
}

/// Whether the peer's answer says that there is nothing left to end: it does not know the thing, or not even the
/// secret.
const fn is_done(kind: NoticeKind, attempt: Attempt) -> bool {
    match kind {
        NoticeKind::Deleted => matches!(attempt, Attempt::Gone | Attempt::Unknown),
        NoticeKind::SubscriptionEnded => matches!(attempt, Attempt::Gone),
        _ => false,
    }
}

async fn finish(run: &Run<'_>, notice: &Notice) -> Result<bool, StoreError> {
    run.store.finish_notice(run.actor, notice).await?;
    run.count(Count::Notice);
    Ok(true)
}

async fn give_up(run: &Run<'_>, notice: &Notice, reason: &str) -> Result<bool, StoreError> {
    if run.store.give_up_notice(run.actor, notice, reason).await? {
        run.count(Count::GivenUp);
        let (actor, peer, kind) = (run.actor, &notice.peer, notice.kind.as_str());
        tracing::warn!(%actor, %peer, kind, reason, "notice given up");
    }
    Ok(true)
}
