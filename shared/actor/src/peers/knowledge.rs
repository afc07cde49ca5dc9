//! What peers say of themselves, and what they let this actor do: asked once, kept with its age.
//!
//! There are three copies per peer and one of what it granted, so their number is bounded by the relationships, and their
//! size by [`actingweb_store::MAX_FACT_BYTES`]. A copy counts for the relationship it was made in; when the peer changes
//! this actor's rights, what was fetched before is asked for again. A failed look-up leaves the copy that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actingweb_peer::{PeerAddress, PeerError, PeerReply};
use actingweb_protocol::Timestamp;
use actingweb_store::{Fact, FactRecord, GrantRecord, KnownPeer};
use futures_util::future::{join_all, try_join};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Peer, PeerCallError};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Stands for when a peer granted rights that it was asked for and never told of by itself.
const ASKED: Timestamp = Timestamp::from_millis(0);

/// Something known of a peer, and how old that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known<T> {
    /// What is known.
    pub value: T,
    /// When the peer said so.
    pub fetched_at: Timestamp,
    /// How long ago that is.
    #[serde(skip)]
    pub age: Duration,
    /// Why it is older than was asked for: the peer could not be asked again. `None` when it is young enough.
    #[serde(skip)]
    pub not_renewed: Option<PeerError>,
}

/// The properties that a peer's owner shows of itself, by name; those that this actor may not see, or that do not exist,
/// are missing.
pub type Profile = BTreeMap<String, Value>;

/// What can be called at a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Its methods.
    pub methods: Vec<Capability>,
    /// Its actions.
    pub actions: Vec<Capability>,
}

/// A method or an action of a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// Its name.
    pub name: String,
    /// What it does, for people and for models; may be empty.
    #[serde(default, deserialize_with = "or_empty")]
    pub description: String,
    /// JSON Schema of what it takes, if the peer says.
    #[serde(default)]
    pub input_schema: Option<Value>,
    /// JSON Schema of what it answers, if the peer says.
    #[serde(default)]
    pub output_schema: Option<Value>,
}

/// Which parts of the protocol a peer speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The protocol's version.
    pub version: String,
    /// The option tags.
    pub tags: BTreeSet<String>,
}

impl Options {
    /// Whether the peer says that it speaks this part, such as `callbackcompression`.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }
}

/// Everything known of a peer, each part by itself.
#[derive(Debug)]
pub struct About {
    /// What its owner shows of itself.
    pub profile: Result<Known<Profile>, PeerCallError>,
    /// What can be called there.
    pub capabilities: Result<Known<Capabilities>, PeerCallError>,
    /// Which parts of the protocol it speaks.
    pub options: Result<Known<Options>, PeerCallError>,
    /// What this actor may do there.
    pub permissions: Result<Known<Map<String, Value>>, PeerCallError>,
}

impl Peer {
    /// The same peer, about which nothing is taken from a copy: it is asked again.
    #[must_use]
    pub fn fresh(self) -> Self {
        self.within(Duration::ZERO)
    }

