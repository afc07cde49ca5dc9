//! `/oauth/config`, `/oauth/session` and `/oauth/spa/…`: single-page and native applications sign people in.

use actingweb_actor::grants::SessionKind;
use actingweb_actor::{Actor, ActorError, Once, Rate, Wanted};
use actingweb_protocol::ActorId;
use actingweb_providers::Provider;
use actingweb_web::{AppState, Incoming, Verb};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::error::private;
use crate::spa_cors::{answer, is_allowed};
use crate::spa_error::{SpaError, SpaReply};
use crate::spa_request::PageRequest;
use crate::spa_return::Waiting;
use crate::spa_token::{deliver, is_met, token};
use crate::{signin_leg, spa_cookies};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    let both = |path: &str| (format!("/oauth/{path}"), format!("/oauth/spa/{path}"));
    let (config, spa_config) = both("config");
    let (session, spa_session) = both("session");
    Router::new()
        .route(&config, any(get_config))
        .route(&spa_config, any(get_config))
        .route(&session, any(get_session))
        .route(&spa_session, any(get_session))
        .route("/oauth/spa/authorize", any(authorize))
        .route("/oauth/spa/token", any(post_token))
        .route("/oauth/spa/session/{word}", any(pick_up))
        .route("/oauth/spa/revoke", any(revoke))
        .route("/oauth/spa/logout", any(logout))
        .route("/oauth/spa/callback", any(callback))
}

/// The body as JSON; forms are sent by pages of any site.
pub(crate) fn body(incoming: &Incoming) -> Result<Map<String, Value>, SpaError> {
    if !incoming.payload.is_json() {
        return Err(SpaError::bad("the body must be JSON, declared as application/json"));
    }
    Ok(incoming.payload.object()?)
}

/// A text among the members of a body.
pub(crate) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// 403 for pages that may not.
pub(crate) fn check_page(state: &AppState, incoming: &Incoming) -> Result<(), SpaError> {
    match is_allowed(state, incoming) {
        true => Ok(()),
        false => Err(SpaError::forbidden("this page may not do that: its origin is none of the application's")),
    }
}

/// 429 when it is one request too many.
pub(crate) async fn count(state: &AppState, incoming: &Incoming, rate: Rate) -> Result<(), SpaError> {
    let from = (incoming.context.address, "");
    let counted = state.actors.count_rate(&state.rate_limits, rate, from, incoming.context.deadline).await?;
    counted.map_or(Ok(()), |wait| Err(SpaError::too_many(wait)))
}

