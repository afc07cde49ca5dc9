//! `/{actor}/properties/{list}/items`: items with their handles, and edits by position, handle or value.

use actingweb_actor::{ListEdit, ListError, ListRecord};
use actingweb_hooks::{Invocation, Op};
use actingweb_protocol::Rank;
use actingweb_protocol::permission::Operation;
use actingweb_web::conditional::tagged;
use actingweb_web::paging::Page;
use actingweb_web::{Problem, Reply, json, no_content};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Request;

/// `{"items":[{"index":0,"item":…,"handle":"a0"}],"count":n}`. A handle names its item wherever others
/// push it, until it is moved itself; in a part that
/// began with a cursor positions are not known, so they are left out.
pub(crate) async fn get_items(request: &Request<'_>, invocation: &Invocation, list: &ListRecord) -> Reply {
    let page = Page::of(request.incoming)?;
    let (items, next) = match &page {
        None => (request.admission.actor.items_of(list).await?, None),
        Some(page) => request.page(list, page).await?,
    };
    let positions = page.as_ref().is_none_or(|page| page.cursor.is_none());
    let values = items.iter().map(|item| item.value.clone()).collect();
    let shown = request.read(invocation, list, &[], values).await?;
    let shown = shown.as_array().cloned().unwrap_or_default();
    let entries: Vec<Value> = (0u64..)
        .zip(items.iter().zip(shown))
        .map(|(index, (item, value))| {
            let mut entry = Map::new();
            if positions {
                entry.insert("index".to_owned(), json!(index));
            }
            entry.insert("item".to_owned(), value);
            entry.insert("handle".to_owned(), json!(item.rank));
            Value::Object(entry)
        })
        .collect();
    let response = json(StatusCode::OK, &json!({ "items": entries, "count": list.length }));
    Ok(match page {
        None => tagged(request.incoming, &list.version, response),
        Some(page) => page.link(request.state, request.incoming, next.as_deref(), response),
    })
}

/// `{"action": "add" | "insert" | "update" | "delete" | "move" | "clear", …}`; see docs/api-design.md.
pub(crate) async fn post_items(request: &Request<'_>, invocation: &Invocation, list: ListRecord) -> Reply {
    let body = request.incoming.payload.object()?;
    request.admission.access.check_list(list.name.as_str(), Operation::Write)?;
    let action = body.get("action").and_then(Value::as_str).unwrap_or_default();
    let adds = matches!(action, "add" | "insert");
    let edit = match action {
        "add" => ListEdit::Append(value(request, invocation, &list, (Op::Post, None), &body).await?),
        "insert" => {
            let index = number(&body, "item_index")?;
            ListEdit::Insert(index, value(request, invocation, &list, (Op::Post, Some(index)), &body).await?)
        }
        "update" => match target(&body)? {
            Target::Index(index) => {
                if index >= list.length {
                    return Err(beyond(&list, index));
                }
                ListEdit::Replace(index, value(request, invocation, &list, (Op::Put, Some(index)), &body).await?)
            }
            Target::Handle(rank) => {
                ListEdit::SetItem(rank, value(request, invocation, &list, (Op::Put, None), &body).await?)
            }
            Target::Value(old) => {
                ListEdit::SetValue(old, value(request, invocation, &list, (Op::Put, None), &body).await?)
            }
        },
        "delete" => {
            let named = ["item_index", "handle", "old_value"].into_iter().any(|name| body.contains_key(name));
            let (edit, index) = match body.get("item_value") {
                Some(old) if !named => (ListEdit::RemoveValue(old.clone()), None),
                _ => match target(&body)? {
                    Target::Index(index) => (ListEdit::Remove(index), Some(index)),
                    Target::Handle(rank) => (ListEdit::RemoveItem(rank), None),
                    Target::Value(old) => (ListEdit::RemoveValue(old), None),
                },
            };
            request.guard_deletion(invocation, &list, edit, index).await?
        }
        "move" => ListEdit::Move(number(&body, "item_index")?, number(&body, "to_index")?),
        "clear" => {
            request.guard_item(invocation, (Op::Delete, &list), None, crate::list::summary(&list)).await?;
            ListEdit::Clear
        }
        _ => return Err(Problem::bad_request("action must be add, insert, update, delete, move or clear")),
    };
    // Here a position is part of the body, so one beyond the list makes the request wrong rather than the URL.
    let index = match request.edit(list, edit).await {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return Err(Problem::bad_request(problem.detail()));
        }
        done => done?,
    };
    Ok(if adds { json(StatusCode::CREATED, &json!({ "success": true, "index": index })) } else { no_content() })
}

enum Target {
    Index(u64),
    Handle(Rank),
    Value(Value),
}

/// Which item is meant: by `item_index`, `handle` or `old_value`.
fn target(body: &Map<String, Value>) -> Result<Target, Problem> {
    if let Some(handle) = body.get("handle") {
        let rank = handle.as_str().map(Rank::parse);
        let rank = rank.and_then(Result::ok).ok_or_else(|| Problem::bad_request("`handle` is not one of this list"))?;
        return Ok(Target::Handle(rank));
    }
    match body.get("old_value") {
        Some(old) => Ok(Target::Value(old.clone())),
        None => Ok(Target::Index(number(body, "item_index")?)),
    }
}

/// A position; clients of the reference also send it as a text.
fn number(body: &Map<String, Value>, name: &str) -> Result<u64, Problem> {
    let number = match body.get(name) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Problem::bad_request(format!("`{name}` must be a number from 0")))
}

async fn value(
    request: &Request<'_>,
    invocation: &Invocation,
    list: &ListRecord,
    (op, index): (Op, Option<u64>),
    body: &Map<String, Value>,
) -> Result<Value, Problem> {
    let value = body.get("item_value").filter(|value| !value.is_null());
    let value = value.ok_or_else(|| Problem::bad_request("`item_value` is missing or null"))?;
    request.guard_item(invocation, (op, list), index, value.clone()).await
}

fn beyond(list: &ListRecord, index: u64) -> Problem {
    let error = ListError::OutOfRange { name: list.name.clone(), index, length: list.length };
    Problem::bad_request(error.to_string())
}

impl Request<'_> {
    /// Asks the hooks of the list, if it has any, before an item goes; gives the edit that removes just that one.
    async fn guard_deletion(
        &self,
        invocation: &Invocation,
        list: &ListRecord,
        edit: ListEdit,
        index: Option<u64>,
    ) -> Result<ListEdit, Problem> {
        if !self.state.hooks.has_property_hooks(list.name.as_str()) {
            return Ok(edit);
        }
        let items = self.admission.actor.items_of(list).await?;
        let found = (0u64..).zip(items).find(|(position, item)| match &edit {
            ListEdit::Remove(wanted) => position == wanted,
            ListEdit::RemoveItem(rank) => &item.rank == rank,
            ListEdit::RemoveValue(old) => &item.value == old,
            _ => false,
        });
        if let Some((position, item)) = found {
            self.guard_item(invocation, (Op::Delete, list), index.or(Some(position)), item.value).await?;
            // The item that the hooks let go, wherever others push it meanwhile.
            return Ok(ListEdit::RemoveItem(item.rank));
        }
        Ok(edit)
    }
}
