//! The Lambda function that streams answers of methods: the router of the group `methods`, behind a function URL.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    actingweb_runtime::run_streaming(actingweb_app::app(), actingweb_methods::stream_router).await
}
