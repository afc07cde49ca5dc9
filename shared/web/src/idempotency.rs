//! Requests that are carried out once however often they are sent: the header `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header).

mod kept;
mod key;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use actingweb_actor::{ActorError, Caller, Execution, Named, NamedRequest};
use actingweb_protocol::sha256_hex_of_parts;
use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::{Admission, AppState, Incoming, Problem, Reply, Verb};

/// The largest body of a reply that is kept for repeats, in bytes: sealed, it fits DynamoDB's items of 400 KB.
pub const MAX_KEPT_REPLY_BYTES: usize = 256_000;

/// The same for callers that nobody knows, who are not to fill an actor's storage.
pub const MAX_KEPT_ANONYMOUS_REPLY_BYTES: usize = 16_000;

/// On every reply that is given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// When to ask again for what is being carried out.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Marks a reply as one that a repeat need not get, though its status does not show it.
#[derive(Clone, Copy, Debug)]
struct Passing;

/// Marks a reply that tells of a passing failure with a status of success, as JSON-RPC does: a repeat is carried out.
#[must_use]
pub fn passing(mut response: Response) -> Response {
    response.extensions_mut().insert(Passing);
    response
}

/// What is to be done with a request that may have come before.
pub(crate) enum Turn {
    /// Carry it out: it has no name.
    Unnamed,
    /// Carry it out, and keep what comes of it.
    First(Kept),
    /// Answer this.
    Repeat(Reply),
}

/// A request that is being carried out, and whose reply is kept for repeats.
pub(crate) struct Kept {
    execution: Execution,
    /// Nobody knows the caller, not even by a name.
    is_anonymous: bool,
    /// Anybody may be the caller.
    is_stranger: bool,
}

impl Incoming {
    /// Does `work`, once for all requests with the same `Idempotency-Key`: repeats get the first reply. Without that
    /// header, and for any verb but POST, it only does `work`. `admission` says who is calling; `None` means that nobody
    /// is asked, as where actors are created.
    ///
    /// Not kept, so that a repeat is carried out: replies of 500 and above, 408, 425 and 429, those of [`passing`], and to
    /// callers whom nobody knows anything but success.
    ///
    /// Dropped half-way, as the server does when a connection is lost, it has dropped `work`, and counts as being carried
    /// out until some seconds after its deadline.
    ///
    /// # Errors
    /// 400 for a header that is no key, 409 while the first request is being carried out, 410 when its reply was too large
    /// to keep, 422 when the key came with another request; storage errors, before anything was done; those of `work`.
    pub fn once<'a>(
        &'a self,
        state: &'a AppState,
        admission: Option<&'a Admission>,
        work: impl Future<Output = Reply> + Send + 'a,
    ) -> impl Future<Output = Reply> + Send + 'a {
        // Boxed, since it would be part of two futures otherwise.
        let work = Box::pin(work);
        async move {
            match self.turn(state, admission).await? {
                Turn::Unnamed => work.await,
                Turn::First(kept) => {
                    let reply = kept.guard(work).await;
                    kept.keep(reply).await
                }
                Turn::Repeat(reply) => reply,
            }
        }
    }

    /// Whether it is to be carried out.
    ///
    /// # Errors
    /// 400 for a header that is no key; storage errors.
    pub(crate) async fn turn(&self, state: &AppState, admission: Option<&Admission>) -> Result<Turn, Problem> {
        if self.verb != Verb::Post {
            return Ok(Turn::Unnamed);
        }
        let caller = admission.map_or(&Caller::Anonymous, |admission| admission.access.caller());
        let is_anonymous = *caller == Caller::Anonymous;
        // Whoever asks for a relationship can prove who it is, and is still anybody.
        let is_stranger = matches!(caller, Caller::Anonymous | Caller::Unapproved { .. });
        let Some(key) = key::read(&self.headers, is_anonymous)? else { return Ok(Turn::Unnamed) };
        let content = self.content_digest();
        let actor = admission.map(|admission| admission.actor.id());
        let request = NamedRequest { actor, caller, key: &key, content: &content };
        // Boxed, so that requests without a key do not carry it about.
        let named = Box::pin(state.actors.begin(&request, self.context.deadline)).await?;
        Ok(match named {
            Named::First(execution) => Turn::First(Kept { execution, is_anonymous, is_stranger }),
            Named::Done(reply) => Turn::Repeat(replay(&reply)),
            Named::UnderWay => Turn::Repeat(Err(Problem::conflict(
                "the request with this Idempotency-Key is being carried out: ask again",
            )
            .retry_after(RETRY_AFTER))),
            Named::Other => Turn::Repeat(Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this Idempotency-Key was used for another request: a repeat is the same in path, query and body, byte \
                 for byte; a new request takes a new key",
            ))),
        })
    }

    /// All that a request asks for. Its verb is POST.
    fn content_digest(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.params()).finish();
        // No segment has a slash.
        let path = self.segments.join("/");
        sha256_hex_of_parts(&[
            path.as_bytes(),
            query.as_bytes(),
            self.payload.content_type().as_bytes(),
            &self.payload.bytes,
        ])
    }
}

