//! More arguments than a hook may have, and a call in place of a function.

use actingweb_hooks::{Actor, App, Context, HookError, Http, Now, Peers, Random, Services};

fn crowded(
    _: Actor,
    _: Context,
    _: Http,
    _: Now,
    _: Peers,
    _: Random,
    _: Services,
    _: Actor,
    _: Actor,
) -> Result<u32, HookError> {
    Ok(1)
}

fn called() -> Result<u32, HookError> {
    Ok(1)
}

fn main() {
    let _ = App::new("urn:actingweb:example.com:demo").method("crowded", crowded).method("called", called());
}
