//! The guarded client as the libraries of OAuth want it.

use std::pin::Pin;

use actingweb_peer::{PeerClient, PeerError};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};

/// Sends what `oauth2` and `openidconnect` put together.
#[derive(Clone, Debug)]
pub(crate) struct Transport(pub(crate) PeerClient);

impl<'c> AsyncHttpClient<'c> for Transport {
    type Error = PeerError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, PeerError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.exchange(request))
    }
}
