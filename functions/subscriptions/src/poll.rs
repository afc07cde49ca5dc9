//! Diffs: polled together or one by one, and cleared.

use actingweb_actor::{Diff, SubscriptionRecord};
use actingweb_hooks::Invocation;
use actingweb_web::paging::{MAX_LIMIT, Page};
use actingweb_web::{Problem, Reply, Telling, json, no_content};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use serde_json::{Value, json};

use crate::view::Shown;
use crate::{Request, no_subscription};

/// The most bytes of diffs in one reply: Lambda's replies hold 6 MB.
const MAX_REPLY_BYTES: usize = 5_000_000;

/// How many diffs are read at once: each may have 300 KB.
const DIFFS_AT_ONCE: usize = 20;

/// How many diffs' hooks run at once.
const CONCURRENT_HOOKS: usize = 32;

impl Request<'_> {
    /// The diffs that were not cleared, by number: as many as a reply holds, or `?limit=`, with a `Link` to more.
    /// `sequence` is the subscription's last number, also when its diff is not among them. A poll that comes before any
    /// delivery numbers the changes itself.
    pub(crate) async fn poll(&self, id: &str) -> Reply {
        let page = Page::of(self.incoming)?;
        let after = page.as_ref().and_then(|page| page.cursor.as_deref()).map(str::parse::<u64>).transpose();
        let after =
            after.map_err(|_| Problem::bad_request("cursor is not one that a reply of this subscription gave"))?;
        let actor = &self.admission.actor;
        let numbered = actor.number_for(self.state.publishing(), &self.peer).await?;
        let Some(subscription) = numbered.into_iter().find(|subscription| subscription.id == id) else {
            // One of the actor's own keeps no diffs here.
            let feed = actor.feed(&self.peer, id).await?.ok_or_else(no_subscription)?;
            return Ok(json(StatusCode::OK, &Shown::from(&feed).with_diffs(actor.id(), Vec::new())));
        };
        let page = page.unwrap_or(Page { limit: MAX_LIMIT, cursor: None });
        let (diffs, next) = self.diffs(&subscription, after.unwrap_or_default(), page.limit).await?;
        let body = Shown::from(&subscription).with_diffs(actor.id(), diffs);
        let next = next.map(|next| next.to_string());
        Ok(page.link(self.state, self.incoming, next.as_deref(), json(StatusCode::OK, &body)))
    }

    /// Diffs after a number, and the number of the last of them if there are more.
    async fn diffs(
        &self,
        subscription: &SubscriptionRecord,
        mut after: u64,
        limit: usize,
    ) -> Result<(Vec<Value>, Option<u64>), Problem> {
        let invocation = self.invocation();
        let telling = self.telling(&invocation, subscription);
        let (mut shown, mut bytes) = (Vec::new(), 0);
        loop {
            let read = self.admission.actor.diffs(subscription, after, DIFFS_AT_ONCE).await?;
            let ends = |diff: &Diff| diff.sequence >= subscription.sequence;
            let is_last = read.len() < DIFFS_AT_ONCE || read.last().is_some_and(ends);
            let told: Vec<_> = read.iter().map(|diff| entry(telling, diff)).collect();
            let mut told = stream::iter(told).buffered(CONCURRENT_HOOKS);
            while let Some((sequence, entry)) = told.next().await {
                bytes += entry.to_string().len();
                if shown.len() == limit || (bytes > MAX_REPLY_BYTES && !shown.is_empty()) {
                    return Ok((shown, Some(after)));
                }
                after = sequence;
                shown.push(entry);
            }
            if is_last {
                return Ok((shown, None));
            }
        }
    }

    /// One diff, the same until it is cleared.
    pub(crate) async fn diff(&self, id: &str, sequence: &str) -> Reply {
        let missing = || Problem::not_found("there is no such diff: it was cleared, or is not there yet");
        let actor = &self.admission.actor;
        let sequence: u64 = sequence.parse().map_err(|_| missing())?;
        let subscription = actor.subscription(&self.peer, id).await?.ok_or_else(no_subscription)?;
        let diff: Diff = actor.diff(&subscription, sequence).await?.ok_or_else(missing)?;
        let invocation = self.invocation();
        let telling = self.telling(&invocation, &subscription);
        let mut body = Shown::from(&subscription).identity(actor.id());
        if let Value::Object(entry) = telling.entry(&diff, telling.tell(&diff).await) {
            body.extend(entry);
        }
        Ok(json(StatusCode::OK, &body))
    }

    /// Clears the diffs up to `{"sequence": n}`, which may be a text, or `?sequence=` where the body is not JSON. There is
    /// no diff 0, so 0 clears nothing.
    pub(crate) async fn clear(&self, id: &str) -> Reply {
        let upto = self.sequence()?;
        let actor = &self.admission.actor;
        let Some(subscription) = actor.subscription(&self.peer, id).await? else {
            // One of the actor's own has nothing to clear here.
            return actor.feed(&self.peer, id).await?.map(|_| no_content()).ok_or_else(no_subscription);
        };
        actor.clear_diffs(&subscription, upto).await?;
        Ok(no_content())
    }

    fn sequence(&self) -> Result<u64, Problem> {
        let payload = &self.incoming.payload;
        let named = match (payload.object(), self.incoming.param("sequence")) {
            (Ok(body), _) if body.contains_key("sequence") => body.get("sequence").cloned(),
            (_, Some(text)) => Some(json!(text)),
            (Ok(_), None) => None,
            (Err(problem), None) => return Err(problem),
        };
        let number = match named {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| Problem::bad_request("`sequence` must be the number of the last diff that was read"))
    }

    pub(crate) fn telling<'a>(
        &'a self,
        invocation: &'a Invocation,
        subscription: &'a SubscriptionRecord,
    ) -> Telling<'a> {
        Telling { state: self.state, invocation, access: &self.admission.access, subscription }
    }
}

async fn entry(telling: Telling<'_>, diff: &Diff) -> (u64, Value) {
    (diff.sequence, telling.entry(diff, telling.tell(diff).await))
}
