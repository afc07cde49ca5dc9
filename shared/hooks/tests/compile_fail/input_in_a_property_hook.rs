use actingweb_hooks::prelude::*;

fn guard_email(Input(email): Input<String>) -> Result<Verdict, HookError> {
    Ok(Verdict::Replace(email.to_lowercase().into()))
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").property("email", guard_email);
}
