//! Sessions and grants, made without pages.

use actingweb_actor::grants::SessionKind;
use actingweb_actor::{Actor, Credentials, Presented};
use actingweb_protocol::{ActorId, Deadline};
use tokio::time::Instant;

use crate::{Owner, Site};

/// How long what is done here may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The actor itself, of a site in this process.
pub async fn actor_of(site: &Site, owner: &Owner) -> Actor {
    let id = ActorId::parse(&owner.id).expect("an actor's id");
    let from = Presented { credentials: &Credentials::None, address: None };
    let visit = site.state().actors.visit(&id, &from, &[], deadline()).await.expect("a visit");
    visit.expect("an actor").actor
}

/// A session of an actor's creator: the token.
pub async fn session_of(site: &Site, owner: &Owner) -> String {
    let actor = actor_of(site, owner).await;
    let issued = site.state().actors.grants().open_session(&actor, SessionKind::Tokens).await;
    issued.expect("a session").access_token
}

/// A session of an actor's creator that has ended: the token.
pub async fn ended_session_of(site: &Site, owner: &Owner) -> String {
    let token = session_of(site, owner).await;
    let id = ActorId::parse(&owner.id).expect("an actor's id");
    let store = site.state().actors.store();
    for mut grant in store.client_grants(&id, None).await.expect("grants") {
        if grant.client.is_of_users() && token.contains(grant.id.as_str()) {
            let tokens = grant.current.as_mut().expect("tokens");
            tokens.access_ends = grant.created_at;
            store.put_client_grant(&id, &grant).await.expect("a grant");
        }
    }
    token
}

/// Time enough.
pub fn deadline() -> Deadline {
    Deadline::after(Instant::now().into_std(), PATIENCE)
}
