//! One verb of one path.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::components;

/// What a body is, in one media type.
#[derive(Clone, Debug)]
pub struct Content {
    media_type: &'static str,
    schema: Value,
    example: Option<Value>,
}

impl Content {
    /// JSON of this schema.
    #[must_use]
    pub const fn json(schema: Value) -> Self {
        Self { media_type: "application/json", schema, example: None }
    }

    /// Any JSON value.
    #[must_use]
    pub const fn any_json() -> Self {
        Self::json(Value::Bool(true))
    }

    /// Plain text.
    #[must_use]
    pub fn text() -> Self {
        Self { media_type: "text/plain", schema: json!({ "type": "string" }), example: None }
    }

    /// A page.
    #[must_use]
    pub fn html() -> Self {
        Self { media_type: "text/html", schema: json!({ "type": "string" }), example: None }
    }

    /// Server-sent events, for those who accept them.
    #[must_use]
    pub fn events() -> Self {
        Self { media_type: "text/event-stream", schema: json!({ "type": "string" }), example: None }
    }

    /// A problem document, where the same status may have a page.
    #[must_use]
    pub fn problem() -> Self {
        Self { media_type: "application/problem+json", schema: super::schema_ref("Problem"), example: None }
    }

    /// The fields of a form, as a schema of an object.
    #[must_use]
    pub const fn form(schema: Value) -> Self {
        Self { media_type: "application/x-www-form-urlencoded", schema, example: None }
    }

    /// Adds an example.
    #[must_use]
    pub fn example(mut self, example: impl Into<Value>) -> Self {
        self.example = Some(example.into());
        self
    }

    fn describe(self) -> (String, Value) {
        let mut media = Map::from_iter([("schema".to_owned(), self.schema)]);
        media.extend(self.example.map(|example| ("example".to_owned(), example)));
        (self.media_type.to_owned(), Value::Object(media))
    }
}

/// One verb of one path: what it takes, and every status it can answer.
#[derive(Clone, Debug)]
pub struct Operation {
    verb: &'static str,
    id: String,
    summary: String,
    about: Option<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
    replies: BTreeMap<u16, Value>,
    is_guarded: bool,
}

