//! Large values: their text stands in a row of its own, behind all properties, and a note of it before all of them.
//!
//! A property's own row stays what every write is conditional on. It says how many bytes the text has, and text and
//! note are written and removed in one transaction with it. So the first page of a listing finds the notes, and then
//! knows every large value by name and size before it reads one; and the rows between, all of them small, say by their
//! density how many more there are.

use std::collections::HashMap;

use actingweb_protocol::{ActorId, Name};
use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::item::{Item, Row, number, text};
use crate::properties::{Owned, Stored};
use crate::store::{Cancelled, MAX_BATCH_KEYS, key_of};
use crate::transaction::Condition;
use crate::{Home, Store, StoreError, StoredProperty, item, keys};

/// The attribute of a property, and of the note, that says how many bytes the row with the text has.
pub(crate) const TEXT_BYTES: &str = "text_bytes";

/// From how many bytes of JSON text on a value is large: a batch of 100 is more than a MB then, so that reading large
/// values by their keys takes no more calls than reading them in pages.
const LARGE_FROM: usize = 11_000;

/// How many batches of properties are read at once.
const CONCURRENT_BATCHES: usize = 8;

/// Whether a value with this text is kept apart from its property.
pub(crate) const fn is_large(text: &str) -> bool {
    text.len() >= LARGE_FROM
}

/// The row of a text that is large.
pub(crate) fn text_row(actor: &ActorId, name: &Name, value: &str, version: &str) -> Option<Item> {
    is_large(value).then(|| {
        let mut row = item::new(&keys::actor(actor), &keys::large_text(name));
        row.insert("value".to_owned(), text(value));
        row.insert("version".to_owned(), text(version));
        row
    })
}

/// How many bytes such a row has.
pub(crate) fn row_bytes(row: &Item) -> i64 {
    i64::try_from(item::size(row)).unwrap_or(i64::MAX)
}

/// What a property's own row says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// All there is.
    Whole(Stored),
    /// What there is apart from the value, which is large.
    Stub(Stub),
}

/// A property without its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stub {
    name: Name,
    version: String,
    owned: Owned,
}

impl Found {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let owned = Owned::from_row(row)?;
        if owned.large.is_none() {
            return Stored::from_row(row).map(Self::Whole);
        }
        Ok(Self::Stub(Stub { name: Home::of(row)?.1, version: row.text("version")?.to_owned(), owned }))
    }

    /// Changes with every write, never returns.
    pub(crate) fn version(&self) -> &str {
        match self {
            Self::Whole(stored) => stored.version(),
            Self::Stub(stub) => &stub.version,
        }
    }

    /// How many bytes its text has in a row of its own.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Stub(stub) => stub.owned.large.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default(),
        }
    }

    fn name(&self) -> &Name {
        match self {
            Self::Whole(stored) => stored.name(),
            Self::Stub(stub) => &stub.name,
        }
    }
}

/// Rows of properties and of texts, in any order, to be put together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    found: HashMap<Name, Found>,
    /// Texts with the versions that they belong to.
    texts: HashMap<Name, (String, Value)>,
    /// What is still to be read.
    wanted: Vec<Name>,
}

impl Gathered {
    /// Nothing yet of what is wanted.
    pub(crate) fn wanting(names: impl IntoIterator<Item = Name>) -> Self {
        Self { wanted: names.into_iter().collect(), ..Self::default() }
    }

