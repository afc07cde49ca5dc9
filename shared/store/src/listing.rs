//! Reading many properties: all of an actor's, or a part.

use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_protocol::{ActorId, Name};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::density::{Density, MAX_PARTS, MB};
use crate::item::{Item, Row};
use crate::pages::Position;
use crate::properties::Stored;
use crate::{Store, StoreError, item, keys};

/// The most bytes of properties returned at once, as DynamoDB counts them: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5 * MB;

/// The beginning of an actor's properties, as it came: what a listing reads before it is known who asks for it.
#[derive(Clone, Debug)]
pub struct FirstPage {
    items: Vec<Item>,
    /// The key it ended at, when there is more.
    last: Option<Item>,
}

impl Store {
    /// All properties, strongly consistent, in the order of their names. One call per MB, and at most two of them in
    /// sequence: see [`Store::properties_from`].
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 5 MB in all; other [`StoreError`]s.
    pub async fn properties(&self, actor: &ActorId) -> Result<Vec<Stored>, StoreError> {
        let first = self.first_properties(actor).await?;
        self.properties_from(actor, first).await
    }

    /// The first page of [`Store::properties`]: one call, 1 MB at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_properties(&self, actor: &ActorId) -> Result<FirstPage, StoreError> {
        let mut pages = self.pages(&keys::actor(actor), keys::PROPERTY, None);
        let items = pages.next().await?.unwrap_or_default();
        let last = match pages.position {
            Position::After(last) => Some(last),
            Position::Start | Position::End => None,
        };
        Ok(FirstPage { items, last })
    }

    /// [`Store::properties`] from their first page on. The rest is read in parts, at the same time: as many as it takes
    /// for each to fit into one page, going by the first. That is one per MB, one more when the rest nearly fills whole
    /// pages, and more for values so large that a page holds few of them, because a few say little about the others.
    ///
    /// A part that does not fit after all goes on with a second page, and a third call waits for the second. Simulated
    /// for listings of nearly 5 MB, that happens to one in thousands with values of up to 10 KB, one in a hundred with
    /// 100 KB, one in fifteen with 340 KB, and one in three with 400 KB, of which a page holds two.
    ///
    /// # Errors
    /// As [`Store::properties`]. What is certainly too large is refused from the first page alone.
    pub async fn properties_from(&self, actor: &ActorId, first: FirstPage) -> Result<Vec<Stored>, StoreError> {
        let bytes = AtomicUsize::new(0);
        let mut found = counted(&first.items, &bytes)?;
        if let Some(last) = first.last {
            let sort_key = Row(&last).text("sk")?;
            let hash = keys::property_hash(sort_key).ok_or_else(|| Row(&last).corrupt("it is no property"))?;
            let density = Density::of(first.items.iter().map(item::size), hash);
            if density.exceeds(MAX_LISTING_BYTES) {
                return Err(too_large());
            }
            // The first part continues the page, in the middle of what has the same hash.
            let starts = std::iter::once(Position::After(last)).chain(std::iter::repeat_with(|| Position::Start));
            let parts = density.parts().into_iter().zip(starts).map(|(hashes, position)| {
                let mut pages = self.properties_between(actor, keys::property_range(&hashes));
                pages.position = position;
                let bytes = &bytes;
                async move {
                    let mut found = Vec::new();
                    while let Some(items) = pages.next().await? {
                        found.extend(counted(&items, bytes)?);
                    }
                    Ok::<_, StoreError>(found)
                }
            });
            let parts: Vec<_> = parts.collect();
            let rest: Vec<_> = stream::iter(parts).buffer_unordered(MAX_PARTS).try_collect().await?;
            found.extend(rest.into_iter().flatten());
        }
        found.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(found)
    }

    /// Up to `limit` properties after a name, and whether there are more. Their order is that of their keys: by a hash
    /// of the name, always the same.
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
            for found_item in &items {
                bytes += item::size(found_item);
                // What no reply could hold begins the next part.
                if bytes > MAX_LISTING_BYTES && !found.is_empty() {
                    found.truncate(limit);
                    return Ok((found, true));
                }
                found.push(Stored::from_row(&Row::read(found_item)?)?);
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }
}

/// Reads items and adds their bytes to those of the whole listing.
fn counted(items: &[Item], bytes: &AtomicUsize) -> Result<Vec<Stored>, StoreError> {
    let size: usize = items.iter().map(item::size).sum();
    if bytes.fetch_add(size, Ordering::Relaxed) + size > MAX_LISTING_BYTES {
        return Err(too_large());
    }
    items.iter().map(|found| Stored::from_row(&Row::read(found)?)).collect()
}

fn too_large() -> StoreError {
    StoreError::TooLarge { what: "the set of all properties".to_owned(), limit: MAX_LISTING_BYTES }
}
