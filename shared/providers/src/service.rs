//! Services at which actors have accounts: what an application says of them, and what a deployment adds.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

/// Variables of connected services begin so, after the prefix that they share with providers.
pub(crate) const VARIABLES: &str = "SERVICE_";
/// What follows the name of a service in its variables. The longer one first: it ends in neither of the others.
const FIELDS: [&str; 2] = ["CLIENT_SECRET", "CLIENT_ID"];
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 40;

/// A service at which actors connect accounts of their owners, so that hooks may act there: where it is, and what is
/// asked for. Part of an application; the client that the service knows is a deployment's, see [`ServiceCredentials`].
///
/// ```
/// use actingweb_providers::Service;
///
/// let github = Service::github().scopes(["read:user"]);
/// let calendar = Service::new("calendar", "https://login.example.com/authorize", "https://login.example.com/token")
///     .api("https://api.example.com/v1")
///     .revocation("https://login.example.com/revoke")
///     .scopes(["events.read"]);
/// # assert!(github.problem().is_none() && calendar.problem().is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a service does nothing until it is registered: `.service(..)`"]
pub struct Service {
    name: String,
    display_name: String,
    authorization_url: String,
    token_url: String,
    api_url: Option<String>,
    revocation: Revocation,
    scopes: Vec<String>,
    parameters: Vec<(String, String)>,
    secret_in_body: bool,
    callback_per_actor: bool,
}

/// How a service is told that tokens are to be worthless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// It has no way.
    None,
    /// As RFC 7009 has it.
    Standard(String),
    /// A POST with the token as bearer (Dropbox).
    Bearer(String),
    /// GitHub's own: a DELETE below `/applications/{client id}`, with the client's secret.
    GitHub(String),
}

impl Service {
    /// A service with OAuth 2.0 of this name: lower case letters, digits, `_` and `-`. Its authorization URL is where the
    /// owner's browser is sent, its token URL where codes and refresh tokens become tokens.
    pub fn new(name: &str, authorization_url: &str, token_url: &str) -> Self {
        Self {
            name: name.to_owned(),
            display_name: name.to_owned(),
            authorization_url: authorization_url.to_owned(),
            token_url: token_url.to_owned(),
            api_url: None,
            revocation: Revocation::None,
            scopes: Vec::new(),
            parameters: Vec::new(),
            secret_in_body: false,
            callback_per_actor: false,
        }
    }

    /// GitHub, as `github`; reads the profile unless other scopes are asked for.
    pub fn github() -> Self {
        Self {
            revocation: Revocation::GitHub("https://api.github.com".to_owned()),
            ..Self::new(
                "github",
                "https://github.com/login/oauth/authorize",
                "https://github.com/login/oauth/access_token",
            )
        }
        .display_name("GitHub")
        .api("https://api.github.com")
        .scopes(["read:user"])
        .secret_in_body()
    }

    /// Gmail, as `gmail`; reads mail unless other scopes are asked for.
    pub fn gmail() -> Self {
        Self::new("gmail", "https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token")
            .display_name("Gmail")
            .api("https://gmail.googleapis.com/gmail/v1")
            .revocation("https://oauth2.googleapis.com/revoke")
            .scopes(["https://www.googleapis.com/auth/gmail.readonly"])
            // Without the one there is no refresh token, without the other only the first time.
            .parameter("access_type", "offline")
            .parameter("prompt", "consent")
    }

    /// Dropbox, as `dropbox`; reads files unless other scopes are asked for.
    pub fn dropbox() -> Self {
        Self {
            revocation: Revocation::Bearer("https://api.dropboxapi.com/2/auth/token/revoke".to_owned()),
            ..Self::new(
                "dropbox",
                "https://www.dropbox.com/oauth2/authorize",
                "https://api.dropboxapi.com/oauth2/token",
            )
        }
        .display_name("Dropbox")
        .api("https://api.dropboxapi.com/2")
        .scopes(["files.metadata.read", "files.content.read"])
        .parameter("token_access_type", "offline")
    }

