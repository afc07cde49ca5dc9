//! The pages that people see: written by hand, so that what they hold is plain to see, and without any script.
//!
//! A page may load nothing, be framed by nobody and send its forms to this deployment alone. Browsers hold all that a form's
//! answer leads to against that, redirect by redirect, also those of other sites: of a page whose answer leads to a client
//! nobody can say where the client leads on, so that it may lead anywhere.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
color:#1c1e21;background:#fff}h1{font-size:1.5rem}label{display:block;margin:1rem 0 .25rem}input[type=text],\
input[type=password]{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;border:1px solid #6b6e73;\
border-radius:4px}button{font:inherit;margin:1.5rem .75rem 0 0;padding:.5rem 1.25rem;border:1px solid #0b57d0;\
border-radius:4px;background:#0b57d0;color:#fff}button.plain{background:transparent;color:inherit;\
border-color:#6b6e73}fieldset{margin:1.5rem 0;padding:.5rem 1rem 1rem;border:1px solid #6b6e73;border-radius:4px}\
.choice{display:grid;grid-template-columns:1.5rem 1fr}.choice label{margin:0}.choice p{grid-column:2;margin:0 0 .75rem}\
.alert{border-left:4px solid #b3261e;padding-left:.75rem}code,strong{overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{background:#18191a;color:#e4e6eb}input[type=text],input[type=password]\
{background:#242526;color:inherit}}";

/// SHA-256 of [`STYLE`] in base64, by which the policy lets it in and no other.
const STYLE_HASH: &str = "u8UNXHKOZ670GpP7vbnhtaL0voACEalCVumvVswOIys=";

/// A page, in parts. The title is text; the body is HTML, whose texts went through [`escape`].
pub(crate) struct Page<'a> {
    /// What it is about: the title and the heading.
    pub(crate) title: &'a str,
    /// What follows the heading.
    pub(crate) body: String,
    /// Whether a form of it may lead to another site, as the answer to a client does.
    pub(crate) leads_away: bool,
}

impl Page<'_> {
    /// The reply. It may hold what nobody else must see, and is kept nowhere.
    pub(crate) fn reply(&self, status: StatusCode) -> Response {
        let title = escape(self.title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body><main>\
<h1>{title}</h1>{}</main></body></html>",
            self.body
        );
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; {}frame-ancestors 'none'; base-uri 'none'",
            // The forms are ours either way: no text of others becomes part of a page but through [`escape`].
            if self.leads_away { "" } else { "form-action 'self'; " }
        );
        let mut response = actingweb_web::html(status, html);
        let headers = response.headers_mut();
        // In place of the one that other pages have: browsers would hold a page to both.
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        secure(headers);
        // For browsers that do not know `frame-ancestors`.
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        response
    }
}

/// What every reply of ours to a browser says: keep it nowhere, and tell no other site where you have been. Our own hears
/// it: with `no-referrer` browsers would not say which site a form comes from either, which is checked.
pub(crate) fn secure(headers: &mut http::HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// 303 to a URL, which is made of nothing but ASCII.
pub(crate) fn see_other(url: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().extend(HeaderValue::from_str(url).ok().map(|url| (header::LOCATION, url)));
    secure(response.headers_mut());
    response
}

/// A hidden field of a form.
pub(crate) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
}

/// Text as HTML, in an element or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_our_style_in() {
        use base64::Engine as _;
        let hex = actingweb_protocol::sha256_hex(STYLE);
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap();
        let digest: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        assert_eq!(STYLE_HASH, base64::engine::general_purpose::STANDARD.encode(digest));
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a href='x' title=\"y\">&"), "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;");
    }
}
