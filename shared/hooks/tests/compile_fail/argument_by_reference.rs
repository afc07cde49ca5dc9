//! An extractor that is taken by reference.

use actingweb_hooks::{Actor, App, HookError};

fn greet(actor: &Actor) -> Result<String, HookError> {
    Ok(actor.creator().to_owned())
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("greet", greet);
}
