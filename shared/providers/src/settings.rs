//! What a deployment says of its providers.

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use crate::apple::AppleKey;
use crate::service::VARIABLES as SERVICES;

const GOOGLE: &str = "https://accounts.google.com";
const APPLE: &str = "https://appleid.apple.com";
const GITHUB: &str = "https://github.com";
/// The variables of a provider: what follows its name.
const FIELDS: [&str; 9] =
    ["CLIENT_ID", "CLIENT_SECRET", "ISSUER", "SCOPES", "DISPLAY_NAME", "AUDIENCES", "TEAM_ID", "KEY_ID", "PRIVATE_KEY"];

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect, found by the issuer's discovery document.
    Oidc,
    /// Apple: OpenID Connect with a signed client secret, and answers by a form.
    Apple,
    /// GitHub: OAuth alone; who somebody is, its API says.
    GitHub,
}

/// One provider, as a deployment set it up.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its name in URLs: lower case letters, digits and `-`.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// What people call it.
    pub display_name: String,
    /// This deployment's client id there.
    pub client_id: String,
    /// The client's secret; public clients have none, Apple's is signed anew each time.
    pub client_secret: Option<String>,
    /// The issuer. Of GitHub: where it is.
    pub issuer: Url,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Client ids of native apps whose id_tokens count, too.
    pub audiences: Vec<String>,
    pub(crate) apple: Option<AppleKey>,
}

/// A variable of a provider that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {reason}")]
pub struct SettingsError {
    /// The variable, after the common prefix.
    pub variable: String,
    /// What is wrong with it, and what to set.
    pub reason: String,
}

impl ProviderSettings {
    /// Reads the variables below one prefix: `(<PROVIDER>_CLIENT_ID, value)` and so on. Providers come in the order of
    /// their names. `GOOGLE`, `GITHUB` and `APPLE` are known; any other name needs an `_ISSUER`.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that is missing or wrong. It never holds a value.
    pub fn read<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Vec<Self>, SettingsError> {
        let mut found: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (variable, value) in variables.filter(|(variable, _)| !variable.starts_with(SERVICES)) {
            let split =
                FIELDS.iter().find_map(|field| Some((variable.strip_suffix(field)?.strip_suffix('_')?, *field)));
            let Some((name, field)) = split.filter(|(name, _)| !name.is_empty()) else {
                let reason = format!("is no setting of a provider: there are _{}", FIELDS.join(", _"));
                return Err(SettingsError { variable: variable.to_owned(), reason });
            };
            found.entry(name).or_default().insert(field, value);
        }
        found.into_iter().map(|(name, fields)| Self::one(name, &fields)).collect()
    }

    fn one(name: &str, fields: &BTreeMap<&str, &str>) -> Result<Self, SettingsError> {
        let wrong = |field: &str, reason: &str| SettingsError {
            variable: format!("{name}_{field}"),
            reason: reason.to_owned(),
        };
        let need = |field: &str| fields.get(field).copied().ok_or_else(|| wrong(field, "is not set"));
        if !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') || name.len() > 40 {
            return Err(wrong("CLIENT_ID", "has a provider's name that is not of capital letters, digits and `_`"));
        }
        let (kind, issuer, display, scopes) = match name {
            "GOOGLE" => (ProviderKind::Oidc, Some(GOOGLE), "Google", "openid email profile"),
            "APPLE" => (ProviderKind::Apple, Some(APPLE), "Apple", "openid name email"),
            "GITHUB" => (ProviderKind::GitHub, Some(GITHUB), "GitHub", "read:user user:email"),
            _ => (ProviderKind::Oidc, None, "", "openid email profile"),
        };
        let issuer = match (fields.get("ISSUER"), issuer) {
            (Some(text), _) => text,
            (None, Some(known)) => known,
            (None, None) => return Err(wrong("ISSUER", "is not set: set it to the provider's issuer URL")),
        };
        let issuer = Url::parse(issuer).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        let issuer = issuer.ok_or_else(|| wrong("ISSUER", "is no https URL"))?;
        let secret = fields.get("CLIENT_SECRET").map(|secret| (*secret).to_owned());
        let apple = match kind {
            ProviderKind::Apple => {
                let (team, key, pem) = (need("TEAM_ID")?, need("KEY_ID")?, need("PRIVATE_KEY")?);
                let reason = "is no key of Apple's: set it to the text of the .p8 file";
                Some(AppleKey::parse(team, key, pem).ok_or_else(|| wrong("PRIVATE_KEY", reason))?)
            }
            _ => None,
        };
        if kind == ProviderKind::GitHub && secret.is_none() {
            return Err(wrong("CLIENT_SECRET", "is not set"));
        }
        let words = |field, default: &str| -> Vec<String> {
            let text = fields.get(field).copied().unwrap_or(default);
            text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let plain = name.to_ascii_lowercase().replace('_', "-");
        let display = fields.get("DISPLAY_NAME").copied().unwrap_or(display);
        let display_name = if display.is_empty() { plain.clone() } else { display.to_owned() };
        Ok(Self {
            display_name,
            kind,
            client_id: need("CLIENT_ID")?.to_owned(),
            client_secret: secret,
            issuer,
            scopes: words("SCOPES", scopes),
            audiences: words("AUDIENCES", ""),
            apple,
            name: plain,
        })
    }
}

