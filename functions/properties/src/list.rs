//! `/{actor}/properties/{list}`: a list, its items by position, what is said of it (spec, "List properties").

use actingweb_actor::{ListEdit, ListItem, ListRecord, Stored};
use actingweb_hooks::{Invocation, Op};
use actingweb_protocol::permission::Operation;
use actingweb_protocol::{Rank, nested};
use actingweb_web::conditional::{check_preconditions, is_conditional, tagged};
use actingweb_web::paging::Page;
use actingweb_web::{Problem, Reply, Verb, json, no_content, text};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{Request, items};

pub(crate) async fn list(request: Request<'_>, list: ListRecord) -> Reply {
    let invocation = request.incoming.invocation(&request.admission);
    let below: Vec<&str> = request.path.below.iter().map(String::as_str).collect();
    match (below.as_slice(), request.incoming.verb) {
        ([], Verb::Get) => request.get_list(&invocation, list).await,
        ([], Verb::Put) => request.put_list(&invocation, list).await,
        ([], Verb::Post) => request.append(&invocation, list).await,
        ([], Verb::Delete) => request.delete_list(&invocation, list).await,
        ([], Verb::Other) => Err(Problem::method_not_allowed("GET, PUT, POST, DELETE")),
        (["metadata"], Verb::Get) => request.get_metadata(&invocation, &list).await,
        (["metadata"], Verb::Put) => request.put_metadata(&invocation, list).await,
        (["metadata"], _) => Err(Problem::method_not_allowed("GET, PUT")),
        (["items"], Verb::Get) => items::get_items(&request, &invocation, &list).await,
        (["items"], Verb::Post) => items::post_items(&request, &invocation, list).await,
        (["items"], _) => Err(Problem::method_not_allowed("GET, POST")),
        ([index, rest @ ..], verb) => {
            let index =
                position(index).ok_or_else(|| Problem::not_found("an item of a list is addressed by a number"))?;
            match verb {
                Verb::Get => request.get_item(&invocation, &list, index, rest).await,
                Verb::Put if rest.is_empty() => request.set_item(&invocation, list, index).await,
                Verb::Delete if rest.is_empty() => request.remove_item(&invocation, list, index).await,
                _ if rest.is_empty() => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
                _ => Err(Problem::method_not_allowed("GET")),
            }
        }
    }
}

/// `{"_list":true,"count":n,"description":"","explanation":""}`.
pub(crate) fn summary(list: &ListRecord) -> Value {
    json!({
        "_list": true,
        "count": list.length,
        "description": list.description,
        "explanation": list.explanation,
    })
}

fn metadata(list: &ListRecord) -> Value {
    json!({
        "name": list.name,
        "_list": true,
        "count": list.length,
        "description": list.description,
        "explanation": list.explanation,
    })
}

fn position(segment: &str) -> Option<u64> {
    let is_number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { segment.parse().ok() } else { None }
}

