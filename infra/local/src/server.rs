//! Plain HTTP on a loopback port.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, TcpListener as StdListener};
use std::{io, time::Duration};

use actingweb_web::ClientAddress;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::{Service, ServiceExt as _, service_fn};

use crate::StartError;

/// How long a client may take to send the head of a request, and a connection may idle between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests under way may take to finish once the stack stops.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Takes the port; 0 takes any free one.
pub(crate) fn listen(port: u16) -> Result<StdListener, StartError> {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { port },
        _ => StartError::Listen { port, source },
    })?;
    listener.set_nonblocking(true).map_err(|source| StartError::Listen { port, source })?;
    Ok(listener)
}

/// The router, told where its requests come from.
fn from(
    client: IpAddr,
    router: Router,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + Clone {
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(client));
        router.clone().oneshot(request)
    })
}

/// Serves until `stop` changes, then lets requests under way finish within [`GRACE`].
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.changed() => break,
        };
        let Ok((stream, client)) = accepted else {
            // Out of file descriptors, most likely: some will be free again.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Replies are small and waited for.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(from(client.ip(), router.clone())));
        // A connection that breaks is its client's business.
        connections.spawn(graceful.watch(connection));
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}
