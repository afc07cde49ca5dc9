use std::rc::Rc;

use actingweb_hooks::prelude::*;

async fn count(http: Http) -> Result<usize, HookError> {
    let seen = Rc::new(1);
    http.get("https://service.example").send().await?;
    Ok(*seen)
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("count", count);
}
