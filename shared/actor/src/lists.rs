//! Lists of an actor: one kind of edit at a time, each all or nothing.

use std::collections::HashMap;
use std::time::Duration;

use actingweb_protocol::permission::Denied;
use actingweb_protocol::subscription::Change;
use actingweb_protocol::{Name, Rank};
use actingweb_store::{Decision, Home, ListChange, ListItem, ListRecord, Stored, Write};
use serde_json::Value;

use crate::actor::parse;
use crate::{Actor, ActorError, limits, operations};

/// How often an edit starts again when the list changed while its position was looked up.
const LOOKUPS: usize = 20;

/// A change of a list. Positions count from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum ListEdit {
    /// Adds an item at the end.
    Append(Value),
    /// Adds an item before the one at a position, which may be the end.
    Insert(u64, Value),
    /// Replaces the item at a position; one past the end appends.
    Set(u64, Value),
    /// Replaces the item at a position, which must exist.
    Replace(u64, Value),
    /// Replaces an item, wherever it stands.
    SetItem(Rank, Value),
    /// Replaces the first item of a value.
    SetValue(Value, Value),
    /// Deletes the item at a position.
    Remove(u64),
    /// Deletes an item, wherever it stands.
    RemoveItem(Rank),
    /// Deletes the first item of a value.
    RemoveValue(Value),
    /// Moves an item from one position to another, which it has afterwards.
    Move(u64, u64),
    /// Deletes all items.
    Clear,
    /// Changes what is said of the list; `None` leaves a text as it is.
    Describe {
        /// What it holds.
        description: Option<String>,
        /// How it is used.
        explanation: Option<String>,
    },
}

/// Why a list was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is no list of that name.
    #[error("there is no list `{0}`")]
    Missing(Name),
    /// Under the name stands a plain value.
    #[error("`{0}` is a plain value, no list")]
    Plain(Name),
    /// The position lies beyond the list.
    #[error("list `{name}` has {length} items, so there is none at {index}")]
    OutOfRange {
        /// The list.
        name: Name,
        /// The position.
        index: u64,
        /// How many items it has.
        length: u64,
    },
    /// It is no longer the version that was seen.
    #[error("list `{0}` was changed meanwhile: read it again")]
    Changed(Name),
    /// No item has this handle or value.
    #[error("list `{0}` has no such item")]
    NoSuchItem(Name),
    /// The caller may not. The text is for logs.
    #[error(transparent)]
    Denied(Denied),
    /// Everything that has nothing to do with lists.
    #[error(transparent)]
    Actor(#[from] ActorError),
}

/// What a decision on a list is: a change, or that positions moved while they were looked up.
enum Plan {
    Change(Box<Planned>),
    Moved,
}

struct Planned {
    change: ListChange,
    /// The position of the item concerned.
    index: u64,
    /// What subscribers are told.
    told: Vec<Change>,
}

impl Actor {
    /// A list's row: its length, description and version. `None` when there is no such list.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no name; storage errors.
    pub async fn list(&self, name: &str) -> Result<Option<ListRecord>, ActorError> {
        Ok(match self.stored(&parse(name)?).await? {
            Some(Stored::List(list)) => Some(list),
            _ => None,
        })
    }

    /// All items of a list, in order: one call per MB. `None` when there is no such list.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`] above 5 MB in all; storage errors.
    pub async fn list_items(&self, name: &str) -> Result<Option<Vec<Value>>, ActorError> {
        match self.list(name).await? {
            Some(list) => Ok(Some(self.items_of(&list).await?.into_iter().map(|item| item.value).collect())),
            None => Ok(None),
        }
    }

    /// The items of a list with their handles.
    ///
    /// # Errors
    /// As [`Actor::list_items`].
    pub async fn items_of(&self, list: &ListRecord) -> Result<Vec<ListItem>, ActorError> {
        Ok(self.store().list(self.id(), list).await?)
    }