    /// The same peer, about which copies up to this old are good enough. If nothing is said, a day for the rights it
    /// granted and the parts of the protocol it speaks, an hour for the rest.
    #[must_use]
    pub const fn within(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// What the peer's owner shows of itself: the properties that the application calls a profile, `displayname`,
    /// `email` and `description` if it does not say.
    ///
    /// # Errors
    /// [`PeerCallError`], when there is no copy and the peer cannot be asked.
    pub async fn profile(&self) -> Result<Known<Profile>, PeerCallError> {
        self.profile_given(&self.known().await?).await
    }

    /// The peer's methods and actions that this actor may call.
    ///
    /// # Errors
    /// As [`Peer::profile`].
    pub async fn capabilities(&self) -> Result<Known<Capabilities>, PeerCallError> {
        self.capabilities_given(&self.known().await?).await
    }

    /// Which parts of the protocol the peer speaks. It is asked without the secret, as anybody may ask.
    ///
    /// # Errors
    /// As [`Peer::profile`].
    pub async fn options(&self) -> Result<Known<Options>, PeerCallError> {
        self.options_given(&self.known().await?).await
    }

    /// What this actor may do at the peer: an object of categories (`properties`, `methods`, ..), as the peer said when
    /// it last changed, or when it was asked. What the peer really lets pass is the peer's to decide.
    ///
    /// # Errors
    /// As [`Peer::profile`].
    pub async fn permissions(&self) -> Result<Known<Map<String, Value>>, PeerCallError> {
        self.permissions_given(&self.known().await?).await
    }

    /// All of it: one call to storage, then what is missing or too old is asked for at the same time.
    ///
    /// # Errors
    /// Storage errors. What the peer did not answer is an error of its own part.
    pub async fn about(&self) -> Result<About, PeerCallError> {
        let known = &self.known().await?;
        let (profile, capabilities, options, permissions) = futures_util::join!(
            Box::pin(self.profile_given(known)),
            Box::pin(self.capabilities_given(known)),
            Box::pin(self.options_given(known)),
            Box::pin(self.permissions_given(known)),
        );
        Ok(About { profile, capabilities, options, permissions })
    }

    async fn known(&self) -> Result<KnownPeer, PeerCallError> {
        let actor = &self.peers.actor;
        Ok(actor.store().known_peer(actor.id(), &self.trust.peer).await?)
    }

    async fn profile_given(&self, known: &KnownPeer) -> Result<Known<Profile>, PeerCallError> {
        self.fact(known, Fact::Profile, HOUR, async {
            let names = &self.peers.shared.profile;
            let asked = names.iter().map(|name| async move {
                match absent_is_none(self.get(&format!("properties/{name}")).await)? {
                    None => Ok(None),
                    Some(reply) => Ok::<_, PeerCallError>(Some((name.to_string(), json_or_text(&reply)))),
                }
            });
            let shown: Result<Vec<_>, _> = join_all(asked).await.into_iter().collect();
            Ok(shown?.into_iter().flatten().collect())
        })
        .await
    }

    async fn capabilities_given(&self, known: &KnownPeer) -> Result<Known<Capabilities>, PeerCallError> {
        self.fact(known, Fact::Capabilities, HOUR, async {
            let (methods, actions) = try_join(self.list("methods"), self.list("actions")).await?;
            Ok(Capabilities { methods, actions })
        })
        .await
    }

    /// The list below `methods` or `actions`: `{"methods": [..]}`. A peer that has none may not have the path either.
    async fn list(&self, group: &str) -> Result<Vec<Capability>, PeerCallError> {
        let Some(reply) = absent_is_none(self.request(Method::GET, group, None).await)? else { return Ok(Vec::new()) };
        let mut lists: BTreeMap<String, Value> = reply.json()?;
        let list = lists.remove(group).unwrap_or_default();
        Ok(Vec::deserialize(list).map_err(|_| unexpected(&format!("`{group}` is no list of methods or actions")))?)
    }

    async fn options_given(&self, known: &KnownPeer) -> Result<Known<Options>, PeerCallError> {
        self.fact(known, Fact::Options, DAY, async {
            let address = &PeerAddress::new(self.base_uri()).map_err(PeerError::from)?;
            let ask = |path: &'static str| {
                let client = self.peers.client();
                async move {
                    let reply = Box::pin(client.get(address, path).send()).await?;
                    Ok::<_, PeerCallError>(String::from_utf8_lossy(reply.body()).trim().trim_matches('"').to_owned())
                }
            };
            let (tags, version) = try_join(ask("meta/actingweb/supported"), ask("meta/actingweb/version")).await?;
            let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
            Ok(Options { version, tags })
        })
        .await
    }

