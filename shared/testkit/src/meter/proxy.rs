//! The proxy itself: plain HTTP/1.1, bodies passed on byte for byte.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::faults::{self, Refusal};
use super::gate::At;
use super::{Fault, Plan, State, batch};

type Upstream = Client<HttpConnector, Full<Bytes>>;
type Reply = Response<Full<Bytes>>;

/// A checksum of the body the engine sent, which would betray an altered one.
const CHECKSUM: &str = "x-amz-crc32";

/// No reply: the connection closes, as when the server or the network dies.
#[derive(Debug)]
struct Hangup;

impl fmt::Display for Hangup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply was withheld")
    }
}

impl std::error::Error for Hangup {}

/// Host and port of a plain HTTP endpoint; `None` for any other URL.
pub(super) fn authority(target: &str) -> Option<Authority> {
    let parts = target.parse::<Uri>().ok()?.into_parts();
    let rooted = parts.path_and_query.is_none_or(|path| path == "/");
    if parts.scheme == Some(Scheme::HTTP) && rooted { parts.authority } else { None }
}

/// Accepts connections until told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    target: Authority,
    state: Arc<State>,
    mut finish: oneshot::Receiver<()>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let upstream = Client::builder(TokioExecutor::new()).build(connector);
    let proxy = Arc::new(Proxy { upstream, target, state });

    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut finish => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Small replies must not wait for the client's acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    let proxy = Arc::clone(&proxy);
                    connections.spawn(async move {
                        let service = service_fn(move |request| {
                            let proxy = Arc::clone(&proxy);
                            async move { proxy.pass(request).await }
                        });
                        // Ends with an error whenever a reply is withheld.
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
                // Out of descriptors, most likely: give those in use a moment to close.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            },
        }
    }
}

struct Proxy {
    upstream: Upstream,
    target: Authority,
    state: Arc<State>,
}

/// Notes the end of a call, also when its client goes away before the reply.
struct Ending<'a> {
    state: &'a State,
    number: u64,
    status: Option<u16>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.state.end(self.number, self.status);
    }
}

impl Proxy {
    async fn pass(&self, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
        // "DynamoDB_20120810.GetItem". Anything else, such as a health check, is none of the meter's business.
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let Some(operation) = target.map(|target| target.rsplit('.').next().unwrap_or(target).to_owned()) else {
            return self.forward(head, body).await;
        };

        let Plan { number, fault, latency, held } = self.state.begin(&operation, started, body.clone());
        let mut ending = Ending { state: &self.state, number, status: None };
        if let Some((At::Call, door)) = &held {
            door.pass().await;
        }
        let reply = self.answer(&operation, fault, head, body).await;
        if let Some((At::Reply, door)) = &held {
            door.pass().await;
        }
        let due = tokio::time::Instant::from_std(started + latency);
        tokio::time::sleep_until(due).await;
        ending.status = reply.as_ref().ok().map(|reply| reply.status().as_u16());
        // Ended before the reply leaves: whatever the client does next starts after this call's end.
        drop(ending);
        reply
    }

    /// Carries out what was planned for one call.
    async fn answer(
        &self,
        operation: &str,
        fault: Option<(Fault, crate::rng::Rng)>,
        head: http::request::Parts,
        body: Bytes,
    ) -> Result<Reply, Hangup> {
        let Some((fault, mut rng)) = fault else {
            return self.forward(head, body).await;
        };
        match fault {
            Fault::Throttle => Ok(refuse(faults::throttled(operation, &body, &mut rng))),
            Fault::TransactionConflict => Ok(refuse(faults::conflicting(operation, &body, &mut rng))),
            Fault::ServerError => Ok(refuse(faults::server_error())),
            Fault::Unprocessed => match batch::split(&body, &mut rng) {
                None => Ok(refuse(faults::throttled(operation, &body, &mut rng))),
                Some(split) => {
                    let reply = self.forward(head, split.forward).await?;
                    leave_over(operation, reply, split.withheld).await
                }
            },
            Fault::LostReply => {
                self.forward(head, body).await?;
                if rng.chance(0.5) { Err(Hangup) } else { Ok(refuse(faults::server_error())) }
            }
        }
    }

    /// Gives a request to the engine and returns its whole reply. An engine that is gone closes the connection.
    async fn forward(&self, head: http::request::Parts, body: Bytes) -> Result<Reply, Hangup> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.target.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Hangup)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        // The Host header stays the client's own, because the signature covers it.
        *request.headers_mut() = without_framing(head.headers);

        let (head, body) = self.upstream.request(request).await.map_err(|_| Hangup)?.into_parts();
        let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
        let mut reply = Response::new(Full::new(body));
        *reply.status_mut() = head.status;
        *reply.headers_mut() = without_framing(head.headers);
        Ok(reply)
    }
}

/// Each side of the proxy frames its own messages.
fn without_framing(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// An error reply as AWS words it. It carries no checksum, which clients accept.
fn refuse((status, body): Refusal) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amzn-requestid", HeaderValue::from_static("INJECTEDFAULT"));
    reply
}

/// Adds the withheld entries to the engine's reply; an error from the engine passes unaltered.
async fn leave_over(
    operation: &str,
    reply: Reply,
    withheld: serde_json::Map<String, serde_json::Value>,
) -> Result<Reply, Hangup> {
    if reply.status() != StatusCode::OK {
        return Ok(reply);
    }
    let (mut head, body) = reply.into_parts();
    let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
    let body = batch::merge(operation, &body, withheld).ok_or(Hangup)?;
    head.headers.remove(CHECKSUM);
    Ok(Response::from_parts(head, Full::new(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_endpoints_can_be_metered() {
        assert_eq!(authority("http://127.0.0.1:8000").unwrap().as_str(), "127.0.0.1:8000");
        assert_eq!(authority("http://localhost:8000/").unwrap().as_str(), "localhost:8000");
        for target in ["https://dynamodb.eu-north-1.amazonaws.com", "127.0.0.1:8000", "http://host/path", "", "/"] {
            assert_eq!(authority(target), None, "{target}");
        }
    }
}