    /// Box, as `box`, with the scopes that its console gives the client.
    pub fn box_com() -> Self {
        Self::new("box", "https://account.box.com/api/oauth2/authorize", "https://api.box.com/oauth2/token")
            .display_name("Box")
            .api("https://api.box.com/2.0")
            .revocation("https://api.box.com/oauth2/revoke")
            .secret_in_body()
    }

    /// What people call it.
    pub fn display_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.display_name);
        self
    }

    /// The base URL of its API. Tokens go below it and nowhere else; without one hooks cannot call the service.
    pub fn api(mut self, base_url: &str) -> Self {
        self.api_url = Some(base_url.to_owned());
        self
    }

    /// Where tokens are revoked (RFC 7009).
    pub fn revocation(mut self, url: &str) -> Self {
        self.revocation = Revocation::Standard(url.to_owned());
        self
    }

    /// What is asked for, in place of what was said before.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Another parameter of the authorization URL, such as `access_type`.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the client's secret in the body of requests, for services that do not read it from `Authorization`.
    pub const fn secret_in_body(mut self) -> Self {
        self.secret_in_body = true;
        self
    }

    /// Sends browsers back to `/{actor}/services/{name}/callback` rather than to `/oauth/services/callback`. Only for
    /// services that accept any URL below a registered one, as GitHub does; others know one URL for all actors.
    pub const fn callback_per_actor(mut self) -> Self {
        self.callback_per_actor = true;
        self
    }

    /// Its name in URLs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people call it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.display_name
    }

    /// The base URL of its API, if it has one.
    #[must_use]
    pub fn api_url(&self) -> Option<&str> {
        self.api_url.as_deref()
    }

    /// What is asked for.
    #[must_use]
    pub fn wanted_scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether browsers come back to a path of the actor's own.
    #[must_use]
    pub const fn comes_back_per_actor(&self) -> bool {
        self.callback_per_actor
    }

    /// What is wrong with it, if anything is: for whoever registers it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !self.name.bytes().all(plain) {
            return Some(format!("a name is 1 to {MAX_NAME_BYTES} lower case letters, digits, `_` and `-`"));
        }
        let revocation = match &self.revocation {
            Revocation::None => None,
            Revocation::Standard(url) | Revocation::Bearer(url) | Revocation::GitHub(url) => Some(url.as_str()),
        };
        let urls = [Some(self.authorization_url.as_str()), Some(self.token_url.as_str()), self.api_url(), revocation];
        urls.into_iter().flatten().find(|text| !is_web(text)).map(|text| format!("`{text}` is no https URL"))
    }

    pub(crate) const fn authorization_url(&self) -> &String {
        &self.authorization_url
    }

    pub(crate) const fn token_url(&self) -> &String {
        &self.token_url
    }

    pub(crate) const fn how_to_revoke(&self) -> &Revocation {
        &self.revocation
    }

    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    pub(crate) const fn wants_secret_in_body(&self) -> bool {
        self.secret_in_body
    }
}

/// http is for development: the guarded client lets it pass only where the deployment says so.
fn is_web(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// The client that a service knows this deployment as.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceCredentials {
    /// Its id.
    pub client_id: String,
    /// Its secret; public clients have none.
    pub client_secret: Option<String>,
}

