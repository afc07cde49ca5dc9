//! Tokens while storage fails, or is slow.

use std::time::Duration;

use actingweb_protocol::oauth::Audience;
use actingweb_tests::Faults;
use actingweb_tests::grants::Grantee;

use crate::oauth_grants::{get, site, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_storage_loses_no_client() {
    let (site, clock) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::public(&site).await;
    let lose = |operation: &str| {
        let lost = Faults { drop_reply_after_apply: 1.0, ..Faults::none() };
        site.meter().reset();
        site.meter().inject(lost.on([operation]).at_most(1));
    };
    lose("TransactWriteItems");
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    lose("PutItem");
    let first = client.exchange(&code).await.expect(200).json();
    assert_eq!(site.meter().calls().faulted(), 1);
    lose("PutItem");
    let second = client.refresh(text(&first, "refresh_token")).await.expect(200).json();
    assert_eq!(site.meter().calls().faulted(), 1);
    clock.advance(Duration::from_secs(61));
    client.refresh(text(&second, "refresh_token")).await.expect(200);
    get(&ann, "/methods", text(&second, "access_token")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_current_when_it_came_gets_on_however_far_others_have_got() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let client = Grantee::public(&site).await;
    let first = client.tokens(&ann, Audience::Rest, "friend").await;
    // It has read the row, and waits; meanwhile another refreshes twice.
    let held = site.meter().hold_calls("PutItem", 1);
    let slow = client.refresh(text(&first, "refresh_token"));
    let others = async {
        held.arrived().await;
        let second = client.refresh(text(&first, "refresh_token")).await.expect(200).json();
        let third = client.refresh(text(&second, "refresh_token")).await.expect(200).json();
        held.release();
        third
    };
    let (slow, third) = tokio::join!(slow, others);
    let tokens = slow.expect(200).json();
    assert_eq!(tokens["refresh_token"], third["refresh_token"]);
    client.refresh(text(&tokens, "refresh_token")).await.expect(200);
}
