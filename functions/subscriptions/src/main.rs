//! The Lambda function of the group `subscriptions`.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    actingweb_runtime::run(actingweb_app::app(), actingweb_subscriptions::router).await
}
