//! The handle that hooks and handlers work with.

use std::collections::HashMap;
use std::sync::Arc;

use actingweb_protocol::subscription::{Change as Told, PROPERTIES, Scope, deleted};
use actingweb_protocol::{ActorId, Deadline, Name, PropertyPath, Timestamp, nested};
use actingweb_store::{
    ActorRecord, Change, Decision, DueJob, FirstPage, Home, ListRecord, LogView, Store, Stored, Wanted, Write,
};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{ActorError, limits, operations};

/// One actor: its identity and its state. Cheap to clone.
///
/// Operations are retried on conflicts and throttling until shortly before the invocation's deadline. They run no
/// property hooks: those guard what comes over HTTP, while this handle is the application itself.
#[derive(Clone, Debug)]
pub struct Actor {
    record: Arc<ActorRecord>,
    store: Store,
    log: LogView,
}

impl Actor {
    /// A handle on a stored actor. Once the actor is deleted, what is written through it fails.
    #[must_use]
    pub fn new(record: ActorRecord, store: Store) -> Self {
        let store = store.guarding(&record.id, None);
        Self::departed(record, store)
    }

    /// The same actor, found by a call that began at `seen`: a write soon after it need not look again whether the actor is
    /// still there.
    #[must_use]
    pub fn seen_at(self, seen: Instant) -> Self {
        Self { store: self.store.guarding(self.id(), Some(seen)), ..self }
    }

    /// The same actor, found by a call that began at `seen`, knowing where its change log stands.
    pub(crate) fn knowing(self, log: LogView, seen: Instant) -> Self {
        Self { log, store: self.store.guarding(self.id(), Some(seen)), ..self }
    }

    /// A handle on what is left of an actor whose deletion has begun.
    pub(crate) fn departed(record: ActorRecord, store: Store) -> Self {
        Self { record: Arc::new(record), store, log: LogView::default() }
    }

    /// The same actor with another deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Deadline) -> Self {
        Self { store: self.store.with_deadline(deadline), ..self.clone() }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ActorId {
        &self.record.id
    }

    /// Who created it.
    #[must_use]
    pub fn creator(&self) -> &str {
        &self.record.creator
    }

    /// The trustee's URL root, if it has one.
    #[must_use]
    pub fn trustee_root(&self) -> Option<&str> {
        self.record.trustee_root.as_deref()
    }

    /// When it was created.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// The value of a property, `None` when there is none of that name; of a list, all its items.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no name; storage errors.
    pub async fn property(&self, name: &str) -> Result<Option<Value>, ActorError> {
        match self.stored(&parse(name)?).await? {
            None => Ok(None),
            Some(Stored::Value(property)) => Ok(Some(property.value)),
            Some(Stored::List(list)) => {
                Ok(Some(self.items_of(&list).await?.into_iter().map(|item| item.value).collect()))
            }
        }
    }