/// Shows no secret.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("issuer", &self.issuer.as_str())
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<ProviderSettings>, SettingsError> {
        ProviderSettings::read(variables.iter().copied())
    }

    #[test]
    fn known_providers_need_a_client_alone_and_others_an_issuer() {
        let found = read(&[
            ("GOOGLE_CLIENT_ID", "g"),
            ("GOOGLE_CLIENT_SECRET", "g-secret"),
            ("GOOGLE_AUDIENCES", "ios android"),
            ("OUR_OWN_CLIENT_ID", "o"),
            ("OUR_OWN_ISSUER", "https://id.example.com/realm"),
            ("OUR_OWN_SCOPES", "openid,email"),
            ("GITHUB_CLIENT_ID", "h"),
            ("GITHUB_CLIENT_SECRET", "h-secret"),
            ("SERVICE_BOX_CLIENT_ID", "not a provider"),
        ])
        .unwrap();
        let names: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.display_name.as_str(), p.kind)).collect();
        assert_eq!(
            names,
            [
                ("github", "GitHub", ProviderKind::GitHub),
                ("google", "Google", ProviderKind::Oidc),
                ("our-own", "our-own", ProviderKind::Oidc),
            ]
        );
        assert_eq!(found[1].issuer.as_str(), "https://accounts.google.com/");
        assert_eq!(found[1].audiences, ["ios", "android"]);
        assert_eq!(found[2].scopes, ["openid", "email"]);
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, at_fault) in [
            (&[("GOOGLE_CLIENT_SECRET", "s3cret")][..], "GOOGLE_CLIENT_ID"),
            (&[("OWN_CLIENT_ID", "o")], "OWN_ISSUER"),
            (&[("OWN_CLIENT_ID", "o"), ("OWN_ISSUER", "s3cret")], "OWN_ISSUER"),
            (&[("GITHUB_CLIENT_ID", "o")], "GITHUB_CLIENT_SECRET"),
            (&[("GOOGLE_COLOUR", "s3cret")], "GOOGLE_COLOUR"),
            (&[("APPLE_CLIENT_ID", "a"), ("APPLE_TEAM_ID", "t"), ("APPLE_KEY_ID", "k")], "APPLE_PRIVATE_KEY"),
            (
                &[
                    ("APPLE_CLIENT_ID", "a"),
                    ("APPLE_TEAM_ID", "t"),
                    ("APPLE_KEY_ID", "k"),
                    ("APPLE_PRIVATE_KEY", "s3cret"),
                ],
                "APPLE_PRIVATE_KEY",
            ),
        ] {
            let error = read(variables).unwrap_err();
            assert_eq!(error.variable, at_fault);
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        assert!(read(&[]).unwrap().is_empty());
    }
}
