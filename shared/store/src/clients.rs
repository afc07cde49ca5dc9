//! Clients of OAuth: programs that people let act for them. Each is one row of its own, which belongs to no actor: who
//! ends a relationship with a client ends it for nobody else.

use actingweb_protocol::oauth::ClientKey;
use actingweb_protocol::{ActorId, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::actors::actor_id;
use crate::due::{DueJob, DueWork};
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, Cancelled, refused};
use crate::transaction::Condition;
use crate::trusts::trust_key;
use crate::{Store, StoreError, TrustRecord, item, keys};

/// The most clients of one owner that are listed.
pub const MAX_OWNED_CLIENTS: usize = 100;

/// How a client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// It cannot keep a secret.
    None,
    /// In the Authorization header.
    SecretBasic,
    /// In the form.
    SecretPost,
}

impl ClientAuthMethod {
    const ALL: [Self; 3] = [Self::None, Self::SecretBasic, Self::SecretPost];

    /// Its name in `token_endpoint_auth_method` (RFC 7591).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A client, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Its key.
    pub key: ClientKey,
    /// What it calls itself by: its key, or the URL of its metadata document.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// How it proves itself.
    pub auth: ClientAuthMethod,
    /// SHA-256 of its secret, in hexadecimal digits, if it has one.
    pub secret_hash: Option<String>,
    /// What it may ask the token endpoint for, such as `authorization_code`.
    pub grant_types: Vec<String>,
    /// Whose it is, if an actor's owner made it.
    pub owner: Option<ActorId>,
    /// What it may do at its owner's actor, if an owner made it.
    pub trust_type: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it is forgotten.
    pub expires: Option<Timestamp>,
    /// What else it said of itself, as JSON text.
    pub metadata: Option<String>,
}

impl ClientRecord {
    /// What else it said of itself under this name, if that is a text.
    #[must_use]
    pub fn said(&self, name: &str) -> Option<String> {
        let metadata: serde_json::Value = serde_json::from_str(self.metadata.as_deref()?).ok()?;
        metadata.get(name)?.as_str().map(str::to_owned)
    }

    fn item(&self) -> Item {
        let mut row = item::new(&keys::client(&self.key), keys::CLIENT);
        let mut put = |name: &str, value: AttributeValue| row.insert(name.to_owned(), value);
        put("client_id", text(&self.id));
        put("name", text(&self.name));
        put("redirect_uris", texts(&self.redirect_uris));
        put("auth", text(self.auth.as_str()));
        put("grant_types", texts(&self.grant_types));
        put("created_at", number(self.created_at.as_millis()));
        let optional = [
            ("secret_hash", self.secret_hash.as_deref()),
            ("owned_by", self.owner.as_ref().map(ActorId::as_str)),
            ("trust_type", self.trust_type.as_deref()),
            ("metadata", self.metadata.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                put(name, text(value));
            }
        }
        if let Some(at) = self.expires {
            put("expires", number(at.as_secs()));
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let corrupt = |name: &str| row.corrupt(format!("`{name}` is not what this program writes"));
        let optional = |name: &str| Ok::<_, StoreError>(row.optional_text(name)?.map(str::to_owned));
        let key = row.text("pk")?.strip_prefix(keys::CLIENTS).ok_or_else(|| corrupt("pk"))?;
        Ok(Self {
            key: ClientKey::parse(key).map_err(|_| corrupt("pk"))?,
            id: row.text("client_id")?.to_owned(),
            name: row.text("name")?.to_owned(),
            redirect_uris: list(row, "redirect_uris")?,
            auth: ClientAuthMethod::parse(row.text("auth")?).ok_or_else(|| corrupt("auth"))?,
            secret_hash: optional("secret_hash")?,
            grant_types: list(row, "grant_types")?,
            owner: row.optional_text("owned_by")?.map(|_| actor_id(row, "owned_by")).transpose()?,
            trust_type: optional("trust_type")?,
            created_at: row.timestamp("created_at")?,
            expires: row.optional_number("expires")?.map(|secs| Timestamp::from_millis(secs.saturating_mul(1000))),
            metadata: optional("metadata")?,
        })
    }
}

/// Texts in their order, which a set has not.
fn texts(values: &[String]) -> AttributeValue {
    AttributeValue::L(values.iter().map(text).collect())
}

fn list(row: &Row<'_>, name: &str) -> Result<Vec<String>, StoreError> {
    let corrupt = || row.corrupt(format!("`{name}` is not a list of strings"));
    let Some(AttributeValue::L(values)) = row.0.get(name) else { return Err(corrupt()) };
    values.iter().map(|value| value.as_s().cloned().map_err(|_| corrupt())).collect()
}

impl Store {
    /// The client with this key, strongly consistent; `None` when there is none, or it was forgotten.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn client(&self, key: &ClientKey) -> Result<Option<ClientRecord>, StoreError> {
        let found = self.batch_get(vec![client_key(key)]).await?;
        Ok(self.live_clients(&found)?.into_iter().next())
    }

