//! Subscriptions and changes: which change concerns which subscription, and in what shape it is told (spec 1.4,
//! "Subscriptions").

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How much a callback tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// The data itself.
    High,
    /// An address at which the data is read.
    Low,
    /// There are no callbacks; the subscriber polls.
    None,
}

impl Granularity {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
            Self::None => "none",
        }
    }

    /// Reads what stands on the wire; `None` for an unknown word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::High, Self::Low, Self::None].into_iter().find(|granularity| granularity.as_str() == text)
    }
}

/// The target that properties are subscribed to under.
pub const PROPERTIES: &str = "properties";

/// What a subscription or a change is about: a target (`properties`), a part of it (`notes`), a part of that
/// (`address/city`; below a property, a path of any depth).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// `properties`, `resources`, or whatever the application declares.
    pub target: String,
    /// The part of it; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtarget: Option<String>,
    /// The part of the subtarget; `None` means all. Never without a subtarget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

impl Scope {
    /// Everything under a target.
    #[must_use]
    pub fn target(target: impl Into<String>) -> Self {
        Self { target: target.into(), subtarget: None, resource: None }
    }

    /// One part of a target.
    #[must_use]
    pub fn subtarget(target: impl Into<String>, subtarget: impl Into<String>) -> Self {
        Self { target: target.into(), subtarget: Some(subtarget.into()), resource: None }
    }

    /// The path below the target; empty for all of it.
    #[must_use]
    pub fn path(&self) -> Vec<&str> {
        let resource = self.resource.iter().flat_map(|resource| resource.split('/'));
        self.subtarget.as_deref().into_iter().chain(resource).filter(|segment| !segment.is_empty()).collect()
    }

    /// Whether everything in `other` is in this scope too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.target == other.target && other.path().starts_with(&self.path())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)?;
        self.path().into_iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

/// A change that subscribers may be told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What changed.
    #[serde(flatten)]
    pub scope: Scope,
    /// The new data; `""` when it was deleted; for a list `{"list", "operation", "length", …}`.
    pub data: Value,
    /// Whether the data tells of an operation on a list; it has no parts then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_list: bool,
}

impl Change {
    /// A change of one part of the properties to `data`.
    #[must_use]
    pub fn property(name: impl Into<String>, data: Value) -> Self {
        Self::of(Scope::subtarget(PROPERTIES, name), data)
    }

    /// An operation on a list among the properties; `data` is `{"list", "operation", "length", …}`.
    #[must_use]
    pub fn list(name: impl Into<String>, data: Value) -> Self {
        Self { is_list: true, ..Self::property(name, data) }
    }

    /// A change of whatever `scope` names to `data`.
    #[must_use]
    pub const fn of(scope: Scope, data: Value) -> Self {
        Self { scope, data, is_list: false }
    }

    /// What a subscriber to `scope` is told of this change; `None` when it does not concern that scope.
    ///
    /// A change further down is wrapped (`{"notes": data}`); of a change further up, the part is told. Where the whole
    /// was deleted or replaced by something without the part, the part is gone: `""`.
    #[must_use]
    pub fn within(&self, scope: &Scope) -> Option<Value> {
        if self.scope.target != scope.target {
            return None;
        }
        let (changed, wanted) = (self.scope.path(), scope.path());
        if let Some(further_down) = changed.strip_prefix(wanted.as_slice()) {
            let wrap = |data, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), data)]));
            return Some(further_down.iter().rev().fold(self.data.clone(), wrap));
        }
        let part = wanted.strip_prefix(changed.as_slice())?;
        if self.is_list {
            // What is below an item is not subscribed to; that the whole list went, is told.
            return is_end_of_list(&self.data).then(deleted);
        }
        match part.iter().try_fold(&self.data, |data, key| data.as_object()?.get(*key)) {
            Some(data) => Some(data.clone()),
            // A change of the whole target names only the parts that changed.
            None if changed.is_empty() && self.data.is_object() && !mentions(&self.data, part) => None,
            None => Some(deleted()),
        }
    }
}

/// The data of a deletion.
#[must_use]
pub fn deleted() -> Value {
    Value::String(String::new())
}

fn is_end_of_list(data: &Value) -> bool {
    data.get("operation").and_then(Value::as_str) == Some("delete_all")
}

