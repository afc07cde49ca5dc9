//! The Lambda function that sends what actors owe their peers.

#[tokio::main]
async fn main() -> Result<(), actingweb_runtime::Error> {
    let deliver = |state, actor, deadline| async move { actingweb_deliver::deliver(&state, &actor, deadline).await };
    actingweb_runtime::run_deliver(actingweb_app::app(), deliver).await
}
