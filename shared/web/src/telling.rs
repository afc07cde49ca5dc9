//! What the peer of a subscription is told: its diffs, as its rights and the application's hooks are now.
//!
//! Property hooks that hide or redact what is read do the same to what is told: they are asked when a diff is delivered
//! or polled, as for a GET by that peer. They see what changed, at its place: of a change below a property an object
//! that holds nothing else. Where a hook fails on such a part, nothing of it is told but that the peer should read for
//! itself.

use actingweb_actor::{Diff, LogEntry, SubscriptionRecord, Told, readable};
use actingweb_hooks::{Filtered, Invocation, Op};
use actingweb_protocol::nested;
use actingweb_protocol::permission::Access;
use actingweb_protocol::subscription::{Change, PROPERTIES, Scope, deleted};
use futures_util::future::join_all;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::AppState;

/// What stands in a path as it is (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Tells the peer of one subscription. `invocation` names the peer as the caller, or whoever reads in its place;
/// `access` are the same one's rights.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The service.
    pub state: &'a AppState,
    /// The actor, and who is told.
    pub invocation: &'a Invocation,
    /// What it may read now.
    pub access: &'a Access,
    /// The subscription.
    pub subscription: &'a SubscriptionRecord,
}

/// What hooks left of a change.
enum Shown {
    Entry(LogEntry),
    Hidden,
}

