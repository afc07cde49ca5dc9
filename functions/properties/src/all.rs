//! `/{actor}/properties`: all of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_actor::{Actor, ListRecord, Stored};
use actingweb_hooks::Op;
use actingweb_protocol::{Name, PropertyPath};
use actingweb_web::paging::{MAX_LIMIT, Page};
use actingweb_web::{AppState, Incoming, Problem, Reply, json, no_content};
use futures_util::future::try_join_all;
use futures_util::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::hooks::Guard;
use crate::list::summary;

/// How many lists are read at once for a listing with their items.
const CONCURRENT_LISTS: usize = 8;

/// How many properties' hooks run at once.
const CONCURRENT_HOOKS: usize = 256;

/// The most bytes of list items in one listing: Lambda's replies hold 6 MB.
const MAX_LISTING_BYTES: usize = 5_000_000;

/// What a listing shows of each property.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Values, and lists as `{"_list":true,"count":n}`.
    Short,
    /// Values, and lists with their items.
    Full,
    /// Names and sizes.
    Metadata,
}

/// An object of all properties that the caller may see; `{}` when there are none.
pub(crate) async fn get_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let view = view(incoming)?;
    let page = Page::of(incoming)?;
    let (admission, first) = match page {
        // A part is read when it is known whose it is and where it begins.
        Some(_) => (incoming.admit(state, &[]).await?, None),
        None => incoming.admit_to_all(state).await?,
    };
    let invocation = incoming.invocation(&admission);
    let guard = Guard { state, incoming, access: &admission.access, invocation: &invocation };
    let listing = Listing { actor: &admission.actor, guard, view, bytes: AtomicUsize::new(0) };
    let Some(page) = page else {
        let stored = match first {
            Some(first) => admission.actor.stored_properties_from(first).await?,
            None => admission.actor.stored_properties().await?,
        };
        let shown = listing.show(stored).await?;
        return Ok(json(StatusCode::OK, &view.body(shown)));
    };
    let (mut shown, next) = listing.part(&page).await?;
    // Parts follow one another in the order of keys; within one, names are easier to find.
    shown.sort_by(|a, b| a.name().cmp(b.name()));
    let response = json(StatusCode::OK, &view.body(shown));
    Ok(page.link(state, incoming, next.as_deref(), response))
}

fn view(incoming: &Incoming) -> Result<View, Problem> {
    match (incoming.param("format"), incoming.param("metadata")) {
        (Some(_), Some("true")) => Err(Problem::bad_request("format and metadata=true exclude each other")),
        (_, Some("true")) => Ok(View::Metadata),
        (Some("full"), _) => Ok(View::Full),
        _ => Ok(View::Short),
    }
}

/// A property as a listing shows it.
enum Shown {
    Value(Name, Value),
    /// With its items, if the view has them.
    List(ListRecord, Option<Value>),
}

impl Shown {
    const fn name(&self) -> &Name {
        match self {
            Self::Value(name, _) => name,
            Self::List(list, _) => &list.name,
        }
    }
}

struct Listing<'a> {
    actor: &'a Actor,
    guard: Guard<'a>,
    view: View,
    /// Bytes of list items read so far.
    bytes: AtomicUsize,
}

impl Listing<'_> {
    /// What the caller may see of these. Hooks of one listing run at the same time.
    async fn show(&self, stored: Vec<Stored>) -> Result<Vec<Shown>, Problem> {
        let shown: Vec<_> = stored.into_iter().map(|stored| self.one(stored)).collect();
        let mut outcomes = stream::iter(shown).buffered(self.at_once());
        let mut shown = Vec::new();
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(visible) => shown.extend(visible),
                Err(problem) if problem.unfinished().is_empty() => return Err(problem),
                Err(problem) => return Err(problem.with_unfinished(late(outcomes))),
            }
        }
        Ok(shown)
    }

    /// How many properties' hooks, or lists, are under way at once.
    fn at_once(&self) -> usize {
        if self.view == View::Short { CONCURRENT_HOOKS } else { CONCURRENT_LISTS }
    }

    /// One part, and the cursor of the next: the last name in it. It names nothing that the caller may not see.
    async fn part(&self, page: &Page) -> Result<(Vec<Shown>, Option<String>), Problem> {
        let cursor = page.cursor.as_deref().map(Name::parse).transpose();
        let after = cursor.map_err(|_| Problem::bad_request("cursor is not one that a reply of this listing gave"))?;
        if self.guard.access.caller().is_creator() && !self.guard.state.hooks.guards_properties() {
            let (stored, more) = self.actor.properties_page(after.as_ref(), page.limit).await?;
            let next = stored.last().filter(|_| more).map(|stored| stored.name().to_string());
            return Ok((self.show(stored).await?, next));
        }
        let mut shown: Vec<Shown> = Vec::new();
        let mut after = after;
        loop {
            let (stored, more) = self.actor.properties_page(after.as_ref(), MAX_LIMIT).await?;
            after = stored.last().filter(|_| more).map(|stored| stored.name().clone());
            let visible: Vec<_> = stored.into_iter().map(|stored| self.one(stored)).collect();
            let mut visible = stream::iter(visible).buffered(self.at_once());
            while let Some(visible) = visible.try_next().await? {
                let Some(visible) = visible else { continue };
                if shown.len() == page.limit {
                    let next = shown.last().map(|last| last.name().to_string());
                    return Ok((shown, next));
                }
                shown.push(visible);
            }
            if after.is_none() {
                return Ok((shown, None));
            }
        }
    }

    async fn one(&self, stored: Stored) -> Result<Option<Shown>, Problem> {
        match stored {
            Stored::Value(property) => {
                let value = self.guard.read(&property.name, &[], property.value).await?;
                Ok(value.map(|value| Shown::Value(property.name, value)))
            }
            // Whether the list may be seen is asked before its items are read.
            Stored::List(list) => match self.guard.read_list(&list.name, &[], Value::Array(Vec::new())).await? {
                None => Ok(None),
                Some(_) if self.view == View::Short => Ok(Some(Shown::List(list, None))),
                Some(_) => {
                    let items = self.items(&list).await?;
                    let items = self.guard.read_list(&list.name, &[], items).await?;
                    Ok(items.map(|items| Shown::List(list, Some(items))))
                }
            },
        }
    }

    async fn items(&self, list: &ListRecord) -> Result<Value, Problem> {
        let items: Vec<Value> = self.actor.items_of(list).await?.into_iter().map(|item| item.value).collect();
        let size: usize = items.iter().map(|item| item.to_string().len()).sum();
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > MAX_LISTING_BYTES {
            let detail = format!("all lists together are larger than {MAX_LISTING_BYTES} bytes: read them one by one");
            return Err(Problem::too_large(detail));
        }
        Ok(Value::Array(items))
    }
}