impl ServiceCredentials {
    /// Reads the variables below the prefix of providers: `(SERVICE_<NAME>_CLIENT_ID, value)` and
    /// `(SERVICE_<NAME>_CLIENT_SECRET, value)`; others are left alone. By the name of the service, in lower case. A service
    /// whose name has a `-` is meant by a `_`, too.
    ///
    /// # Errors
    /// The variable that is missing or unknown, and what to do.
    pub fn read<'a>(
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<BTreeMap<String, Self>, crate::SettingsError> {
        let mut found: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (variable, value) in variables {
            let Some(rest) = variable.strip_prefix(VARIABLES) else { continue };
            let split = FIELDS.iter().find_map(|field| Some((rest.strip_suffix(field)?.strip_suffix('_')?, *field)));
            let Some((name, field)) = split.filter(|(name, _)| !name.is_empty()) else {
                let reason = format!("is no setting of a service: there are _{}", FIELDS.join(", _"));
                return Err(crate::SettingsError { variable: variable.to_owned(), reason });
            };
            found.entry(name).or_default().insert(field, value);
        }
        let one = |(name, fields): (&str, BTreeMap<&str, &str>)| {
            let Some(client_id) = fields.get("CLIENT_ID") else {
                let variable = format!("{VARIABLES}{name}_CLIENT_ID");
                return Err(crate::SettingsError { variable, reason: "is not set".to_owned() });
            };
            let client_secret = fields.get("CLIENT_SECRET").map(|secret| (*secret).to_owned());
            Ok((name.to_ascii_lowercase(), Self { client_id: (*client_id).to_owned(), client_secret }))
        };
        found.into_iter().map(one).collect()
    }

    /// Those of a service, among all that were read.
    #[must_use]
    pub fn of<'a>(all: &'a BTreeMap<String, Self>, service: &str) -> Option<&'a Self> {
        all.get(&service.replace('-', "_"))
    }
}

/// Shows no secret.
impl fmt::Debug for ServiceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_services_are_right() {
        for service in [Service::github(), Service::gmail(), Service::dropbox(), Service::box_com()] {
            assert_eq!(service.problem(), None, "{}", service.name());
            assert!(service.api_url().is_some_and(|url| url.starts_with("https://")), "{}", service.name());
            assert_ne!(service.how_to_revoke(), &Revocation::None, "{}", service.name());
        }
    }

    #[test]
    fn what_is_wrong_with_a_service_is_told() {
        let service = |name: &str, url: &str| Service::new(name, url, "https://a.example/token");
        assert_eq!(service("crm-2_b", "https://a.example/authorize").problem(), None);
        for name in ["", "CRM", "a/b", "a#b", &"a".repeat(41)] {
            assert!(service(name, "https://a.example/authorize").problem().is_some(), "{name}");
        }
        for url in ["", "a.example", "javascript:alert(1)", "https://"] {
            assert!(service("crm", url).problem().is_some_and(|why| why.contains("no https URL")), "{url}");
        }
        assert!(service("crm", "https://a.example/").api("ftp://a.example").problem().is_some());
        assert!(service("crm", "https://a.example/").revocation("a").problem().is_some());
    }

    #[test]
    fn variables_name_the_service() {
        let read = |variables: &[(&'static str, &'static str)]| ServiceCredentials::read(variables.iter().copied());
        let found = read(&[
            ("GOOGLE_CLIENT_ID", "of a provider"),
            ("SERVICE_GITHUB_CLIENT_ID", "g"),
            ("SERVICE_GITHUB_CLIENT_SECRET", "s3cret"),
            ("SERVICE_OUR_CRM_CLIENT_ID", "c"),
        ])
        .unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["github", "our_crm"]);
        assert_eq!(ServiceCredentials::of(&found, "our-crm").unwrap().client_id, "c");
        assert_eq!(ServiceCredentials::of(&found, "github").unwrap().client_secret.as_deref(), Some("s3cret"));
        assert!(!format!("{found:?}").contains("s3cret"));
        for (variables, at_fault) in [
            (&[("SERVICE_GITHUB_CLIENT_SECRET", "s3cret")], "SERVICE_GITHUB_CLIENT_ID"),
            (&[("SERVICE_GITHUB_COLOUR", "s3cret")], "SERVICE_GITHUB_COLOUR"),
            (&[("SERVICE_CLIENT_ID", "s3cret")], "SERVICE_CLIENT_ID"),
        ] {
            let error = read(variables).unwrap_err();
            assert_eq!(error.variable, at_fault);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
