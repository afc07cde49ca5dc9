//! What property hooks see and decide.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::Op;
use crate::error::HookError;

/// One read or write of a property, on its way to the caller or into the store. Argument of property hooks.
///
/// | `op` | `value` |
/// |---|---|
/// | `Get` | what is stored, or what an earlier hook made of it |
/// | `Put`, `Post` | the whole value about to be stored; for a write below the property, the merged value |
/// | `Delete` | what is stored now |
#[derive(Clone, Debug)]
pub struct PropertyAccess {
    pub(crate) op: Op,
    pub(crate) name: String,
    pub(crate) below: Vec<String>,
    pub(crate) value: Arc<Value>,
}

impl PropertyAccess {
    /// An access as the framework would make it: for tests of a property hook.
    #[must_use]
    pub fn new(op: Op, name: impl Into<String>, value: Value) -> Self {
        Self { op, name: name.into(), below: Vec::new(), value: Arc::new(value) }
    }

    /// The same access, of what lies at this path of keys below the property.
    #[must_use]
    pub fn below(mut self, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.below = path.into_iter().map(Into::into).collect();
        self
    }

    /// What is done.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.op
    }

    /// Whether it changes the property: every operation but `Get`.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        !matches!(self.op, Op::Get)
    }

    /// The property; what a `*` hook was called for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys below the property that the caller addressed; empty for the whole property.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.below
    }

    /// The value, as the table above says.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value, when it is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// The value as a type of the application's own.
    ///
    /// # Errors
    /// [`HookError::Invalid`] naming what is wrong and where, which refuses a write with status 400.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, HookError> {
        crate::extract::read_input(&self.value)
    }
}

/// What a property hook decides. To refuse a write, return `Err(HookError::rejected(reason))`.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The value passes as it is.
    Keep,
    /// This value takes its place: in the reply of a read, in the store for a write, for the hooks after this one.
    Replace(Value),
    /// A read answers as if there were no such property. A write is refused with 403: what a caller may not see it
    /// cannot change.
    Hide,
}

/// What property hooks left of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Filtered {
    /// The value to answer with or to store.
    Value(Value),
    /// The caller must not see the property (reads only).
    Hidden,
}
