//! `/{actor}/services`: an actor's owner connects accounts at services, looks at them and gives them up.
//!
//! For the creator alone. The browser that comes back from a service carries no credentials: what proves that it is the one
//! that was sent there is the state, which counts once, together with a cookie that was set when it left, or a session of
//! the same actor. Otherwise somebody could have another's browser connect that other's account with their own actor.

use actingweb_actor::services::{Connection, ConnectionState, Returned, Revoked, ServiceCallError, Services};
use actingweb_actor::{Actor, ActorError, Caller, Once};
use actingweb_protocol::{ActorId, sha256_hex};
use actingweb_providers::ServiceError;
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json, not_allowed, subtree};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::private;
use crate::pages::{Page, escape};
use crate::params::Params;
use crate::session::Session;
use crate::signin_leg::secret;

/// How long the state is that browsers bring back: that of [`secret`].
const STATE_CHARS: usize = 43;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/oauth/services/callback", any(come_back))
        .route("/oauth/services/callback/", any(come_back))
        .merge(subtree("services", services))
}

/// What is kept of a browser that was sent to a service.
#[derive(Debug, Serialize, Deserialize)]
struct Leg {
    actor: String,
    service: String,
    verifier: String,
    redirect_uri: String,
    /// SHA-256 of the browser's secret.
    browser: String,
}

async fn services(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let path: Vec<&str> = incoming.below_group().iter().map(String::as_str).collect();
    if let [_, "callback"] = path.as_slice() {
        return finish(&state, &incoming).await;
    }
    let allow = match path.as_slice() {
        [] => "GET",
        [_] => "GET, POST, DELETE",
        _ => "",
    };
    let actor = admit(&state, &incoming, allow).await?;
    let all = accounts(&state)?;
    match (path.as_slice(), incoming.verb) {
        ([], _) => {
            let shown: Vec<Value> = all.list(&actor).await?.iter().map(show).collect();
            Ok(json(StatusCode::OK, &json!({ "services": shown })))
        }
        ([name], Verb::Get) => {
            let connection = all.connection(&actor, name).await?.ok_or_else(|| unknown(all))?;
            Ok(json(StatusCode::OK, &show(&connection)))
        }
        ([name], Verb::Post) => begin(&state, &incoming, all, &actor, name).await,
        ([name], _) => {
            all.find(name).ok_or_else(|| unknown(all))?;
            let revoked = all.disconnect(&actor, name, incoming.context.deadline).await?;
            let revoked = revoked.ok_or_else(|| Problem::not_found("there is no account at this service"))?;
            let state = ConnectionState::Disconnected.as_str();
            let shown = json!({ "service": name, "state": state, "revoked_at_service": revoked == Revoked::Yes });
            Ok(json(StatusCode::OK, &shown))
        }
        _ => Err(Problem::not_found("there is nothing at this path of /services")),
    }
}

async fn come_back(State(state): State<AppState>, incoming: Incoming) -> Reply {
    finish(&state, &incoming).await
}

/// Lets in the creator, and nobody else; then asks whether the path takes the verb.
async fn admit(state: &AppState, incoming: &Incoming, allow: &'static str) -> Result<Actor, Problem> {
    let admission = incoming.admit(state, &[]).await?;
    if !matches!(admission.access.caller(), Caller::Creator) {
        return Err(not_allowed());
    }
    let verb = incoming.verb.op().map_or("", actingweb_hooks::Op::as_str);
    if !allow.is_empty() && !allow.split(", ").any(|allowed| allowed == verb) {
        return Err(Problem::method_not_allowed(allow));
    }
    Ok(admission.actor.clone())
}

fn accounts(state: &AppState) -> Result<&Services, Problem> {
    state.hooks.accounts().ok_or_else(|| Problem::not_found("there are no services here"))
}

fn unknown(all: &Services) -> Problem {
    let known = all.names().collect::<Vec<_>>().join(", ");
    Problem::not_found(if known.is_empty() {
        "this application has no services".to_owned()
    } else {
        format!("there is no such service: there are {known}")
    })
}

