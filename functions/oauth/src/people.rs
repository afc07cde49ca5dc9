//! Problems as people read them: a page with the reason, where a browser asked for one. Programs get the document that they
//! get everywhere else; the status is the same.

use std::sync::Arc;

use actingweb_web::{AppState, Problem, RequestContext, accepts_html};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::{StatusCode, header};

use crate::pages::{Page, escape};

/// Shows problems of these routes as pages to browsers.
pub(crate) fn readable(routes: Router<AppState>) -> Router<AppState> {
    routes.route_layer(from_fn(answer))
}

async fn answer(request: Request, next: Next) -> Response {
    let by_person = accepts_html(request.headers());
    let id = request.extensions().get::<RequestContext>().map(|context| Arc::clone(&context.id)).unwrap_or_default();
    let mut response = next.run(request).await;
    match response.extensions().get::<Problem>() {
        Some(problem) if by_person => page(problem, &id),
        _ => {
            // Whoever asks otherwise gets something else.
            response.headers_mut().append(header::VARY, http::HeaderValue::from_static("Accept"));
            response
        }
    }
}

/// A problem as a page. It names the request's id where whoever runs this may have to look into it.
pub(crate) fn page(problem: &Problem, id: &str) -> Response {
    let (title, more) = match problem.status() {
        StatusCode::SERVICE_UNAVAILABLE => ("This does not work at the moment", "Wait a little, then begin again."),
        StatusCode::TOO_MANY_REQUESTS => ("Too many attempts", "Wait a minute, then try again."),
        status if status.is_server_error() => ("This did not work", "Try again later."),
        _ => ("This did not work", "Go back, and try again."),
    };
    let mut body = format!("<p class=\"alert\" role=\"alert\">{}</p><p>{more}</p>", escape(problem.detail()));
    if problem.status().is_server_error() {
        body.push_str(&format!("<p>If it stays so, tell whoever runs this: request <code>{}</code>.</p>", escape(id)));
    }
    let mut response = Page { title, body, leads_away: false }.reply(problem.status());
    let kept = [header::RETRY_AFTER, header::ALLOW, header::WWW_AUTHENTICATE].into_iter();
    let kept = kept.filter_map(|name| Some((name.clone(), problem.header(&name)?)));
    response.headers_mut().extend(kept);
    response
}
