//! A request as handlers see it: read once, by one extractor, in one order.

use actingweb_hooks::Op;
use actingweb_protocol::{ActorId, Name, PropertyPath, json};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::observe::RequestContext;
use crate::{AppState, Problem, path};

/// The largest request body, in bytes. API Gateway itself passes 6 MB of event, a third of which base64 may take.
pub const MAX_BODY_BYTES: usize = 4_000_000;

/// What a request does, once `_method` is considered. HEAD is GET; its body is dropped from the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET and HEAD.
    Get,
    /// PUT.
    Put,
    /// POST.
    Post,
    /// DELETE.
    Delete,
    /// Anything else, which no path here answers.
    Other,
}

impl Verb {
    /// The same as an operation of a hook.
    #[must_use]
    pub const fn op(self) -> Option<Op> {
        match self {
            Self::Get => Some(Op::Get),
            Self::Put => Some(Op::Put),
            Self::Post => Some(Op::Post),
            Self::Delete => Some(Op::Delete),
            Self::Other => None,
        }
    }
}

/// A request.
#[derive(Debug)]
pub struct Incoming {
    /// What it does.
    pub verb: Verb,
    /// Its id, deadline and log line.
    pub context: RequestContext,
    /// Its decoded path segments.
    pub segments: Vec<String>,
    /// Its body.
    pub payload: Payload,
    pub(crate) headers: HeaderMap,
    query: Vec<(String, String)>,
}

/// A request's body and what the request says it is.
#[derive(Debug)]
pub struct Payload {
    /// The bytes.
    pub bytes: Bytes,
    content_type: String,
    /// Whether it came with a POST that `_method` made another verb.
    is_overridden: bool,
}

impl<S> FromRequest<S> for Incoming
where
    AppState: axum::extract::FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let state = <AppState as axum::extract::FromRef<S>>::from_ref(state);
        let (parts, body) = request.into_parts();
        let context = parts
            .extensions
            .get::<RequestContext>()
            .cloned()
            .unwrap_or_else(|| RequestContext::new(&state, None, None));
        let bytes = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Problem::too_large(format!("the body is larger than {MAX_BODY_BYTES} bytes")));
            }
            Err(_) => return Err(Problem::bad_request("the body ended before it was complete")),
        };
        let content_type =
            parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut incoming = Self {
            verb: verb(&parts.method),
            context,
            segments: path::segments(parts.uri.path())?,
            payload: Payload { bytes, content_type: content_type.to_ascii_lowercase(), is_overridden: false },
            query: form_pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: parts.headers,
        };
        if incoming.payload.is_multipart() {
            return Err(Problem::bad_request("multipart bodies are not read: send JSON or a URL-encoded form"));
        }
        incoming.override_verb()?;
        Ok(incoming)
    }
}

impl Incoming {
    /// `_method` on a POST, for clients that only have forms (spec, "Form-based updates").
    fn override_verb(&mut self) -> Result<(), Problem> {
        if self.verb != Verb::Post {
            return Ok(());
        }
        let named = self.param("_method").map(str::to_owned).or_else(|| {
            let form = self.payload.form()?;
            form.into_iter().find(|(name, _)| name == "_method").map(|(_, value)| value)
        });
        match named.as_deref().map(str::to_ascii_uppercase).as_deref() {
            None | Some("POST") => {}
            Some("PUT") => self.verb = Verb::Put,
            Some("DELETE") => self.verb = Verb::Delete,
            Some(_) => return Err(Problem::bad_request("_method must be PUT or DELETE")),
        }
        self.payload.is_overridden = self.verb != Verb::Post;
        if let Some(op) = self.verb.op() {
            self.context.note_verb(op.as_str());
        }
        Ok(())
    }

    /// A query parameter: the first of that name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All query parameters.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The parameters that are content: the form's fields if the body is a form, without `_method`.
    #[must_use]
    pub fn form(&self) -> Option<Vec<(String, String)>> {
        let fields = self.payload.form()?;
        Some(fields.into_iter().filter(|(name, _)| name != "_method").collect())
    }

    /// The request's headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the client asks for JSON by name.
    #[must_use]
    pub fn accepts_json(&self) -> bool {
        accepts(&self.headers, "application/json")
    }

    /// Whether the client is a browser: it asks for HTML by name.
    #[must_use]
    pub fn accepts_html(&self) -> bool {
        accepts_html(&self.headers)
    }

