//! Sites whose people sign in with identity providers, which stand-ins are.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::App;
use actingweb_peer::{Guard, HttpSettings, Limits, PeerClient};
use actingweb_protocol::Clock;
use actingweb_providers::{ProviderSettings, Providers};
use actingweb_runtime::SystemClock;
use actingweb_testkit::provider_standin::{CLIENT_ID, CLIENT_SECRET, Person, ProviderStandin};
use actingweb_web::AppState;
use serde_json::Value;

use crate::{Answer, Browser, Site};

/// A key as Apple gives developers one, made for these tests.
const APPLE_KEY: &str = "-----BEGIN PRIVATE KEY-----\\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQga7G/FgK1gQSzxLMM\\n\
hue765PbPlOIx9OtqWMmXtJ+iOuhRANCAATsrb+/xI4qS4nOwBCcT7GpdEa9h+VY\\n\
309xp+RNokJzlQVmyCjyine+b+CvxUpjQF8eyIBajQo8mxgxtsB5MgEo\\n\
-----END PRIVATE KEY-----";

/// A site and its providers: `house` and `club` (OpenID Connect), `github` and `apple`.
pub struct ProvidedSite {
    /// The site.
    pub site: Site,
    /// Ann signs in there, with the verified address `ann@example.org`.
    pub house: ProviderStandin,
    /// Somebody else signs in there, with the same address.
    pub club: ProviderStandin,
    /// User 7 of GitHub, with another address.
    pub github: ProviderStandin,
    /// Whoever Apple knows.
    pub apple: ProviderStandin,
}

impl ProvidedSite {
    /// An application in this process, at the system's time.
    pub async fn of(app: App) -> Self {
        Self::with_clock(app, Arc::new(SystemClock)).await
    }

    /// An application in this process, at a time of the test's own, which the providers share.
    pub async fn with_clock(app: App, clock: Arc<dyn Clock>) -> Self {
        Self::adjusted(app, clock, |_| {}).await
    }

    /// An application in this process whose requests have this long.
    pub async fn limited(app: App, time_limit: Duration) -> Self {
        Self::adjusted(app, Arc::new(SystemClock), |state| state.time_limit = time_limit).await
    }

    /// An application in this process, at a time of the test's own, whose state is changed before it is served.
    pub async fn adjusted(app: App, clock: Arc<dyn Clock>, adjust: impl FnOnce(&mut AppState)) -> Self {
        let standin = |subject: &str, email: &str| {
            ProviderStandin::start(Arc::clone(&clock), Person::new(subject, email)).expect("a stand-in")
        };
        let house = standin("ann-1", "Ann@Example.org");
        let club = standin("member-9", "ann@example.org");
        let (github, apple) = (standin("7", "octo@example.org"), standin("apple-1", "apple@example.org"));
        let variables = [
            ("HOUSE_ISSUER", house.url()),
            ("HOUSE_CLIENT_ID", CLIENT_ID),
            ("HOUSE_CLIENT_SECRET", CLIENT_SECRET),
            ("HOUSE_DISPLAY_NAME", "The House"),
            ("HOUSE_AUDIENCES", "the-native-app"),
            ("CLUB_ISSUER", club.url()),
            ("CLUB_CLIENT_ID", CLIENT_ID),
            ("CLUB_CLIENT_SECRET", CLIENT_SECRET),
            ("GITHUB_ISSUER", github.url()),
            ("GITHUB_CLIENT_ID", CLIENT_ID),
            ("GITHUB_CLIENT_SECRET", CLIENT_SECRET),
            ("APPLE_ISSUER", apple.url()),
            ("APPLE_CLIENT_ID", CLIENT_ID),
            ("APPLE_TEAM_ID", "TEAM"),
            ("APPLE_KEY_ID", "KEY"),
            ("APPLE_PRIVATE_KEY", APPLE_KEY),
        ];
        let settings = ProviderSettings::read(variables.into_iter()).expect("settings");
        let http =
            PeerClient::new(&HttpSettings::default(), Guard::Loopback, Limits::default()).expect("a guarded client");
        let providers = Providers::new(settings, &http, &clock);
        let site = Site::adjusted_with_clock(app, clock, |state| {
            state.providers = providers;
            adjust(state);
        })
        .await;
        Self { site, house, club, github, apple }
    }

    /// Sends a browser to a provider and back; gives what the callback answers.
    pub async fn sign_in(&self, browser: &Browser, provider: &str) -> Answer {
        let url = self.callback_of(browser, &format!("/oauth/login/{provider}")).await;
        browser.open(&url).await
    }

    /// Sends a browser to a provider, and gives the address that it sends it back to.
    pub async fn callback_of(&self, browser: &Browser, start: &str) -> String {
        let away = browser.open(start).await.expect(303);
        let back = browser.open(away.header("location")).await.expect(303);
        let location = back.header("location").to_owned();
        assert!(location.starts_with(&self.site.url("/oauth/callback?")), "{location}");
        location
    }

    /// Whose actor the browser is signed in to, by its id.
    pub async fn whose(&self, browser: &Browser) -> Option<String> {
        let page = browser.open("/oauth/login").await.expect(200);
        let (_, rest) = page.body.split_once(&format!("<code>{}/", self.site.url("")))?;
        rest.split('<').next().map(str::to_owned)
    }

    /// The items of the table whose sort key is this, or begins with it if it ends in `#`.
    pub async fn rows(&self, sort_key: &str) -> Vec<Value> {
        let fits = |row: &Value| {
            let sk = row["sk"].as_str().unwrap_or_default();
            if sort_key.ends_with('#') { sk.starts_with(sort_key) } else { sk == sort_key }
        };
        self.site.table().await.into_iter().filter(fits).collect()
    }

    /// The actors there are.
    pub async fn actors(&self) -> usize {
        self.rows("ACTOR").await.iter().filter(|row| row.get("deleted_at").is_none()).count()
    }
}