impl Kept {
    /// Does `work`, which may be repeated if it panics.
    pub(crate) async fn guard<T>(&self, work: impl Future<Output = T>) -> T {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => done,
            Err(panic) => {
                self.release().await;
                resume_unwind(panic)
            }
        }
    }

    /// How many bytes a reply may have so that it is kept whole.
    pub(crate) const fn limit(&self) -> usize {
        if self.is_anonymous { MAX_KEPT_ANONYMOUS_REPLY_BYTES } else { MAX_KEPT_REPLY_BYTES }
    }

    /// Whether anybody could have sent it.
    pub(crate) const fn is_of_a_stranger(&self) -> bool {
        self.is_stranger
    }

    /// Keeps a reply for repeats, or lets them be carried out. The work is done: whatever becomes of this, its reply
    /// stands.
    pub(crate) async fn keep(&self, reply: Reply) -> Reply {
        let reply = match reply {
            Ok(mut response) => response.extensions_mut().remove::<Problem>().map_or(Ok(response), Err),
            problem => problem,
        };
        if !is_final(&reply, self.is_anonymous) {
            self.release().await;
            return reply;
        }
        let (reply, kept) = kept::encode(reply, self.limit()).await;
        match self.execution.settle(&kept).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("a request outlived its deadline and was carried out again"),
            Err(error) => tracing::warn!(error = cause(&error), "a reply could not be kept"),
        }
        reply
    }

    async fn release(&self) {
        if let Err(error) = self.execution.release().await {
            tracing::warn!(error = cause(&error), "a failed request could not be released");
        }
    }
}

/// For the log: what callers are not told.
fn cause(error: &ActorError) -> String {
    match error {
        ActorError::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

fn replay(kept: &str) -> Reply {
    let replayed = HeaderValue::from_static("true");
    match kept::decode(kept) {
        Ok(mut response) => {
            response.headers_mut().insert(REPLAYED, replayed);
            Ok(response)
        }
        Err(mut problem) => {
            problem.headers.push((REPLAYED, replayed));
            Err(problem)
        }
    }
}

/// Whether the same request would have the same outcome.
fn is_final(reply: &Reply, is_anonymous: bool) -> bool {
    let (status, passing) = match reply {
        Ok(response) => (response.status(), response.extensions().get::<Passing>().is_some()),
        Err(problem) => (problem.status(), false),
    };
    let may_pass = status.is_server_error()
        || matches!(status.as_u16(), 408 | 425 | 429)
        || (is_anonymous && status.as_u16() >= 400);
    !passing && !may_pass
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn what_may_pass_is_not_kept() {
        let reply = |status: u16| -> Reply {
            let status = StatusCode::from_u16(status).unwrap();
            if status.as_u16() < 400 { Ok(status.into_response()) } else { Err(Problem::new(status, "no")) }
        };
        for (status, known, anonymous) in [
            (200, true, true),
            (201, true, true),
            (204, true, true),
            (302, true, true),
            (400, true, false),
            (403, true, false),
            (409, true, false),
            (408, false, false),
            (425, false, false),
            (429, false, false),
            (500, false, false),
            (503, false, false),
            (504, false, false),
        ] {
            assert_eq!(is_final(&reply(status), false), known, "{status}");
            assert_eq!(is_final(&reply(status), true), anonymous, "{status}, anonymous");
        }
        assert!(!is_final(&Ok(passing(StatusCode::OK.into_response())), false));
    }
}
