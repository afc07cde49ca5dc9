//! `/oauth/login` and `/oauth/logout`: a person signs in at this browser, and out again.

use std::time::Duration;

use actingweb_actor::{Rate, SignInError};
use actingweb_protocol::ActorId;
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::{StatusCode, header};
use serde_json::json;

use crate::pages::{Page, escape, hidden, see_other};
use crate::params::Params;
use crate::session::{self, Session, check_own_page};
use crate::signin::{Trouble, links};

/// Where people come from who are to be led back; nothing else may be named.
const NEXT: &str = "/oauth/authorize?";

/// The longest address to be led back to, in bytes.
const MAX_NEXT_BYTES: usize = 8192;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/oauth/login", any(login))
        .route("/oauth/login/", any(login))
        .route("/oauth/logout", any(logout))
        .route("/oauth/logout/", any(logout))
}

async fn login(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => {
            let next = next(incoming.param("next"))?;
            let trouble = incoming.param("trouble").and_then(Trouble::parse).map(Trouble::text);
            match (next, Session::of(&state, &incoming).await?) {
                (None, Some(session)) => Ok(signed_in(&state, &session, trouble)),
                (next, _) => {
                    let form = Form { next, actor: incoming.param("actor").unwrap_or_default(), alert: trouble };
                    Ok(form.page(&state).reply(StatusCode::OK))
                }
            }
        }
        Verb::Post => sign_in(&state, &incoming).await,
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

async fn sign_in(state: &AppState, incoming: &Incoming) -> Reply {
    check_own_page(state, incoming)?;
    let fields = Params::new(incoming.form().unwrap_or_default());
    let next = next(Some(fields.first("next")).filter(|next| !next.is_empty()))?;
    let actor = fields.first("actor");
    let again = |status: StatusCode, alert: &str| Form { next, actor, alert: Some(alert) }.page(state).reply(status);
    let wait = |wait: Duration| {
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Wait a minute, then try again.");
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, http::HeaderValue::from(u64::try_from(seconds).unwrap_or(60)));
        response
    };
    let (deadline, address) = (incoming.context.deadline, incoming.context.address);
    if let Some(retry_after) =
        state.actors.count_rate(&state.rate_limits, Rate::SignIn, (address, ""), deadline).await?
    {
        return Ok(wait(retry_after));
    }
    let unknown = "No actor has this address and this passphrase.";
    let id = match actor_id(&state.base_url, actor) {
        None => state.actors.of_creator(actor, deadline).await?,
        id => id,
    };
    let Some(id) = id else { return Ok(again(StatusCode::FORBIDDEN, unknown)) };
    let address = address.map(actingweb_actor::network);
    let signed_in = state.actors.sign_in(&id, fields.first("passphrase"), address.as_deref(), deadline).await;
    match signed_in {
        Ok(actor) => {
            let next = next.unwrap_or("/oauth/login");
            session::begin(state, incoming, &actor, see_other(&format!("{}{next}", state.base_url))).await
        }
        Err(SignInError::Unknown) => Ok(again(StatusCode::FORBIDDEN, unknown)),
        Err(SignInError::Guessing { retry_after }) => Ok(wait(retry_after)),
        Err(SignInError::Actor(error)) => Err(error.into()),
    }
}

/// `GET /oauth/logout` asks, `POST` does it. Both are fine when nobody is signed in.
async fn logout(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => {
            let body = format!(
                "<form method=\"post\" action=\"{}/oauth/logout\"><button>Sign out</button></form>",
                escape(&state.base_url)
            );
            Ok(Page { title: "Sign out of this browser?", body, leads_away: false }.reply(StatusCode::OK))
        }
        Verb::Post => {
            check_own_page(&state, &incoming)?;
            if let Some(session) = Session::of(&state, &incoming).await? {
                session.end(&state, &incoming).await?;
            }
            let fields = Params::new(incoming.form().unwrap_or_default());
            let next = next(Some(fields.first("next")).filter(|next| !next.is_empty()))?;
            let body = "<p>Nobody is signed in at this browser any more. Clients that you allowed to act for you still \
                        may.</p>";
            let mut response = match next {
                Some(next) => see_other(&format!("{}{next}", state.base_url)),
                None => {
                    Page { title: "You are signed out", body: body.to_owned(), leads_away: false }.reply(StatusCode::OK)
                }
            };
            session::forget(&state, &mut response);
            Ok(response)
        }
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

/// Where to go on: a path of ours that begins as it should, or nowhere.
pub(crate) fn next(next: Option<&str>) -> Result<Option<&str>, Problem> {
    let Some(next) = next else { return Ok(None) };
    let plain = next.len() <= MAX_NEXT_BYTES && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && next.starts_with(NEXT) {
        Ok(Some(next))
    } else {
        Err(Problem::bad_request(format!("`next` must begin with `{NEXT}`")))
    }
}

/// The actor that somebody means: its id, or its URL at this deployment.
fn actor_id(base_url: &str, typed: &str) -> Option<ActorId> {
    let typed = typed.trim().trim_end_matches('/');
    let id = typed.strip_prefix(base_url).map_or(typed, |path| path.trim_start_matches('/'));
    ActorId::parse(&id.to_ascii_lowercase()).ok()
}

fn signed_in(state: &AppState, session: &Session, alert: Option<&str>) -> axum::response::Response {
    let base = escape(&state.base_url);
    let alert =
        alert.map(|alert| format!("<p class=\"alert\" role=\"alert\">{}</p>", escape(alert))).unwrap_or_default();
    let body = format!(
        "{alert}<p>You are signed in as <strong>{}</strong>, whose actor is <code>{base}/{}</code>.</p>\
         {}<form method=\"post\" action=\"{base}/oauth/logout\"><button class=\"plain\">Sign out</button></form>",
        escape(session.actor.creator()),
        session.actor.id(),
        links(state, None, true),
    );
    Page { title: "You are signed in", body, leads_away: false }.reply(StatusCode::OK)
}

/// The form, as it is shown.
struct Form<'a> {
    next: Option<&'a str>,
    actor: &'a str,
    alert: Option<&'a str>,
}

