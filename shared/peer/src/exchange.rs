//! Requests that another library put together: those of OAuth and OpenID Connect.

use http::{Request, Response};
use tokio::time::Instant;
use url::Url;

use crate::client::PeerClient;
use crate::error::PeerError;
use crate::guard::Refusal;
use crate::reply::read_up_to;

impl PeerClient {
    /// Sends `request` once, as it is, and reads the reply whole, whatever its status. The guard, the deadline and the limits
    /// count as for every call; redirects are not followed. For protocols that have clients of their own, which only lack
    /// the transport; [`get`](Self::get) and its like are simpler and know about secrets.
    ///
    /// # Errors
    /// [`PeerError`], but never [`PeerError::Status`]: what a status means is for the caller to say.
    pub async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, PeerError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| PeerError::Refused { reason: Refusal::Malformed })?;
        self.guard().check_url(&url)?;
        let limits = self.limits();
        let end = self.end_of_call(Instant::now());
        if Instant::now() >= end {
            return Err(PeerError::TimedOut);
        }
        let exchange = async {
            let sent = self.http().request(parts.method, url).headers(parts.headers).body(body).send().await;
            let response = sent.map_err(PeerError::from_transport)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let (body, complete) = read_up_to(response, limits.reply_bytes).await?;
            if !complete {
                return Err(PeerError::TooLarge { limit: limits.reply_bytes });
            }
            let mut reply = Response::new(body.to_vec());
            *reply.status_mut() = status;
            *reply.headers_mut() = headers;
            Ok(reply)
        };
        tokio::time::timeout_at(end, exchange).await.unwrap_or(Err(PeerError::TimedOut))
    }
}
