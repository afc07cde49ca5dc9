//! Reading many properties: all of an actor's, or a part.

use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_protocol::{ActorId, Name};
use futures_util::future::try_join;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::density::{Density, MAX_PARTS, MB};
use crate::item::{Item, Row};
use crate::large::{Found, Gathered, TEXT_BYTES};
use crate::pages::Position;
use crate::properties::Stored;
use crate::store::MAX_BATCH_KEYS;
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
        let mut pages = self.pages(&keys::actor(actor), keys::PROPERTIES, None);
        let items = pages.next().await?.unwrap_or_default();
        let last = match pages.position {
            Position::After(last) => Some(last),
            Position::Start | Position::End => None,
        };
        Ok(FirstPage { items, last })
    }

    /// [`Store::properties`] from their first page on. The rest is read at the same time: small values in as many parts as
    /// it takes for each to fit into one page, going by the first, and large ones by their keys, which the first page
    /// tells. What fits into the last part of the small ones is read with it. That is one call per MB; one more when small
    /// ones nearly fill whole pages.
    ///
    /// A part that does not fit after all goes on with a second page, and a third call waits for the second: with values
    /// written by this program, one listing in thousands. So it is when a large value is written at the same time.
    ///
    /// # Errors
    /// As [`Store::properties`]. What is certainly too large is refused from the first page alone: large values always.
    pub async fn properties_from(&self, actor: &ActorId, first: FirstPage) -> Result<Vec<Stored>, StoreError> {
        let plan = Plan::of(&first)?;
        let bytes = AtomicUsize::new(plan.large_bytes);
        let mut gathered = counted(&first.items, &bytes)?;
        let bytes = &bytes;
        let ranges = plan.ranges.into_iter().map(|(range, position)| {
            let mut pages = self.properties_between(actor, range);
            pages.position = position;
            async move {
                let mut gathered = Gathered::default();
                while let Some(items) = pages.next().await? {
                    gathered.extend(counted(&items, bytes)?);
                }
                Ok::<_, StoreError>(gathered)
            }
        });
        let batches = plan.batches.into_iter().map(|suffixes| async move {
            let pk = keys::actor(actor);
            let key = |suffix: &String| item::key(&pk, &format!("{}{suffix}", keys::LARGE_TEXT));
            counted(&self.batch_get(suffixes.iter().map(key).collect()).await?, bytes)
        });
        let (ranges, batches): (Vec<_>, Vec<_>) = (ranges.collect(), batches.collect());
        let (ranges, batches) = try_join(
            stream::iter(ranges).buffer_unordered(MAX_PARTS).try_collect::<Vec<_>>(),
            stream::iter(batches).buffer_unordered(MAX_PARTS).try_collect::<Vec<_>>(),
        )
        .await?;
        for part in ranges.into_iter().chain(batches) {
            gathered.extend(part);
        }
        let mut found = self.whole(actor, gathered).await?;
        found.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(found)
    }

    /// Up to `limit` properties after a name, and whether there are more. Their order is that of their keys: by a hash
    /// of the name, always the same. Large values among them take one more call, for 50 of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn properties_page(
        &self,
        actor: &ActorId,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<(Vec<Stored>, bool), StoreError> {
        let mut after = after.map(keys::property);
        loop {
            let (gathered, last) = self.gather_page(actor, after, limit).await?;
            let mut found = self.whole(actor, gathered).await?;
            found.sort_by_cached_key(|stored| keys::property(stored.name()));
            // Large ones may have gone since their names were read: an empty part would be the end.
            if !found.is_empty() || last.is_none() {
                return Ok((found, last.is_some()));
            }
            after = last;
        }
    }

    /// Up to `limit` properties after a sort key, large ones without their texts; and the last sort key, if there are
    /// more.
    async fn gather_page(
        &self,
        actor: &ActorId,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Gathered, Option<String>), StoreError> {
        let mut gathered = Gathered::default();
        let mut pages = self.pages(&keys::actor(actor), keys::PROPERTY, None);
        pages.limit = i32::try_from(limit.saturating_add(1)).ok();
        if let Some(key) = after {
            pages.position = Position::After(item::key(&keys::actor(actor), &key));
        }
        let (mut bytes, mut count, mut last) = (0, 0, None);
        while let Some(items) = pages.next().await? {
            for row in &items {
                let found = Found::from_row(&Row::read(row)?)?;
                bytes += item::size(row) + found.text_bytes();
                // What no reply could hold begins the next part.
                if count == limit || (bytes > MAX_LISTING_BYTES && count > 0) {
                    return Ok((gathered, last));
                }
                gathered.insert(found);
                count += 1;
                last = Some(Row(row).text("sk")?.to_owned());
            }
        }
        Ok((gathered, None))
    }
}