impl Form<'_> {
    fn page(&self, state: &AppState) -> Page<'static> {
        let alert = self.alert.map(|alert| format!("<p class=\"alert\" role=\"alert\">{}</p>", escape(alert)));
        let body = format!(
            "{}{}<form method=\"post\" action=\"{base}/oauth/login\">{}\
<label for=\"actor\">The address of your actor{or_name}</label>\
<input id=\"actor\" name=\"actor\" type=\"text\" value=\"{}\" autocomplete=\"username\" autocapitalize=\"none\" \
spellcheck=\"false\" maxlength=\"1024\" required>\
<label for=\"passphrase\">Its passphrase</label>\
<input id=\"passphrase\" name=\"passphrase\" type=\"password\" autocomplete=\"current-password\" maxlength=\"256\" \
required><button>Sign in</button></form><p>No actor yet? <a href=\"{base}/\">Create one</a>.</p>",
            alert.unwrap_or_default(),
            links(state, self.next, false),
            self.next.map(|next| hidden("next", next)).unwrap_or_default(),
            escape(self.actor),
            or_name = if state.hooks.app().unique_creator { ", or the name it was made with" } else { "" },
            base = escape(&state.base_url),
        );
        Page { title: "Sign in", body, leads_away: false }
    }
}

/// Describes `/oauth/login`.
pub(crate) fn describe_login() -> [Operation; 2] {
    let text = || json!({ "type": "string" });
    let fields = json!({
        "type": "object",
        "required": ["actor", "passphrase"],
        "properties": { "actor": text(), "passphrase": text(), "next": text() },
    });
    [
        Operation::get("get_sign_in", "The page to sign in at, or who is signed in at this browser")
            .query("next", "Where to go on: a path that begins with `/oauth/authorize?`.", text())
            .query("actor", "The actor's address, to fill in.", text())
            .reply(200, "The page.", [Content::html()]),
        Operation::post("sign_in", "Signs an actor's owner in at this browser")
            .about("Only the page itself can send this.")
            .body(
                true,
                "The actor, by its id or its URL, or by its creator where creators are unique, and its passphrase.",
                [Content::form(fields)],
            )
            .reply(303, "Signed in: a cookie for the pages below `/oauth`, and the way on.", [])
            .with_location(303)
            .reply(
                403,
                "No actor has this address and this passphrase, or another site sent this.",
                [Content::html(), Content::problem()],
            )
            .reply(429, "Too many attempts.", [Content::html()]),
    ]
}

/// Describes `/oauth/logout`.
pub(crate) fn describe_logout() -> [Operation; 2] {
    let fields = json!({ "type": "object", "properties": { "next": { "type": "string" } } });
    [
        Operation::get("get_sign_out", "The page that asks whether to sign out").reply(
            200,
            "The page.",
            [Content::html()],
        ),
        Operation::post("sign_out", "Signs out at this browser")
            .about("Only a page of this site can send this.")
            .body(false, "Where to go on.", [Content::form(fields)])
            .reply(200, "Nobody is signed in at this browser.", [Content::html()])
            .reply(303, "The same, and the way on.", [])
            .with_location(303)
            .problems(&[403]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_anywhere_else() {
        assert_eq!(next(Some("/oauth/authorize?client_id=a")).unwrap(), Some("/oauth/authorize?client_id=a"));
        assert_eq!(next(None).unwrap(), None);
        for evil in [
            "https://evil.example/",
            "//evil.example/oauth/authorize?",
            "/\\evil.example/oauth/authorize?",
            "/oauth/authorize?\r\nSet-Cookie: a=b",
            "/oauth/authorize",
            "/oauth/logout?",
            "/oauth/authorize?\\",
            " /oauth/authorize?",
            "javascript:alert(1)//oauth/authorize?",
        ] {
            assert!(next(Some(evil)).is_err(), "{evil}");
        }
        assert!(next(Some(&format!("{NEXT}{}", "a".repeat(MAX_NEXT_BYTES)))).is_err());
    }

    #[test]
    fn an_actor_is_named_by_its_id_or_its_address() {
        let id = "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55";
        let base = "https://api.example/aw";
        for typed in
            [id.to_owned(), format!(" {base}/{id}/ "), id.to_ascii_uppercase(), format!("/{id}").replace('/', "")]
        {
            assert_eq!(actor_id(base, &typed).map(|id| id.to_string()).as_deref(), Some(id), "{typed}");
        }
        for typed in ["", "ann@example.com", "https://evil.example/0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55", "../../etc"] {
            assert_eq!(actor_id(base, typed), None, "{typed}");
        }
    }
}
