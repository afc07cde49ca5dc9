//! What peers understand of the protocol: asked for beside deliveries, never before one.

use std::sync::PoisonError;
use std::time::Duration;

use actingweb_peer::PeerAddress;
use actingweb_store::{Fact, FactRecord, StoreError, TrustRecord};
use futures_util::{StreamExt as _, stream};
use http::Method;
use serde_json::{Value, json};

use crate::run::Run;

/// The tag of peers that take compressed callbacks.
const COMPRESSION: &str = "callbackcompression";

/// Where a peer says what it understands: names with commas between, for everybody to read.
const SUPPORTED: &str = "meta/actingweb/supported";

/// How long what a peer said is believed.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// How many peers are asked at once.
const CONCURRENT: usize = 16;

/// Whether a peer takes compressed callbacks, as far as is known. One of which that is not known is asked after the
/// delivery.
pub(crate) async fn takes_gzip(run: &Run<'_>, trust: &TrustRecord) -> Result<bool, StoreError> {
    let known = run.store.known_peer(run.actor, &trust.peer).await?;
    let said = known.facts.iter().find(|record| record.fact == Fact::Options && record.trust_since == trust.created_at);
    if said.is_none_or(|said| said.fetched_at.plus(GOOD_FOR) <= run.now()) {
        run.meet(trust);
    }
    Ok(said.is_some_and(|said| mentions(&said.value, COMPRESSION)))
}

/// Asks the peers that were met without being known. What fails is asked again another time.
pub(crate) async fn learn(run: &Run<'_>) {
    let strangers = std::mem::take(&mut *run.strangers.lock().unwrap_or_else(PoisonError::into_inner));
    let asking: Vec<_> = strangers.into_values().map(|trust| ask(run, trust)).collect();
    stream::iter(asking).buffer_unordered(CONCURRENT).collect::<Vec<()>>().await;
}

async fn ask(run: &Run<'_>, trust: TrustRecord) {
    // Without the secret: it is for everybody to read.
    let Ok(address) = PeerAddress::new(&trust.base_uri) else { return };
    if !run.has_time() {
        return;
    }
    let (client, _) = run.client();
    let fetched_at = run.now();
    let Ok(reply) = run.call(&client, (Method::GET, &address, SUPPORTED), |request| request).await else { return };
    let text = String::from_utf8_lossy(reply.body());
    let tags: Vec<&str> = text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
    let value = json!(tags);
    let record = FactRecord { fact: Fact::Options, value, fetched_at, trust_since: trust.created_at };
    if let Err(error) = run.store.put_fact(run.actor, &trust.peer, &record).await {
        tracing::warn!(actor = %run.actor, peer = %trust.peer, %error, "what a peer understands could not be kept");
    }
}

/// Whether a tag is anywhere among what a peer said, as a list or as text with commas.
fn mentions(said: &Value, tag: &str) -> bool {
    match said {
        Value::String(text) => text.split(',').any(|part| part.trim() == tag),
        Value::Array(parts) => parts.iter().any(|part| mentions(part, tag)),
        Value::Object(members) => members.values().any(|member| mentions(member, tag)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_whole() {
        for said in [
            json!("www, callbackcompression"),
            json!(["callbackcompression"]),
            json!({ "options": ["a,callbackcompression"] }),
        ] {
            assert!(mentions(&said, COMPRESSION), "{said}");
        }
        for said in
            [json!("nocallbackcompression"), json!(["compression"]), json!(null), json!({ "callbackcompression": 1 })]
        {
            assert!(!mentions(&said, COMPRESSION), "{said}");
        }
    }
}
