//! `/oauth/authorize`: a person lets a client act for it, or does not (RFC 6749, 4.1; RFC 9700).
//!
//! GET shows a page that asks. Nothing is ever granted without the answer to it: it may be another who uses the browser,
//! and a client without a secret may be another than it says. POST is the answer; it says again what was asked, with a
//! proof that a page of ours asked exactly that, of exactly this session.

use actingweb_actor::grants::{Consent, GrantError};
use actingweb_actor::{ClientRecord, Rate};
use actingweb_protocol::trust_types::TrustType;
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, StatusCode, header};

use crate::consent;
use crate::documents::SCOPE;
use crate::lookup::{self, LookupError};
use crate::pages::{Page, escape, see_other};
use crate::params::Params;
use crate::request::{Asked, Refused, ReturnTo};
use crate::session::{Session, check_own_page};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/authorize", any(authorize)).route("/oauth/authorize/", any(authorize))
}

async fn authorize(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let params = match incoming.verb {
        Verb::Get => Params::new(incoming.params().map(|(name, value)| (name.to_owned(), value.to_owned()))),
        Verb::Post => {
            check_own_page(&state, &incoming)?;
            Params::new(incoming.form().unwrap_or_default())
        }
        _ => return Err(Problem::method_not_allowed("GET, POST")),
    };
    let from = (incoming.context.address, "");
    let limited = state.actors.count_rate(&state.rate_limits, Rate::Authorize, from, incoming.context.deadline);
    if let Some(retry_after) = limited.await? {
        let mut page =
            sorry(StatusCode::TOO_MANY_REQUESTS, "There were too many requests. Wait a minute, then try again.");
        let seconds = u64::try_from(retry_after.as_millis().div_ceil(1000).max(1)).unwrap_or(60);
        page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(page);
    }
    let client = match client(&state, &incoming, &params).await {
        Ok(client) => client,
        Err(LookupError::Failed(problem)) => return Err(problem),
        Err(error) => return Ok(sorry(StatusCode::BAD_REQUEST, &error.to_string())),
    };
    let return_to = match ReturnTo::read(&state, &client, &params) {
        Ok(return_to) => return_to,
        Err(untrusted) => return Ok(sorry(StatusCode::BAD_REQUEST, &untrusted.to_string())),
    };
    // From here on the client may be told.
    let asked = match Asked::read(&state, &params) {
        Ok(asked) => asked,
        Err(refused) => return Ok(return_to.refused(&refused)),
    };
    let session = Session::of(&state, &incoming).await?;
    let request = Request { state: &state, client, return_to, asked, params };
    match incoming.verb {
        Verb::Post => request.answer(session).await,
        _ => Ok(request.ask(session)),
    }
}

async fn client(state: &AppState, incoming: &Incoming, params: &Params) -> Result<ClientRecord, LookupError> {
    let wrong = |reason: String| LookupError::Failed(Problem::bad_request(reason));
    let id = params.get("client_id").map_err(|repeated| wrong(repeated.to_string()))?;
    let client = lookup::find(state, incoming, id.ok_or(LookupError::Unknown)?).await?;
    // A client that acts for its maker alone has no business with anybody's consent.
    let may = client.grant_types.iter().any(|grant| grant == "authorization_code");
    if may { Ok(client) } else { Err(LookupError::Unknown) }
}

/// A request in good form, of a client that may be answered.
pub(crate) struct Request<'a> {
    pub(crate) state: &'a AppState,
    pub(crate) client: ClientRecord,
    pub(crate) return_to: ReturnTo,
    pub(crate) asked: Asked,
    pub(crate) params: Params,
}