    /// The segments after `/{actor}/{group}`.
    #[must_use]
    pub fn below_group(&self) -> &[String] {
        self.segments.get(2..).unwrap_or_default()
    }

    /// The path below `/{actor}/properties`; `None` for the set of all properties.
    ///
    /// # Errors
    /// 400 for what is no name.
    pub fn property_path(&self) -> Result<Option<PropertyPath>, Problem> {
        match self.below_group() {
            [] => Ok(None),
            segments => Ok(Some(PropertyPath::parse(segments.iter().map(String::as_str))?)),
        }
    }

    /// The one name below `/{actor}/{group}`; `None` for the group itself.
    ///
    /// # Errors
    /// 400 for what is no name, 404 for a longer path.
    pub fn hook_name(&self) -> Result<Option<Name>, Problem> {
        let Some((name, below)) = self.below_group().split_first() else { return Ok(None) };
        let name = Name::parse(name)?;
        if below.is_empty() { Ok(Some(name)) } else { Err(Problem::not_found("there is nothing below this name")) }
    }

    /// The actor's id in the path.
    ///
    /// # Errors
    /// 404 for what cannot be one.
    pub fn actor_id(&self) -> Result<ActorId, Problem> {
        ActorId::parse(self.segments.first().map_or("", String::as_str)).map_err(|_| unknown_actor())
    }
}

impl Payload {
    /// Whether it is declared as JSON: `application/json` or `+json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.content_type.split(';').next().unwrap_or_default().trim();
        media_type == "application/json" || media_type.ends_with("+json")
    }

    /// What it is declared as, in lower case; empty when it is not.
    pub(crate) fn content_type(&self) -> &str {
        &self.content_type
    }

    fn is_multipart(&self) -> bool {
        self.content_type.starts_with("multipart/") && !self.bytes.is_empty()
    }

    /// The fields, if it is declared as a form.
    #[must_use]
    pub fn form(&self) -> Option<Vec<(String, String)>> {
        self.content_type.starts_with("application/x-www-form-urlencoded").then(|| form_pairs(&self.bytes))
    }

    /// The body as JSON, whatever it is declared as.
    ///
    /// # Errors
    /// 400 with the place of the fault, or for an empty body.
    pub fn json(&self) -> Result<Value, Problem> {
        if self.bytes.is_empty() {
            return Err(Problem::bad_request("the body is empty where JSON is due"));
        }
        Ok(json::parse(&self.bytes)?)
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// As [`Payload::json`], and 400 for any other kind of value.
    pub fn object(&self) -> Result<Map<String, Value>, Problem> {
        match self.json()? {
            Value::Object(members) => Ok(members),
            other => Err(Problem::bad_request(format!("the body must be a JSON object, not {}", kind(&other)))),
        }
    }

    /// The value to store: the body as JSON if it parses, as text if it is not declared as JSON; of a form that was
    /// posted with `_method`, the text of its field `value`.
    ///
    /// # Errors
    /// 400 when it is declared as JSON and is not, or is text that is not UTF-8; also for JSON that parses but cannot be
    /// kept, and for a posted form without the field.
    pub fn json_or_text(&self) -> Result<Value, Problem> {
        if let Some(fields) = self.form().filter(|_| self.is_overridden) {
            let value = fields.into_iter().find(|(name, _)| name == "value");
            let missing = || Problem::bad_request("the form has no field `value`");
            return Ok(Value::String(value.ok_or_else(missing)?.1));
        }
        match json::parse(&self.bytes) {
            Ok(value) => Ok(value),
            Err(json::JsonError::Syntax(_)) if !self.is_json() && !looks_like_json(&self.bytes) => {
                let text =
                    std::str::from_utf8(&self.bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
                Ok(Value::String(text.to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn unknown_actor() -> Problem {
    Problem::not_found("there is no such actor")
}

/// Text that begins like an object, an array or a string was meant to be JSON: storing it as text would hide the fault.
fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"'))
}

fn verb(method: &Method) -> Verb {
    match *method {
        Method::GET | Method::HEAD => Verb::Get,
        Method::PUT => Verb::Put,
        Method::POST => Verb::Post,
        Method::DELETE => Verb::Delete,
        _ => Verb::Other,
    }
}

/// What kind of JSON value this is, for reasons.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn form_pairs(bytes: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

/// Whether whoever sent these headers is a browser that wants a page: it asks for HTML by name. What scripts fetch does not.
#[must_use]
pub fn accepts_html(headers: &HeaderMap) -> bool {
    accepts(headers, "text/html")
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(media_type)))
}
