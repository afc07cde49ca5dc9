//! Taking a diff: in order, once, in one transaction with what it changes.

use std::collections::BTreeSet;

use actingweb_protocol::ActorId;
use actingweb_protocol::feed::{Arrival, Kept, Pending, Queue, Touched, apply, touched};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde_json::Value;

use super::{ACKNOWLEDGE_AFTER, FeedRecord, GAP_TIMEOUT};
use crate::due::DueWork;
use crate::{Store, StoreError};

/// The most names one transaction changes: beside them go the feed's row and two jobs.
const MAX_NAMES: usize = 90;

/// The most bytes one transaction writes: DynamoDB takes 4 MB.
const MAX_STEP_BYTES: usize = 3_000_000;

/// The most bytes of names whose value is doubtful, which stand in the feed's row; of more than that, everything is read
/// anew.
const MAX_DOUBTFUL_BYTES: usize = 32_000;

/// A diff that was applied: its number and what changed.
pub type Taken = Pending;

/// What became of a diff that arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// It was applied, and with it what had waited for it, in this order. The feed is as given.
    Applied(Vec<Taken>, Box<FeedRecord>),
    /// It was applied before, or waits already.
    Duplicate,
    /// It waits for those before it, or until everything was read anew.
    Pending,
    /// There is no room for it to wait.
    Full,
    /// The subscription has ended.
    Ended,
}

impl Store {
    /// Takes a diff. `seen` is the feed as it was read with the request.
    ///
    /// # Errors
    /// [`StoreError`]; the diff does not count then, and may come again.
    pub async fn receive(
        &self,
        actor: &ActorId,
        seen: FeedRecord,
        sequence: u64,
        data: &Value,
    ) -> Result<Received, StoreError> {
        let mut pause = self.pauses();
        let mut seen = seen;
        loop {
            let mut feed = seen.clone();
            let arrival = match feed.stale {
                true => feed.queue.hold(sequence, data.clone()),
                false => feed.queue.receive(sequence, data.clone()),
            };
            let (received, written) = match arrival {
                Arrival::Duplicate => return Ok(Received::Duplicate),
                Arrival::Apply(due) => match self.apply_due(actor, seen.clone(), due).await? {
                    Ok((taken, feed)) => return Ok(Received::Applied(taken, Box::new(feed))),
                    Err(current) => (Received::Pending, Err(current)),
                },
                Arrival::Queued => (Received::Pending, self.open_gap(actor, &seen, feed).await?),
                Arrival::Full => (Received::Full, self.open_gap(actor, &seen, feed).await?),
            };
            match written {
                Ok(_) => return Ok(received),
                Err(Some(current)) => seen = current,
                Err(None) => return Ok(Received::Ended),
            }
            pause.wait("TransactWriteItems", "others are writing the same feed".to_owned()).await?;
        }
    }

