//! `/{actor}/trust`: all relationships, and asking a peer for one.

use actingweb_actor::trusts::AskForTrust;
use actingweb_actor::{Caller, TrustError};
use actingweb_web::{Problem, Reply, json};
use http::StatusCode;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::{Request, events, view};

impl Request<'_> {
    /// An array of relationships, `[]` when there are none.
    pub(crate) async fn list(&self, relationship: Option<&str>) -> Reply {
        let param = |name: &str| self.incoming.param(name);
        let matches = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        let trusts = self.trusts.all(self.actor()).await?;
        let wanted = trusts.iter().filter(|trust| {
            matches(relationship, &trust.relationship)
                && matches(param("relationship"), &trust.relationship)
                && matches(param("type"), &trust.kind)
                && matches(param("peerid"), trust.peer.as_str())
        });
        let shown = wanted.map(|trust| view::show(&self.trusts, self.actor().id(), trust, self.shows_secrets()));
        let shown = shown.collect::<Result<Vec<Value>, _>>()?;
        Ok(view::private(json(StatusCode::OK, &shown)))
    }

    /// An administrator that is a peer itself has no use for what others share: with it, it could pass for them.
    pub(crate) const fn shows_secrets(&self) -> bool {
        matches!(self.caller(), Caller::Creator | Caller::Trustee)
    }

    /// Asks a peer for a relationship: 201 when it took the request, approved or not; 408 when it did not.
    pub(crate) async fn ask(&self) -> Reply {
        let fields = Fields::of(self.incoming)?;
        let url = fields.text("url")?.or_else(|| self.incoming.param("url").map(str::to_owned));
        let url = url.ok_or_else(|| Problem::bad_request("`url`, the peer's URL root, is missing"))?;
        let relationship = fields.text("relationship")?;
        let ask = AskForTrust {
            url,
            relationship: relationship.or_else(|| self.incoming.param("relationship").map(str::to_owned)),
            desc: fields.text("desc")?.unwrap_or_default(),
        };
        let asked = match self.trusts.ask(self.actor(), ask).await {
            Ok(asked) => asked,
            // What deployed clients expect of a peer that is out of reach or refuses.
            Err(TrustError::Peer(reason)) => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, reason)),
            Err(error) => return Err(error.into()),
        };
        events::tell(self.state, self.incoming, &self.admission, &asked, false).await;
        let actor = self.actor().id();
        let body = view::show(&self.trusts, actor, &asked.trust, self.shows_secrets())?;
        Ok(view::located(&self.trusts, StatusCode::CREATED, actor, &asked.trust, &body))
    }

    /// What a relationship is, if it is a registered type.
    pub(crate) fn describe(&self, relationship: &str) -> Reply {
        let types = self.state.hooks.policy().trust_types();
        let found = types.iter().find(|kind| kind.name == relationship);
        let kind = found.ok_or_else(|| Problem::not_found("this relationship is no registered type"))?;
        let permissions = self.state.hooks.policy().effective(relationship, None).to_json();
        Ok(json(
            StatusCode::OK,
            &json!({
                "name": kind.name,
                "display_name": kind.display_name,
                "description": kind.description,
                "permissions": permissions,
            }),
        ))
    }
}
