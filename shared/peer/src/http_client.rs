//! How the pooled HTTP clients are built. Each is built once, at init, and shared by every invocation.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::RootCertStore;

use crate::guard::Guard;
use crate::resolver::GuardedResolver;

/// Settings of a pooled client that have nothing to do with where it may go.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Time for the connection alone: name resolution, TCP and TLS. Default 5 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default 30 s: longer than the gaps of a busy function, shorter than
    /// the idle limit of common load balancers, which would otherwise close it under us.
    pub idle_timeout: Duration,
    /// Unused connections kept per host. Default 32.
    pub idle_per_host: usize,
    /// Whether redirects are followed, at most ten; default true. Guarded clients never follow any.
    pub follow_redirects: bool,
    /// The `User-Agent` sent. Default `actingweb/<version>`.
    pub user_agent: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 32,
            follow_redirects: true,
            user_agent: concat!("actingweb/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A client that could not be built: a fault of this program or its settings, found at start.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The TLS configuration was refused.
    #[error("the TLS configuration of the HTTP client is invalid: {0}")]
    Tls(#[from] rustls::Error),
    /// The client's settings were refused, for instance a user agent that is no header value.
    #[error("the HTTP client could not be built: {0}")]
    Settings(#[from] reqwest::Error),
}

/// The pooled client for services whose URLs the application's author chose. It goes wherever it is told, so it must
/// never be given a URL that came from a caller or a peer: that is what [`PeerClient`](crate::PeerClient) is for.
///
/// # Errors
/// [`HttpClientError`] when the settings make no client.
pub fn http_client(settings: &HttpSettings) -> Result<reqwest::Client, HttpClientError> {
    let redirects = if settings.follow_redirects { Policy::default() } else { Policy::none() };
    Ok(builder(settings)?.redirect(redirects).build()?)
}

/// The pooled client for URLs strangers chose. The resolver belongs to the client, hence one client per guard.
pub(crate) fn guarded_client(settings: &HttpSettings, guard: Guard) -> Result<reqwest::Client, HttpClientError> {
    Ok(builder(settings)?
        // A redirect could lead anywhere, past every check made on the URL, and would carry the secret along.
        .redirect(Policy::none())
        .referer(false)
        .dns_resolver(GuardedResolver::new(guard))
        .build()?)
}

#[expect(clippy::disallowed_methods, reason = "the one place where pooled clients are built")]
fn builder(settings: &HttpSettings) -> Result<reqwest::ClientBuilder, HttpClientError> {
    // What the other end's transport says it never took (HTTP/2's REFUSED_STREAM, GOAWAY) reqwest sends again by itself:
    // for whoever calls, that is still the first try. It repeats nothing else.
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        // Proxies come from ambient environment variables and would bypass the resolver.
        .no_proxy()
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.idle_per_host)
        .tcp_nodelay(true)
        .user_agent(&settings.user_agent))
}

/// TLS with the compiled-in root certificates and ring: nothing is read from the system at start, no process-wide
/// default provider is needed, and HTTP/2 is offered.
fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_settings_make_clients() {
        http_client(&HttpSettings::default()).unwrap();
        guarded_client(&HttpSettings::default(), Guard::Strict).unwrap();
    }

    #[test]
    fn an_impossible_setting_is_an_error_not_a_panic() {
        let settings = HttpSettings { user_agent: "two\nlines".into(), ..HttpSettings::default() };
        assert!(matches!(http_client(&settings), Err(HttpClientError::Settings(_))));
    }

    #[test]
    fn http2_is_offered() {
        assert_eq!(tls_config().unwrap().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
