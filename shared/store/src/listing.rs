//! Reading many items of one partition: all properties of an actor, part of them, or whatever keys begin alike.

use actingweb_protocol::{ActorId, Name};

use crate::item::{Item, Row, text};
use crate::properties::Stored;
use crate::{Store, StoreError, item, keys};

/// The most bytes of properties returned at once: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5_000_000;

impl Store {
    /// All properties, strongly consistent, in the order of their names: one call per MB.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 5 MB in all; other [`StoreError`]s.
    pub async fn properties(&self, actor: &ActorId) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut pages = self.pages(&keys::actor(actor), keys::PROPERTY, None);
        while let Some(items) = pages.next().await? {
            for found_item in &items {
                let row = Row::read(found_item)?;
                bytes += row.optional_text("value")?.map_or(0, str::len);
                found.push(Stored::from_row(&row)?);
            }
            if bytes > MAX_LISTING_BYTES {
                let what = "the set of all properties".to_owned();
                return Err(StoreError::TooLarge { what, limit: MAX_LISTING_BYTES });
            }
        }
        Ok(found)
    }

    /// Up to `limit` properties after a name, and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn properties_page(
        &self,
        actor: &ActorId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<(Vec<Stored>, bool), StoreError> {
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), keys::PROPERTY, None);
        pages.limit = i32::try_from(limit.saturating_add(1)).ok();
        if let Some(name) = after {
            pages.position = Position::After(item::key(&keys::actor(actor), &keys::property(name)));
        }
        let mut bytes = 0;
        while found.len() <= limit {
            let Some(items) = pages.next().await? else { break };
            for row in &items {
                let row = Row::read(row)?;
                bytes += row.optional_text("value")?.map_or(0, str::len);
                // What no reply could hold begins the next part.
                if bytes > MAX_LISTING_BYTES && !found.is_empty() {
                    found.truncate(limit);
                    return Ok((found, true));
                }
                found.push(Stored::from_row(&row)?);
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    /// The items of a partition whose sort keys begin with `prefix` (any, when empty), a page at a time.
    pub(crate) fn pages(&self, partition: &str, prefix: &str, projection: Option<&str>) -> Pages<'_> {
        Pages {
            store: self,
            pk: partition.to_owned(),
            prefix: prefix.to_owned(),
            projection: projection.map(str::to_owned),
            position: Position::Start,
            limit: None,
        }
    }
}

/// A query being read page by page.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    pk: String,
    prefix: String,
    projection: Option<String>,
    position: Position,
    limit: Option<i32>,
}

enum Position {
    Start,
    After(Item),
    End,
}

impl Pages<'_> {
    /// The next page; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, StoreError> {
        let start = match std::mem::replace(&mut self.position, Position::End) {
            Position::Start => None,
            Position::After(key) => Some(key),
            Position::End => return Ok(None),
        };
        let mut call = self
            .store
            .inner
            .client
            .query()
            .table_name(&self.store.inner.table)
            .consistent_read(true)
            .expression_attribute_values(":pk", text(&self.pk))
            .set_projection_expression(self.projection.clone())
            .set_limit(self.limit)
            .set_exclusive_start_key(start);
        call = if self.prefix.is_empty() {
            call.key_condition_expression("pk = :pk")
        } else {
            call.key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(&self.prefix))
        };
        let output = self.store.call("Query", || call.clone().send()).await?;
        if let Some(last) = output.last_evaluated_key {
            self.position = Position::After(last);
        }
        Ok(Some(output.items.unwrap_or_default()))
    }
}
