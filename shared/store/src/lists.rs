//! Lists: any number of items, each with a rank, in a partition of their own.
//!
//! The list's row stands among the properties, or among the internal attributes of a bucket, and knows the exact length; every change of items is one transaction with
//! that row, so that counts never drift and concurrent changes never interleave. An insert touches one item, whatever
//! the length. Items belong to a *generation*: a list that is cleared or deleted leaves its old items to the worker, and
//! costs the same at any length.

use actingweb_protocol::rank::MAX_RANK_BYTES;
use actingweb_protocol::{ActorId, Name, Rank, RankError};
use serde_json::Value;

use crate::item::{Item, Row, number, text};
use crate::{Store, StoreError, item, keys};

/// The most bytes of items returned at once: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5_000_000;

/// Where a list stands, beside the plain values that it shares names with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Home {
    /// Among the properties.
    Properties,
    /// Among the internal attributes of this bucket.
    Bucket(String),
}

/// A list's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRecord {
    /// Where it stands.
    pub home: Home,
    /// Its name there.
    pub name: Name,
    /// How many items it has, exactly.
    pub length: u64,
    /// The rank of its last item, or of one that came after it.
    pub last: Option<Rank>,
    /// What it holds, for people.
    pub description: String,
    /// How it is used, for people and models.
    pub explanation: String,
    /// Changes with every write, never returns; empty as long as the list is not written.
    pub version: String,
    /// The partition suffix of its items.
    pub(crate) generation: String,
    /// The partition of items that a change leaves to the worker.
    pub(crate) left_behind: Option<String>,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListItem {
    /// Where it stands; does not change while other items come and go.
    pub rank: Rank,
    /// Its value.
    pub value: Value,
}

/// A change of one list, against the row that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ListChange {
    /// The list as it will be, apart from its version; its length must be the outcome of `puts` and `deletes`.
    pub list: ListRecord,
    /// Items written.
    pub puts: Vec<ListItem>,
    /// Items deleted.
    pub deletes: Vec<Rank>,
}

impl Home {
    /// The sort key of what stands there under a name.
    pub(crate) fn key(&self, name: &Name) -> String {
        match self {
            Self::Properties => keys::property(name),
            Self::Bucket(bucket) => keys::attribute(bucket, name.as_str()),
        }
    }

    /// The home and the name that a row's sort key is made of.
    pub(crate) fn of(row: &Row<'_>) -> Result<(Self, Name), StoreError> {
        let sk = row.text("sk")?;
        let (home, name) = match keys::property_name(sk) {
            Some(name) => (Self::Properties, name),
            None => {
                let (bucket, name) =
                    keys::attribute_name(sk).ok_or_else(|| row.corrupt("it is no property and no attribute"))?;
                (Self::Bucket(bucket), name)
            }
        };
        let name = Name::try_from(name).map_err(|error| row.corrupt(error.to_string()))?;
        Ok((home, name))
    }
}

impl ListRecord {
    /// A list without items that is not written yet. `generation` never names another list's items.
    pub(crate) fn new(home: Home, name: Name, generation: String) -> Self {
        Self {
            home,
            name,
            length: 0,
            last: None,
            description: String::new(),
            explanation: String::new(),
            version: String::new(),
            generation,
            left_behind: None,
        }
    }

    /// What it takes to delete a list: its name, version and generation.
    pub(crate) fn from_keys(row: &Row<'_>) -> Result<Self, StoreError> {
        let (home, name) = Home::of(row)?;
        let list = Self::new(home, name, row.text("generation")?.to_owned());
        Ok(Self { version: row.text("version")?.to_owned(), ..list })
    }

    /// Whether a list stands there: what has no generation is a plain value.
    pub(crate) fn is_at(row: &Row<'_>) -> bool {
        row.0.contains_key("generation")
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let (home, name) = Home::of(row)?;
        let length = row.optional_number("item_count")?.and_then(|length| u64::try_from(length).ok());
        let last = row.optional_text("last_rank")?.map(Rank::parse).transpose();
        Ok(Self {
            home,
            name,
            length: length.ok_or_else(|| row.corrupt("it has no `item_count`"))?,
            last: last.map_err(|error| row.corrupt(format!("`last_rank`: {error}")))?,
            description: row.text("description")?.to_owned(),
            explanation: row.text("explanation")?.to_owned(),
            version: row.text("version")?.to_owned(),
            generation: row.text("generation")?.to_owned(),
            left_behind: None,
        })
    }

    pub(crate) fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &self.key());
        row.insert("item_count".to_owned(), number(i64::try_from(self.length).unwrap_or(i64::MAX)));
        row.insert("description".to_owned(), text(&self.description));
        row.insert("explanation".to_owned(), text(&self.explanation));
        row.insert("version".to_owned(), text(&self.version));
        row.insert("generation".to_owned(), text(&self.generation));
        if let Some(last) = &self.last {
            row.insert("last_rank".to_owned(), text(last.as_str()));
        }
        row
    }

    /// The sort key of its row.
    pub(crate) fn key(&self) -> String {
        self.home.key(&self.name)
    }

    /// The partition of its items.
    pub(crate) fn partition(&self, actor: &ActorId) -> String {
        match &self.home {
            Home::Properties => keys::list(actor, &self.name, &self.generation),
            Home::Bucket(bucket) => keys::attribute_list(actor, bucket, &self.name, &self.generation),
        }
    }
}