/// How the rest of a listing is read, once its first page is.
#[derive(Debug, Default)]
struct Plan {
    /// How many bytes all large values have.
    large_bytes: usize,
    /// Ranges of sort keys, and where to begin each.
    ranges: Vec<((String, String), Position)>,
    /// The keys of large values, without what all of them begin with, by calls.
    batches: Vec<Vec<String>>,
}

impl Plan {
    fn of(first: &FirstPage) -> Result<Self, StoreError> {
        let mut large = Vec::new();
        let mut small = Vec::new();
        for found in &first.items {
            let row = Row(found);
            let sk = row.text("sk")?;
            if let Some(suffix) = sk.strip_prefix(keys::LARGE_NOTE) {
                let bytes = row.optional_number(TEXT_BYTES)?.and_then(|bytes| usize::try_from(bytes).ok());
                large.push((suffix, bytes.ok_or_else(|| row.corrupt("it does not say how many bytes the text has"))?));
            } else if sk.starts_with(keys::PROPERTY) {
                small.push(item::size(found));
            }
        }
        let large_bytes = large.iter().map(|(_, bytes)| bytes).sum();
        if large_bytes > MAX_LISTING_BYTES {
            return Err(too_large());
        }
        let mut plan = Self { large_bytes, ..Self::default() };
        let Some(last) = &first.last else { return Ok(plan) };
        let sk = Row(last).text("sk")?;
        if let Some(read) = sk.strip_prefix(keys::LARGE_TEXT) {
            large.retain(|(suffix, _)| *suffix > read);
            plan.batches = batches(&large);
            return Ok(plan);
        }
        // A MB of notes is far more than there may be.
        let hash = keys::property_hash(sk).ok_or_else(too_large)?;
        let density = Density::of(small.into_iter(), hash);
        if density.exceeds(MAX_LISTING_BYTES - large_bytes) {
            return Err(too_large());
        }
        let (parts, mut room) = if large.is_empty() { (density.parts(), 0) } else { density.full_parts() };
        plan.ranges = parts.iter().map(|hashes| (keys::property_range(hashes), Position::Start)).collect();
        // The first part continues the page, in the middle of what has the same hash.
        if let Some((_, position)) = plan.ranges.first_mut() {
            *position = Position::After(last.clone());
        }
        // Texts come right after the last property.
        let fit = large.iter().take_while(|(_, bytes)| {
            let fits = *bytes <= room;
            room = room.saturating_sub(*bytes);
            fits
        });
        let (along, rest) = large.split_at(fit.count());
        if let (Some(((_, high), _)), Some((suffix, _))) = (plan.ranges.last_mut(), along.last()) {
            *high = format!("{}{suffix}", keys::LARGE_TEXT);
        }
        plan.batches = batches(rest);
        Ok(plan)
    }
}

/// Large values in calls of about a MB or more each, none of them more than a call may ask for.
fn batches(large: &[(&str, usize)]) -> Vec<Vec<String>> {
    let bytes: usize = large.iter().map(|(_, bytes)| bytes).sum();
    let calls = (bytes / MB).max(large.len().div_ceil(MAX_BATCH_KEYS)).max(1);
    let calls = large.chunks(large.len().div_ceil(calls).max(1));
    calls.map(|call| call.iter().map(|(suffix, _)| (*suffix).to_owned()).collect()).collect()
}

/// Takes items, and adds the bytes of properties to those of the whole listing; texts are counted already.
fn counted(items: &[Item], bytes: &AtomicUsize) -> Result<Gathered, StoreError> {
    let mut gathered = Gathered::default();
    let mut size = 0;
    for found in items {
        let row = Row::read(found)?;
        gathered.add(&row)?;
        size += if row.text("sk")?.starts_with(keys::PROPERTY) { item::size(found) } else { 0 };
    }
    if bytes.fetch_add(size, Ordering::Relaxed) + size > MAX_LISTING_BYTES {
        return Err(too_large());
    }
    Ok(gathered)
}

fn too_large() -> StoreError {
    StoreError::TooLarge { what: "the set of all properties".to_owned(), limit: MAX_LISTING_BYTES }
}

#[cfg(test)]
mod tests;
