//! Fields of a request's body: JSON, or a form.

use actingweb_web::{Incoming, Problem};
use serde_json::{Map, Value};

/// The largest body, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// A body's fields.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads the body: a JSON object, or a form.
    ///
    /// # Errors
    /// 400 for anything else, 413 above 256 KiB.
    pub(crate) fn of(incoming: &Incoming) -> Result<Self, Problem> {
        if incoming.payload.bytes.len() > MAX_BYTES {
            return Err(Problem::too_large(format!("the body is larger than {MAX_BYTES} bytes")));
        }
        Ok(Self(match incoming.form() {
            Some(form) => form.into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
            None => incoming.payload.object()?,
        }))
    }

    /// All of them.
    pub(crate) fn into_json(self) -> Map<String, Value> {
        self.0
    }

    /// A text; `None` when it is absent, null or empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Problem::bad_request(format!("`{name}` must be a string"))),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| Problem::bad_request(format!("`{name}` is missing")))
    }

    /// Yes or no, as JSON or as text; `None` when it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(Problem::bad_request(format!("`{name}` must be true or false"))),
        }
    }

    /// Any value; `None` when it is absent or null.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}
