//! What people granted: one row for each authorization of a client and each session of a user, with all its tokens. A
//! token names the row that decides about it; where the row is gone, so is whatever it granted.

use actingweb_protocol::oauth::{Audience, ClientKey, GrantId};
use actingweb_protocol::{ActorId, PeerId, Timestamp};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::clients::client_key;
use crate::item::{Item, Row, number, text};
use crate::store::{Attempt, key_of, refused};
use crate::transaction::Condition;
use crate::{Store, StoreError, TrustOutcome, TrustRecord, item, keys};

/// How a grant came about, and so what its tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// A user let a client act: access and refresh tokens.
    Client,
    /// A client acts for its own maker: access tokens alone.
    Credentials,
    /// A user signed in: session and refresh tokens.
    Session,
    /// A user signed in for a page that keeps its tokens in cookies: session and refresh tokens that count there alone.
    Page,
    /// A user signed in with a browser, whose cookie is the one token.
    Browser,
}

impl GrantKind {
    const ALL: [Self; 5] = [Self::Client, Self::Credentials, Self::Session, Self::Page, Self::Browser];

    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Credentials => "credentials",
            Self::Session => "session",
            Self::Page => "page",
            Self::Browser => "browser",
        }
    }
}

/// What an authorization code is exchanged on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedCode {
    /// SHA-256 of its secret, in hexadecimal digits.
    pub hash: String,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Whether it was exchanged.
    pub used: bool,
    /// Where it was sent, as the request named it.
    pub redirect_uri: String,
    /// The code challenge (S256).
    pub challenge: String,
}

/// The tokens of one generation, by the SHA-256 of their secrets in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedTokens {
    /// The access token, or that of the session.
    pub access: String,
    /// The refresh token, if there is one.
    pub refresh: Option<String>,
    /// Until when the access token is good.
    pub access_ends: Timestamp,
}

/// A grant, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGrant {
    /// Whom it is for.
    pub client: ClientKey,
    /// Which of that client's.
    pub id: GrantId,
    /// How it came about.
    pub kind: GrantKind,
    /// The client's id, as it calls itself; empty for sessions.
    pub client_id: String,
    /// The client's name when it was granted, for people.
    pub client_name: String,
    /// The relationship that it hangs on, by [`TrustedClient::instance`](crate::TrustedClient::instance): with another one
    /// in its place it is worthless. `None` for sessions.
    pub instance: Option<String>,
    /// What its tokens are good for.
    pub audience: Audience,
    /// The scope, as tokens answer it.
    pub scope: String,
    /// The code it began with, if it began with one.
    pub code: Option<GrantedCode>,
    /// The current generation of tokens: 0 until there are any.
    pub generation: u32,
    /// When the current generation began.
    pub rotated_at: Timestamp,
    /// The current tokens.
    pub current: Option<IssuedTokens>,
    /// Those before them.
    pub before: Option<IssuedTokens>,
    /// The key that the current tokens were made with.
    pub kid: String,
    /// What sets its tokens apart from any others.
    pub nonce: String,
    /// When it came about.
    pub created_at: Timestamp,
    /// When it ends, however often it is refreshed.
    pub ends: Timestamp,
    /// Changes with every write.
    pub version: String,
}

/// How a replacement of a grant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantOutcome {
    /// It is as it was to be.
    Written,
    /// It is something else by now: this, or nothing.
    Changed(Option<Box<ClientGrant>>),
}

/// How a user's consent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentOutcome {
    /// It stands, with this relationship.
    Written(Box<TrustRecord>),
    /// The relationship is not what was seen any more: nothing was written.
    Stale,
    /// The client is no longer registered: nothing was written.
    ClientGone,
}

impl ClientGrant {
    /// When it ends if nothing happens: an unused code ends it soon.
    fn expires(&self) -> Timestamp {
        match &self.code {
            Some(code) if !code.used => code.expires,
            _ => self.ends,
        }
    }

