use actingweb_hooks::prelude::*;
use futures_util::stream;

struct Token;

async fn draft() -> Result<Streamed<Token>, HookError> {
    Ok(Streamed::new(stream::empty()))
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("draft", draft);
}
