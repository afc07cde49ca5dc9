//! The Lambda function of the group `properties`.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    actingweb_runtime::run(actingweb_app::app(), actingweb_properties::router).await
}