impl Request<'_> {
    async fn get_list(&self, invocation: &Invocation, list: ListRecord) -> Reply {
        if let Some(index) = self.incoming.param("index") {
            let missing = || Problem::not_found(format!("list `{}` has no item at `{index}`", list.name));
            let index = index.parse::<i64>().map_err(|_| missing())?;
            // Negative positions count from the end.
            let from_end = || list.length.checked_sub(index.unsigned_abs());
            let index = u64::try_from(index).ok().or_else(from_end).ok_or_else(missing)?;
            return self.get_item(invocation, &list, index, &[]).await;
        }
        let short = self.incoming.param("format") == Some("short");
        if short || self.incoming.param("metadata") == Some("true") {
            self.read(invocation, &list, &[], Value::Array(Vec::new())).await?;
            return Ok(tagged(self.incoming, &list.version, json(StatusCode::OK, &summary(&list))));
        }
        match Page::of(self.incoming)? {
            None => {
                let values = self.admission.actor.items_of(&list).await?.into_iter().map(|item| item.value).collect();
                let shown = self.read(invocation, &list, &[], values).await?;
                Ok(tagged(self.incoming, &list.version, json(StatusCode::OK, &shown)))
            }
            Some(page) => {
                let (items, next) = self.page(&list, &page).await?;
                let values = items.into_iter().map(|item| item.value).collect();
                let shown = self.read(invocation, &list, &[], values).await?;
                Ok(page.link(self.state, self.incoming, next.as_deref(), json(StatusCode::OK, &shown)))
            }
        }
    }

    /// A part of the list, and the cursor of the next.
    pub(crate) async fn page(
        &self,
        list: &ListRecord,
        page: &Page,
    ) -> Result<(Vec<ListItem>, Option<String>), Problem> {
        let cursor = page.cursor.as_deref().map(Rank::parse).transpose();
        let after = cursor.map_err(|_| Problem::bad_request("cursor is not one that a reply of this list gave"))?;
        let (items, more) = self.admission.actor.page_of(list, after.as_ref(), page.limit).await?;
        let next = items.last().filter(|_| more).map(|item| item.rank.as_str().to_owned());
        Ok((items, next))
    }

    /// What hooks let be seen of a list or an item; 404 when it is hidden.
    pub(crate) async fn read(
        &self,
        invocation: &Invocation,
        list: &ListRecord,
        below: &[String],
        value: Value,
    ) -> Result<Value, Problem> {
        let guard = self.guard(invocation);
        let hidden = || Problem::not_found(format!("there is no property `{}`", self.path));
        guard.read_list(&list.name, below, value).await?.ok_or_else(hidden)
    }

    /// What hooks make of an item that is written or deleted.
    pub(crate) async fn guard_item(
        &self,
        invocation: &Invocation,
        (op, list): (Op, &ListRecord),
        index: Option<u64>,
        value: Value,
    ) -> Result<Value, Problem> {
        let guard = self.guard(invocation);
        let below: Vec<String> = index.iter().map(u64::to_string).collect();
        let value = guard.write_list(op, &list.name, &below, value).await?;
        if value.is_null() {
            return Err(Problem::bad_request("an item cannot be null: delete it instead"));
        }
        Ok(value)
    }

    async fn get_item(&self, invocation: &Invocation, list: &ListRecord, index: u64, rest: &[&str]) -> Reply {
        let missing = || Problem::not_found(format!("there is no `{}` in a list of {} items", self.path, list.length));
        self.admission.access.check_list(list.name.as_str(), Operation::Read)?;
        let item = self.admission.actor.item_of(list, index).await?.ok_or_else(missing)?;
        let value = self.read(invocation, list, &[index.to_string()], item.value).await?;
        let keys: Vec<String> = rest.iter().map(|key| (*key).to_owned()).collect();
        let response = match nested::get(&value, &keys).ok_or_else(missing)? {
            Value::String(bare) if !self.incoming.accepts_json() && self.incoming.param("index").is_none() => {
                text(bare)
            }
            value => json(StatusCode::OK, value),
        };
        Ok(tagged(self.incoming, &list.version, response))
    }

    async fn put_list(&self, invocation: &Invocation, list: ListRecord) -> Reply {
        match self.incoming.param("index") {
            None => Err(Problem::conflict(format!(
                "property `{}` is a list: name an item (/{}/0), POST to append, or DELETE it first",
                list.name, list.name
            ))),
            Some(index) => {
                let index = position(index).ok_or_else(|| Problem::bad_request("index must be a number from 0"))?;
                self.set_item(invocation, list, index).await
            }
        }
    }

    /// The item in the body, which must not be empty.
    fn item(&self) -> Result<Value, Problem> {
        match self.incoming.payload.bytes.is_empty() {
            true => Err(Problem::bad_request("the body is empty where an item is due")),
            false => self.incoming.payload.json_or_text(),
        }
    }

    async fn set_item(&self, invocation: &Invocation, list: ListRecord, index: u64) -> Reply {
        let value = self.item()?;
        let value = self.guard_item(invocation, (Op::Put, &list), Some(index), value).await?;
        self.edit(list, ListEdit::Set(index, value)).await?;
        Ok(no_content())
    }

    /// 201 with the item's URL.
    async fn append(&self, invocation: &Invocation, list: ListRecord) -> Reply {
        let value = self.item()?;
        let value = self.guard_item(invocation, (Op::Post, &list), None, value).await?;
        let (actor, name) = (self.admission.actor.id(), list.name.clone());
        let index = self.edit(list, ListEdit::Append(value)).await?;
        let response = json(StatusCode::CREATED, &json!({ "success": true, "index": index }));
        Ok(located(response, &format!("{}/{actor}/properties/{name}/{index}", self.state.base_url)))
    }

    async fn delete_list(&self, invocation: &Invocation, list: ListRecord) -> Reply {
        if let Some(index) = self.incoming.param("index") {
            let index = position(index).ok_or_else(|| Problem::bad_request("index must be a number from 0"))?;
            return self.remove_item(invocation, list, index).await;
        }
        check_preconditions(self.incoming, Some(&list.version))?;
        self.guard_item(invocation, (Op::Delete, &list), None, summary(&list)).await?;
        let name = list.name.clone();
        let only_seen = is_conditional(self.incoming);
        self.admission.actor.delete_list(&name, Some(Stored::List(list)), only_seen).await?;
        Ok(no_content())
    }

    async fn remove_item(&self, invocation: &Invocation, list: ListRecord, index: u64) -> Reply {
        self.admission.access.check_list(list.name.as_str(), Operation::Write)?;
        if self.state.hooks.has_property_hooks(list.name.as_str()) {
            let missing = || Problem::not_found(format!("list `{}` has {} items", list.name, list.length));
            let item = self.admission.actor.item_of(&list, index).await?.ok_or_else(missing)?;
            self.guard_item(invocation, (Op::Delete, &list), Some(index), item.value).await?;
            // The item that the hooks let go, wherever others have pushed it meanwhile.
            self.edit(list, ListEdit::RemoveItem(item.rank)).await?;
            return Ok(no_content());
        }
        self.edit(list, ListEdit::Remove(index)).await?;
        Ok(no_content())
    }

    async fn get_metadata(&self, invocation: &Invocation, list: &ListRecord) -> Reply {
        self.read(invocation, list, &[], Value::Array(Vec::new())).await?;
        Ok(tagged(self.incoming, &list.version, json(StatusCode::OK, &metadata(list))))
    }

    async fn put_metadata(&self, invocation: &Invocation, list: ListRecord) -> Reply {
        let fields = self.incoming.payload.object()?;
        let field = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) if !other.is_array() && !other.is_object() => Ok(Some(other.to_string())),
            Some(_) => Err(Problem::bad_request(format!("`{name}` must be a text"))),
        };
        let (description, explanation) = (field("description")?, field("explanation")?);
        if description.is_none() && explanation.is_none() {
            return Err(Problem::bad_request("name `description`, `explanation` or both"));
        }
        let texts = Value::Object(fields.clone());
        self.guard_item(invocation, (Op::Put, &list), None, texts).await?;
        self.edit(list, ListEdit::Describe { description, explanation }).await?;
        Ok(no_content())
    }

    /// Changes the list; with a precondition, only the version that was read.
    pub(crate) async fn edit(&self, list: ListRecord, edit: ListEdit) -> Result<u64, Problem> {
        check_preconditions(self.incoming, Some(&list.version))?;
        let name = list.name.clone();
        let only_this = is_conditional(self.incoming);
        Ok(self.admission.actor.edit_list(&name, Some(Stored::List(list)), edit, only_this).await?)
    }
}

fn located(mut response: Response, location: &str) -> Response {
    response.headers_mut().extend(HeaderValue::from_str(location).ok().map(|value| (header::LOCATION, value)));
    response
}
