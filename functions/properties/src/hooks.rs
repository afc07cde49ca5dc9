//! Property hooks around reads and writes.

use actingweb_hooks::{Filtered, Invocation, Op};
use actingweb_protocol::Name;
use actingweb_web::{AppState, Incoming, Problem};
use serde_json::Value;

/// What the hooks of a property make of a value: another value, or `None` to hide it. Costs nothing for a property
/// without hooks.
pub(crate) async fn filter(
    state: &AppState,
    incoming: &Incoming,
    invocation: &Invocation,
    op: Op,
    (name, below): (&Name, &[String]),
    value: Value,
) -> Result<Option<Value>, Problem> {
    if !state.hooks.has_property_hooks(name.as_str()) {
        return Ok(Some(value));
    }
    let filtered = state.hooks.filter_property(invocation, op, name.as_str(), value, below);
    match incoming.context.in_hook("property", name.as_str(), filtered).await? {
        Filtered::Value(value) => Ok(Some(value)),
        Filtered::Hidden => Ok(None),
    }
}

/// [`filter`] for a write, which gives the value to store.
pub(crate) async fn filter_write(
    state: &AppState,
    incoming: &Incoming,
    invocation: &Invocation,
    op: Op,
    at: (&Name, &[String]),
    value: Value,
) -> Result<Value, Problem> {
    // The engine answers a write to a hidden property with a failure of its own.
    let hidden = || Problem::forbidden(format!("property `{}` cannot be changed by this caller", at.0));
    filter(state, incoming, invocation, op, at, value).await?.ok_or_else(hidden)
}