    /// What stands under a name: a plain value or a list.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn stored(&self, name: &Name) -> Result<Option<Stored>, ActorError> {
        Ok(self
            .store
            .load(self.id(), Wanted { properties: &[name], ..Wanted::default() })
            .await?
            .properties
            .remove(name))
    }

    /// Up to `limit` properties after a name, and whether there are more. Their order is always the same, but not that of
    /// their names.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn properties_page(&self, after: Option<&Name>, limit: usize) -> Result<(Vec<Stored>, bool), ActorError> {
        Ok(self.store.properties_page(self.id(), after, limit).await?)
    }

    pub(crate) fn record(&self) -> &ActorRecord {
        &self.record
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Forgets where the change log stood.
    pub(crate) fn look_again(&self) {
        self.log.forget();
    }

    /// What a write is made on.
    pub(crate) fn place(&self) -> (&ActorId, &LogView) {
        (self.id(), &self.log)
    }

    /// All properties, in the order of their names: one call per MB, at most two in sequence; a list as `{"_list": true, "count": n}`.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] above 5 MB in all; storage errors.
    pub async fn properties(&self) -> Result<Map<String, Value>, ActorError> {
        let stored = self.stored_properties().await?;
        Ok(stored.into_iter().map(|stored| (stored.name().to_string(), shown(stored))).collect())
    }

    /// [`Actor::properties`] as they are stored, with their versions.
    ///
    /// # Errors
    /// As [`Actor::properties`].
    pub async fn stored_properties(&self) -> Result<Vec<Stored>, ActorError> {
        Ok(self.store.properties(self.id()).await?)
    }

    /// [`Actor::stored_properties`] whose first page was read already.
    ///
    /// # Errors
    /// As [`Actor::properties`].
    pub async fn stored_properties_from(&self, first: FirstPage) -> Result<Vec<Stored>, ActorError> {
        Ok(self.store.properties_from(self.id(), first).await?)
    }

    /// Writes a property, whatever was there.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no name or nested too deep, [`ActorError::TooLarge`] above
    /// [`limits::MAX_VALUE_BYTES`]; storage errors.
    pub async fn set_property(&self, name: &str, value: impl Into<Value>) -> Result<(), ActorError> {
        self.write_property(&parse(name)?, &value.into(), None).await
    }

    /// [`Actor::set_property`] for a name that was checked. `seen` is what was read under it, if anything was: it saves
    /// a call when the property is indexed.
    ///
    /// # Errors
    /// As [`Actor::set_property`].
    pub async fn write_property(&self, name: &Name, value: &Value, seen: Option<&Stored>) -> Result<(), ActorError> {
        limits::check_value(name.as_str(), value)?;
        let seen = seen.map(|seen| (name.clone(), seen.clone())).into_iter().collect();
        let decide = |mut seen: HashMap<Name, Stored>| {
            let decision = match seen.remove(name) {
                Some(Stored::List(_)) => Err(ActorError::is_list(name)),
                _ => Ok(Decision {
                    writes: vec![Write::PutValue(name.clone(), value.clone())],
                    changes: vec![Told::property(name.as_str(), value.clone())],
                }),
            };
            std::future::ready(decision.map(|decision| (decision, ())))
        };
        self.store.change_at(self.place(), &Home::Properties, seen, decide).await?
    }

    /// Reads, changes and writes a property as one step: `change` gets the current value and returns the new one
    /// (`None` deletes it). It is called again when another writer came between, so it must be repeatable.
    ///
    /// # Errors
    /// As [`Actor::set_property`]; [`ActorError::Busy`] when other writers kept coming between.
    pub async fn update_property<F>(&self, name: &str, mut change: F) -> Result<(), ActorError>
    where
        F: FnMut(Option<Value>) -> Option<Value> + Send,
    {
        let name = parse(name)?;
        let current = self.stored(&name).await?;
        let decide = |value| std::future::ready(Ok(change(value).map_or(Change::Delete, Change::Put)));
        self.decide_property(&whole(&name), current, decide).await?
    }

    /// Like [`Actor::update_property`] with a decision that may wait or refuse; `current` was read already. The decision
    /// is about the whole value, also where only what is at `path` changes. The inner error is the decision's own.
    ///
    /// # Errors
    /// As [`Actor::update_property`].
    pub async fn decide_property<E, F, Fut>(
        &self,
        path: &PropertyPath,
        current: Option<Stored>,
        mut decide: F,
    ) -> Result<Result<(), E>, ActorError>
    where
        E: From<ActorError>,
        F: FnMut(Option<Value>) -> Fut,
        Fut: Future<Output = Result<Change, E>>,
    {
        let name = &path.name;
        let seen = current.map(|current| (name.clone(), current)).into_iter().collect();
        let checked = |mut seen: HashMap<Name, Stored>| {
            let current = match seen.remove(name) {
                Some(Stored::List(_)) => Err(ActorError::is_list(name)),
                Some(Stored::Value(property)) => Ok(Some((property.value, property.version))),
                None => Ok(None),
            };
            let decision = current.map(|current| {
                let (old, version) = current.unzip();
                (decide(old.clone()), old, version)
            });
            async {
                let (decision, old, version) = decision?;
                let (write, told) = match decision.await? {
                    Change::Keep => return Ok((Decision::default(), ())),
                    Change::Put(value) => {
                        limits::check_value(name.as_str(), &value)?;
                        let told = told_of(path, old.as_ref(), &value);
                        (Write::ReplaceValue(name.clone(), value, version), told)
                    }
                    Change::Delete => match version {
                        Some(version) => {
                            (Write::DeleteSeen(name.clone(), version), Told::property(name.as_str(), deleted()))
                        }
                        None => return Ok((Decision::default(), ())),
                    },
                };
                Ok((Decision { writes: vec![write], changes: vec![told] }, ()))
            }
        };
        Ok(self.store.change_at(self.place(), &Home::Properties, seen, checked).await?)
    }

    /// Deletes a property, plain or list; one that is not there is no error.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no name; storage errors.
    pub async fn delete_property(&self, name: &str) -> Result<(), ActorError> {
        let name = parse(name)?;
        // Nobody is told of the end of what was not there.
        let seen = if self.log.has_subscribers() { self.stored(&name).await? } else { None };
        if seen.is_none() && self.log.has_subscribers() {
            return Ok(());
        }
        self.delete_whatever(&name, seen, None).await
    }

    /// Deletes a property if it is still as it was seen; whatever came since stays.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn delete_seen(&self, seen: Stored) -> Result<(), ActorError> {
        let (name, version) = (seen.name().clone(), seen.version().to_owned());
        self.delete_whatever(&name, Some(seen), Some(version)).await
    }

    /// Deletes what stands under a name, with `only` if it is still this version.
    async fn delete_whatever(&self, name: &Name, seen: Option<Stored>, only: Option<String>) -> Result<(), ActorError> {
        let seen = seen.map(|seen| (name.clone(), seen)).into_iter().collect();
        let mut looked = false;
        let decide = |mut seen: HashMap<Name, Stored>| {
            let current = seen.remove(name);
            let is_other = only.as_ref().is_some_and(|only| current.as_ref().is_none_or(|now| now.version() != only));
            let writes = match (current, &only) {
                _ if is_other => None,
                (Some(Stored::List(list)), _) => Some((Write::DeleteList(list), operations::deleted(name))),
                (Some(Stored::Value(_)), Some(only)) => {
                    Some((Write::DeleteSeen(name.clone(), only.clone()), Told::property(name.as_str(), deleted())))
                }
                // Whatever else is there when the write meets it.
                (None, _) if looked => None,
                _ => Some((Write::DeleteValue(name.clone()), Told::property(name.as_str(), deleted()))),
            };
            looked = true;
            let decision = writes.map(|(write, told)| Decision { writes: vec![write], changes: vec![told] });
            std::future::ready(Ok::<_, ActorError>((decision.unwrap_or_default(), ())))
        };
        self.store.change_at(self.place(), &Home::Properties, seen, decide).await?
    }

    /// Deletes every property, lists too.
    ///
    /// # Errors
    /// Storage errors; some properties may be gone by then.
    pub async fn delete_properties(&self) -> Result<(), ActorError> {
        Ok(self.store.delete_properties(self.id(), &self.log).await?)
    }

    /// Deletes the actor: from here on it is unknown to every request. What it owned is removed by the returned job,
    /// which the worker picks up; `None` when it was deleted already.
    ///
    /// # Errors
    /// Storage errors; nothing has changed then.
    pub async fn bury(&self) -> Result<Option<DueJob>, ActorError> {
        Ok(self.store.bury_actor(&self.record).await?)
    }
}

fn whole(name: &Name) -> PropertyPath {
    PropertyPath { name: name.clone(), below: Vec::new() }
}

/// What is told of a property that was `old` and is `new` now: the part at `path` where nothing else changed.
fn told_of(path: &PropertyPath, old: Option<&Value>, new: &Value) -> Told {
    let name = path.name.as_str();
    if path.below.is_empty() || !nested::differs_only_at(old, new, &path.below) {
        return Told::property(name, new.clone());
    }
    let scope = Scope { resource: Some(path.below.join("/")), ..Scope::subtarget(PROPERTIES, name) };
    Told::of(scope, nested::get(new, &path.below).cloned().unwrap_or_else(deleted))
}

/// How a property appears among others.
fn shown(stored: Stored) -> Value {
    match stored {
        Stored::Value(property) => property.value,
        Stored::List(list) => list_among_values(&list),
    }
}

/// How a list appears among plain values: `{"_list": true, "count": n}`.
pub(crate) fn list_among_values(list: &ListRecord) -> Value {
    serde_json::json!({ "_list": true, "count": list.length })
}

pub(crate) fn parse(name: &str) -> Result<Name, ActorError> {
    Name::parse(name).map_err(|error| ActorError::Invalid(format!("property `{name}`: {error}")))
}
