//! The Lambda function of the group `mcp`.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    actingweb_runtime::run(actingweb_app::app(), actingweb_mcp::router).await
}