    fn live_clients(&self, items: &[Item]) -> Result<Vec<ClientRecord>, StoreError> {
        let mut live = Vec::with_capacity(items.len());
        for found in items {
            let row = Row::read(found)?;
            if !row.expired(self.now())? {
                live.push(ClientRecord::from_row(&row)?);
            }
        }
        Ok(live)
    }

    /// Registers a client. False when its key is taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register_client(&self, client: &ClientRecord) -> Result<bool, StoreError> {
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(client.item()))
            // The keys of registered clients are random: what is there under the same key and of the same time is ours,
            // of an attempt whose reply was lost.
            .condition_expression("attribute_not_exists(pk) OR expires <= :now OR created_at = :at")
            .expression_attribute_values(":now", number(self.now().as_secs()))
            .expression_attribute_values(":at", number(client.created_at.as_millis()));
        match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => Ok(true),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(_) => Ok(false),
                other => Err(refused("PutItem", other)),
            },
        }
    }

    /// Keeps what a client's metadata document said, in place of what it said before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_client(&self, client: &ClientRecord) -> Result<(), StoreError> {
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(client.item()));
        self.call("PutItem", || call.clone().send()).await.map(|_| ())
    }

    /// Makes a client of an actor's owner, together with the relationship that says what it may do there. False when the
    /// actor was deleted meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_owned_client(
        &self,
        owner: &ActorId,
        client: &ClientRecord,
        trust: TrustRecord,
    ) -> Result<bool, StoreError> {
        let owned = item::new(&keys::actor(owner), &keys::owned_client(&client.key));
        let also = vec![
            self.put_part(client.item(), Some(Condition::absent()))?,
            self.put_part(owned, Some(Condition::absent()))?,
        ];
        match self.write_trust(owner, None, trust, &[], also).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(at)) => Err(refused("TransactWriteItems", format!("the key of a new client is taken ({at})"))),
            Err(StoreError::Gone) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The clients that an actor's owner made, in the order of their keys: at most [`MAX_OWNED_CLIENTS`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owned_clients(&self, owner: &ActorId) -> Result<Vec<ClientRecord>, StoreError> {
        let mut wanted = Vec::new();
        let mut pages = self.pages(&keys::actor(owner), keys::OWNED, None);
        while let Some(items) = pages.next().await? {
            for found in &items {
                let row = Row::read(found)?;
                let key = keys::owned_client_key(row.text("sk")?);
                let key = key.ok_or_else(|| row.corrupt("its key names no client"))?;
                wanted.push(client_key(&key));
            }
        }
        wanted.truncate(MAX_OWNED_CLIENTS);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut clients = self.live_clients(&self.batch_get(wanted).await?)?;
        clients.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(clients)
    }

    /// Gives an owner's client another secret; the one before is worthless from here on. False when there is no such
    /// client of this owner.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_client_secret(
        &self,
        owner: &ActorId,
        key: &ClientKey,
        secret_hash: &str,
    ) -> Result<bool, StoreError> {
        let values = Item::from([(":hash".to_owned(), text(secret_hash))]);
        let own =
            Condition::new("owned_by = :owner AND attribute_exists(secret_hash)", [(":owner", text(owner.as_str()))]);
        let update = self.update_part(client_key(key), "SET secret_hash = :hash", values, Some(own))?;
        self.happens(vec![update]).await
    }

    /// Ends an owner's client: whatever it holds, at whichever actor, is worthless from here on, and so is its
    /// relationship with its owner's actor, whose remains are removed by a job. False when there is no such client of
    /// this owner.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_owned_client(&self, owner: &ActorId, key: &ClientKey) -> Result<bool, StoreError> {
        let own = Condition::new("owned_by = :owner", [(":owner", text(owner.as_str()))]);
        let now = self.now();
        let peer = key.peer();
        let work = DueWork::ForgetPeer { peer: peer.clone(), before: now };
        let writes = vec![
            self.delete_part(client_key(key), Some(own))?,
            self.delete_part(item::key(&keys::actor(owner), &keys::owned_client(key)), None)?,
            self.delete_part(trust_key(owner, &peer), None)?,
            self.put_part(DueJob::new(owner, now, &self.nonce(), work).item(), None)?,
        ];
        self.happens(writes).await
    }

    /// Whether the first of these writes found what it is conditional on; nothing is written otherwise.
    async fn happens(&self, writes: Vec<aws_sdk_dynamodb::types::TransactWriteItem>) -> Result<bool, StoreError> {
        match self.transact(writes).await? {
            Ok(()) => Ok(true),
            Err(Cancelled(reasons)) if reasons.first().is_some_and(|(code, _)| code == "ConditionalCheckFailed") => {
                Ok(false)
            }
            Err(Cancelled(reasons)) => Err(refused("TransactWriteItems", reasons)),
        }
    }
}

pub(crate) fn client_key(key: &ClientKey) -> Item {
    item::key(&keys::client(key), keys::CLIENT)
}
