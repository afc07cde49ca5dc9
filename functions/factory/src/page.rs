//! The two pages a person meets before there are more: the form that creates an actor, and the result.

use actingweb_actor::CreatedActor;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;\
color:#1c1e21;background:#fff}label{display:block;margin:1rem 0 .25rem}input{font:inherit;padding:.5rem;width:100%;\
box-sizing:border-box;border:1px solid #8a8d91;border-radius:4px}button{font:inherit;margin-top:1.5rem;\
padding:.5rem 1.25rem;border:0;border-radius:4px;background:#0b57d0;color:#fff}code{overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{background:#18191a;color:#e4e6eb}input{background:#242526;color:inherit}}";

/// The form that creates an actor.
pub(crate) fn sign_in() -> String {
    page(
        "Create your actor",
        "<form method=\"post\" action=\"/\">\
<label for=\"creator\">Your name or e-mail address</label>\
<input id=\"creator\" name=\"creator\" autocomplete=\"username\" maxlength=\"256\" required>\
<label for=\"passphrase\">A passphrase (leave it empty to get a random one)</label>\
<input id=\"passphrase\" name=\"passphrase\" type=\"password\" autocomplete=\"new-password\" maxlength=\"256\">\
<button>Create</button></form>",
    )
}

/// What the new actor's creator must keep.
pub(crate) fn created(created: &CreatedActor, location: &str) -> String {
    let body = format!(
        "<p>Its address is <code>{}</code>.</p><p>Its creator is <code>{}</code>, and the passphrase is \
<code>{}</code>.</p><p>Keep the passphrase: it is not shown again.</p>",
        escape(location),
        escape(created.actor.creator()),
        escape(&created.passphrase)
    );
    page("Your actor exists", &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