impl Operation {
    fn new(verb: &'static str, id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            verb,
            id: id.into(),
            summary: summary.into(),
            about: None,
            parameters: Vec::new(),
            body: None,
            replies: BTreeMap::new(),
            is_guarded: false,
        }
    }

    /// GET. The id names the operation uniquely, in `snake_case`.
    #[must_use]
    pub fn get(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new("get", id, summary)
    }

    /// PUT.
    #[must_use]
    pub fn put(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new("put", id, summary)
    }

    /// POST.
    #[must_use]
    pub fn post(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new("post", id, summary)
    }

    /// DELETE.
    #[must_use]
    pub fn delete(id: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new("delete", id, summary)
    }

    /// Says more (Markdown).
    #[must_use]
    pub fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }

    /// Takes a query parameter, which may be left out.
    #[must_use]
    pub fn query(mut self, name: &str, about: &str, schema: Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "query", "description": about, "schema": schema }));
        self
    }

    /// Takes `limit` and `cursor`; replies name the next part.
    #[must_use]
    pub fn paged(mut self) -> Self {
        self.parameters.extend(["limit", "cursor"].map(components::parameter));
        self.with_headers(&["Link", "X-Next-Cursor"])
    }

    /// A read of something that has a version: sends `ETag`, and 304 to those who have it.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.parameters.push(components::parameter("if_none_match"));
        self = self.with_headers(&["ETag"]);
        self.replies.insert(304, components::response("NotModified"));
        self
    }

    /// A write that takes `If-Match` and `If-None-Match`.
    #[must_use]
    pub fn conditional(mut self) -> Self {
        self.parameters.extend(["if_match", "if_none_match"].map(components::parameter));
        self.problems(&[412])
    }

    /// Takes an `Idempotency-Key`. Called after the replies were described, which may be given again.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.parameters.push(components::parameter("idempotency_key"));
        self.with_headers(&["Idempotent-Replayed"]).problems(&[409, 410, 422])
    }

    /// Takes a body, in one of these forms.
    #[must_use]
    pub fn body(mut self, is_required: bool, about: &str, content: impl IntoIterator<Item = Content>) -> Self {
        let content: Map<String, Value> = content.into_iter().map(Content::describe).collect();
        self.body = Some(json!({ "description": about, "required": is_required, "content": content }));
        self
    }

    /// May answer this, in one of these forms; without any the reply has no body.
    #[must_use]
    pub fn reply(mut self, status: u16, about: &str, content: impl IntoIterator<Item = Content>) -> Self {
        let headers = components::header_refs(&["X-Request-ID"]);
        let mut reply = json!({ "description": about, "headers": headers });
        let content: Map<String, Value> = content.into_iter().map(Content::describe).collect();
        if let (Some(members), false) = (reply.as_object_mut(), content.is_empty()) {
            members.insert("content".to_owned(), Value::Object(content));
        }
        self.replies.insert(status, reply);
        self
    }

    /// May answer 202 with where to look for what becomes of it, and when.
    #[must_use]
    pub fn accepted(self, about: &str, content: impl IntoIterator<Item = Content>) -> Self {
        let mut operation = self.reply(202, about, content).with_location(202);
        let headers = operation.replies.get_mut(&202).and_then(|reply| reply.get_mut("headers")?.as_object_mut());
        if let Some(headers) = headers {
            headers.extend(components::header_refs(&["Retry-After"]));
        }
        operation
    }

    /// The replies described so far, other than problems, have these headers.
    #[must_use]
    pub fn with_headers(mut self, names: &[&str]) -> Self {
        for headers in self.replies.values_mut().filter_map(|reply| reply.get_mut("headers")?.as_object_mut()) {
            headers.extend(components::header_refs(names));
        }
        self
    }

    /// The reply of this status, described before, has a `Location`.
    #[must_use]
    pub fn with_location(mut self, status: u16) -> Self {
        let headers = self.replies.get_mut(&status).and_then(|reply| reply.get_mut("headers")?.as_object_mut());
        if let Some(headers) = headers {
            headers.extend(components::header_refs(&["Location"]));
        }
        self
    }

    /// May answer these problems, beyond those that every operation can.
    #[must_use]
    pub fn problems(mut self, statuses: &[u16]) -> Self {
        self.replies.extend(statuses.iter().map(|status| (*status, components::problem(*status))));
        self
    }

    /// Needs credentials.
    #[must_use]
    pub fn authorized(mut self) -> Self {
        self.is_guarded = true;
        self.problems(&[401, 403, 429])
    }

    /// Runs hooks of the application, which may fail in ways of their own.
    #[must_use]
    pub fn runs_hooks(self) -> Self {
        self.problems(&[403, 502, 504])
    }

    /// The verb, and the operation as JSON.
    pub(super) fn describe(mut self, tag: &str, path: &str) -> (&'static str, Value) {
        let mut everywhere = vec![400, 500, 503];
        if path.starts_with("/{actor}") {
            everywhere.push(404);
        }
        if self.verb != "get" {
            everywhere.push(413);
        }
        for status in everywhere {
            // What an operation says of a status itself counts.
            self.replies.entry(status).or_insert_with(|| components::problem(status));
        }
        let responses: Map<String, Value> =
            self.replies.into_iter().map(|(status, reply)| (status.to_string(), reply)).collect();
        let mut described =
            Map::from_iter([("operationId".to_owned(), json!(self.id)), ("summary".to_owned(), json!(self.summary))]);
        described.extend(self.about.map(|about| ("description".to_owned(), json!(about))));
        described.insert("tags".to_owned(), json!([tag]));
        let security = if self.is_guarded { json!([{ "basic": [] }, { "bearer": [] }]) } else { json!([]) };
        described.insert("security".to_owned(), security);
        if !self.parameters.is_empty() {
            described.insert("parameters".to_owned(), Value::Array(self.parameters));
        }
        described.extend(self.body.map(|body| ("requestBody".to_owned(), body)));
        described.insert("responses".to_owned(), Value::Object(responses));
        (self.verb, Value::Object(described))
    }
}

/// The words of a status, as the name of a component: `NotFound`.
pub(super) fn component_name(status: u16) -> String {
    let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem");
    words.split(' ').collect()
}
