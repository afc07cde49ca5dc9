//! How a relationship comes about: this side asks a peer, or a peer asks this side.

use std::time::Duration;

use actingweb_peer::{PeerAddress, PeerError, PeerReply, Secret};
use actingweb_protocol::oauth::ClientKey;
use actingweb_protocol::retry::Backoff;
use actingweb_protocol::{Deadline, PeerId};
use actingweb_store::{Breaker, PENDING_FOR, PendingTrusts, TrustOutcome, TrustRecord};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{MAX_PENDING, TrustError, TrustStep, Trusted, Trusts, check_secret, check_text, failed};
use crate::Actor;

/// How long a peer may take to say who it is.
const MEETING: Duration = Duration::from_secs(10);

/// How long a peer's URL root may take to confirm a request. The peer itself is waiting for the answer to it; the Python
/// library does for ten seconds.
const CONFIRMATION: Duration = Duration::from_secs(6);

/// How often a peer is looked for that cannot be reached.
const TRIES: u32 = 3;

/// How long to wait before it is looked for again.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(300), cap: Duration::from_secs(1) };

/// How long the caller of a full actor should wait at most: its owner may answer at any time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How often a write is tried again that others came before.
const ROUNDS: usize = 5;

/// What this side asks a peer for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskForTrust {
    /// The peer's URL root.
    pub url: String,
    /// The relationship; the default one if left out.
    pub relationship: Option<String>,
    /// What it is for, for people.
    pub desc: String,
}

/// What a peer asks for, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustRequest {
    /// The relationship.
    pub relationship: String,
    /// The peer's URL root.
    pub base_uri: String,
    /// The peer's id.
    pub id: String,
    /// The peer's type.
    pub kind: String,
    /// The secret that both sides will use; one is made if it is empty.
    pub secret: String,
    /// What it is for, for people.
    pub desc: String,
    /// What the peer will prove itself with when it is asked at its URL root.
    pub verify: String,
}

impl Trusts {
    /// Asks a peer for a relationship. Its own row is written before, so that the peer can verify it; asking again makes
    /// a new secret, and approval of the peer's side begins anew. When the peer does not take the request, everything is
    /// as it was.
    ///
    /// # Errors
    /// [`TrustError::Peer`] when the peer is out of reach or refuses.
    pub async fn ask(&self, actor: &Actor, ask: AskForTrust) -> Result<Trusted, TrustError> {
        let rules = self.rules();
        let relationship = ask.relationship.filter(|name| !name.is_empty());
        let relationship = relationship.unwrap_or_else(|| rules.default_relationship.clone());
        self.check_relationship(&relationship)?;
        check_text("desc", &ask.desc)?;
        let (address, base_uri) = self.check_base("url", &ask.url)?;
        let (peer, kind) = self.meet(&address).await?;
        if peer.as_str() == actor.id().as_str() {
            return Err(TrustError::Invalid("`url` is this actor itself".to_owned()));
        }

        let secret = self.fresh();
        let (sealed, secret_hash) = self.seal(actor.id(), &peer, &secret)?;
        let wanted = TrustRecord {
            base_uri,
            kind,
            agreed: relationship.clone(),
            relationship,
            desc: ask.desc,
            approved: true,
            peer_approved: false,
            verified: true,
            verification_token: self.fresh(),
            secret: sealed,
            secret_hash,
            next: None,
            established_via: "trust".to_owned(),
            created_at: self.shared.clock.now(),
            permissions: None,
            initiated: true,
            expires: None,
            breaker: Breaker::default(),
            client: None,
            version: String::new(),
            peer,
        };
        let (before, asked) = self.put_asked(actor, wanted).await?;
        let body = json!({
            "baseuri": self.root_of(actor.id()),
            "id": actor.id(),
            "type": rules.actor_type,
            "secret": secret,
            "desc": asked.desc,
            "verify": asked.verification_token,
        });
        let path = format!("trust/{}", asked.relationship);
        // A peer that says what is wrong with a request may repeat it.
        let old_hash = before.as_ref().map(|before| before.secret_hash.clone());
        let hidden = [Secret::new(secret.as_str()), Secret::new(asked.verification_token.as_str())];
        match self.peers.post(&address, &path).json(&body).hiding(&hidden).send().await {
            Ok(reply) if reply.status() == StatusCode::CREATED => self.accepted(actor, asked, before, &reply).await,
            Ok(reply) if reply.status() == StatusCode::ACCEPTED => {
                Ok(Trusted { trust: asked, steps: vec![TrustStep::Initiated] })
            }
            Ok(reply) => {
                self.undo(actor, &asked, before, false).await?;
                let error = format!("the peer answered {} where 201 or 202 is due", reply.status());
                self.unless_both_asked(actor, &asked, old_hash, TrustError::Peer(error)).await
            }
            Err(error) => {
                // Perhaps the peer has the request all the same.
                let unknown = matches!(error, PeerError::Interrupted { .. } | PeerError::TimedOut);
                self.undo(actor, &asked, before, unknown).await?;
                let error = failed("the peer did not take the request", &error);
                self.unless_both_asked(actor, &asked, old_hash, error).await
            }
        }
    }