impl Request<'_> {
    /// The page that asks, or what comes before it.
    fn ask(&self, session: Option<Session>) -> Response {
        let session = session.filter(|_| !self.asked.prompts("login") && !self.asked.prompts("select_account"));
        match session {
            // Nothing is granted without being asked about, so nothing is ever granted silently.
            Some(_) if self.asked.prompts("none") => {
                self.return_to.refused(&Refused::new("consent_required", "a person must be asked"))
            }
            None if self.asked.prompts("none") => {
                self.return_to.refused(&Refused::new("login_required", "a person must sign in"))
            }
            Some(session) => consent::page(self, &session, None).reply(StatusCode::OK),
            None => {
                // Once signed in, the person has done what the client wished.
                let back = format!("/oauth/authorize?{}", consent::asked_again(self));
                let hint = Params::new([
                    ("next".to_owned(), back),
                    ("actor".to_owned(), self.params.first("login_hint").to_owned()),
                ]);
                see_other(&format!("{}/oauth/login?{}", self.state.base_url, hint.to_query()))
            }
        }
    }

    /// What the person answered.
    async fn answer(&self, session: Option<Session>) -> Reply {
        let Some(session) = session else { return Ok(self.ask(None)) };
        if !consent::is_ours(self, &session) {
            let reason = "This answer does not belong to the question. Go back to the application, and begin again.";
            return Ok(sorry(StatusCode::FORBIDDEN, reason));
        }
        match self.params.first("decision") {
            "allow" => {}
            "deny" => {
                let denied = Refused::new("access_denied", "the person did not allow it");
                return Ok(self.return_to.refused(&denied));
            }
            _ => {
                return Ok(
                    consent::page(self, &session, Some("Choose to allow it or not.")).reply(StatusCode::BAD_REQUEST)
                );
            }
        }
        let chosen = self.params.first("trust_type");
        let Some(trust_type) = self.trust_types().into_iter().find(|offered| offered.name == chosen) else {
            let alert = "Choose one of the kinds of access below.";
            return Ok(consent::page(self, &session, Some(alert)).reply(StatusCode::BAD_REQUEST));
        };
        let consent = Consent {
            client: &self.client,
            redirect_uri: self.return_to.uri.as_str(),
            challenge: &self.asked.challenge,
            audience: self.asked.audience,
            scope: SCOPE,
            trust_type: trust_type.name,
        };
        match self.state.actors.grants().authorize(&session.actor, &consent).await {
            Ok(code) => Ok(self.return_to.with_code(&code)),
            Err(GrantError::Actor(error)) => Err(error.into()),
            // The client ended while the page was open.
            Err(error) => Ok(sorry(StatusCode::BAD_REQUEST, &error.to_string())),
        }
    }

    /// The kinds of access that may be granted, the least first.
    pub(crate) fn trust_types(&self) -> Vec<TrustType> {
        let known = self.state.hooks.policy().trust_types();
        let offered = self.state.hooks.app().oauth_trust_types.iter();
        offered.filter_map(|name| known.iter().find(|known| known.name == name).copied()).collect()
    }
}

/// A page that says why nothing happened. Nobody is led anywhere by it.
fn sorry(status: StatusCode, reason: &str) -> Response {
    let body =
        format!("<p class=\"alert\" role=\"alert\">{}</p><p>Nothing was granted to anybody.</p>", escape(reason));
    Page { title: "This does not work", body, leads_away: false }.reply(status)
}

/// Describes this path.
pub(crate) fn describe() -> [Operation; 2] {
    let text = || serde_json::json!({ "type": "string" });
    let ask = [
        ("client_id", "The id of a client that registered, or the URL of its metadata document."),
        ("redirect_uri", "Where the answer goes: one that the client registered."),
        ("response_type", "`code`"),
        ("state", "Comes back with the answer."),
        ("code_challenge", "BASE64URL(SHA256(code_verifier)) (RFC 7636)"),
        ("code_challenge_method", "`S256`"),
        ("resource", "What the token is to be good for (RFC 8707): the base URL with `/mcp`, or with `/`."),
        ("scope", "`mcp`"),
        ("prompt", "`login`, `consent` or `none`"),
        ("login_hint", "The actor's address, if the client knows it."),
    ];
    let get = ask.into_iter().fold(
        Operation::get("ask_for_consent", "Asks a person to let a client act for it (RFC 6749)"),
        |operation, (name, about)| operation.query(name, about, text()),
    );
    let fields = serde_json::json!({ "type": "object", "additionalProperties": text() });
    let post = Operation::post("answer_consent", "What the person answered on that page")
        .about("Only the page itself can send this.")
        .body(true, "The fields of the page.", [Content::form(fields)])
        .reply(403, "Another site sent this, or it answers another question.", [Content::html(), Content::problem()]);
    [get.reply(200, "The page that asks.", [Content::html()]), post].map(|operation| {
        operation
            .reply(303, "To the client, with a code or an error; or to the page to sign in.", [])
            .with_location(303)
            .reply(
                400,
                "A page that says why there is no such client, or no way back to it.",
                [Content::html(), Content::problem()],
            )
            .reply(429, "Too many requests from this address in this minute.", [Content::html()])
    })
}