    /// Applies what follows on the last diff without a gap, of `more` that were fetched and of what waits. `None` when
    /// the feed has ended. Nothing is applied to a feed whose data is to be read anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn catch_up(
        &self,
        actor: &ActorId,
        seen: FeedRecord,
        more: &[Pending],
    ) -> Result<Option<(Vec<Taken>, FeedRecord)>, StoreError> {
        let mut pause = self.pauses();
        let mut seen = seen;
        let mut taken = Vec::new();
        loop {
            let waiting = more.iter().cloned().chain(seen.queue.pending());
            let due = Queue::new(seen.queue.last(), waiting).restart(seen.queue.last());
            if seen.stale || due.is_empty() {
                return Ok(Some((taken, seen)));
            }
            match self.apply_due(actor, seen, due).await? {
                Ok((mut now, feed)) => {
                    taken.append(&mut now);
                    seen = feed;
                }
                Err(Some(current)) => {
                    seen = current;
                    pause.wait("TransactWriteItems", "others are writing the same feed".to_owned()).await?;
                }
                Err(None) => return Ok(None),
            }
        }
    }

    /// Stores a diff that waits, and makes fetching the missing ones due.
    async fn open_gap(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        mut feed: FeedRecord,
    ) -> Result<Result<FeedRecord, Option<FeedRecord>>, StoreError> {
        let mut parts = Vec::new();
        // Whoever calls back can be asked, too, whatever happened before.
        let answers_again = feed.retry_at.is_some();
        if answers_again || (feed.gap_since.is_none() && !feed.stale) {
            feed.recover();
            feed.gap_since = feed.gap_since.or_else(|| Some(self.now()).filter(|_| !seen.stale));
            parts.push(self.due_part(actor, self.now().plus(GAP_TIMEOUT), feed.resync())?);
        }
        if feed == *seen {
            return Ok(Ok(feed));
        }
        self.put_feed(actor, seen, feed, parts).await
    }

    /// Applies diffs that are due, as many as a transaction holds at a time. `Err` in the result is the feed as it is now
    /// when somebody else came first; what was applied by then is applied.
    async fn apply_due(
        &self,
        actor: &ActorId,
        seen: FeedRecord,
        due: Vec<Pending>,
    ) -> Result<Result<(Vec<Taken>, FeedRecord), Option<FeedRecord>>, StoreError> {
        let path = seen.scope.path().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut seen = seen;
        let mut taken = 0;
        while let Some(rest) = due.get(taken..).filter(|rest| !rest.is_empty()) {
            let step = Step::first(&path, rest);
            let (now, _) = rest.split_at(step.count);
            let written = match &step.names {
                Some(names) => self.apply_step(actor, &seen, &path, names, now).await?,
                None => self.apply_by_copy(actor, &seen, &path, now).await?,
            };
            match written {
                Ok(feed) => seen = feed,
                Err(current) if taken == 0 => return Ok(Err(current)),
                // Somebody else came first: what is left is looked at anew.
                Err(_) => break,
            }
            taken += now.len();
        }
        Ok(Ok((due.into_iter().take(taken).collect(), seen)))
    }

    async fn apply_step(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        path: &[&str],
        names: &BTreeSet<String>,
        now: &[Pending],
    ) -> Result<Result<FeedRecord, Option<FeedRecord>>, StoreError> {
        let all = seen.size.exact || seen.truncated;
        let known = if all { names.clone() } else { names_that_matter(path, names, now) };
        let old = self.remote_values(actor, seen, &known).await?;
        let mut new = old.clone();
        let mut feed = seen.clone();
        if seen.truncated {
            // The peer may have what is not here.
            for name in names {
                new.entry(name.clone()).or_insert(Kept::TooLarge);
            }
        }
        for diff in now {
            feed.doubtful.append(&mut apply(&mut new, path, &diff.data).doubtful);
        }
        if !seen.has_data() {
            feed.generation = self.nonce();
        }
        if feed.size.fit(&feed.partition(actor, &feed.generation), &old, &mut new) {
            if !seen.size.exact {
                let counted = FeedRecord { size: self.count_remote(actor, seen).await?, ..seen.clone() };
                return Box::pin(self.apply_step(actor, &counted, path, names, now)).await;
            }
            feed.truncated = true;
        }
        // A name that was not read is written or deleted, whatever is there.
        let mut before = old;
        let unread = names.difference(&known).filter(|name| !new.contains_key(*name));
        before.extend(unread.map(|name| (name.clone(), Kept::TooLarge)));
        let (mut parts, bytes) = self.difference(&feed.partition(actor, &feed.generation), &before, &new)?;
        if bytes > MAX_STEP_BYTES || parts.len() > MAX_NAMES {
            return self.apply_by_copy(actor, seen, path, now).await;
        }
        parts.extend(self.advance(actor, seen, &mut feed, now)?);
        self.put_feed(actor, seen, feed, parts).await
    }

    /// Applies a diff that touches more than a transaction holds: on a copy of the data, which then takes its place.
    async fn apply_by_copy(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        path: &[&str],
        now: &[Pending],
    ) -> Result<Result<FeedRecord, Option<FeedRecord>>, StoreError> {
        let mut feed = seen.clone();
        if seen.truncated {
            // What is not here cannot be changed here.
            feed.stale = true;
            let parts = self.advance(actor, seen, &mut feed, now)?;
            return self.put_feed(actor, seen, feed, parts).await;
        }
        let mut data = self.remote(actor, seen).await?;
        for diff in now {
            feed.doubtful.append(&mut apply(&mut data, path, &diff.data).doubtful);
        }
        let generation = self.write_generation(actor, seen, &data).await?;
        let mut parts = self.advance(actor, seen, &mut feed, now)?;
        parts.extend(self.replace_part(actor, seen, &mut feed, &generation)?);
        self.put_feed(actor, seen, feed, parts).await
    }

    /// Moves a feed past diffs that are applied, and gives the jobs that this makes due.
    fn advance(
        &self,
        actor: &ActorId,
        seen: &FeedRecord,
        feed: &mut FeedRecord,
        now: &[Pending],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        if feed.doubtful.iter().map(String::len).sum::<usize>() > MAX_DOUBTFUL_BYTES {
            feed.doubtful.clear();
            feed.stale = true;
        }
        let last = now.last().map_or(seen.queue.last(), |diff| diff.sequence);
        feed.queue = Queue::new(last, seen.queue.pending());
        feed.recover();
        let mut parts = Vec::new();
        let gap = feed.queue.has_gap() && seen.gap_since.is_none();
        let doubts = !feed.doubtful.is_empty() && seen.doubtful.is_empty();
        if gap || doubts || (feed.stale && !seen.stale) {
            parts.push(self.due_part(actor, self.now().plus(GAP_TIMEOUT), feed.resync())?);
        }
        feed.gap_since = feed.queue.has_gap().then(|| seen.gap_since.unwrap_or_else(|| self.now()));
        if !feed.acknowledging {
            feed.acknowledging = true;
            let work = DueWork::Acknowledge { peer: feed.peer.clone(), subscription: feed.id.clone() };
            parts.push(self.due_part(actor, self.now().plus(ACKNOWLEDGE_AFTER), work)?);
        }
        Ok(parts)
    }
}

