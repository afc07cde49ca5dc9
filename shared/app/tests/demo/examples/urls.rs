//! A hook that fetches what its caller names, and goes nowhere else.

use std::sync::Arc;

use actingweb_hooks::prelude::*;
use actingweb_peer::{Guard, HttpSettings, Limits, PeerAddress, PeerClient};
use actingweb_testkit::service_standin::ServiceStandin;

async fn fetch_data(Input(url): Input<String>, http: GuardedHttp) -> Result<String, HookError> {
    let place = PeerAddress::new(&url).map_err(|refusal| HookError::invalid(refusal.to_string()))?;
    let reply = http.get(&place, &url).send().await?;
    Ok(String::from_utf8_lossy(reply.body()).into_owned())
}

fn guarded(guard: Guard) -> GuardedHttp {
    GuardedHttp(PeerClient::new(&HttpSettings::default(), guard, Limits::default()).unwrap())
}

#[tokio::test]
async fn the_callers_url_is_fetched_with_its_query() {
    let standin = ServiceStandin::start().unwrap();
    let url = format!("{}/weather?city=Oslo", standin.url());
    let page = fetch_data(Input(url), guarded(Guard::Loopback)).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&page).unwrap()["city"], "Oslo");
}

#[tokio::test]
async fn what_must_not_be_fetched_is_the_callers_mistake() {
    let standin = Arc::new(ServiceStandin::start().unwrap());
    for url in [standin.url(), "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "no url"] {
        let refused = fetch_data(Input(url.to_owned()), guarded(Guard::Strict)).await;
        assert!(matches!(refused, Err(HookError::Invalid(_))), "{url}: {refused:?}");
    }
    assert_eq!(standin.call_count(), 0);
}