async fn get_config(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Get => Ok(private(StatusCode::OK, &config(&state))),
            _ => Err(SpaError::method_not_allowed("GET, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

fn config(state: &AppState) -> Value {
    let base = &state.base_url;
    let provider = |provider: &Provider| {
        json!({
            "name": provider.name(),
            "display_name": provider.settings().display_name,
            "authorization_endpoint": format!("{base}/oauth/login/{}", provider.name()),
            "response_mode": if provider.answers_by_form() { "form_post" } else { "query" },
            "platform": if provider.settings().audiences.is_empty() { "web" } else { "any" },
        })
    };
    json!({
        "oauth_enabled": !state.providers.is_empty(),
        "oauth_providers": state.providers.iter().map(provider).collect::<Vec<_>>(),
        "pkce_supported": true,
        "pkce_methods": ["S256"],
        "spa_mode_supported": true,
        "token_delivery_modes": ["json", "cookie", "hybrid"],
        "refresh_token_rotation": true,
        "endpoints": {
            "config": format!("{base}/oauth/config"),
            "callback": format!("{base}/oauth/callback"),
            "oauth_callback": format!("{base}/oauth/callback"),
            "revoke": format!("{base}/oauth/spa/revoke"),
            "session": format!("{base}/oauth/session"),
            "logout": format!("{base}/oauth/spa/logout"),
            "authorize": format!("{base}/oauth/spa/authorize"),
            "token": format!("{base}/oauth/spa/token"),
            "mcp_authorize": format!("{base}/oauth/authorize"),
            "mcp_token": format!("{base}/oauth/token"),
        },
        "discovery": {
            "authorization_server": format!("{base}/.well-known/oauth-authorization-server"),
            "protected_resource": format!("{base}/.well-known/oauth-protected-resource"),
        },
    })
}

async fn get_session(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Get => session(&state, &incoming).await,
            _ => Err(SpaError::method_not_allowed("GET, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

/// Who carries the token: a bearer, else a cookie.
async fn session(state: &AppState, incoming: &Incoming) -> SpaReply {
    let (token, kind) = match bearer(incoming) {
        Some(token) => (token, SessionKind::Tokens),
        None => (spa_cookies::access(incoming).unwrap_or_default(), SessionKind::Cookies),
    };
    let holder = state.actors.grants().session_holder(token, kind, incoming.context.deadline).await?;
    let body = match holder {
        None => json!({ "authenticated": false, "message": "nobody is signed in" }),
        Some((actor, ends)) => {
            let left = ends.as_secs().saturating_sub(state.actors.store().now().as_secs()).max(0);
            json!({
                "authenticated": true,
                "actor_id": actor.id(),
                "identifier": actor.creator(),
                "expires_at": ends.as_secs(),
                "expires_in": left,
            })
        }
    };
    Ok(private(StatusCode::OK, &body))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(incoming: &Incoming) -> Option<&str> {
    let (scheme, token) = incoming.header(&header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn authorize(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Post => begin(&state, &incoming).await,
            _ => Err(SpaError::method_not_allowed("POST, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

/// Says where to send the browser. Nothing is kept yet: that address is ours, and says all of it again.
async fn begin(state: &AppState, incoming: &Incoming) -> SpaReply {
    check_page(state, incoming)?;
    count(state, incoming, Rate::SignIn).await?;
    let body = body(incoming)?;
    let provider = provider(state, &body)?;
    let pkce = match text(&body, "pkce") {
        "" | "server" => "server",
        "client" => "client",
        _ => return Err(SpaError::bad("`pkce` must be server or client")),
    };
    if pkce == "client" && text(&body, "code_challenge").is_empty() {
        return Err(SpaError::bad("`code_challenge` is missing: `pkce` is client"));
    }
    let mut request = PageRequest::of_json(state, &body).map_err(|error| SpaError::bad(error.to_string()))?;
    let sent_state = request.state.get_or_insert_with(|| signin_leg::secret(&*state.entropy)).clone();
    let mut reply = json!({
        "authorization_url": request.start(state, provider.name()),
        "state": sent_state,
        "provider": provider.name(),
        "token_delivery": request.delivery.as_str(),
        // Towards the provider it is always the server's.
        "pkce_managed_by": pkce,
    });
    if let (Some(challenge), Some(members)) = (&request.challenge, reply.as_object_mut()) {
        members.insert("code_challenge".to_owned(), json!(challenge));
        members.insert("code_challenge_method".to_owned(), json!("S256"));
    }
    Ok(private(StatusCode::OK, &reply))
}

/// The provider that a body names; without a name the only one there is.
pub(crate) fn provider<'a>(state: &'a AppState, body: &Map<String, Value>) -> Result<&'a Provider, SpaError> {
    let found = match text(body, "provider") {
        "" => state.providers.iter().next().filter(|_| state.providers.iter().count() == 1),
        name => state.providers.find(name),
    };
    found.ok_or_else(|| SpaError::bad("`provider` must name one of those that /oauth/config lists"))
}

async fn post_token(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Post => {
                check_page(&state, &incoming)?;
                Box::pin(token(&state, &incoming)).await
            }
            _ => Err(SpaError::method_not_allowed("POST, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

async fn pick_up(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Post => {
                check_page(&state, &incoming)?;
                let word = incoming.segments.get(3).map_or("", String::as_str);
                Box::pin(picked_up(&state, &incoming, word)).await
            }
            // GET would take it, and whoever previews, prefetches or reloads a link would have it.
            _ => Err(SpaError::method_not_allowed("POST, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

/// The tokens of a sign-in, for whoever began it: it knows the word and, besides, has the browser's cookie or the answer to
/// its challenge. The word counts once.
async fn picked_up(state: &AppState, incoming: &Incoming, word: &str) -> SpaReply {
    let deadline = incoming.context.deadline;
    let unknown = || SpaError::new(StatusCode::NOT_FOUND, "there is no such session, or it was picked up before");
    let waiting = state.actors.look_once::<Waiting>(Once::Pickup, word, deadline).await?.ok_or_else(unknown)?;
    let body = if incoming.payload.bytes.is_empty() { Map::new() } else { body(incoming)? };
    let proved = match &waiting.challenge {
        Some(challenge) => is_met(challenge, text(&body, "code_verifier")),
        None => signin_leg::is_browser(state, incoming, &waiting.browser),
    };
    if !proved {
        return Err(SpaError::forbidden(
            "this session began elsewhere: send `code_verifier`, or the cookies of the browser that signed in",
        ));
    }
    let waiting = state.actors.take_once::<Waiting>(Once::Pickup, word, deadline).await?.ok_or_else(unknown)?;
    deliver_to(state, incoming, waiting).await
}

/// A new session for whom this waited, if whoever signed in may still do so.
pub(crate) async fn deliver_to(state: &AppState, incoming: &Incoming, waiting: Waiting) -> SpaReply {
    let gone =
        || SpaError::new(StatusCode::NOT_FOUND, "there is no such actor any more, or it is signed in to otherwise");
    let id = ActorId::parse(&waiting.actor).map_err(|_| gone())?;
    let store = state.actors.store().with_deadline(incoming.context.deadline);
    let seen = tokio::time::Instant::now();
    let wanted = Wanted { identity: Some(&waiting.identity), ..Wanted::default() };
    let found = store.load(&id, wanted).await.map_err(ActorError::from)?;
    let record = found.actor.filter(|_| found.is_led_to).ok_or_else(gone)?;
    let actor = Actor::new(record, store).seen_at(seen);
    deliver(state, &actor, waiting.delivery, waiting.email, Some(&waiting.return_path)).await
}

async fn revoke(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Post => revoked(&state, &incoming).await,
            _ => Err(SpaError::method_not_allowed("POST, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

/// Ends the session of a token: of the body, else the bearer, else a cookie.
pub(crate) async fn revoked(state: &AppState, incoming: &Incoming) -> SpaReply {
    check_page(state, incoming)?;
    let body = if incoming.payload.is_json() { body(incoming)? } else { Map::new() };
    let named = Some(text(&body, "token")).filter(|token| !token.is_empty());
    let token = named.or_else(|| bearer(incoming)).or_else(|| spa_cookies::any(incoming));
    let token = token.ok_or_else(|| SpaError::bad("there is no token: send `token`, a bearer or the cookies"))?;
    state.actors.grants().close_session(token, incoming.context.deadline).await?;
    let reply = json!({ "success": true, "message": "the token and all of its session are worthless now" });
    Ok(spa_cookies::forget(state, private(StatusCode::OK, &reply)))
}

async fn logout(State(state): State<AppState>, incoming: Incoming) -> Response {
    let reply = async {
        match incoming.verb {
            Verb::Post => logged_out(&state, &incoming).await,
            _ => Err(SpaError::method_not_allowed("POST, OPTIONS")),
        }
    };
    answer(&state, &incoming, reply).await
}

/// Ends the sessions of the bearer and of the cookies. Fine when nobody is signed in.
pub(crate) async fn logged_out(state: &AppState, incoming: &Incoming) -> SpaReply {
    check_page(state, incoming)?;
    for token in [bearer(incoming), spa_cookies::any(incoming)].into_iter().flatten() {
        state.actors.grants().close_session(token, incoming.context.deadline).await?;
    }
    let reply = json!({
        "success": true,
        "message": "signed out",
        "redirect_url": format!("{}/", state.base_url),
        "cleared_cookies": spa_cookies::NAMES,
    });
    Ok(spa_cookies::forget(state, private(StatusCode::OK, &reply)))
}

/// Providers send browsers to `/oauth/callback` alone.
async fn callback(State(state): State<AppState>, incoming: Incoming) -> Response {
    let wrong = async { Err(SpaError::bad("providers answer at /oauth/callback: register that address there")) };
    answer(&state, &incoming, wrong).await
}
