//! `/{actor}/trust/{relationship}/{peer}/shared_properties`: what the peer may read and subscribe to.

use actingweb_actor::Stored;
use actingweb_hooks::{Filtered, Op};
use actingweb_protocol::permission::{Operation, Subtree};
use actingweb_web::{Problem, Reply, json, not_allowed};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Request;

impl Request<'_> {
    /// The properties of which the peer may read something. Nothing tells of the others.
    pub(crate) async fn shared_properties(&self, peer: &str) -> Reply {
        if !self.is_peer(peer) {
            return Err(not_allowed());
        }
        let trust = self.admission.trust.as_ref();
        let trust = trust.ok_or_else(|| Problem::not_found("there is no such relationship"))?;
        let mut shared = Vec::new();
        for stored in self.actor().stored_properties().await? {
            let name = stored.name().to_string();
            let Some(count) = self.readable(&name, stored).await? else { continue };
            let mut entry = json!({
                "name": name,
                "display_name": title(&name),
                "operations": self.operations(&name),
            });
            if let (Some(count), Some(members)) = (count, entry.as_object_mut()) {
                members.insert("item_count".to_owned(), json!(count));
            }
            shared.push(entry);
        }
        Ok(json(
            StatusCode::OK,
            &json!({
                "actor_id": self.actor().id(),
                "peer_id": trust.peer,
                "relationship": trust.relationship,
                "shared_properties": shared,
                "excluded_properties": [],
            }),
        ))
    }

    /// Whether the peer would see anything of it, and how many items it has if it is a list.
    async fn readable(&self, name: &str, stored: Stored) -> Result<Option<Option<u64>>, Problem> {
        let access = &self.admission.access;
        match stored {
            Stored::List(list) => {
                let readable = access.check_list(name, Operation::Read).is_ok();
                Ok(readable.then_some(Some(list.length)))
            }
            Stored::Value(property) => {
                if access.subtree(name, Operation::Read) == Subtree::None {
                    return Ok(None);
                }
                let seen = match self.state.hooks.has_property_hooks(name) {
                    false => property.value,
                    true => match self.filtered(name, property.value).await? {
                        Filtered::Value(value) => value,
                        Filtered::Hidden => return Ok(None),
                    },
                };
                Ok(access.filter_readable(name, seen).map(|_| None))
            }
        }
    }

    async fn filtered(&self, name: &str, value: Value) -> Result<Filtered, Problem> {
        let invocation = self.incoming.invocation(&self.admission);
        let filtered = self.state.hooks.filter_property(&invocation, Op::Get, name, value, &[]);
        Ok(self.incoming.context.in_hook("property", name, filtered).await?)
    }

    /// Whoever may read may subscribe.
    fn operations(&self, name: &str) -> Vec<&'static str> {
        let may = |operation| self.admission.access.subtree(name, operation) != Subtree::None;
        let more = [Operation::Write, Operation::Delete].into_iter().filter(|operation| may(*operation));
        [Operation::Read, Operation::Subscribe].into_iter().chain(more).map(Operation::as_str).collect()
    }
}

/// `shopping_list` as `Shopping List`.
fn title(name: &str) -> String {
    let words = name.split(['_', '-', ' ']).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
    };
    words.map(capital).collect::<Vec<_>>().join(" ")
}
