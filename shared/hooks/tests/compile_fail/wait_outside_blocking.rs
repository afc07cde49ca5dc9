use actingweb_hooks::prelude::*;

fn digest(actor: Actor, wait: Wait) -> Result<usize, HookError> {
    let notes = wait.on(actor.property("notes"))??;
    Ok(notes.map_or(0, |notes| notes.to_string().len()))
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("digest", digest);
}
