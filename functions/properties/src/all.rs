//! `/{actor}/properties`: all of them.

use actingweb_actor::{ListRecord, Stored};
use actingweb_hooks::Op;
use actingweb_protocol::{Name, PropertyPath};
use actingweb_web::paging::Page;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, json, no_content};
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::hooks::Guard;
use crate::list::summary;

/// How many lists are read at once for a listing with their items.
const CONCURRENT_LISTS: usize = 8;

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

/// An object of all properties that the hooks let be seen; `{}` when there are none.
pub(crate) async fn get_properties(state: &AppState, incoming: &Incoming) -> Reply {
    let view = view(incoming)?;
    let page = Page::of(incoming)?;
    let admission = incoming.admit(state, &[]).await?;
    let (stored, next) = match &page {
        None => (admission.actor.stored_properties().await?, None),
        Some(page) => {
            let cursor = page.cursor.as_deref().map(Name::parse).transpose();
            let after =
                cursor.map_err(|_| Problem::bad_request("cursor is not one that a reply of this listing gave"))?;
            let (stored, more) = admission.actor.properties_page(after.as_ref(), page.limit).await?;
            let next = stored.last().filter(|_| more).map(|stored| stored.name().to_string());
            (stored, next)
        }
    };
    let invocation = incoming.invocation(&admission);
    let guard = Guard { state, incoming, access: &admission.access, invocation: &invocation };
    let body = match view {
        View::Short => Value::Object(show(&admission, guard, stored, false).await?),
        View::Full => Value::Object(show(&admission, guard, stored, true).await?),
        View::Metadata => metadata(&admission, guard, stored).await?,
    };
    let response = json(StatusCode::OK, &body);
    Ok(match page {
        None => response,
        Some(page) => page.link(state, incoming, next.as_deref(), response),
    })
}

fn view(incoming: &Incoming) -> Result<View, Problem> {
    match (incoming.param("format"), incoming.param("metadata")) {
        (Some(_), Some("true")) => Err(Problem::bad_request("format and metadata=true exclude each other")),
        (_, Some("true")) => Ok(View::Metadata),
        (Some("full"), _) => Ok(View::Full),
        _ => Ok(View::Short),
    }
}

/// Hooks of one listing run at the same time.
async fn show(
    admission: &Admission,
    guard: Guard<'_>,
    stored: Vec<Stored>,
    full: bool,
) -> Result<Map<String, Value>, Problem> {
    let shown = stored.into_iter().map(|stored| async move {
        let name = stored.name().clone();
        let value = match stored {
            Stored::Value(property) => guard.read(&name, &[], property.value).await?,
            Stored::List(list) => show_list(admission, guard, &list, full).await?,
        };
        Ok::<_, Problem>(value.map(|value| (name.to_string(), value)))
    });
    let shown: Vec<_> = stream::iter(shown.collect::<Vec<_>>()).buffered(parallel(full)).try_collect().await?;
    Ok(shown.into_iter().flatten().collect())
}

const fn parallel(reads_lists: bool) -> usize {
    if reads_lists { CONCURRENT_LISTS } else { 256 }
}

async fn show_list(
    admission: &Admission,
    guard: Guard<'_>,
    list: &ListRecord,
    full: bool,
) -> Result<Option<Value>, Problem> {
    if !full {
        let shown = guard.read_list(&list.name, &[], Value::Array(Vec::new())).await?;
        return Ok(shown.map(|_| json!({ "_list": true, "count": list.length })));
    }
    let values = admission.actor.items_of(list).await?.into_iter().map(|item| item.value).collect();
    Ok(guard.read_list(&list.name, &[], values).await?.map(|items| {
        let mut entry = summary(list);
        if let Some(members) = entry.as_object_mut() {
            members.insert("items".to_owned(), items);
        }
        entry
    }))
}

/// `{"simple":{"properties":[names],"total_bytes":n},"lists":{name:{"count","total_bytes","description","explanation"}}}`.
async fn metadata(admission: &Admission, guard: Guard<'_>, stored: Vec<Stored>) -> Result<Value, Problem> {
    let (mut names, mut bytes, mut lists) = (Vec::new(), 0, Map::new());
    for stored in stored {
        match stored {
            Stored::Value(property) => {
                if let Some(value) = guard.read(&property.name, &[], property.value).await? {
                    bytes += value.to_string().len();
                    names.push(property.name.to_string());
                }
            }
            Stored::List(list) => {
                let values = admission.actor.items_of(&list).await?.into_iter().map(|item| item.value).collect();
                let Some(items) = guard.read_list(&list.name, &[], values).await? else { continue };
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
    Ok(json!({ "simple": { "properties": names, "total_bytes": bytes }, "lists": lists }))
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