    async fn permissions_given(&self, known: &KnownPeer) -> Result<Known<Map<String, Value>>, PeerCallError> {
        let copy = known.grant.as_ref().zip(known.granted_at).and_then(|(grant, at)| {
            let value = serde_json::from_str(&grant.permissions).ok()?;
            (at >= self.trust.created_at).then(|| self.aged(value, at))
        });
        let copy = match copy {
            Some(copy) if copy.age < self.max_age.unwrap_or(DAY) => return Ok(copy),
            copy => copy,
        };
        let (actor, now) = (&self.peers.actor, self.peers.now());
        match self.ask_permissions().await {
            Ok(permissions) => {
                // The next the peer says by itself counts, whatever its clock says.
                let at = known.grant.as_ref().map_or(ASKED, |grant| grant.at);
                let text = Value::Object(permissions.clone()).to_string();
                let grant = GrantRecord { peer: self.trust.peer.clone(), permissions: text, at };
                if let Err(error) = actor.store().put_grant(actor.id(), &grant).await {
                    tracing::warn!(actor = %actor.id(), %error, "the rights a peer granted could not be kept");
                }
                Ok(self.aged(permissions, now))
            }
            Err(error) => or_copy(copy, error),
        }
    }

    async fn ask_permissions(&self) -> Result<Map<String, Value>, PeerCallError> {
        let path = format!("permissions/{}", self.peers.actor.id());
        let mut reply: Map<String, Value> = self.request(Method::GET, &path, None).await?.json()?;
        match reply.remove("permissions") {
            Some(Value::Object(permissions)) => Ok(permissions),
            _ => Err(unexpected("it has no object `permissions`").into()),
        }
    }

    /// The copy of a fact, if it is young enough; else what the peer says now; else the copy all the same.
    async fn fact<T: Serialize + DeserializeOwned>(
        &self,
        known: &KnownPeer,
        fact: Fact,
        max_age: Duration,
        ask: impl Future<Output = Result<T, PeerCallError>>,
    ) -> Result<Known<T>, PeerCallError> {
        let since = self.trust.created_at;
        let record = known.facts.iter().find(|record| record.fact == fact && record.trust_since == since);
        let copy = record.and_then(|record| {
            let value = T::deserialize(&record.value).ok()?;
            Some(self.aged(value, record.fetched_at))
        });
        // What the peer shows may have changed with this actor's rights, when it told of them by itself.
        let told = known.granted_at.filter(|_| known.grant.as_ref().is_some_and(|grant| grant.at > ASKED));
        let is_current = |copy: &Known<T>| fact == Fact::Options || told.is_none_or(|told| told < copy.fetched_at);
        let copy = match copy {
            Some(copy) if copy.age < self.max_age.unwrap_or(max_age) && is_current(&copy) => return Ok(copy),
            copy => copy,
        };
        let fetched_at = self.peers.now();
        match ask.await {
            Ok(value) => {
                let stored = serde_json::to_value(&value).unwrap_or_default();
                let record = FactRecord { fact, value: stored, fetched_at, trust_since: since };
                let actor = &self.peers.actor;
                if let Err(error) = actor.store().put_fact(actor.id(), &self.trust.peer, &record).await {
                    tracing::warn!(actor = %actor.id(), ?fact, %error, "what a peer said could not be kept");
                }
                Ok(self.aged(value, fetched_at))
            }
            Err(error) => or_copy(copy, error),
        }
    }

    fn aged<T>(&self, value: T, fetched_at: Timestamp) -> Known<T> {
        let millis = self.peers.now().as_millis().saturating_sub(fetched_at.as_millis());
        let age = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
        Known { value, fetched_at, age, not_renewed: None }
    }
}

/// The copy that there is, with the reason why it is not renewed.
fn or_copy<T>(copy: Option<Known<T>>, error: PeerCallError) -> Result<Known<T>, PeerCallError> {
    match (copy, error) {
        (Some(copy), PeerCallError::Call(error)) => Ok(Known { not_renewed: Some(error), ..copy }),
        (_, error) => Err(error),
    }
}

/// What is not there, and what this actor may not see, is no failure.
fn absent_is_none(reply: Result<PeerReply, PeerCallError>) -> Result<Option<PeerReply>, PeerCallError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(PeerCallError::Call(PeerError::Status { status, .. })) if matches!(status.as_u16(), 403 | 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A property's value: the specification has text as it is, everything else as JSON.
fn json_or_text(reply: &PeerReply) -> Value {
    let text = || Value::String(String::from_utf8_lossy(reply.body()).into_owned());
    reply.json().unwrap_or_else(|_| text())
}

fn unexpected(reason: &str) -> PeerError {
    PeerError::NotJson { reason: reason.to_owned() }
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