/// The hooks that ran out of time at the same moment as one before them.
fn late<T>(mut outcomes: impl Stream<Item = Result<T, Problem>> + Unpin) -> Vec<String> {
    let mut unfinished = Vec::new();
    while let Some(Some(outcome)) = outcomes.next().now_or_never() {
        unfinished.extend(outcome.err().into_iter().flat_map(|problem| problem.unfinished().to_vec()));
    }
    unfinished
}

impl View {
    fn body(self, shown: Vec<Shown>) -> Value {
        if self == Self::Metadata {
            return metadata(shown);
        }
        let entries = shown.into_iter().map(|shown| match shown {
            Shown::Value(name, value) => (name.to_string(), value),
            Shown::List(list, None) => (list.name.to_string(), json!({ "_list": true, "count": list.length })),
            Shown::List(list, Some(items)) => {
                let mut entry = summary(&list);
                if let Some(members) = entry.as_object_mut() {
                    members.insert("items".to_owned(), items);
                }
                (list.name.to_string(), entry)
            }
        });
        Value::Object(entries.collect())
    }
}

/// `{"simple":{"properties":[names],"total_bytes":n},"lists":{name:{"count","total_bytes","description","explanation"}}}`.
fn metadata(shown: Vec<Shown>) -> Value {
    let (mut names, mut bytes, mut lists) = (Vec::new(), 0, Map::new());
    for shown in shown {
        match shown {
            Shown::Value(name, value) => {
                bytes += value.to_string().len();
                names.push(name.to_string());
            }
            Shown::List(list, items) => {
                let items = items.unwrap_or_default();
                let sizes = items.as_array().into_iter().flatten().map(|item| item.to_string().len());
                let entry = json!({
                    "count": list.length,
                    "total_bytes": sizes.sum::<usize>(),
                    "description": list.description,
                    "explanation": list.explanation,
                });
                lists.insert(list.name.to_string(), entry);
            }
        }
    }
    json!({ "simple": { "properties": names, "total_bytes": bytes }, "lists": lists })
}

/// Deletes every property, lists too. Rights and hooks are asked before the first one goes; one refusal keeps them all.
pub(crate) async fn delete_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let admission = incoming.admit(state, &[]).await?;
    let (actor, access) = (&admission.actor, &admission.access);
    if access.caller().is_creator() && !state.hooks.guards_properties() {
        actor.delete_properties().await?;
        return Ok(no_content());
    }
    let invocation = incoming.invocation(&admission);
    let guard = Guard { state, incoming, access, invocation: &invocation };
    let stored = actor.stored_properties().await?;
    try_join_all(stored.iter().map(|stored| async move {
        let name = stored.name();
        match stored {
            Stored::Value(property) => {
                access.check_deletable(&whole(name), Some(&property.value))?;
                guard.write(Op::Delete, name, &[], property.value.clone()).await
            }
            Stored::List(list) => guard.write_list(Op::Delete, name, &[], summary(list)).await,
        }
    }))
    .await?;
    if access.caller().is_creator() {
        actor.delete_properties().await?;
        return Ok(no_content());
    }
    // What has changed since it was looked at may hold what this caller must not delete.
    for stored in stored {
        actor.delete_seen(stored).await?;
    }
    Ok(no_content())
}

fn whole(name: &Name) -> PropertyPath {
    PropertyPath { name: name.clone(), below: Vec::new() }
}
