//! `/{actor}/callbacks/{name}`: callback hooks.

use actingweb_protocol::Name;
use actingweb_web::calls::{Callable, call_by_path, operation};
use actingweb_web::{AppState, Incoming, Reply};

pub(crate) async fn callback(state: &AppState, incoming: &Incoming, name: &str) -> Reply {
    let name = Name::parse(name)?;
    operation(incoming)?;
    let admission = incoming.admit(state, &[]).await?;
    call_by_path(state, incoming, &admission, Callable::Callback, name.as_str()).await
}