/// `POST /{actor}/services/{name}`: where the owner's browser is to go; one call to storage more.
async fn begin(state: &AppState, incoming: &Incoming, all: &Services, actor: &Actor, name: &str) -> Reply {
    let service = all.find(name).ok_or_else(|| unknown(all))?;
    let redirect_uri = if service.comes_back_per_actor() {
        format!("{}/{}/services/{name}/callback", state.base_url, actor.id())
    } else {
        format!("{}/oauth/services/callback", state.base_url)
    };
    let fresh = || secret(&*state.entropy);
    let (sent, verifier) = (fresh(), fresh());
    let browser = browser_secret(state, incoming).map_or_else(fresh, str::to_owned);
    let url = all.authorization_url(name, &redirect_uri, &sent, &verifier).map_err(cannot_begin)?;
    let leg = Leg {
        actor: actor.id().to_string(),
        service: name.to_owned(),
        verifier,
        redirect_uri,
        browser: sha256_hex(&browser),
    };
    state.actors.keep_once(Once::Connection, &sent, &leg, incoming.context.deadline).await?;
    let lifetime = Once::Connection.lifetime().as_secs();
    let shown = json!({ "service": name, "authorization_url": url.as_str(), "expires_in": lifetime });
    let mut response = private(StatusCode::OK, &shown);
    set_browser(state, &mut response, &browser, lifetime);
    Ok(response)
}

fn cannot_begin(error: ServiceCallError) -> Problem {
    match error {
        ServiceCallError::NotConfigured(name) => Problem::new(
            StatusCode::CONFLICT,
            format!("`{name}` is not configured in this deployment: whoever runs it has to register a client there"),
        ),
        error => {
            tracing::error!(%error, "an account cannot be connected");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this service is not set up as it should be")
        }
    }
}