impl ListItem {
    pub(crate) fn item(&self, partition: &str) -> Item {
        let mut row = item::new(partition, &keys::list_item(&self.rank));
        row.insert("value".to_owned(), text(self.value.to_string()));
        row
    }

    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let rank = row.text("sk")?.strip_prefix(keys::ITEM).ok_or_else(|| row.corrupt("it is no item of a list"))?;
        let rank = Rank::parse(rank).map_err(|error| row.corrupt(error.to_string()))?;
        Ok(Self { rank, value: row.json("value")? })
    }
}

impl Store {
    /// A list without items that is not written yet: the first change of it creates it, where nothing is.
    #[must_use]
    pub fn new_list(&self, home: Home, name: Name) -> ListRecord {
        ListRecord::new(home, name, self.nonce())
    }

    /// The list without its items, which a change to it leaves to the worker.
    #[must_use]
    pub fn emptied(&self, actor: &ActorId, list: &ListRecord) -> ListRecord {
        let left_behind = Some(list.partition(actor));
        ListRecord { length: 0, last: None, generation: self.nonce(), left_behind, ..list.clone() }
    }

    /// Up to `limit` items after `after`, and whether there are more: one call per MB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_page(
        &self,
        actor: &ActorId,
        list: &ListRecord,
        after: Option<&Rank>,
        limit: usize,
    ) -> Result<(Vec<ListItem>, bool), StoreError> {
        let mut items = self.list_items(actor, list, after, limit.saturating_add(1), true).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok((items, more))
    }

    /// All items, in order: one call per MB.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 5 MB in all; other [`StoreError`]s.
    pub async fn list(&self, actor: &ActorId, list: &ListRecord) -> Result<Vec<ListItem>, StoreError> {
        self.list_items(actor, list, None, usize::MAX, true).await
    }

    /// The items at `index` and the one before it, as far as they exist: what an insert, an update and a deletion need
    /// to know. Read from the nearer end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_around(
        &self,
        actor: &ActorId,
        list: &ListRecord,
        index: u64,
    ) -> Result<(Option<ListItem>, Option<ListItem>), StoreError> {
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        if index >= list.length {
            let last = self.list_items(actor, list, None, 1, false).await?.pop();
            return Ok((last.filter(|_| index == list.length), None));
        }
        let from_end = list.length - index;
        if index < from_end {
            let mut items = self.list_items(actor, list, None, count(index.saturating_add(1)), true).await?;
            let at = items.pop().filter(|_| items.len() == count(index));
            return Ok((items.pop(), at));
        }
        let mut items = self.list_items(actor, list, None, count(from_end.saturating_add(1)), false).await?;
        let before = if items.len() > count(from_end) { items.pop() } else { None };
        Ok((before, items.pop()))
    }

    /// The item with this rank.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_item(
        &self,
        actor: &ActorId,
        list: &ListRecord,
        rank: &Rank,
    ) -> Result<Option<ListItem>, StoreError> {
        let items = self.batch_get(vec![item::key(&list.partition(actor), &keys::list_item(rank))]).await?;
        items.first().map(|found| ListItem::from_row(&Row::read(found)?)).transpose()
    }

    async fn list_items(
        &self,
        actor: &ActorId,
        list: &ListRecord,
        after: Option<&Rank>,
        limit: usize,
        forward: bool,
    ) -> Result<Vec<ListItem>, StoreError> {
        let partition = list.partition(actor);
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut start = after.map(|rank| item::key(&partition, &keys::list_item(rank)));
        while found.len() < limit {
            let page = i32::try_from(limit - found.len()).ok();
            let call = self
                .inner
                .client
                .query()
                .table_name(&self.inner.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(&partition))
                .scan_index_forward(forward)
                .set_limit(page)
                .set_exclusive_start_key(start.take());
            let output = self.call("Query", || call.clone().send()).await?;
            for row in output.items.unwrap_or_default().iter().map(Row::read) {
                let row = row?;
                bytes += row.text("value")?.len();
                found.push(ListItem::from_row(&row)?);
            }
            if bytes > MAX_LISTING_BYTES {
                let what = format!("what was asked for of list `{}`", list.name);
                return Err(StoreError::TooLarge { what, limit: MAX_LISTING_BYTES });
            }
            match output.last_evaluated_key {
                Some(key) => start = Some(key),
                None => break,
            }
        }
        Ok(found)
    }

    /// A rank for a new item between two neighbours; `None` when they are not neighbours, because the list changed while
    /// they were read. The rank of an item that is gone is hardly ever made again, so that its handle names nothing.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when so many items were inserted at one place that ranks have grown too long.
    pub fn rank_between(&self, low: Option<&Rank>, high: Option<&Rank>) -> Result<Option<Rank>, StoreError> {
        match Rank::between(low, high, Some(&*self.inner.entropy)) {
            Ok(rank) => Ok(Some(rank)),
            Err(RankError::Disordered(..)) => Ok(None),
            Err(_) => {
                let what = "the rank of an item inserted here (move or rewrite the items around it)".to_owned();
                Err(StoreError::TooLarge { what, limit: MAX_RANK_BYTES })
            }
        }
    }
}