    /// Writes what is asked for, and gives what was there before.
    async fn put_asked(
        &self,
        actor: &Actor,
        wanted: TrustRecord,
    ) -> Result<(Option<TrustRecord>, TrustRecord), TrustError> {
        let mut before = actor.store().trust(actor.id(), &wanted.peer).await?;
        for _ in 0..ROUNDS {
            if let Some(before) = before.as_ref().filter(|before| before.base_uri != wanted.base_uri) {
                // An id is what a server says it is. Whoever says that of another would get what that one subscribed to
                // and speak in its name.
                let place = &before.base_uri;
                return Err(TrustError::Conflict(format!(
                    "there is a relationship with a peer of the same id at {place}: end it first, or change its \
                     `baseuri` if the peer moved"
                )));
            }
            let mut record = wanted.clone();
            record.permissions = before.as_ref().and_then(|before| before.permissions.clone());
            match actor.store().put_trust(actor.id(), before.as_ref(), record, &[]).await? {
                TrustOutcome::Written(asked) => return Ok((before, *asked)),
                TrustOutcome::SecretTaken => break,
                TrustOutcome::Stale => before = actor.store().trust(actor.id(), &wanted.peer).await?,
            }
            // The peer asked in between, which is no reason not to ask; anything else is.
            if before.as_ref().is_some_and(|before| before.initiated) {
                break;
            }
        }
        Err(TrustError::Conflict("the relationship changed at the same time: try again".to_owned()))
    }

    /// Who answers at a URL: its id and its type.
    async fn meet(&self, address: &PeerAddress) -> Result<(PeerId, String), TrustError> {
        let unfit = |what: &str| TrustError::Peer(format!("the peer's /meta {what}"));
        let reply = self.meta_of(address).await.map_err(|error| failed("the peer could not be met", &error))?;
        let meta: Value = reply.json().map_err(|error| failed("the peer's /meta", &error))?;
        let field = |name: &str| meta.get(name).and_then(Value::as_str).unwrap_or_default();
        let peer = read_peer(field("id")).map_err(|error| unfit(&format!("has no usable `id`: {error}")))?;
        let kind = field("type");
        if kind.is_empty() || check_text("type", kind).is_err() {
            return Err(unfit("has no usable `type`"));
        }
        Ok((peer, kind.to_owned()))
    }