/// A browser comes back: the state is consumed, whatever comes of it.
async fn finish(state: &AppState, incoming: &Incoming) -> Reply {
    if incoming.verb != Verb::Get {
        return Err(Problem::method_not_allowed("GET"));
    }
    let all = accounts(state)?;
    let params = Params::new(incoming.params().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let repeated = |error: crate::params::Repeated| Problem::bad_request(error.to_string());
    let sent = params.get("state").map_err(repeated)?.unwrap_or_default();
    let (error, code) = (params.get("error").map_err(repeated)?, params.get("code").map_err(repeated)?);
    let answer = |ending: Ending, label: &str| Ok(ending.reply(incoming, label));
    // Ours are of one length; anything else is not worth a call.
    if sent.len() != STATE_CHARS {
        return answer(Ending::Stray, "");
    }
    let deadline = incoming.context.deadline;
    let Some(leg) = state.actors.take_once::<Leg>(Once::Connection, sent, deadline).await? else {
        return answer(Ending::Stray, "");
    };
    if !is_at_home(incoming, &leg) {
        return answer(Ending::Stray, "");
    }
    if !is_same_browser(state, incoming, &leg).await? {
        return answer(Ending::OtherBrowser, "");
    }
    let label = all.find(&leg.service).map_or(leg.service.as_str(), |service| service.label());
    let code = match (error, code) {
        (None, Some(code)) => code,
        (error, _) => {
            // The service's text is for nobody but the log.
            tracing::info!(service = leg.service, error, "an account was not connected");
            return answer(Ending::Refused, label);
        }
    };
    let Ok(actor) = ActorId::parse(&leg.actor) else { return answer(Ending::Stray, "") };
    let returned = Returned { code, verifier: &leg.verifier, redirect_uri: &leg.redirect_uri };
    match all.connect(&actor, &leg.service, returned, deadline).await {
        Ok(()) => answer(Ending::Connected, label),
        Err(ServiceCallError::Actor(ActorError::Gone)) => {
            Err(Problem::not_found("there is no such actor any more, so nothing was connected"))
        }
        Err(ServiceCallError::Actor(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(service = leg.service, %error, "an account was not connected");
            let is_away = matches!(error, ServiceCallError::Service(ServiceError::Unavailable { .. }));
            answer(if is_away { Ending::Unavailable } else { Ending::Failed }, label)
        }
    }
}

/// Whether the path, if it names an actor and a service, names those that the browser left from.
fn is_at_home(incoming: &Incoming, leg: &Leg) -> bool {
    match incoming.below_group() {
        [service, callback] if callback == "callback" && !leg.redirect_uri.ends_with("/oauth/services/callback") => {
            *service == leg.service && incoming.actor_id().is_ok_and(|actor| actor.as_str() == leg.actor)
        }
        _ => leg.redirect_uri.ends_with("/oauth/services/callback") && is_common(incoming),
    }
}

/// Whether this is the path that all actors share.
fn is_common(incoming: &Incoming) -> bool {
    incoming.segments.first().is_some_and(|first| first == "oauth")
}

/// Whether the browser is the one that left, or the actor's creator is signed in at it.
async fn is_same_browser(state: &AppState, incoming: &Incoming, leg: &Leg) -> Result<bool, Problem> {
    if browser_secret(state, incoming).is_some_and(|secret| sha256_hex(secret) == leg.browser) {
        return Ok(true);
    }
    let session = Session::of(state, incoming).await?;
    Ok(session.is_some_and(|session| session.actor.id().as_str() == leg.actor))
}

/// How the way to a service and back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Connected,
    Stray,
    OtherBrowser,
    Refused,
    Failed,
    Unavailable,
}

impl Ending {
    const fn status(self) -> StatusCode {
        match self {
            Self::Connected => StatusCode::OK,
            Self::Stray | Self::OtherBrowser => StatusCode::BAD_REQUEST,
            Self::Refused => StatusCode::FORBIDDEN,
            Self::Failed | Self::Unavailable => StatusCode::BAD_GATEWAY,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Connected => "The account is connected. You can close this page.",
            Self::Stray => "This has ended, or was used before: begin again.",
            Self::OtherBrowser => "This began in another browser: begin again in this one, or sign in here first.",
            Self::Refused => "You did not allow it. Nothing was connected.",
            Self::Failed => "The service did not accept what it gave. Nothing was connected; try again.",
            Self::Unavailable => "The service does not answer at the moment. Nothing was connected; try again later.",
        }
    }

    /// A page, or JSON for those who ask for that alone.
    fn reply(self, incoming: &Incoming, label: &str) -> Response {
        let status = self.status();
        if incoming.accepts_json() {
            let is_done = self == Self::Connected;
            let service = (!label.is_empty()).then_some(label);
            return private(status, &json!({ "success": is_done, "message": self.text(), "service": service }));
        }
        let title = match (self, label) {
            (Self::Connected, label) => format!("{label} is connected"),
            (_, "") => "This did not work".to_owned(),
            (_, label) => format!("{label} is not connected"),
        };
        let (class, role) = if self == Self::Connected { ("", "status") } else { (" class=\"alert\"", "alert") };
        let body = format!("<p{class} role=\"{role}\">{}</p>", escape(self.text()));
        Page { title: &title, body, leads_away: false }.reply(status)
    }
}

/// A service as the owner sees it.
fn show(connection: &Connection) -> Value {
    json!({
        "service": connection.service,
        "display_name": connection.display_name,
        "state": connection.state.as_str(),
        "scope": connection.scope,
        "connected_at": connection.connected_at.map(|at| at.to_string()),
        "renewed_at": connection.renewed_at.map(|at| at.to_string()),
    })
}

/// The name of the cookie that a browser is known by when it comes back.
fn cookie_name(state: &AppState) -> &'static str {
    if state.base_url.starts_with("https://") { "__Host-actingweb-connect" } else { "actingweb-connect" }
}

fn browser_secret<'a>(state: &AppState, incoming: &'a Incoming) -> Option<&'a str> {
    incoming.cookie(cookie_name(state)).filter(|cookie| cookie.len() == STATE_CHARS)
}

fn set_browser(state: &AppState, response: &mut Response, secret: &str, lifetime: u64) {
    let secure = if state.base_url.starts_with("https://") { "; Secure" } else { "" };
    let name = cookie_name(state);
    let cookie = format!("{name}={secret}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}");
    let cookie = HeaderValue::from_str(&cookie).ok().map(|mut cookie| {
        cookie.set_sensitive(true);
        (header::SET_COOKIE, cookie)
    });
    response.headers_mut().extend(cookie);
}
