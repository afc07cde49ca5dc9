//! The Lambda function of the worker.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    let drain = |state, deadline| async move { actingweb_worker::drain(&state, deadline).await };
    actingweb_runtime::run_worker(actingweb_app::app(), drain).await
}