    fn item(&self, actor: &ActorId) -> Item {
        let mut row = item::new(&keys::actor(actor), &keys::authorization(&self.client, &self.id));
        let mut put = |name: &str, value: AttributeValue| row.insert(name.to_owned(), value);
        let texts = [
            ("kind", self.kind.as_str()),
            ("client_id", &self.client_id),
            ("client_name", &self.client_name),
            ("instance", self.instance.as_deref().unwrap_or_default()),
            ("audience", self.audience.as_str()),
            ("scope", &self.scope),
            ("kid", &self.kid),
            ("nonce", &self.nonce),
            ("version", &self.version),
        ];
        for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            put(name, text(value));
        }
        // Not called `generation`: by that attribute lists are known when a partition is swept.
        put("rotation", number(self.generation.into()));
        put("rotated_at", number(self.rotated_at.as_millis()));
        put("created_at", number(self.created_at.as_millis()));
        put("ends", number(self.ends.as_millis()));
        put("expires", number(self.expires().as_secs()));
        if let Some(code) = &self.code {
            put("code_hash", text(&code.hash));
            put("code_expires", number(code.expires.as_millis()));
            put("code_used", number(code.used.into()));
            put("redirect_uri", text(&code.redirect_uri));
            put("challenge", text(&code.challenge));
        }
        for (tokens, [access, refresh, ends]) in [
            (&self.current, ["access_hash", "refresh_hash", "access_ends"]),
            (&self.before, ["old_access_hash", "old_refresh_hash", "old_access_ends"]),
        ] {
            if let Some(tokens) = tokens {
                put(access, text(&tokens.access));
                put(ends, number(tokens.access_ends.as_millis()));
                if let Some(hash) = &tokens.refresh {
                    put(refresh, text(hash));
                }
            }
        }
        row
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let corrupt = |name: &str| row.corrupt(format!("`{name}` is not what this program writes"));
        let or_empty = |name: &str| Ok::<_, StoreError>(row.optional_text(name)?.unwrap_or_default().to_owned());
        let sort_key = row.text("sk")?;
        let (client, id) = keys::authorization_parts(sort_key).ok_or_else(|| corrupt("sk"))?;
        let kind = row.text("kind")?;
        let tokens = |[access, refresh, ends]: [&str; 3]| {
            let Some(access) = row.optional_text(access)? else { return Ok(None) };
            let refresh = row.optional_text(refresh)?.map(str::to_owned);
            let tokens = IssuedTokens { access: access.to_owned(), refresh, access_ends: row.timestamp(ends)? };
            Ok::<_, StoreError>(Some(tokens))
        };
        let code = match row.optional_text("code_hash")? {
            None => None,
            Some(hash) => Some(GrantedCode {
                hash: hash.to_owned(),
                expires: row.timestamp("code_expires")?,
                used: row.optional_number("code_used")? == Some(1),
                redirect_uri: row.text("redirect_uri")?.to_owned(),
                challenge: row.text("challenge")?.to_owned(),
            }),
        };
        let generation = row.optional_number("rotation")?.and_then(|number| u32::try_from(number).ok());
        Ok(Self {
            client,
            id,
            kind: GrantKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| corrupt("kind"))?,
            client_id: or_empty("client_id")?,
            client_name: or_empty("client_name")?,
            instance: row.optional_text("instance")?.map(str::to_owned),
            audience: Audience::from_word(row.text("audience")?).ok_or_else(|| corrupt("audience"))?,
            scope: or_empty("scope")?,
            code,
            generation: generation.ok_or_else(|| corrupt("rotation"))?,
            rotated_at: row.timestamp("rotated_at")?,
            current: tokens(["access_hash", "refresh_hash", "access_ends"])?,
            before: tokens(["old_access_hash", "old_refresh_hash", "old_access_ends"])?,
            kid: row.text("kid")?.to_owned(),
            nonce: row.text("nonce")?.to_owned(),
            created_at: row.timestamp("created_at")?,
            ends: row.timestamp("ends")?,
            version: row.text("version")?.to_owned(),
        })
    }
}