    async fn meta_of(&self, address: &PeerAddress) -> Result<PeerReply, PeerError> {
        let mut attempt = 0;
        let deadline = within(MEETING);
        loop {
            match self.peers.get(address, "meta").deadline(deadline).send().await {
                Err(PeerError::Unreachable { .. } | PeerError::Interrupted { .. }) if attempt + 1 < TRIES => {
                    tokio::time::sleep(BACKOFF.delay(attempt, &*self.shared.entropy)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// The peer approved at once. When it had asked, too, and its request is the one that counts, it answers with the
    /// secret of that one.
    async fn accepted(
        &self,
        actor: &Actor,
        asked: TrustRecord,
        undone: Option<TrustRecord>,
        reply: &PeerReply,
    ) -> Result<Trusted, TrustError> {
        let body = reply.json::<Value>().unwrap_or_default();
        let theirs = body.get("secret").and_then(Value::as_str).filter(|secret| check_secret(secret).is_ok());
        let theirs = match theirs.filter(|_| !prevails(actor, &asked.peer)) {
            Some(secret) => Some(self.seal(actor.id(), &asked.peer, secret)?),
            None => None,
        };
        let change = |seen: &TrustRecord| {
            let mut changed = TrustRecord { peer_approved: true, ..seen.clone() };
            // Unless the peer's own request came first.
            let ours = seen.secret_hash == asked.secret_hash;
            if let Some((sealed, hash)) = theirs.as_ref().filter(|(_, hash)| ours && *hash != seen.secret_hash) {
                changed.secret.clone_from(sealed);
                changed.secret_hash.clone_from(hash);
            }
            Ok((changed != *seen).then_some((changed, Vec::new())))
        };
        let (before, trust) = match self.update(actor, asked.clone(), change).await {
            Err(error @ TrustError::Forbidden(_)) => {
                self.undo(actor, &asked, undone, true).await?;
                return Err(error);
            }
            updated => updated?,
        };
        let mut steps = vec![TrustStep::Initiated];
        // The peer may have said so by itself in between, and hooks have heard of it then.
        if !before.peer_approved {
            steps.push(TrustStep::FullyApprovedRemote);
        }
        Ok(Trusted { trust, steps })
    }

    /// A request may fail only because the peer's own request came first and counts: then there is what was asked for.
    async fn unless_both_asked(
        &self,
        actor: &Actor,
        asked: &TrustRecord,
        old_hash: Option<String>,
        error: TrustError,
    ) -> Result<Trusted, TrustError> {
        let now = actor.store().trust(actor.id(), &asked.peer).await?;
        let agreed = |now: &TrustRecord| {
            now.initiated && now.approved && now.peer_approved && now.relationship == asked.relationship
        };
        match now.filter(|now| agreed(now) && Some(&now.secret_hash) != old_hash.as_ref()) {
            Some(trust) => Ok(Trusted { trust, steps: vec![TrustStep::Initiated] }),
            None => Err(error),
        }
    }

    /// Takes a request back that the peer did not take. A peer that perhaps has it is told to forget it.
    async fn undo(
        &self,
        actor: &Actor,
        asked: &TrustRecord,
        before: Option<TrustRecord>,
        unknown: bool,
    ) -> Result<(), TrustError> {
        let store = actor.store();
        let undone = match before {
            Some(before) => {
                let outcome = store.put_trust(actor.id(), Some(asked), before, &[]).await?;
                matches!(outcome, TrustOutcome::Written(_))
            }
            None => {
                let notice = self.tell_end(actor.id(), asked).filter(|_| unknown);
                store.delete_trust(actor.id(), asked, notice.as_slice()).await?
            }
        };
        if !undone {
            tracing::warn!(actor = %actor.id(), peer = %asked.peer, "a request that failed was changed meanwhile: it stays");
        }
        Ok(())
    }

    /// Takes a peer's request for a relationship; anybody may make one. `seen` is the relationship there is with the peer
    /// it names.
    ///
    /// A relationship is never overwritten by somebody else: only a request from the stored URL root, proved by that
    /// root itself, begins it anew, unapproved. The default relationship is approved at once if the application says so
    /// and the peer is verified; any other waits for this side, for seven days.
    ///
    /// When this side has asked the peer for the same and was not answered, both want it: it is approved on both sides,
    /// with the secret of the one whose id is smaller (as text). The other learns it from that one's request or from the
    /// answer to its own, whichever comes first.
    ///
    /// # Errors
    /// [`TrustError::Forbidden`] for one that is not taken, [`TrustError::Full`] when too many wait.
    pub async fn receive(
        &self,
        actor: &Actor,
        request: TrustRequest,
        mut seen: Option<TrustRecord>,
    ) -> Result<Trusted, TrustError> {
        self.check_relationship(&request.relationship)?;
        let peer = read_peer(&request.id).map_err(|error| TrustError::Invalid(format!("`id`: {error}")))?;
        if peer.as_str() == actor.id().as_str() {
            return Err(TrustError::Invalid("`id` is this actor's own".to_owned()));
        }
        let (address, base_uri) = self.check_base("baseuri", &request.base_uri)?;
        for (name, text) in [("type", &request.kind), ("desc", &request.desc), ("verify", &request.verify)] {
            check_text(name, text)?;
        }
        let secret = match request.secret.as_str() {
            "" => self.fresh(),
            given => {
                check_secret(given)?;
                given.to_owned()
            }
        };
        self.check_room(actor, seen.as_ref(), &base_uri).await?;
        let token = request.verify.clone();
        let verified = !request.secret.is_empty()
            && !token.is_empty()
            && self.verify(actor, &address, &request.relationship, &secret, &token).await;
        let rules = self.rules();
        let approved = rules.auto_accept && verified && request.relationship == rules.default_relationship;
        let (sealed, secret_hash) = self.seal(actor.id(), &peer, &secret)?;
        let now = self.shared.clock.now();
        let wanted = TrustRecord {
            base_uri,
            kind: request.kind,
            agreed: request.relationship.clone(),
            relationship: request.relationship,
            desc: request.desc,
            approved,
            peer_approved: true,
            verified,
            verification_token: request.verify,
            secret: sealed,
            secret_hash,
            next: None,
            established_via: "trust".to_owned(),
            created_at: now,
            permissions: None,
            initiated: false,
            expires: (!approved).then(|| now.plus(PENDING_FOR)),
            breaker: Breaker::default(),
            client: None,
            version: String::new(),
            peer,
        };
        for _ in 0..ROUNDS {
            let mut record = wanted.clone();
            let mut approval = approved.then_some(TrustStep::FullyApprovedLocal);
            if let Some(seen) = &seen {
                if seen.base_uri != record.base_uri || !verified {
                    return Err(not_taken());
                }
                // What its owner took from it stays taken.
                record.permissions.clone_from(&seen.permissions);
                if seen.initiated && seen.approved && seen.relationship == record.relationship {
                    if seen.peer_approved && seen.secret_hash == record.secret_hash {
                        // Known from the answer to this side's own request.
                        return Ok(Trusted { trust: seen.clone(), steps: Vec::new() });
                    }
                    if !seen.peer_approved {
                        record = both_asked(actor, seen, record);
                        approval = Some(TrustStep::FullyApprovedRemote);
                    }
                }
            }
            match actor.store().put_trust(actor.id(), seen.as_ref(), record, &[]).await? {
                TrustOutcome::Written(trust) => {
                    if seen.is_none() && trust.expires.is_some() {
                        self.keep_room(actor, &trust).await?;
                    }
                    let steps = std::iter::once(TrustStep::RequestReceived).chain(approval).collect();
                    return Ok(Trusted { trust: *trust, steps });
                }
                TrustOutcome::SecretTaken => return Err(not_taken()),
                TrustOutcome::Stale => {
                    seen = actor.store().trust(actor.id(), &wanted.peer).await?;
                    // What came in between may be this side's own request, which the peer took in the place of its own.
                    if verified && !self.verify(actor, &address, &wanted.relationship, &secret, &token).await {
                        return Err(not_taken());
                    }
                }
            }
        }
        Err(TrustError::Conflict("the relationship kept changing at the same time: try again".to_owned()))
    }

    /// Nobody is called on behalf of a request that is refused anyway.
    async fn check_room(&self, actor: &Actor, seen: Option<&TrustRecord>, base_uri: &str) -> Result<(), TrustError> {
        match seen {
            Some(seen) if seen.base_uri == base_uri => Ok(()),
            Some(_) => Err(not_taken()),
            None => {
                let pending = actor.store().pending_trusts(actor.id()).await?;
                if pending.count < MAX_PENDING { Ok(()) } else { Err(self.full(&pending)) }
            }
        }
    }

    /// Takes a request back that came in at the same time as others, if together they are too many. Each looks after it
    /// was written, so that the last one at least sees all that stay.
    async fn keep_room(&self, actor: &Actor, written: &TrustRecord) -> Result<(), TrustError> {
        let pending = actor.store().pending_trusts(actor.id()).await?;
        // One that changed meanwhile was decided about: it waits no more.
        match pending.count > MAX_PENDING && actor.store().delete_trust(actor.id(), written, &[]).await? {
            true => Err(self.full(&pending)),
            false => Ok(()),
        }
    }

    fn full(&self, pending: &PendingTrusts) -> TrustError {
        let now = self.shared.clock.now().as_millis();
        let until = pending.first_expires.map_or(now, |first| first.as_millis());
        let wait = Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or_default());
        TrustError::Full { retry_after: wait.min(LONGEST_WAIT) }
    }

    /// Whether the peer's URL root knows this request: it answers, to the secret, with the token.
    async fn verify(
        &self,
        actor: &Actor,
        address: &PeerAddress,
        relationship: &str,
        secret: &str,
        token: &str,
    ) -> bool {
        let address = address.clone().with_secret(Secret::new(secret));
        let path = format!("trust/{relationship}/{}", actor.id());
        // Anything but a success is an error, whatever it says.
        let reply = self.peers.get(&address, &path).deadline(within(CONFIRMATION)).send().await;
        let reply = reply.and_then(|reply| reply.json::<Value>());
        match reply {
            Ok(trust) => ["verification_token", "verificationToken"]
                .into_iter()
                .any(|key| trust.get(key).and_then(Value::as_str) == Some(token)),
            Err(error) => {
                tracing::debug!(actor = %actor.id(), %error, "a peer that asks for trust could not be verified");
                false
            }
        }
    }
}

/// A peer's id, which stands in paths of its own where `desc` describes a relationship.
fn read_peer(id: &str) -> Result<PeerId, String> {
    match PeerId::parse(id) {
        Ok(_) if id == "desc" => Err("`desc` is no peer's id".to_owned()),
        // A user's consent makes the relationship with a client; nobody else may stand in its place.
        Ok(peer) if ClientKey::of_peer(&peer).is_some() => Err("this id belongs to a client of OAuth".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

/// Whether this actor's request counts when both ask at once.
fn prevails(actor: &Actor, peer: &PeerId) -> bool {
    actor.id().as_str() < peer.as_str()
}

/// What there is between two that ask each other: `ours` was not answered yet, `theirs` is proved.
fn both_asked(actor: &Actor, ours: &TrustRecord, theirs: TrustRecord) -> TrustRecord {
    match prevails(actor, &ours.peer) {
        true => TrustRecord { peer_approved: true, ..ours.clone() },
        false => TrustRecord { approved: true, initiated: true, expires: None, ..theirs },
    }
}

/// A deadline so much later than now.
fn within(span: Duration) -> Deadline {
    Deadline::after(Instant::now().into_std(), span)
}

/// One reason for all, so that it tells a stranger as little as it can.
fn not_taken() -> TrustError {
    let reason = "this request is not taken: a relationship that exists is begun anew only from its own URL root, which \
                  must prove it, with a secret of its own";
    TrustError::Forbidden(reason.to_owned())
}