/// Whether received data looks like an operation on a list rather than like a value.
#[must_use]
pub fn is_list_change(data: &Value) -> bool {
    data.get("list").is_some_and(Value::is_string) && data.get("operation").is_some_and(Value::is_string)
}

fn mentions(data: &Value, part: &[&str]) -> bool {
    part.first().is_some_and(|first| data.get(*first).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(path: &[&str]) -> Scope {
        let resource = path.get(1..).filter(|rest| !rest.is_empty()).map(|rest| rest.join("/"));
        Scope { target: PROPERTIES.into(), subtarget: path.first().map(|&name| name.to_owned()), resource }
    }

    fn told(changed: &[&str], data: Value, wanted: &[&str]) -> Option<Value> {
        Change::of(scope(changed), data).within(&scope(wanted))
    }

    #[test]
    fn the_same_scope_is_told_as_it_is() {
        for path in [&[] as &[&str], &["cfg"], &["cfg", "x"]] {
            assert_eq!(told(path, json!({ "a": 1 }), path), Some(json!({ "a": 1 })));
            assert_eq!(told(path, deleted(), path), Some(json!("")), "a deletion is told too");
        }
    }

    #[test]
    fn a_wider_subscription_is_told_where_the_change_was() {
        assert_eq!(told(&["cfg"], json!(1), &[]), Some(json!({ "cfg": 1 })));
        assert_eq!(told(&["cfg", "x"], json!(1), &[]), Some(json!({ "cfg": { "x": 1 } })));
        assert_eq!(told(&["cfg", "x"], json!(1), &["cfg"]), Some(json!({ "x": 1 })));
        assert_eq!(told(&["cfg", "x/y"], deleted(), &["cfg"]), Some(json!({ "x": { "y": "" } })));
    }

    #[test]
    fn a_narrower_subscription_is_told_its_part() {
        assert_eq!(told(&[], json!({ "cfg": { "x": 1 } }), &["cfg"]), Some(json!({ "x": 1 })));
        assert_eq!(told(&["cfg"], json!({ "x": { "y": 2 } }), &["cfg", "x", "y"]), Some(json!(2)));
    }

    #[test]
    fn a_part_that_went_with_the_whole_is_gone() {
        assert_eq!(told(&["cfg"], deleted(), &["cfg", "x"]), Some(json!("")));
        assert_eq!(told(&["cfg"], json!({ "y": 1 }), &["cfg", "x"]), Some(json!("")));
        assert_eq!(told(&[], deleted(), &["cfg"]), Some(json!("")));
        assert_eq!(told(&[], json!({ "cfg": 1 }), &["cfg", "x"]), Some(json!("")));
    }

    #[test]
    fn what_does_not_concern_a_scope_is_not_told() {
        assert_eq!(told(&["cfg"], json!(1), &["notes"]), None);
        assert_eq!(told(&[], json!({ "notes": 1 }), &["cfg"]), None);
        assert_eq!(told(&["cfg", "x"], json!(1), &["cfg", "y"]), None);
        let list = |operation: &str| {
            let data = json!({ "list": "notes", "operation": operation, "length": 1 });
            Change::list("notes", data).within(&scope(&["notes", "0"]))
        };
        assert_eq!(list("append"), None);
        assert_eq!(list("delete_all"), Some(json!("")), "the list went with its items");
        assert_eq!(Change::property("a", json!(1)).within(&Scope::target("resources")), None);
    }

    #[test]
    fn a_scope_covers_what_lies_in_it() {
        assert!(scope(&[]).covers(&scope(&["a", "b"])));
        assert!(scope(&["a"]).covers(&scope(&["a"])));
        assert!(!scope(&["a", "b"]).covers(&scope(&["a"])));
        assert!(!scope(&["a"]).covers(&scope(&["ab"])));
        assert_eq!(scope(&["a", "b", "c"]).to_string(), "properties/a/b/c");
    }

    #[test]
    fn granularities_are_read_as_they_are_written() {
        for text in ["high", "low", "none"] {
            assert_eq!(Granularity::parse(text).map(Granularity::as_str), Some(text));
        }
        assert_eq!(Granularity::parse("bogus"), None);
    }
}
