//! The application's own shared state.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use super::{FromCall, Signature};
use crate::call::Call;
use crate::error::HookError;
use crate::kind::Kind;

/// The one value of type `S` that the application registered with [`App::state`](crate::App::state) or
/// [`App::state_from`](crate::App::state_from): a pool, a client, a parsed configuration.
///
/// It is built once per process and shared by every invocation. A hook that asks for a type nobody registered is an
/// error at start, not at the first call.
///
/// ```
/// # use actingweb_hooks::{App, HookError, State};
/// struct Greeting(String);
///
/// fn greet(State(greeting): State<Greeting>) -> Result<String, HookError> {
///     Ok(greeting.0.clone())
/// }
/// let app = App::new("urn:actingweb:example.com:demo").state(Greeting("Hello".into())).method("greet", greet);
/// ```
#[derive(Debug)]
pub struct State<S>(pub Arc<S>);

impl<S> Clone for State<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Kind, S: Send + Sync + 'static> FromCall<K> for State<S> {
    fn from_call(call: &Call<K>) -> Result<Self, HookError> {
        call.shared.surroundings.states.get().map(Self).ok_or_else(|| {
            // The start-up check makes this unreachable, unless an extractor that holds a `State` hid it.
            let name = std::any::type_name::<S>();
            HookError::terminal(format!("no state of type `{name}`: register it with `App::state`"))
        })
    }

    fn describe(signature: &mut Signature) {
        signature.states.push((TypeId::of::<S>(), std::any::type_name::<S>()));
    }
}

/// Values by their type.
#[derive(Default, Debug)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Adds a value; false when there is one of its type already.
    pub(crate) fn insert(&mut self, id: TypeId, value: Arc<dyn Any + Send + Sync>) -> bool {
        self.0.insert(id, value).is_none()
    }

    pub(crate) fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    fn get<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        Arc::clone(self.0.get(&TypeId::of::<S>())?).downcast().ok()
    }
}
