//! `/oauth/email`: whoever signs in without a verified e-mail address names one, and shows that it is theirs.
//!
//! Until then there is no actor, only an identity that waits. The link in the mail shows a page with a button, so that
//! programs that open links in mails confirm nothing; and it counts only in the browser in which the sign-in began, so that
//! nobody can have a stranger confirm an address for them.

use std::time::Duration;

use actingweb_actor::{Caller, Once, Rate};
use actingweb_hooks::{EmailEvent, Event, EventKind, Invocation};
use actingweb_providers::{Profile, plain_email};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, json};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::callback::{failed, kept_out};
use crate::pages::{Page, escape, hidden, see_other};
use crate::params::Params;
use crate::session;
use crate::signin::Trouble;
use crate::signin_admit::{Admitted, admit};
use crate::signin_leg::{Purpose, Returned, is_browser, keep_browser, secret};
use crate::spa_error::SpaError;
use crate::{people, spa_cors, spa_return};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/email", any(email)).route("/oauth/email/", any(email))
}

/// An identity that waits for an address, or for an address to be confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pending {
    profile: Profile,
    purpose: Purpose,
    /// SHA-256 of the secret of the browser in which the sign-in began.
    browser: String,
}

/// What was sent to an address.
#[derive(Debug, Serialize, Deserialize)]
struct Mailed {
    pending: Pending,
    email: String,
}

/// Keeps an identity without an address, and leads to the page that asks for one.
pub(crate) async fn ask(state: &AppState, incoming: &Incoming, returned: &Returned, profile: &Profile) -> Reply {
    let pending =
        Pending { profile: profile.clone(), purpose: returned.purpose.clone(), browser: returned.browser.clone() };
    let word = secret(&*state.entropy);
    state.actors.keep_once(Once::Pending, &word, &pending, incoming.context.deadline).await?;
    let mut response = match &returned.purpose {
        Purpose::Page(request) => spa_return::needs_email(request, &word),
        Purpose::Web { .. } | Purpose::Link { .. } => {
            see_other(&format!("{}/oauth/email?session={word}", state.base_url))
        }
    };
    // The mail may take longer than a sign-in.
    keep_browser(state, incoming, &mut response, Once::Mailed.lifetime());
    Ok(response)
}

async fn email(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match Box::pin(handle(&state, &incoming)).await {
            Err(problem) if incoming.accepts_html() => Ok(people::page(&problem, &incoming.context.id)),
            reply => reply.map_err(SpaError::from),
        }
    };
    spa_cors::answer(&state, &incoming, reply).await
}

