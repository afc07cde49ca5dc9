//! What stands before every property: the caller's rights, then the application's hooks.

use actingweb_hooks::{Filtered, Invocation, Op};
use actingweb_protocol::Name;
use actingweb_protocol::permission::{Access, Operation};
use actingweb_web::{AppState, Incoming, Problem};
use serde_json::Value;

/// The guard of one request's properties.
#[derive(Clone, Copy)]
pub(crate) struct Guard<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) incoming: &'a Incoming,
    pub(crate) access: &'a Access,
    pub(crate) invocation: &'a Invocation,
}

impl Guard<'_> {
    /// What the caller may see of a plain value: what hooks make of it, without the leaves it may not read. Costs
    /// nothing for a creator and a property without hooks.
    pub(crate) async fn read(self, name: &Name, below: &[String], value: Value) -> Result<Option<Value>, Problem> {
        match self.filter(Op::Get, name, below, value).await? {
            Filtered::Value(value) => Ok(self.access.filter_readable(name.as_str(), value)),
            Filtered::Hidden => Ok(None),
        }
    }

    /// What the caller may see of a list's items.
    pub(crate) async fn read_list(self, name: &Name, below: &[String], value: Value) -> Result<Option<Value>, Problem> {
        if self.access.check_list(name.as_str(), Operation::Read).is_err() {
            return Ok(None);
        }
        match self.filter(Op::Get, name, below, value).await? {
            Filtered::Value(value) => Ok(Some(value)),
            Filtered::Hidden => Ok(None),
        }
    }

    /// What hooks make of a value that is written or deleted; the caller's rights are checked against what is there.
    pub(crate) async fn write(self, op: Op, name: &Name, below: &[String], value: Value) -> Result<Value, Problem> {
        match self.filter(op, name, below, value).await? {
            Filtered::Value(Value::Null) if op != Op::Delete => {
                Err(Problem::bad_request(format!("property `{name}` cannot be null: delete it instead")))
            }
            Filtered::Value(value) => Ok(value),
            // The engine answers a write to a hidden property with a failure of its own.
            Filtered::Hidden => Err(Problem::forbidden(format!("property `{name}` cannot be changed by this caller"))),
        }
    }

    /// [`Guard::write`] for a list or one of its items.
    pub(crate) async fn write_list(
        self,
        op: Op,
        name: &Name,
        below: &[String],
        value: Value,
    ) -> Result<Value, Problem> {
        // Taking an item out of a list changes the list; only the list as a whole is deleted.
        let operation = if op == Op::Delete && below.is_empty() { Operation::Delete } else { Operation::Write };
        self.access.check_list(name.as_str(), operation)?;
        self.write(op, name, below, value).await
    }

    async fn filter(self, op: Op, name: &Name, below: &[String], value: Value) -> Result<Filtered, Problem> {
        if !self.state.hooks.has_property_hooks(name.as_str()) {
            return Ok(Filtered::Value(value));
        }
        let filtered = self.state.hooks.filter_property(self.invocation, op, name.as_str(), value, below);
        Ok(self.incoming.context.in_hook("property", name.as_str(), filtered).await?)
    }
}
