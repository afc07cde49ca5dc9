use actingweb_hooks::prelude::*;
use futures_util::stream;

async fn report() -> Result<Streamed<String>, HookError> {
    Ok(Streamed::new(stream::empty()))
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").action("report", report);
}
