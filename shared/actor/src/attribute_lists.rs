//! Lists among internal attributes: list properties that no client sees.

use actingweb_protocol::{Name, Rank};
use actingweb_store::{Home, ListItem, ListRecord, Stored};
use serde_json::Value;

use crate::{Actor, ListEdit, ListError};

/// A list among the internal attributes of a bucket: any number of items, in order, changed one at a time or all at
/// once. Cheap to clone.
///
/// A list begins with its first item; until then, and after [`delete`](Self::delete), it reads as an empty one.
/// Positions count from 0. Each change is all or nothing, and changes made at the same time never lose one another.
/// Appending, clearing and deleting cost the same at any length; what names a position reads from the nearer end.
#[derive(Clone, Debug)]
pub struct AttributeList {
    actor: Actor,
    home: Home,
    name: Name,
}

impl AttributeList {
    pub(crate) const fn new(actor: Actor, home: Home, name: Name) -> Self {
        Self { actor, home, name }
    }

    /// The list's row: its length, description and version. `None` when there is no such list.
    ///
    /// # Errors
    /// [`ListError::Plain`] where a plain attribute is; storage errors. So do all others.
    pub async fn record(&self) -> Result<Option<ListRecord>, ListError> {
        match self.actor.stored_at(&self.home, &self.name).await? {
            Some(Stored::List(list)) => Ok(Some(list)),
            Some(Stored::Value(_)) => Err(ListError::Plain(self.name.clone())),
            None => Ok(None),
        }
    }

    /// How many items there are: one call.
    ///
    /// # Errors
    /// As [`AttributeList::record`].
    pub async fn length(&self) -> Result<u64, ListError> {
        Ok(self.record().await?.map_or(0, |list| list.length))
    }

    /// All items, in order: one call, and one per MB.
    ///
    /// # Errors
    /// [`ActorError::TooLarge`](crate::ActorError::TooLarge) above 5 MB in all: read [pages](Self::page) then; as [`AttributeList::record`].
    pub async fn items(&self) -> Result<Vec<Value>, ListError> {
        match self.record().await? {
            Some(list) => Ok(self.actor.items_of(&list).await?.into_iter().map(|item| item.value).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// Up to `limit` items after the one of this handle (from the start without one), and whether there are more. A
    /// handle keeps its place while other items come and go, also when its own item goes.
    ///
    /// # Errors
    /// As [`AttributeList::items`].
    pub async fn page(&self, after: Option<&Rank>, limit: usize) -> Result<(Vec<ListItem>, bool), ListError> {
        match self.record().await? {
            Some(list) => Ok(self.actor.page_of(&list, after, limit).await?),
            None => Ok((Vec::new(), false)),
        }
    }

    /// The item at a position, `None` beyond the end.
    ///
    /// # Errors
    /// As [`AttributeList::record`].
    pub async fn get(&self, index: u64) -> Result<Option<Value>, ListError> {
        match self.record().await? {
            Some(list) => Ok(self.actor.item_of(&list, index).await?.map(|item| item.value)),
            None => Ok(None),
        }
    }

    /// Adds an item at the end, and gives its position: two calls.
    ///
    /// # Errors
    /// Limits of values ([`crate::limits`]); as [`AttributeList::record`].
    pub async fn append(&self, value: impl Into<Value>) -> Result<u64, ListError> {
        self.edit(ListEdit::Append(value.into())).await
    }

    /// Adds an item before the one at a position, which may be the end.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`] beyond the end; as [`AttributeList::append`].
    pub async fn insert(&self, index: u64, value: impl Into<Value>) -> Result<(), ListError> {
        self.edit(ListEdit::Insert(index, value.into())).await.map(|_| ())
    }

    /// Replaces the item at a position; one past the end appends.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`] beyond that; as [`AttributeList::append`].
    pub async fn set(&self, index: u64, value: impl Into<Value>) -> Result<(), ListError> {
        self.edit(ListEdit::Set(index, value.into())).await.map(|_| ())
    }

    /// Deletes the item at a position.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`] when there is none; as [`AttributeList::record`].
    pub async fn remove(&self, index: u64) -> Result<(), ListError> {
        self.edit(ListEdit::Remove(index)).await.map(|_| ())
    }

    /// Moves an item from one position to another, which it has afterwards.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`] when there is no such position; as [`AttributeList::record`].
    pub async fn move_item(&self, from: u64, to: u64) -> Result<(), ListError> {
        self.edit(ListEdit::Move(from, to)).await.map(|_| ())
    }

    /// Any other change, such as one by handle or value; gives the position of the item concerned, where that is known.
    ///
    /// # Errors
    /// [`ListError`]; nothing has changed then.
    pub async fn edit(&self, edit: ListEdit) -> Result<u64, ListError> {
        let seen = self.actor.stored_at(&self.home, &self.name).await?;
        // An empty list is emptied by nothing.
        if seen.is_none() && edit == ListEdit::Clear {
            return Ok(0);
        }
        self.actor.edit_list_at(&self.home, &self.name, seen, edit, false).await
    }

    /// Deletes all items: two calls at any length; the worker removes what is left.
    ///
    /// # Errors
    /// As [`AttributeList::record`].
    pub async fn clear(&self) -> Result<(), ListError> {
        self.edit(ListEdit::Clear).await.map(|_| ())
    }

    /// Deletes the list; one that is not there is no error. Two calls at any length; the worker removes the items.
    ///
    /// # Errors
    /// As [`AttributeList::record`].
    pub async fn delete(&self) -> Result<(), ListError> {
        let Some(seen) = self.actor.stored_at(&self.home, &self.name).await? else { return Ok(()) };
        match self.actor.delete_list_at(&self.home, &self.name, Some(seen), false).await {
            // Somebody else deleted it meanwhile.
            Err(ListError::Missing(_)) => Ok(()),
            outcome => outcome,
        }
    }
}
