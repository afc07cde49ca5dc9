//! What the call itself brings: input, operation, property access, event.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{FromCall, Signature};
use crate::call::{Call, Event, Op, PeerChange};
use crate::error::HookError;
use crate::kind::{Kind, TakesChange, TakesEvent, TakesInput, TakesProperty};
use crate::property::PropertyAccess;
use crate::schema;

/// What the caller sent, as a type of the application's own.
///
/// Its JSON Schema is published with the hook. Data that does not fit is answered 400 with the place and the reason,
/// and the hook does not run. `Input<serde_json::Value>` takes anything.
///
/// A `GET` or `DELETE` brings no data: `T` is then read from `{"method": "GET"}`, as hooks of the Python library expect.
/// `Option<Input<T>>` is `None` instead, and also for a call without a body.
///
/// ```
/// use actingweb_hooks::{HookError, Input, schemars, serde};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add { a: f64, b: f64 }
///
/// fn add_numbers(Input(q): Input<Add>) -> Result<f64, HookError> {
///     Ok(q.a + q.b)
/// }
/// assert_eq!(add_numbers(Input(Add { a: 1.0, b: 2.0 })).unwrap(), 3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<T>(pub T);

impl<K, T> FromCall<K> for Input<T>
where
    K: TakesInput,
    T: DeserializeOwned + JsonSchema + Send + 'static,
{
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        read_input(&call.payload.data).map(Self)
    }

    fn describe(signature: &mut Signature) {
        signature.input = schema::of_input::<T>();
        signature.checks.push(|data| read_input::<T>(data).map(drop));
    }
}

impl<K, T> FromCall<K> for Option<Input<T>>
where
    K: TakesInput,
    T: DeserializeOwned + JsonSchema + Send + 'static,
{
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let has_data = call.payload.op.has_data() && !call.payload.data.is_null();
        if has_data { Input::from_call(call).map(Some) } else { Ok(None) }
    }

    fn describe(signature: &mut Signature) {
        signature.input = schema::of_input::<T>();
        signature.checks.push(|data| if data.is_null() { Ok(()) } else { read_input::<T>(data).map(drop) });
    }
}

impl<K: TakesInput> FromCall<K> for Op {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.payload.op)
    }
}

impl<K: TakesProperty> FromCall<K> for PropertyAccess {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.payload.as_ref().clone())
    }
}

impl<K: TakesEvent> FromCall<K> for Event {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.payload.as_ref().clone())
    }
}

impl<K: TakesChange> FromCall<K> for PeerChange {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.payload.as_ref().clone())
    }
}

/// Reads a value as `T`; a misfit is [`HookError::Invalid`] with its place: "`items[2].price`: invalid type: ...".
pub(crate) fn read_input<T: DeserializeOwned>(value: &Value) -> Result<T, HookError> {
    // Keeping track of the place costs time, so it is done on the second try only.
    T::deserialize(value).or_else(|_| {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner();
            HookError::Invalid(if path == "." { reason.to_string() } else { format!("`{path}`: {reason}") })
        })
    })
}

/// The call's actor.
impl<K: Kind> FromCall<K> for crate::Actor {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        <Option<Self> as FromCall<K>>::from_call(call)?.ok_or_else(|| {
            HookError::terminal("this request addresses no actor: take `Option<Actor>` in a hook that serves such, too")
        })
    }
}

/// With this hook's deadline.
impl<K: Kind> FromCall<K> for crate::Directory {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        Ok(call.shared.surroundings.directory.with_deadline(call.shared.deadline))
    }
}

/// The call's actor, when it addresses one.
impl<K: Kind> FromCall<K> for Option<crate::Actor> {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        let shared = &call.shared;
        Ok(shared.invocation.actor.as_ref().map(|actor| actor.with_deadline(shared.deadline)))
    }
}
