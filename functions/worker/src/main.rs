//! The Lambda function of the worker.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    let work = |state, wake, deadline| async move { actingweb_worker::work(&state, wake, deadline).await };
    actingweb_runtime::run_worker(actingweb_app::app(), work).await
}
