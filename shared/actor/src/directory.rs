//! Finding actors by what they say of themselves.

use actingweb_protocol::{ActorId, Deadline, Name};
use actingweb_store::Store;

use crate::actor::parse;
use crate::{Actor, ActorError};

/// All actors, by their indexed properties: for hooks that know a value and look for its actor, such as whose account at
/// a provider a notification is about. Cheap to clone.
///
/// No endpoint offers this: who may ask for an actor is the application's to decide.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// `None` where there is no storage; nothing is indexed then.
    store: Option<Store>,
}

/// Actors found by the value of a property.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The actors, in the order of their ids. Possibly none although there are more to come.
    pub actors: Vec<Actor>,
    /// Where to go on, with [`Directory::find_after`]; `None` when there are no more.
    pub next: Option<ActorId>,
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The application does not index the property.
    #[error("actors cannot be found by `{0}`: add `.indexed(\"{0}\")` to the application")]
    NotIndexed(Name),
    /// Storage failed, or what was asked for is no name.
    #[error(transparent)]
    Storage(#[from] ActorError),
}

impl Directory {
    /// The actors in `store`, by the properties it indexes. The default has no storage: for tests of hooks.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store: Some(store) }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { store: self.store.as_ref().map(|store| store.with_deadline(deadline)) }
    }

    /// The actors whose property has this value now, 50 at most: two calls to storage, one when there are none. A number
    /// is found by its JSON text.
    ///
    /// Several actors may say the same of themselves, and what an owner may write proves nothing: before a value is taken
    /// for an identity, a property hook must have checked it. [`Found::only`] refuses to choose.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn find(&self, property: &str, value: &str) -> Result<Found, DirectoryError> {
        self.page(property, value, None).await
    }

    /// The actors after those found before: give it [`Found::next`].
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn find_after(&self, property: &str, value: &str, last: &ActorId) -> Result<Found, DirectoryError> {
        self.page(property, value, Some(last)).await
    }

    async fn page(&self, property: &str, value: &str, after: Option<&ActorId>) -> Result<Found, DirectoryError> {
        let name = parse(property)?;
        let store = match &self.store {
            Some(store) if store.is_indexed(&name) => store,
            _ => return Err(DirectoryError::NotIndexed(name)),
        };
        let found = store.find_by_property(&name, value, after).await.map_err(ActorError::from)?;
        let actors = found.actors.into_iter().map(|record| Actor::new(record, store.clone())).collect();
        Ok(Found { actors, next: found.next })
    }
}

impl Found {
    /// The actor, when there is exactly one.
    #[must_use]
    pub fn only(mut self) -> Option<Actor> {
        match (self.actors.pop(), self.actors.is_empty(), self.next) {
            (found, true, None) => found,
            _ => None,
        }
    }
}