    /// Takes a row; notes say nothing more.
    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), StoreError> {
        let sk = row.text("sk")?;
        if sk.starts_with(keys::LARGE_TEXT) {
            let (name, version) = (Home::of(row)?.1, row.text("version")?.to_owned());
            self.texts.insert(name, (version, row.json("value")?));
        } else if !sk.starts_with(keys::LARGE_NOTE) {
            self.insert(Found::from_row(row)?);
        }
        Ok(())
    }

    pub(crate) fn insert(&mut self, found: Found) {
        self.found.insert(found.name().clone(), found);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        self.texts.extend(other.texts);
        self.wanted.extend(other.wanted);
    }

    /// What must be read, once more: stubs whose text is missing, or belongs to another version.
    fn take_torn(&mut self) -> Vec<Name> {
        let texts = &self.texts;
        let is_torn = |found: &Found| match found {
            Found::Whole(_) => false,
            Found::Stub(stub) => texts.get(&stub.name).is_none_or(|(version, _)| *version != stub.version),
        };
        let torn: Vec<Name> = self.found.extract_if(|_, found| is_torn(found)).map(|(name, _)| name).collect();
        torn.into_iter().chain(std::mem::take(&mut self.wanted)).collect()
    }

    fn into_whole(mut self) -> Vec<Stored> {
        let whole = self.found.into_values().filter_map(|found| match found {
            Found::Whole(stored) => Some(stored),
            Found::Stub(Stub { name, version, owned }) => {
                let (_, value) = self.texts.remove(&name)?;
                Some(Stored::Value(StoredProperty { name, value, version, owned }))
            }
        });
        whole.collect()
    }
}

impl Store {
    /// Puts properties together, in no order. Those whose row and text were not read as one write left them are read
    /// again, 50 in a call, all at the same time.
    pub(crate) async fn whole(&self, actor: &ActorId, mut gathered: Gathered) -> Result<Vec<Stored>, StoreError> {
        let pk = keys::actor(actor);
        let mut pause = self.pauses();
        let mut is_first = true;
        loop {
            let torn = gathered.take_torn();
            if torn.is_empty() {
                return Ok(gathered.into_whole());
            }
            if !std::mem::take(&mut is_first) {
                pause.wait("BatchGetItem", "others are writing the same properties".to_owned()).await?;
            }
            let both = |name: &Name| [keys::property(name), keys::large_text(name)].map(|sk| item::key(&pk, &sk));
            let batches: Vec<Vec<Item>> =
                torn.chunks(MAX_BATCH_KEYS / 2).map(|names| names.iter().flat_map(both).collect()).collect();
            let read = stream::iter(batches).map(|batch| self.batch_get(batch)).buffer_unordered(CONCURRENT_BATCHES);
            let read: Vec<_> = read.try_collect().await?;
            for row in read.iter().flatten() {
                gathered.add(&Row::read(row)?)?;
            }
        }
    }

    /// What a transaction must write besides a property whose text had so many bytes in a row of its own, and is to have
    /// this row, or none.
    pub(crate) fn move_large(
        &self,
        actor: &ActorId,
        name: &Name,
        old: Option<i64>,
        new: Option<Item>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let pk = keys::actor(actor);
        let Some(row) = new else {
            return match old {
                Some(_) => self.delete_large(&pk, name).map(Vec::from),
                None => Ok(Vec::new()),
            };
        };
        let bytes = row_bytes(&row);
        let mut parts = vec![self.put_part(row, None)?];
        // The property still owns what it was seen to own, and so its note: that is the condition.
        if old != Some(bytes) {
            let mut note = item::new(&pk, &keys::large_note(name));
            note.insert(TEXT_BYTES.to_owned(), number(bytes));
            parts.push(self.put_part(note, None)?);
        }
        Ok(parts)
    }

    fn delete_large(&self, pk: &str, name: &Name) -> Result<[TransactWriteItem; 2], StoreError> {
        Ok([
            self.delete_part(item::key(pk, &keys::large_text(name)), None)?,
            self.delete_part(item::key(pk, &keys::large_note(name)), None)?,
        ])
    }

    /// Deletes texts and notes that no property owns: one that became large while all were being deleted left them.
    pub(crate) async fn sweep_large(&self, actor: &ActorId) -> Result<(), StoreError> {
        let pk = keys::actor(actor);
        let mut pages = self.pages(&pk, keys::LARGE_NOTE, Some("pk, sk"));
        while let Some(items) = pages.next().await? {
            for key in items.iter().filter_map(key_of) {
                let (_, name) = Home::of(&Row(&key))?;
                let unowned = Condition::new("attribute_not_exists(text_bytes)", []);
                let mut parts = vec![self.check_part(item::key(&pk, &keys::property(&name)), unowned)?];
                parts.extend(self.delete_large(&pk, &name)?);
                // One that is owned was written after all the others were deleted.
                let _owned: Result<(), Cancelled> = self.transact(parts).await?;
            }
        }
        Ok(())
    }
}
