//! Queries, read page by page: DynamoDB sends 1 MB at a time.

use actingweb_protocol::ActorId;

use crate::item::{Item, Row, text};
use crate::{Store, StoreError, keys};

/// A query being read page by page.
pub(crate) struct Pages<'a> {
    store: &'a Store,
    pk: String,
    keys: SortKeys,
    projection: Option<String>,
    pub(crate) position: Position,
    /// How many items a page has at most.
    pub(crate) limit: Option<i32>,
}

/// Which sort keys a query reads.
enum SortKeys {
    /// Those that begin so; all of them, when empty.
    Prefix(String),
    /// From here to there.
    Between(String, String),
}

/// Where the next page begins.
#[derive(Debug)]
pub(crate) enum Position {
    Start,
    /// Right after this key.
    After(Item),
    End,
}

impl Store {
    /// The items of a partition whose sort keys begin with `prefix` (any, when empty), a page at a time.
    pub(crate) fn pages(&self, partition: &str, prefix: &str, projection: Option<&str>) -> Pages<'_> {
        Pages {
            store: self,
            pk: partition.to_owned(),
            keys: SortKeys::Prefix(prefix.to_owned()),
            projection: projection.map(str::to_owned),
            position: Position::Start,
            limit: None,
        }
    }

    /// The properties between two sort keys, a page at a time.
    pub(crate) fn properties_between(&self, actor: &ActorId, (low, high): (String, String)) -> Pages<'_> {
        Pages { keys: SortKeys::Between(low, high), ..self.pages(&keys::actor(actor), "", None) }
    }

    /// Up to `limit` of what `shown` makes of the rows between two sort keys, both left out, the last first; and whether
    /// there is more. Rows that have expired, and of which it makes nothing, do not count. One call for each MB read.
    pub(crate) async fn newest<T>(
        &self,
        (partition, low, high): (&str, &str, &str),
        limit: usize,
        shown: impl Fn(&Row<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<(Vec<T>, bool), StoreError> {
        let call = self
            .inner
            .client
            .query()
            .table_name(&self.inner.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":low", text(low))
            .expression_attribute_values(":high", text(high));
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let call = call.clone().set_exclusive_start_key(start);
            let output = self.call("Query", || call.clone().send()).await?;
            for item in output.items.iter().flatten() {
                let row = Row::read(item)?;
                if [low, high].contains(&row.text("sk")?) || row.expired(self.now())? {
                    continue;
                }
                let Some(one) = shown(&row)? else { continue };
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(one);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok((found, false));
            }
        }
    }
}

impl Pages<'_> {
    /// The next page; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, StoreError> {
        let start = match std::mem::replace(&mut self.position, Position::End) {
            Position::Start => None,
            Position::After(key) => Some(key),
            Position::End => return Ok(None),
        };
        let call = self
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
        let call = match &self.keys {
            SortKeys::Prefix(prefix) if prefix.is_empty() => call.key_condition_expression("pk = :pk"),
            SortKeys::Prefix(prefix) => call
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix)),
            SortKeys::Between(low, high) => call
                .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
                .expression_attribute_values(":low", text(low))
                .expression_attribute_values(":high", text(high)),
        };
        let output = self.store.call("Query", || call.clone().send()).await?;
        if let Some(last) = output.last_evaluated_key {
            self.position = Position::After(last);
        }
        Ok(Some(output.items.unwrap_or_default()))
    }
}
