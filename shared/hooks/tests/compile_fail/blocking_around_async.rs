use actingweb_hooks::prelude::*;

async fn fingerprint(Input(text): Input<String>) -> Result<usize, HookError> {
    Ok(text.len())
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("fingerprint", blocking(fingerprint));
}
