//! What clients, sessions and sign-in cost: DynamoDB calls, and how many of them wait for one another (docs/architecture.md,
//! "Budgets").

use actingweb_protocol::oauth::Audience;
use actingweb_tests::grants::{Grantee, session_of};
use serde_json::json;

use crate::oauth_grants::{get, site, text};

#[tokio::test]
async fn tokens_keep_their_budgets() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    ann.put("/properties/public", &json!({ "motto": "hello" })).await.expect(204);
    let client = Grantee::public(&site).await;
    let code = client.consent(&ann, Audience::Rest, "friend").await;
    let (answer, calls) = site.meter().measure(client.exchange(&code)).await;
    let tokens = answer.expect(200).json();
    assert_eq!((calls.count(), calls.longest_chain()), (2, 2), "exchange: {:?}", calls.operations());
    let (answer, calls) = site.meter().measure(client.refresh(text(&tokens, "refresh_token"))).await;
    answer.expect(200);
    assert_eq!((calls.count(), calls.longest_chain()), (2, 2), "refresh: {:?}", calls.operations());
    let (answer, calls) = site.meter().measure(client.refresh(text(&tokens, "refresh_token"))).await;
    let tokens = answer.expect(200).json();
    assert_eq!(calls.count(), 1, "the same again: {:?}", calls.operations());
    // As for any other credential.
    for path in ["/methods", "/properties/public"] {
        let (answer, calls) = site.meter().measure(get(&ann, path, text(&tokens, "access_token"))).await;
        assert!(matches!(answer.status, 200 | 403), "{}", answer.body);
        assert_eq!((calls.count(), calls.longest_chain()), (1, 1), "{path}: {:?}", calls.operations());
    }
    let session = session_of(&site, &ann).await;
    let (answer, calls) = site.meter().measure(get(&ann, "/properties/public", &session)).await;
    answer.expect(200);
    assert_eq!((calls.count(), calls.longest_chain()), (1, 1), "a session: {:?}", calls.operations());
}
