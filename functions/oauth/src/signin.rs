//! `/oauth/login/{provider}`: a browser is sent to an identity provider; and the confirmation that an identity is to be
//! connected.

use actingweb_actor::{Identity, Linked, Once, Rate};
use actingweb_protocol::ActorId;
use actingweb_providers::Provider;
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::login::next;
use crate::pages::{Page, escape, hidden, see_other};
use crate::params::Params;
use crate::session::{Session, check_own_page};
use crate::signin_leg::{Purpose, send};
use crate::spa_request::PageRequest;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/login/{provider}", any(sign_in)).route("/oauth/login/{provider}/", any(sign_in))
}

/// Why somebody is back at the page where they can sign in. Only these words stand in URLs, never text of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The person said no at the provider.
    Refused,
    /// The provider failed.
    Provider,
    /// What the provider says does not hold.
    Identity,
    /// The address leads to an actor already.
    AddressTaken,
    /// The identity is another actor's.
    IdentityTaken,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::Refused, Self::Provider, Self::Identity, Self::AddressTaken, Self::IdentityTaken];

    /// The word that stands for it in URLs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Provider => "provider",
            Self::Identity => "identity",
            Self::AddressTaken => "address_taken",
            Self::IdentityTaken => "identity_taken",
        }
    }

    /// What people read.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Refused => "You did not allow the sign-in. Nothing was changed; choose another way, or try again.",
            Self::Provider => "The sign-in did not work, because the provider did not answer as it should. Try again.",
            Self::Identity => {
                "The sign-in did not work: what the provider said of you could not be verified. Try again."
            }
            Self::AddressTaken => {
                "There is an actor for your e-mail address already. Sign in the way you did before; from there you can \
                 connect other ways."
            }
            Self::IdentityTaken => "This account is connected with another actor. Sign in to that one with it.",
        }
    }

    /// The one of this word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trouble| trouble.word() == word)
    }
}

/// Leads back to the page where people can sign in, and tells them why.
pub(crate) fn back(state: &AppState, trouble: Trouble, next: Option<&str>) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("trouble", trouble.word());
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    see_other(&format!("{}/oauth/login?{}", state.base_url, query.finish()))
}

/// Links to all providers, as HTML; nothing where there are none.
pub(crate) fn links(state: &AppState, next: Option<&str>, link: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    if link {
        query.append_pair("link", "1");
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let one = |provider: &Provider| {
        let href = format!("{}/oauth/login/{}{mark}{query}", state.base_url, provider.name());
        let verb = if link { "Connect" } else { "Sign in with" };
        format!("<li><a href=\"{}\">{verb} {}</a></li>", escape(&href), escape(&provider.settings().display_name))
    };
    let all: String = state.providers.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("<ul>{all}</ul>") }
}

async fn sign_in(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let name = incoming.segments.get(2).map_or("", String::as_str);
    let unknown = || Problem::not_found("nobody can sign in with that here: GET /oauth/login lists the ways");
    let provider = state.providers.find(name).ok_or_else(unknown)?;
    match incoming.verb {
        Verb::Get => {
            if let Some(wait) = count(&state, &incoming).await? {
                return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many sign-ins from this address: wait")
                    .retry_after(wait));
            }
            let purpose = purpose(&state, &incoming).await?;
            send(&state, &incoming, provider, purpose).await
        }
        Verb::Post => connect(&state, &incoming).await,
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

/// Counts one more attempt; how long to wait when it was one too many.
pub(crate) async fn count(state: &AppState, incoming: &Incoming) -> Result<Option<std::time::Duration>, Problem> {
    let from = (incoming.context.address, "");
    Ok(state.actors.count_rate(&state.rate_limits, Rate::SignIn, from, incoming.context.deadline).await?)
}

async fn purpose(state: &AppState, incoming: &Incoming) -> Result<Purpose, Problem> {
    if incoming.param("link").is_some_and(|link| link == "1") {
        let session = Session::of(state, incoming).await?;
        let session =
            session.ok_or_else(|| Problem::forbidden("sign in first: only your own actor can be connected"))?;
        return Ok(Purpose::Link { actor: session.actor.id().to_string() });
    }
    if incoming.param("redirect_uri").is_some() {
        let request = PageRequest::of_query(state, incoming);
        return request.map(Purpose::Page).map_err(|reason| Problem::bad_request(reason.to_string()));
    }
    Ok(Purpose::Web { next: next(incoming.param("next"))?.map(str::to_owned) })
}

/// An identity that was proved and waits for a word of whom it is to be connected with.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    actor: String,
    digest: String,
    provider: String,
    issuer: String,
    subject: String,
    email: Option<String>,
    name: Option<String>,
}

/// Asks whether this is the identity to be connected. Without the question a page of somebody else's could have led here
/// a person whose browser it had signed in at the provider as that somebody.
pub(crate) async fn ask(
    state: &AppState,
    incoming: &Incoming,
    actor: &str,
    identity: &Identity,
    display: &str,
) -> Reply {
    let secret = crate::signin_leg::secret(&*state.entropy);
    let Identity { digest, provider, issuer, subject, email, name } = identity.clone();
    let who = email.clone().or_else(|| name.clone()).unwrap_or_else(|| subject.clone());
    let waiting = Waiting { actor: actor.to_owned(), digest, provider, issuer, subject, email, name };
    state.actors.keep_once(Once::Link, &secret, &waiting, incoming.context.deadline).await?;
    let body = format!(
        "<p>Whoever signs in to {display} as <strong>{}</strong> will be able to sign in to your actor \
         <code>{}/{}</code>. Connect it only if that is your own account.</p>\
         <form method=\"post\" action=\"{}/oauth/login/{}\">{}<button>Connect it</button></form>",
        escape(&who),
        escape(&state.base_url),
        escape(actor),
        escape(&state.base_url),
        escape(&identity.provider),
        hidden("link", &secret),
        display = escape(display),
    );
    Ok(Page { title: "Connect this account?", body, leads_away: false }.reply(StatusCode::OK))
}

/// `POST /oauth/login/{provider}`: yes, this is the identity to be connected.
async fn connect(state: &AppState, incoming: &Incoming) -> Reply {
    check_own_page(state, incoming)?;
    let fields = Params::new(incoming.form().unwrap_or_default());
    let deadline = incoming.context.deadline;
    let waiting = state.actors.take_once::<Waiting>(Once::Link, fields.first("link"), deadline).await?;
    let session = Session::of(state, incoming).await?;
    let (Some(waiting), Some(session)) = (waiting, session) else {
        return Err(Problem::bad_request("this question has ended or was answered before: begin again"));
    };
    if session.actor.id().as_str() != waiting.actor {
        return Err(Problem::forbidden("somebody else is signed in at this browser by now: begin again"));
    }
    let Waiting { digest, provider, issuer, subject, email, name, .. } = waiting;
    let identity = Identity { digest, provider, issuer, subject, email, name };
    let actor: &ActorId = session.actor.id();
    match state.actors.link(actor, &identity, deadline).await? {
        Linked::Yes => Ok(see_other(&format!("{}/oauth/login", state.base_url))),
        Linked::Taken => Ok(back(state, Trouble::IdentityTaken, None)),
        Linked::Gone => Err(Problem::not_found("there is no such actor any more")),
    }
}