    /// Up to `limit` items after a handle, and whether there are more.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn page_of(
        &self,
        list: &ListRecord,
        after: Option<&Rank>,
        limit: usize,
    ) -> Result<(Vec<ListItem>, bool), ActorError> {
        Ok(self.store().list_page(self.id(), list, after, limit).await?)
    }

    /// The item at a position.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn item_of(&self, list: &ListRecord, index: u64) -> Result<Option<ListItem>, ActorError> {
        Ok(self.store().list_around(self.id(), list, index).await?.1)
    }

    /// The item with a handle.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn item_with(&self, list: &ListRecord, handle: &Rank) -> Result<Option<ListItem>, ActorError> {
        Ok(self.store().list_item(self.id(), list, handle).await?)
    }

    /// Adds an item at the end of a list and gives its position; costs the same however long the list is.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn append(&self, name: &str, value: impl Into<Value>) -> Result<u64, ListError> {
        let name = parse(name)?;
        self.edit_list(&name, self.stored(&name).await?, ListEdit::Append(value.into()), false).await
    }

    /// Changes a list as one step, whatever others do at the same time; with `only_seen`, only if nobody did anything.
    /// `seen` is what was read under that name. Gives the position of the item concerned.
    ///
    /// # Errors
    /// [`ListError`]; nothing has changed then.
    pub async fn edit_list(
        &self,
        name: &Name,
        seen: Option<Stored>,
        edit: ListEdit,
        only_seen: bool,
    ) -> Result<u64, ListError> {
        self.edit_list_at(&Home::Properties, name, seen, edit, only_seen).await
    }

    /// [`Actor::edit_list`] for a list that may stand elsewhere. In a bucket, a list that is not there is an empty one.
    pub(crate) async fn edit_list_at(
        &self,
        home: &Home,
        name: &Name,
        seen: Option<Stored>,
        edit: ListEdit,
        only_seen: bool,
    ) -> Result<u64, ListError> {
        if let ListEdit::Append(value)
        | ListEdit::Insert(_, value)
        | ListEdit::Set(_, value)
        | ListEdit::Replace(_, value)
        | ListEdit::SetItem(_, value)
        | ListEdit::SetValue(_, value) = &edit
        {
            limits::check_value(name.as_str(), value)?;
        }
        if let ListEdit::Describe { description, explanation } = &edit {
            limits::check_texts([description, explanation])?;
        }
        let version = seen.as_ref().map(|stored| stored.version().to_owned()).filter(|_| only_seen);
        let mut seen = seen;
        for _ in 0..LOOKUPS {
            let known: HashMap<Name, Stored> = seen.into_iter().map(|stored| (name.clone(), stored)).collect();
            let decide = |mut known: HashMap<Name, Stored>| {
                let (current, edit, version) = (known.remove(name), edit.clone(), version.as_ref());
                async move {
                    let list = match (home, current) {
                        (Home::Bucket(_), None) => self.store().new_list(home.clone(), name.clone()),
                        (_, current) => list_of(name, current)?,
                    };
                    if version.is_some_and(|version| *version != list.version) {
                        return Err(ListError::Changed(name.clone()));
                    }
                    match self.plan(list, edit).await? {
                        Plan::Change(planned) => {
                            let Planned { change, index, told } = *planned;
                            // Of what stands elsewhere nobody is told.
                            let changes = if *home == Home::Properties { told } else { Vec::new() };
                            Ok((Decision { writes: vec![Write::ChangeList(change)], changes }, Some(index)))
                        }
                        Plan::Moved => Ok::<_, ListError>((Decision::default(), None)),
                    }
                }
            };
            let done = self.store().change_at(self.place(), home, known, decide).await.map_err(ActorError::from)??;
            if let Some(index) = done {
                return Ok(index);
            }
            seen = self.stored_at(home, name).await?;
        }
        Err(ActorError::Busy { retry_after: Duration::from_secs(1) }.into())
    }

    /// Creates a list. One that exists keeps its items; only the texts that are given change.
    ///
    /// # Errors
    /// [`ListError::Plain`] when the name is a plain property's; limits; storage errors.
    pub async fn create_list(
        &self,
        name: &str,
        description: Option<&str>,
        explanation: Option<&str>,
    ) -> Result<(), ListError> {
        let name = parse(name)?;
        let texts = [description, explanation].map(|text| text.map(str::to_owned));
        limits::check_texts(&texts)?;
        let decide = |mut known: HashMap<Name, Stored>| {
            let [description, explanation] = texts.clone();
            let created = self.create(&name, known.remove(&name), description, explanation);
            let decision = |(write, told)| Decision { writes: vec![write], changes: vec![told] };
            std::future::ready(created.map(|created| (decision(created), ())))
        };
        let done = self.store().change_at(self.place(), &Home::Properties, HashMap::new(), decide).await;
        done.map_err(ActorError::from)?
    }

    /// Deletes a list, with `only_seen` only if nobody changed it since it was read; its items are removed by the worker.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn delete_list(&self, name: &Name, seen: Option<Stored>, only_seen: bool) -> Result<(), ListError> {
        self.delete_list_at(&Home::Properties, name, seen, only_seen).await
    }

    pub(crate) async fn delete_list_at(
        &self,
        home: &Home,
        name: &Name,
        seen: Option<Stored>,
        only_seen: bool,
    ) -> Result<(), ListError> {
        let version = seen.as_ref().map(|stored| stored.version().to_owned()).filter(|_| only_seen);
        let known: HashMap<Name, Stored> = seen.into_iter().map(|stored| (name.clone(), stored)).collect();
        let decide = |mut known: HashMap<Name, Stored>| {
            let list = list_of(name, known.remove(name)).and_then(|list| match &version {
                Some(version) if *version != list.version => Err(ListError::Changed(name.clone())),
                _ => Ok(list),
            });
            let changes = if *home == Home::Properties { vec![operations::deleted(name)] } else { Vec::new() };
            let decision = |list| Decision { writes: vec![Write::DeleteList(list)], changes };
            std::future::ready(list.map(|list| (decision(list), ())))
        };
        self.store().change_at(self.place(), home, known, decide).await.map_err(ActorError::from)?
    }

    pub(crate) async fn stored_at(&self, home: &Home, name: &Name) -> Result<Option<Stored>, ActorError> {
        Ok(self.store().stored_at(self.id(), home, name).await?)
    }

    /// The write that creates a list property, or changes the texts of one that was created meanwhile, and what is told
    /// of it.
    pub(crate) fn create(
        &self,
        name: &Name,
        stored: Option<Stored>,
        description: Option<String>,
        explanation: Option<String>,
    ) -> Result<(Write, Change), ListError> {
        let list = match stored {
            None => self.store().new_list(Home::Properties, name.clone()),
            stored => list_of(name, stored)?,
        };
        let change = described(list, description, explanation);
        let told = operations::described(&change.list);
        Ok((Write::ChangeList(change), told))
    }

    async fn plan(&self, list: ListRecord, edit: ListEdit) -> Result<Plan, ListError> {
        let (name, length) = (list.name.clone(), list.length);
        let edit = match edit {
            ListEdit::Insert(index, value) | ListEdit::Set(index, value) if index == length => ListEdit::Append(value),
            edit => edit,
        };
        let (more, less) = (length.saturating_add(1), length.saturating_sub(1));
        let plan = match edit {
            ListEdit::Append(value) => {
                let Some(rank) = self.rank_between(list.last.as_ref(), None)? else { return Ok(Plan::Moved) };
                let told = operations::appended(&name, more, &value);
                Plan::of(list, vec![ListItem { rank, value }], Vec::new(), length).telling([told])
            }
            ListEdit::Insert(index, value) => {
                let (before, Some(at)) = self.around(&list, index).await? else { return Ok(Plan::Moved) };
                let low = before.as_ref().map(|item| &item.rank);
                let Some(rank) = self.rank_between(low, Some(&at.rank))? else { return Ok(Plan::Moved) };
                let told = operations::inserted(&name, more, index, &value);
                Plan::of(list, vec![ListItem { rank, value }], Vec::new(), index).telling([told])
            }
            ListEdit::Set(index, value) | ListEdit::Replace(index, value) => {
                let (_, Some(at)) = self.around(&list, index).await? else { return Ok(Plan::Moved) };
                let told = operations::updated(&name, length, Some(index), &value, None);
                Plan::replacing(list, at.rank, value, index).telling([told])
            }
            ListEdit::Remove(index) => {
                let (_, Some(at)) = self.around(&list, index).await? else { return Ok(Plan::Moved) };
                let told = operations::removed(&name, less, index);
                Plan::of(list, Vec::new(), vec![at.rank], index).telling([told])
            }
            ListEdit::SetItem(rank, value) => {
                let (index, old) = self.placed(&list, &rank).await?;
                let told = operations::updated(&name, length, index, &value, Some(&old));
                Plan::replacing(list, rank, value, index.unwrap_or_default()).telling([told])
            }
            ListEdit::RemoveItem(rank) => {
                let (index, old) = self.placed(&list, &rank).await?;
                let told = match index {
                    Some(index) => operations::removed(&name, less, index),
                    None => operations::removed_item(&name, less, &old),
                };
                Plan::of(list, Vec::new(), vec![rank], index.unwrap_or_default()).telling([told])
            }
            ListEdit::SetValue(old, value) => {
                let (index, found) = self.find(&list, |item| item.value == old).await?;
                let told = operations::updated(&name, length, Some(index), &value, Some(&old));
                Plan::replacing(list, found.rank, value, index).telling([told])
            }
            ListEdit::RemoveValue(old) => {
                let (index, found) = self.find(&list, |item| item.value == old).await?;
                let told = operations::removed(&name, less, index);
                Plan::of(list, Vec::new(), vec![found.rank], index).telling([told])
            }
            ListEdit::Move(from, to) => self.plan_move(list, from, to).await?,
            ListEdit::Clear => {
                let list = self.store().emptied(self.id(), &list);
                Plan::of(list, Vec::new(), Vec::new(), 0).telling([operations::cleared(&name)])
            }
            ListEdit::Describe { description, explanation } => {
                let ListChange { list, .. } = described(list, description, explanation);
                let told = operations::described(&list);
                Plan::of(list, Vec::new(), Vec::new(), 0).telling([told])
            }
        };
        Ok(plan)
    }

    async fn plan_move(&self, list: ListRecord, from: u64, to: u64) -> Result<Plan, ListError> {
        let (_, Some(moved)) = self.around(&list, from).await? else { return Ok(Plan::Moved) };
        if from == to {
            return Ok(Plan::replacing(list, moved.rank, moved.value, to));
        }
        let (before, Some(at)) = self.around(&list, to).await? else { return Ok(Plan::Moved) };
        // Moving towards the end, the item takes the place after the one that stands there now.
        let rank = if from < to {
            let after = if to + 1 < list.length { self.around(&list, to + 1).await?.1 } else { None };
            self.rank_between(Some(&at.rank), after.as_ref().map(|item| &item.rank))?
        } else {
            self.rank_between(before.as_ref().map(|item| &item.rank), Some(&at.rank))?
        };
        let Some(rank) = rank else { return Ok(Plan::Moved) };
        let (name, length) = (list.name.clone(), list.length);
        let told = [
            operations::removed(&name, length.saturating_sub(1), from),
            operations::inserted(&name, length, to, &moved.value),
        ];
        Ok(Plan::of(list, vec![ListItem { rank, value: moved.value }], vec![moved.rank], to).telling(told))
    }

    pub(crate) fn rank_between(&self, low: Option<&Rank>, high: Option<&Rank>) -> Result<Option<Rank>, ListError> {
        Ok(self.store().rank_between(low, high).map_err(ActorError::from)?)
    }

    /// The items before and at a position that the list's row says exists.
    async fn around(&self, list: &ListRecord, index: u64) -> Result<(Option<ListItem>, Option<ListItem>), ListError> {
        if index >= list.length {
            return Err(ListError::OutOfRange { name: list.name.clone(), index, length: list.length });
        }
        Ok(self.store().list_around(self.id(), list, index).await.map_err(ActorError::from)?)
    }

    /// The item with a handle, and where it stands if somebody is to be told: that takes reading the list.
    async fn placed(&self, list: &ListRecord, rank: &Rank) -> Result<(Option<u64>, Value), ListError> {
        if self.place().1.has_subscribers() {
            let (index, item) = self.find(list, |item| item.rank == *rank).await?;
            return Ok((Some(index), item.value));
        }
        match self.item_with(list, rank).await? {
            Some(item) => Ok((None, item.value)),
            None => Err(ListError::NoSuchItem(list.name.clone())),
        }
    }

    async fn find(&self, list: &ListRecord, is_it: impl Fn(&ListItem) -> bool) -> Result<(u64, ListItem), ListError> {
        let items = self.items_of(list).await?;
        let found = (0..).zip(items).find(|(_, item)| is_it(item));
        found.ok_or_else(|| ListError::NoSuchItem(list.name.clone()))
    }
}