impl Store {
    /// Writes a user's consent: the relationship with the client, where what was seen still stands (nothing, for `None`),
    /// and a grant that hangs on it, while the client is registered, if it is one that registers. `keep_client` is until
    /// when it is remembered from here on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consent(
        &self,
        actor: &ActorId,
        (seen, trust): (Option<&TrustRecord>, TrustRecord),
        grant: &ClientGrant,
        keep_client: Option<Timestamp>,
    ) -> Result<ConsentOutcome, StoreError> {
        let mut also = vec![self.put_part(grant.item(actor), Some(Condition::absent()))?];
        if grant.client.is_registered() {
            let now = number(self.now().as_secs());
            let known = "attribute_exists(pk) AND (attribute_not_exists(expires) OR expires > :now)";
            let known = Condition::new(known, [(":now", now)]);
            also.push(match keep_client {
                Some(until) => {
                    let values = Item::from([(":until".to_owned(), number(until.as_secs()))]);
                    self.update_part(client_key(&grant.client), "SET expires = :until", values, Some(known))?
                }
                None => self.check_part(client_key(&grant.client), known)?,
            });
        }
        Ok(match self.write_trust(actor, seen, trust, &[], also).await? {
            Ok(TrustOutcome::Written(trust)) => ConsentOutcome::Written(trust),
            Ok(TrustOutcome::Stale) => ConsentOutcome::Stale,
            Ok(TrustOutcome::SecretTaken) => return Err(refused("TransactWriteItems", "a client has no secret here")),
            Err(1) => ConsentOutcome::ClientGone,
            Err(at) => return Err(refused("TransactWriteItems", format!("a new grant is there already ({at})"))),
        })
    }

    /// Writes a grant that is new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_client_grant(&self, actor: &ActorId, grant: &ClientGrant) -> Result<(), StoreError> {
        let call = self.inner.client.put_item().table_name(&self.inner.table).set_item(Some(grant.item(actor)));
        self.call("PutItem", || call.clone().send()).await.map(|_| ())
    }

    /// Puts a grant in place of one with the version `seen`. The new one's version must be fresh: by it, an attempt is
    /// told from others' whose reply was lost.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace_client_grant(
        &self,
        actor: &ActorId,
        seen: &str,
        grant: &ClientGrant,
    ) -> Result<GrantOutcome, StoreError> {
        let call = self
            .inner
            .client
            .put_item()
            .table_name(&self.inner.table)
            .set_item(Some(grant.item(actor)))
            .condition_expression("version = :seen")
            .expression_attribute_values(":seen", text(seen))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let there = match self.attempt("PutItem", || call.clone().send()).await? {
            Attempt::Done(_) => return Ok(GrantOutcome::Written),
            Attempt::Refused(error) => match *error {
                PutItemError::ConditionalCheckFailedException(failed) => failed.item,
                other => return Err(refused("PutItem", other)),
            },
        };
        let Some(there) = there.filter(|row| !row.is_empty()) else { return Ok(GrantOutcome::Changed(None)) };
        let there = ClientGrant::from_row(&Row::read(&there)?)?;
        if there.version == grant.version {
            return Ok(GrantOutcome::Written);
        }
        Ok(GrantOutcome::Changed(Some(Box::new(there))))
    }

    /// Ends a grant, with all its tokens, at once; one that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_client_grant(
        &self,
        actor: &ActorId,
        client: &ClientKey,
        id: &GrantId,
    ) -> Result<(), StoreError> {
        let call = self
            .inner
            .client
            .delete_item()
            .table_name(&self.inner.table)
            .set_key(Some(item::key(&keys::actor(actor), &keys::authorization(client, id))));
        self.call("DeleteItem", || call.clone().send()).await.map(|_| ())
    }

    /// The grants of an actor, or those of one client alone: sessions too, and codes that wait to be exchanged. Those whose
    /// relationship ended are among them until they are removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn client_grants(
        &self,
        actor: &ActorId,
        client: Option<&ClientKey>,
    ) -> Result<Vec<ClientGrant>, StoreError> {
        let prefix = client.map_or_else(|| keys::AUTHORIZATION.to_owned(), keys::authorizations);
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), &prefix, None);
        while let Some(items) = pages.next().await? {
            for item in &items {
                let row = Row::read(item)?;
                if !row.expired(self.now())? {
                    found.push(ClientGrant::from_row(&row)?);
                }
            }
        }
        Ok(found)
    }

    /// Removes what hangs on an earlier relationship with a client. What hangs on the one there is now stays: it is read
    /// after the grants, and a grant comes about together with its relationship.
    pub(crate) async fn forget_client(&self, actor: &ActorId, peer: &PeerId) -> Result<(), StoreError> {
        let Some(client) = ClientKey::of_peer(peer) else { return Ok(()) };
        let mut found = Vec::new();
        let mut pages = self.pages(&keys::actor(actor), &keys::authorizations(&client), Some("pk, sk, instance"));
        while let Some(items) = pages.next().await? {
            found.extend(items);
        }
        if found.is_empty() {
            return Ok(());
        }
        let now = self.trust(actor, peer).await?.and_then(|trust| trust.client).map(|client| client.instance);
        let dead = |row: &&Item| Row(row).optional_text("instance").ok().flatten() != now.as_deref();
        self.batch_delete(found.iter().filter(dead).filter_map(key_of).collect()).await
    }
}
