//! The Lambda function of the group `methods`.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    actingweb_runtime::run(actingweb_app::app(), actingweb_methods::router).await
}
