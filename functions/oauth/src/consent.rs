//! The page that asks whether a client may act for a person.
//!
//! It says what is known for sure: where the answer leads, which host vouches for a client's name, and that nobody checked
//! the name of one that registered by itself.

use actingweb_protocol::oauth::Audience;

use crate::authorize::Request;
use crate::lookup::document_host;
use crate::pages::{Page, escape, hidden};
use crate::session::Session;

/// What the answer repeats of the request.
const REPEATED: [&str; 9] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "state",
    "scope",
    "code_challenge",
    "code_challenge_method",
    "resource",
];

/// The field with the proof that a page of ours asked exactly this.
const PROOF: &str = "proof";

/// The page.
pub(crate) fn page<'a>(request: &'a Request<'_>, session: &Session, alert: Option<&str>) -> Page<'a> {
    let base = escape(&request.state.base_url);
    let name = escape(&request.client.name);
    let destination = escape(&request.return_to.uri.destination());
    let vouched = match document_host(&request.client) {
        Some(host) => format!("<p><strong>{}</strong> says that this is its application.</p>", escape(&host)),
        None => "<p>The application gave itself this name; nobody checked it. Go on only if you just asked it to \
                 connect.</p>"
            .to_owned(),
    };
    let means = match request.asked.audience {
        Audience::Mcp => "as a tool of an AI assistant",
        Audience::Rest => "through its web interface",
    };
    let alert = alert.map(|alert| format!("<p class=\"alert\" role=\"alert\">{}</p>", escape(alert)));
    let fields: String = REPEATED
        .into_iter()
        .map(|field| (field, request.params.first(field)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(field, value)| hidden(field, value))
        .collect();
    let body = format!(
        "{alert}<p><strong>{name}</strong> wants to use the actor of <strong>{creator}</strong>, \
<code>{base}/{actor}</code>, {means}.</p>{vouched}\
<p>Your answer leads you to <strong>{destination}</strong>.</p>\
<form method=\"post\" action=\"{base}/oauth/authorize\">{fields}{proof}\
<fieldset><legend>What it may do</legend>{choices}</fieldset>\
<button name=\"decision\" value=\"allow\">Allow</button>\
<button class=\"plain\" name=\"decision\" value=\"deny\">Do not allow</button></form>\
<form method=\"post\" action=\"{base}/oauth/logout\">{next}<button class=\"plain\">I am somebody else: sign out</button>\
</form><p>You can end this at any time, under <code>{base}/{actor}/grants</code> and \
<code>{base}/{actor}/trust</code>.</p>",
        alert = alert.unwrap_or_default(),
        creator = escape(session.actor.creator()),
        actor = session.actor.id(),
        proof = hidden(PROOF, &request.state.actors.sign_form(session.owner(), &content(request))),
        choices = choices(request),
        next = hidden("next", &format!("/oauth/authorize?{}", asked_again(request))),
    );
    Page { title: "Let an application act for you?", body, leads_away: true }
}

/// Whether the answer is to a question that was asked of this session.
pub(crate) fn is_ours(request: &Request<'_>, session: &Session) -> bool {
    request.state.actors.is_signed_form(session.owner(), &content(request), request.params.first(PROOF))
}

/// Everything that is asked, as one text: two requests have the same only if they are the same.
fn content(request: &Request<'_>) -> String {
    let values: Vec<&str> = REPEATED.into_iter().map(|field| request.params.first(field)).collect();
    serde_json::json!(["consent", values]).to_string()
}

/// The request again, for after somebody signed in. A wish to sign in is fulfilled by then.
pub(crate) fn asked_again(request: &Request<'_>) -> String {
    let asked = REPEATED.into_iter().map(|field| (field.to_owned(), request.params.first(field).to_owned()));
    crate::params::Params::new(asked.filter(|(_, value)| !value.is_empty())).to_query()
}

/// The kinds of access; the first, which permits least, is chosen unless the person chooses another.
fn choices(request: &Request<'_>) -> String {
    let choice = |(at, offered): (usize, actingweb_protocol::trust_types::TrustType)| {
        let name = escape(offered.name);
        let checked = if at == 0 { " checked" } else { "" };
        format!(
            "<div class=\"choice\"><input type=\"radio\" id=\"type-{name}\" name=\"trust_type\" value=\"{name}\" \
required{checked}><label for=\"type-{name}\">{}</label><p>{}</p></div>",
            escape(offered.display_name),
            escape(offered.description)
        )
    };
    request.trust_types().into_iter().enumerate().map(choice).collect()
}
