use actingweb_hooks::prelude::*;

fn plain() -> u32 {
    42
}

async fn later() -> u32 {
    42
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("plain", plain).action("later", later);
}