async fn handle(state: &AppState, incoming: &Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => match (incoming.param("verify"), incoming.param("session")) {
            (Some(token), _) => confirm_page(state, incoming, token).await,
            (None, Some(word)) => form(state, incoming, word, None).await,
            (None, None) => Err(ended()),
        },
        Verb::Post => {
            if !spa_cors::is_allowed(state, incoming) {
                return Err(Problem::forbidden("this form did not come from a page of this site: open the page again"));
            }
            let fields = fields(incoming)?;
            match fields.first("verify") {
                "" => Box::pin(named(state, incoming, &fields)).await,
                token => Box::pin(confirmed(state, incoming, token)).await,
            }
        }
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

fn ended() -> Problem {
    Problem::bad_request("this sign-in has ended, or there was none: begin again at /oauth/login")
}

fn fields(incoming: &Incoming) -> Result<Params, Problem> {
    if let Some(form) = incoming.form() {
        return Ok(Params::new(form));
    }
    let body = incoming.payload.object()?;
    let texts = body.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    Ok(Params::new(texts))
}

/// The question for an address, as a page or as JSON.
async fn form(state: &AppState, incoming: &Incoming, word: &str, alert: Option<&str>) -> Reply {
    let deadline = incoming.context.deadline;
    let pending = state.actors.look_once::<Pending>(Once::Pending, word, deadline).await?.ok_or_else(ended)?;
    let provider = state.providers.find(&pending.profile.provider);
    let display = provider.map_or("the provider", |provider| provider.settings().display_name.as_str());
    if incoming.accepts_json() || incoming.param("format").is_some_and(|format| format == "json") {
        let body = json!({
            "action": "email_required",
            "session_id": word,
            "form_action": "/oauth/email",
            "form_method": "POST",
            "provider": pending.profile.provider,
            "provider_display": display,
            "message": format!("{display} does not say a verified e-mail address"),
            "verified_emails": [],
            "has_verified_emails": false,
        });
        return Ok(json(StatusCode::OK, &body));
    }
    let status = if alert.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let alert = alert.map(|alert| format!("<p class=\"alert\" role=\"alert\">{}</p>", escape(alert)));
    let body = format!(
        "{}<p>{} did not say an e-mail address of yours that it has verified. Type yours; you will be sent a link.</p>\
         <form method=\"post\" action=\"{}/oauth/email\">{}<label for=\"email\">Your e-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"text\" inputmode=\"email\" autocomplete=\"email\" maxlength=\"254\" \
         required><button>Send me the link</button></form>",
        alert.unwrap_or_default(),
        escape(display),
        escape(&state.base_url),
        hidden("session", word),
    );
    Ok(Page { title: "Your e-mail address", body, leads_away: false }.reply(status))
}

/// An address was named: it is sent the link.
async fn named(state: &AppState, incoming: &Incoming, fields: &Params) -> Reply {
    let word = fields.first("session");
    let wants_json = incoming.payload.is_json();
    let Some(email) = plain_email(fields.first("email")) else {
        let reason = "This is no e-mail address.";
        return if wants_json {
            Err(Problem::bad_request(reason))
        } else {
            form(state, incoming, word, Some(reason)).await
        };
    };
    let deadline = incoming.context.deadline;
    let pending = state.actors.look_once::<Pending>(Once::Pending, word, deadline).await?.ok_or_else(ended)?;
    // Per sender, and per recipient whoever sends.
    let recipient = actingweb_protocol::sha256_hex(&email);
    for from in [(incoming.context.address, ""), (None, recipient.as_str())] {
        if let Some(wait) = state.actors.count_rate(&state.rate_limits, Rate::Email, from, deadline).await? {
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many mails: wait").retry_after(wait));
        }
    }
    let token = secret(&*state.entropy);
    let event = EmailEvent {
        email: email.clone(),
        provider: pending.profile.provider.clone(),
        verification_url: Some(format!("{}/oauth/email?verify={token}", state.base_url)),
    };
    let mailed = Mailed { pending, email: email.clone() };
    state.actors.keep_once(Once::Mailed, &token, &mailed, deadline).await?;
    let event = Event::with_data(EventKind::EmailVerificationRequired, json!(event));
    let invocation = invocation(incoming, None);
    let sending = state.hooks.fire(&invocation, event);
    let runs = incoming.context.in_hook("lifecycle", EventKind::EmailVerificationRequired.as_str(), sending).await;
    if runs.iter().any(|run| run.result.is_err()) {
        let reason = "the mail could not be sent: try again";
        return Err(Problem::unavailable(reason, Duration::from_secs(30)));
    }
    if wants_json {
        let body = json!({
            "success": true,
            "status": "email_verification_required",
            "message": "a link was sent to the address: open it in this browser",
            "email": email,
            "email_requires_verification": true,
        });
        return Ok(json(StatusCode::OK, &body));
    }
    let body =
        format!("<p>We sent a link to <strong>{}</strong>. Open it in this browser within a day.</p>", escape(&email));
    Ok(Page { title: "Look into your mails", body, leads_away: false }.reply(StatusCode::OK))
}

/// The link in the mail: a page with a button. Nothing happens by opening it.
async fn confirm_page(state: &AppState, incoming: &Incoming, token: &str) -> Reply {
    let mailed = state.actors.look_once::<Mailed>(Once::Mailed, token, incoming.context.deadline).await?;
    let Some(mailed) = mailed else { return Ok(over()) };
    if !is_browser(state, incoming, &mailed.pending.browser) {
        return Ok(elsewhere());
    }
    let body = format!(
        "<p>Is <strong>{}</strong> your address, and did you just sign in?</p>\
         <form method=\"post\" action=\"{}/oauth/email\">{}<button>Yes, this is mine</button></form>",
        escape(&mailed.email),
        escape(&state.base_url),
        hidden("verify", token),
    );
    let leads_away = matches!(mailed.pending.purpose, Purpose::Page(_));
    Ok(Page { title: "Confirm your e-mail address", body, leads_away }.reply(StatusCode::OK))
}

/// The button was pressed: the identity gets its actor, and the browser goes on.
async fn confirmed(state: &AppState, incoming: &Incoming, token: &str) -> Reply {
    let deadline = incoming.context.deadline;
    let Some(seen) = state.actors.look_once::<Mailed>(Once::Mailed, token, deadline).await? else { return Ok(over()) };
    if !is_browser(state, incoming, &seen.pending.browser) {
        return Ok(elsewhere());
    }
    let Some(Mailed { pending, email }) = state.actors.take_once(Once::Mailed, token, deadline).await? else {
        return Ok(over());
    };
    let Pending { profile, purpose, browser } = pending;
    let profile = Profile { email: Some(email.clone()), ..profile };
    let actor = match admit(state, incoming, &profile).await {
        Ok(Admitted::Actor(actor)) => actor,
        Ok(Admitted::AddressTaken | Admitted::NeedsEmail) => {
            return Ok(failed(state, &purpose, Trouble::AddressTaken));
        }
        Err(problem) if problem.status() == StatusCode::FORBIDDEN => {
            return Ok(kept_out(state, &purpose, problem.detail()));
        }
        Err(problem) => return Err(problem),
    };
    let event = EmailEvent { email, provider: profile.provider.clone(), verification_url: None };
    let event = Event::with_data(EventKind::EmailVerified, json!(event));
    let invocation = invocation(incoming, Some(actor.clone()));
    let told = state.hooks.fire(&invocation, event);
    incoming.context.in_hook("lifecycle", EventKind::EmailVerified.as_str(), told).await;
    match &purpose {
        Purpose::Page(request) => spa_return::arrived(state, incoming, (request, &browser), &actor, &profile).await,
        purpose => {
            let next = match purpose {
                Purpose::Web { next: Some(next) } => next.as_str(),
                _ => "/oauth/login",
            };
            session::begin(state, incoming, &actor, see_other(&format!("{}{next}", state.base_url))).await
        }
    }
}

fn invocation(incoming: &Incoming, actor: Option<actingweb_actor::Actor>) -> Invocation {
    Invocation {
        caller: if actor.is_some() { Caller::Creator } else { Caller::Anonymous },
        actor,
        request_id: incoming.context.id.to_string(),
        deadline: incoming.context.deadline,
        mcp: None,
    }
}

fn over() -> Response {
    let body =
        "<p>This link has ended, or was used before. If you confirmed your address with it, you can sign in.</p>";
    Page { title: "This link is over", body: body.to_owned(), leads_away: false }.reply(StatusCode::BAD_REQUEST)
}

fn elsewhere() -> Response {
    let body = "<p>Open this link in the browser in which you began to sign in. If you did not begin to sign in, somebody \
                else did with your address: then close this page, and nothing will happen.</p>";
    Page { title: "Another browser", body: body.to_owned(), leads_away: false }.reply(StatusCode::FORBIDDEN)
}