/// The diffs that one transaction applies.
struct Step {
    count: usize,
    /// The names it changes; `None` when they are more than it holds.
    names: Option<BTreeSet<String>>,
}

impl Step {
    fn first(path: &[&str], due: &[Pending]) -> Self {
        let mut names = BTreeSet::new();
        let mut bytes = 0;
        for (count, diff) in due.iter().enumerate() {
            bytes += diff.data.to_string().len();
            let all = match touched(path, &diff.data) {
                Touched::Names(more) => Some(&names | &more).filter(|all| all.len() <= MAX_NAMES),
                Touched::All => None,
            };
            match all.filter(|_| bytes <= MAX_STEP_BYTES) {
                Some(all) => names = all,
                None if count == 0 => return Self { count: 1, names: None },
                None => return Self { count, names: Some(names) },
            }
        }
        Self { count: due.len(), names: Some(names) }
    }
}

/// Those names whose value decides what a diff makes of it: a plain value replaces whatever is there.
fn names_that_matter(path: &[&str], names: &BTreeSet<String>, now: &[Pending]) -> BTreeSet<String> {
    let replaces = |value: &Value| !value.is_object();
    let matters = |name: &String| match path {
        [] => {
            let in_diff = |diff: &Pending, key: &str| diff.data.get(key).is_some_and(|value| !replaces(value));
            now.iter().any(|diff| in_diff(diff, name) || in_diff(diff, &format!("list:{name}")))
        }
        [_] => now.iter().any(|diff| !replaces(&diff.data)),
        _ => true,
    };
    names.iter().filter(|name| matters(name)).cloned().collect()
}