impl Plan {
    /// A change that writes and deletes these items, with the length and the last rank that follow.
    fn of(mut list: ListRecord, puts: Vec<ListItem>, deletes: Vec<Rank>, index: u64) -> Self {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        list.length = (list.length + count(puts.len())).saturating_sub(count(deletes.len()));
        list.last = puts.iter().map(|item| &item.rank).chain(&list.last).max().cloned();
        Self::change(ListChange { list, puts, deletes }, index)
    }

    fn change(change: ListChange, index: u64) -> Self {
        Self::Change(Box::new(Planned { change, index, told: Vec::new() }))
    }

    fn telling(mut self, told: impl IntoIterator<Item = Change>) -> Self {
        if let Self::Change(planned) = &mut self {
            planned.told.extend(told);
        }
        self
    }

    fn replacing(list: ListRecord, rank: Rank, value: Value, index: u64) -> Self {
        Self::change(ListChange { list, puts: vec![ListItem { rank, value }], deletes: Vec::new() }, index)
    }
}

pub(crate) fn list_of(name: &Name, stored: Option<Stored>) -> Result<ListRecord, ListError> {
    match stored {
        Some(Stored::List(list)) => Ok(list),
        Some(Stored::Value(_)) => Err(ListError::Plain(name.clone())),
        None => Err(ListError::Missing(name.clone())),
    }
}

/// The list with other texts, where they are given.
pub(crate) fn described(mut list: ListRecord, description: Option<String>, explanation: Option<String>) -> ListChange {
    list.description = description.unwrap_or(list.description);
    list.explanation = explanation.unwrap_or(list.explanation);
    ListChange { list, puts: Vec::new(), deletes: Vec::new() }
}
