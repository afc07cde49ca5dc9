//! `POST /`: a new actor (spec, "Actor creation").

use actingweb_actor::{CreateActor, CreateError, CreatedActor};
use actingweb_hooks::{Event, EventKind, Invocation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, html, json};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::page;

/// `GET /` shows the page with the form, `POST /` creates an actor.
pub(crate) async fn factory(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => Ok(html(StatusCode::OK, page::sign_in())),
        Verb::Post => incoming.once(&state, None, create_actor(&state, &incoming)).await,
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

/// `GET /login`: where people sign in.
pub(crate) async fn login(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => {
            let response = StatusCode::SEE_OTHER.into_response();
            Ok(with_location(response, &format!("{}/oauth/login", state.base_url)))
        }
        _ => Err(Problem::method_not_allowed("GET")),
    }
}

async fn create_actor(state: &AppState, incoming: &Incoming) -> Reply {
    let form = incoming.form();
    let wants_page = form.is_some() && !incoming.accepts_json();
    let request = match form {
        Some(fields) => from_form(fields),
        None => from_json(incoming)?,
    };
    let address = incoming.context.address.map(actingweb_actor::network);
    let created = match state.actors.create(request, address.as_deref(), incoming.context.deadline).await {
        Ok(created) => created,
        Err(CreateError::Invalid(reason)) => return Err(Problem::bad_request(reason)),
        Err(CreateError::Guessing { retry_after }) => return Err(Problem::guessing(retry_after)),
        Err(error @ CreateError::CreatorTaken) => return Err(Problem::conflict(error.to_string())),
        Err(CreateError::Actor(error)) => return Err(error.into()),
    };
    if created.is_new {
        tell_hooks(state, incoming, &created).await;
    }
    let location = format!("{}/{}", state.base_url, created.actor.id());
    let response = if wants_page {
        html(StatusCode::CREATED, page::created(&created, &location))
    } else {
        json(StatusCode::CREATED, &body(&created))
    };
    Ok(with_location(response, &location))
}

/// `{"id","creator","passphrase"[,"trustee_root"]}`: the only reply that ever holds the passphrase.
fn body(created: &CreatedActor) -> Value {
    let mut body = json!({
        "id": created.actor.id(),
        "creator": created.actor.creator(),
        "passphrase": created.passphrase,
    });
    if let (Some(members), Some(root)) = (body.as_object_mut(), created.actor.trustee_root()) {
        members.insert("trustee_root".to_owned(), json!(root));
    }
    body
}

fn with_location(mut response: Response, location: &str) -> Response {
    response.headers_mut().extend(HeaderValue::from_str(location).ok().map(|value| (header::LOCATION, value)));
    // A new actor's reply holds a secret.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The actor exists whatever the hooks do; the engine logs what failed.
async fn tell_hooks(state: &AppState, incoming: &Incoming, created: &CreatedActor) {
    let invocation = Invocation {
        actor: Some(created.actor.clone()),
        caller: actingweb_actor::Caller::Creator,
        request_id: incoming.context.id.to_string(),
        deadline: incoming.context.deadline,
        mcp: None,
    };
    let hooks = state.hooks.fire(&invocation, Event::new(EventKind::ActorCreated));
    incoming.context.in_hook("lifecycle", EventKind::ActorCreated.as_str(), hooks).await;
}

fn from_form(fields: Vec<(String, String)>) -> CreateActor {
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    CreateActor {
        // Sign-in pages of the reference call the field `email`.
        creator: field("creator").or_else(|| field("email")).unwrap_or_default(),
        passphrase: field("passphrase").unwrap_or_default(),
        trustee_root: field("trustee_root"),
    }
}

fn from_json(incoming: &Incoming) -> Result<CreateActor, Problem> {
    if incoming.payload.bytes.is_empty() {
        return Ok(CreateActor::default());
    }
    let fields = incoming.payload.object()?;
    Ok(CreateActor {
        creator: text_field(&fields, "creator")?.unwrap_or_default(),
        passphrase: text_field(&fields, "passphrase")?.unwrap_or_default(),
        trustee_root: text_field(&fields, "trustee_root")?,
    })
}

fn text_field(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::bad_request(format!("`{name}` must be a string"))),
    }
}
