//! `/{actor}/trust/{relationship}/{peer}/permissions`: how a peer's rights differ from its type's; and
//! `/{actor}/permissions/{peer}`: the rights a peer has, for itself.

use actingweb_actor::TrustRecord;
use actingweb_web::{Problem, Reply, Verb, json, no_content};
use axum::response::IntoResponse as _;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Request;
use crate::fields::Fields;
use crate::one::own_permissions;

const OVERRIDE: &str = "custom_override";
const DEFAULTS: &str = "trust_type_default";

impl Request<'_> {
    pub(crate) async fn permissions(&self, relationship: &str) -> Reply {
        let trust = self.found(relationship)?;
        match self.incoming.verb {
            Verb::Get => self.show_permissions(&trust),
            Verb::Put => {
                let body = Value::Object(Fields::of(self.incoming)?.into_json());
                let is_new = self.trusts.put_permissions(self.actor(), trust, &body).await?;
                Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK }.into_response())
            }
            _ => {
                self.trusts.delete_permissions(self.actor(), trust).await?;
                Ok(no_content())
            }
        }
    }

    /// The override as it is, or the type's rights; `permissions` is what is in effect.
    fn show_permissions(&self, trust: &TrustRecord) -> Reply {
        let effective = self.trusts.effective(trust)?;
        let mut shown = match own_permissions(trust.permissions.as_deref()) {
            Value::Object(record) => {
                let mut shown = record;
                shown.insert("is_custom".to_owned(), json!(true));
                shown.insert("source".to_owned(), json!(OVERRIDE));
                shown
            }
            _ => {
                let mut shown = match &effective {
                    Value::Object(categories) => categories.clone(),
                    _ => Map::new(),
                };
                let types = self.state.hooks.policy().trust_types();
                let name = types.iter().find(|kind| kind.name == trust.relationship).map(|kind| kind.display_name);
                let name = name.unwrap_or(&trust.relationship);
                shown.insert("created_by".to_owned(), json!("system"));
                shown.insert("updated_at".to_owned(), Value::Null);
                shown.insert("notes".to_owned(), json!(format!("Default permissions for {name}")));
                shown.insert("is_custom".to_owned(), json!(false));
                shown.insert("source".to_owned(), json!(DEFAULTS));
                shown
            }
        };
        shown.insert("actor_id".to_owned(), json!(self.actor().id()));
        shown.insert("peer_id".to_owned(), json!(trust.peer));
        shown.insert("trust_type".to_owned(), json!(trust.relationship));
        shown.insert("permissions".to_owned(), effective);
        Ok(json(StatusCode::OK, &shown))
    }

    /// The rights a peer has, whole.
    pub(crate) fn granted(&self) -> Reply {
        let trust = self.admission.trust.as_ref();
        let trust = trust.ok_or_else(|| Problem::not_found("there is no relationship with this peer"))?;
        let source = if trust.permissions.is_some() { OVERRIDE } else { DEFAULTS };
        Ok(json(
            StatusCode::OK,
            &json!({
                "actor_id": self.actor().id(),
                "peer_id": trust.peer,
                "permissions": self.trusts.effective(trust)?,
                "source": source,
                "trust_type": trust.relationship,
            }),
        ))
    }
}
