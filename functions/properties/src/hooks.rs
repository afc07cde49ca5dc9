//! Property hooks around reads and writes.

use actingweb_hooks::{Filtered, Invocation, Op};
use actingweb_protocol::Name;
use actingweb_web::{AppState, Incoming, Problem};
use serde_json::Value;

/// The hooks of one request's properties.
#[derive(Clone, Copy)]
pub(crate) struct Guard<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) incoming: &'a Incoming,
    pub(crate) invocation: &'a Invocation,
}

impl Guard<'_> {
    /// What the hooks of a property make of a value that is read: another value, or `None` to hide it. Costs nothing
    /// for a property without hooks.
    pub(crate) async fn read(self, name: &Name, below: &[String], value: Value) -> Result<Option<Value>, Problem> {
        match self.filter(Op::Get, name, below, value).await? {
            Filtered::Value(value) => Ok(Some(value)),
            Filtered::Hidden => Ok(None),
        }
    }

    /// What the hooks of a property make of a value that is written or deleted.
    pub(crate) async fn write(self, op: Op, name: &Name, below: &[String], value: Value) -> Result<Value, Problem> {
        match self.filter(op, name, below, value).await? {
            Filtered::Value(value) => Ok(value),
            // The engine answers a write to a hidden property with a failure of its own.
            Filtered::Hidden => Err(Problem::forbidden(format!("property `{name}` cannot be changed by this caller"))),
        }
    }

    async fn filter(self, op: Op, name: &Name, below: &[String], value: Value) -> Result<Filtered, Problem> {
        if !self.state.hooks.has_property_hooks(name.as_str()) {
            return Ok(Filtered::Value(value));
        }
        let filtered = self.state.hooks.filter_property(self.invocation, op, name.as_str(), value, below);
        Ok(self.incoming.context.in_hook("property", name.as_str(), filtered).await?)
    }
}