impl Telling<'_> {
    /// What a diff says. Where nothing of it may be read any more it is an empty object, so that its number has
    /// something to say; a change that is no longer kept is to be read again.
    pub async fn tell(&self, diff: &Diff) -> Told {
        let Some(change) = &diff.change else { return Told::Resync };
        let shown = match &change.entry {
            LogEntry::Change(change) if self.is_guarded(&change.scope) => self.shown(change).await,
            entry => Shown::Entry(entry.clone()),
        };
        let nothing = Told::Data(Value::Object(Map::new()));
        match shown {
            Shown::Entry(entry) => readable(self.access, &self.subscription.scope, &entry).unwrap_or(nothing),
            Shown::Hidden => nothing,
        }
    }

    /// The body of a callback: with the data, or with the address of the diff where `low` says so. What is to be read
    /// again comes with the address of all of it (spec 1.4, "Resync Callback").
    #[must_use]
    pub fn callback(&self, diff: &Diff, told: Told, low: bool) -> Value {
        let mut body = Map::new();
        let SubscriptionRecord { id, scope, granularity, .. } = self.subscription;
        body.insert("id".to_owned(), json!(self.actor_id()));
        body.insert("subscriptionid".to_owned(), json!(id));
        body.insert("target".to_owned(), json!(scope.target));
        body.extend(scope.subtarget.as_ref().map(|subtarget| ("subtarget".to_owned(), json!(subtarget))));
        body.extend(scope.resource.as_ref().map(|resource| ("resource".to_owned(), json!(resource))));
        body.insert("sequence".to_owned(), json!(diff.sequence));
        body.insert("timestamp".to_owned(), json!(diff.at.to_string()));
        body.insert("granularity".to_owned(), json!(granularity));
        match told {
            Told::Resync => self.ask_to_read(&mut body),
            Told::Data(_) if low => {
                body.insert("url".to_owned(), json!(self.diff_url(diff.sequence)));
            }
            Told::Data(data) => {
                body.insert("data".to_owned(), data);
            }
        }
        Value::Object(body)
    }

    /// The diff among others in the reply to a poll: `{"sequence", "timestamp", "data"}`.
    #[must_use]
    pub fn entry(&self, diff: &Diff, told: Told) -> Value {
        let mut entry = Map::new();
        entry.insert("sequence".to_owned(), json!(diff.sequence));
        entry.insert("timestamp".to_owned(), json!(diff.at.to_string()));
        match told {
            Told::Data(data) => {
                entry.insert("data".to_owned(), data);
            }
            Told::Resync => {
                // Readers that know no resync expect data.
                entry.insert("data".to_owned(), json!({}));
                self.ask_to_read(&mut entry);
            }
        }
        Value::Object(entry)
    }

    /// Where the subscription is read.
    #[must_use]
    pub fn url(&self) -> String {
        let SubscriptionRecord { peer, id, .. } = self.subscription;
        format!("{}/{}/subscriptions/{}/{}", self.state.base_url, self.actor_id(), encode(peer.as_str()), encode(id))
    }

    fn diff_url(&self, sequence: u64) -> String {
        format!("{}/{sequence}", self.url())
    }

    fn ask_to_read(&self, body: &mut Map<String, Value>) {
        let SubscriptionRecord { scope, .. } = self.subscription;
        let path: Vec<String> = scope.path().into_iter().map(|segment| format!("/{}", encode(segment))).collect();
        let url = format!("{}/{}/{}{}", self.state.base_url, self.actor_id(), encode(&scope.target), path.concat());
        body.insert("type".to_owned(), json!("resync"));
        body.insert("url".to_owned(), json!(url));
    }

    fn actor_id(&self) -> &str {
        self.invocation.actor.as_ref().map_or("", |actor| actor.id().as_str())
    }

    fn is_guarded(&self, scope: &Scope) -> bool {
        scope.target == PROPERTIES
            && match &scope.subtarget {
                Some(name) => self.state.hooks.has_property_hooks(name),
                None => self.state.hooks.guards_properties(),
            }
    }

    async fn shown(&self, change: &Change) -> Shown {
        let of = |data| Shown::Entry(LogEntry::Change(Change { data, ..change.clone() }));
        let again = |scope: &Scope| Shown::Entry(LogEntry::Resync(scope.clone()));
        let Some(name) = &change.scope.subtarget else {
            let Value::Object(properties) = &change.data else { return of(change.data.clone()) };
            let asked = properties.iter().map(|(name, value)| async move { (name, self.ask(name, value, &[]).await) });
            let mut kept = Map::new();
            for (name, asked) in join_all(asked).await {
                match asked {
                    Some(Filtered::Value(value)) => kept.extend([(name.clone(), value)]),
                    Some(Filtered::Hidden) => {}
                    None => return again(&change.scope),
                }
            }
            return if kept.is_empty() { Shown::Hidden } else { of(Value::Object(kept)) };
        };
        if change.is_list {
            return match self.items(name, &change.data).await {
                Some(Filtered::Value(data)) => of(data),
                Some(Filtered::Hidden) => Shown::Hidden,
                None => again(&change.scope),
            };
        }
        let path: Vec<String> = change.scope.path().into_iter().skip(1).map(str::to_owned).collect();
        let wrap = |data: Value, key: &String| Value::Object(Map::from_iter([(key.clone(), data)]));
        let whole = path.iter().rev().fold(change.data.clone(), wrap);
        match self.ask(name, &whole, &path).await {
            Some(Filtered::Hidden) => Shown::Hidden,
            None => again(&change.scope),
            // What has ended has no value that a hook could change.
            Some(Filtered::Value(_)) if change.data == deleted() => of(deleted()),
            Some(Filtered::Value(value)) => match nested::get(&value, &path) {
                Some(part) => of(part.clone()),
                None => Shown::Hidden,
            },
        }
    }

    /// What hooks leave of an operation on a list; `None` when one failed.
    async fn items(&self, name: &str, operation: &Value) -> Option<Filtered> {
        let mut operation = operation.as_object().cloned().unwrap_or_default();
        let index = operation.get("index").and_then(Value::as_u64).map(|index| index.to_string());
        let below: Vec<String> = index.into_iter().collect();
        let mut seen = false;
        for member in ["item", "old_item"] {
            let Some(item) = operation.get(member) else { continue };
            seen = true;
            match self.ask(name, item, &below).await? {
                Filtered::Value(item) => operation.insert(member.to_owned(), item),
                Filtered::Hidden => return Some(Filtered::Hidden),
            };
        }
        if !seen {
            let items = operation.get("items").cloned().unwrap_or_else(|| json!([]));
            match self.ask(name, &items, &[]).await? {
                Filtered::Value(items) if operation.contains_key("items") => {
                    operation.insert("items".to_owned(), items);
                }
                Filtered::Value(_) => {}
                Filtered::Hidden => return Some(Filtered::Hidden),
            }
        }
        Some(Filtered::Value(Value::Object(operation)))
    }

    /// Asks the hooks of a property as for a read; `None` when one failed, which is in the log.
    async fn ask(&self, name: &str, value: &Value, below: &[String]) -> Option<Filtered> {
        if !self.state.hooks.has_property_hooks(name) {
            return Some(Filtered::Value(value.clone()));
        }
        self.state.hooks.filter_property(self.invocation, Op::Get, name, value.clone(), below).await.ok()
    }
}

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, RESERVED).to_string()
}
