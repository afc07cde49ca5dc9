//! What a peer may be told: its rights as they are now, applied to changes.

use actingweb_protocol::permission::{Access, Caller, Category, Operation, PermissionOverride, Policy, Subtree, Verb};
use actingweb_protocol::subscription::{PROPERTIES, Scope};
use actingweb_store::{LogEntry, Told, TrustRecord};
use serde_json::{Map, Value};

/// A peer's rights by its trust as it stands; `None` while it is not approved, or when its rights cannot be read.
#[must_use]
pub fn access_of(policy: &Policy, trust: &TrustRecord) -> Option<Access> {
    if !trust.approved {
        return None;
    }
    let changed_by = trust.permissions.as_deref().map(|text| {
        let parsed = serde_json::from_str(text).map_err(|error| error.to_string());
        parsed.and_then(|value| PermissionOverride::parse(&value).map_err(|error| error.to_string()))
    });
    let changed_by = changed_by.transpose().inspect_err(|error| {
        tracing::error!(peer = %trust.peer, error, "the permissions of a trust cannot be read: it has none");
    });
    let caller = Caller::Peer { id: trust.peer.to_string(), relationship: trust.relationship.clone() };
    Some(policy.access(caller, changed_by.ok()?.as_ref()))
}

/// What somebody with these rights, subscribed to `scope`, is told of a change: the leaves that it may read. `None` when
/// the change does not concern the scope, or nothing is left.
///
/// Of properties it is told what it may read. What else is announced it is told if it may GET the path
/// `/{target}/{subtarget}/{resource}`: by its rights to methods, actions and resources, and for any other target by the
/// path rules.
#[must_use]
pub fn readable(access: &Access, scope: &Scope, entry: &LogEntry) -> Option<Told> {
    let told = entry.within(scope)?;
    let Told::Data(data) = told else {
        return may_read(access, scope).then_some(Told::Resync);
    };
    let data = match entry {
        LogEntry::Change(change) if change.is_list => {
            let list = change.scope.subtarget.as_deref().unwrap_or_default();
            access.check_list(list, Operation::Read).ok().map(|()| data)
        }
        _ if scope.target == PROPERTIES => readable_properties(access, scope, data),
        _ => {
            // The narrower of the two is what the data is about.
            let about = if scope.covers(entry.scope()) { entry.scope() } else { scope };
            match data {
                Value::Object(parts) if about.subtarget.is_none() && !parts.is_empty() => {
                    kept(parts, |part, value| may_read(access, &Scope::subtarget(&about.target, part)).then_some(value))
                }
                data => may_read(access, about).then_some(data),
            }
        }
    };
    data.map(Told::Data)
}

/// Whether any of what is in a scope may be read.
fn may_read(access: &Access, scope: &Scope) -> bool {
    if scope.target != PROPERTIES {
        return access.authorize(&scope.to_string(), Verb::Get).is_ok();
    }
    match scope.path().as_slice() {
        [] => access.check_any(Category::Properties, Operation::Read).is_ok(),
        path => access.subtree(&path.join("/"), Operation::Read) != Subtree::None,
    }
}

fn readable_properties(access: &Access, scope: &Scope, data: Value) -> Option<Value> {
    match (scope.path().as_slice(), data) {
        ([], Value::Object(properties)) => kept(properties, |name, value| leaves(access, &mut name.to_owned(), value)),
        // All of them were deleted.
        ([], data) => may_read(access, scope).then_some(data),
        (path, data) => leaves(access, &mut path.join("/"), data),
    }
}

/// As [`Access::filter_readable`], but that the end of what has readable parts is told.
fn leaves(access: &Access, path: &mut String, value: Value) -> Option<Value> {
    match (access.subtree(path, Operation::Read), value) {
        (Subtree::None, _) => None,
        (Subtree::All, value) => Some(value),
        (Subtree::Some, Value::String(deleted)) if deleted.is_empty() => Some(Value::String(deleted)),
        (Subtree::Some, Value::Object(members)) if !members.is_empty() => kept(members, |key, member| {
            let length = path.len();
            path.push('/');
            path.push_str(key);
            let member = leaves(access, path, member);
            path.truncate(length);
            member
        }),
        (Subtree::Some, leaf) => access.filter_readable(path, leaf),
    }
}

/// The members of which something is kept; `None` when there are none.
fn kept(members: Map<String, Value>, mut keep: impl FnMut(&str, Value) -> Option<Value>) -> Option<Value> {
    let kept: Map<String, Value> =
        members.into_iter().filter_map(|(key, value)| Some((key.clone(), keep(&key, value)?))).collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use actingweb_protocol::permission::{Rules, TrustDefinition};
    use actingweb_protocol::subscription::{Change, deleted};
    use serde_json::json;

    use super::*;

    fn access() -> Access {
        let definition = TrustDefinition::new("reader", "Reader", "Reads some")
            .grants(
                Category::Properties,
                Rules::patterns(&["notes", "public/*", "profile/*"], &[Operation::Read]).except(&["profile/private"]),
            )
            .grants(Category::Resources, Rules::patterns(&["report/*"], &[Operation::Read]))
            .path_rule("calendar", "GET", "a");
        let policy = Policy::builder().trust_type(definition).build().unwrap();
        policy.access(Caller::Peer { id: "p".into(), relationship: "reader".into() }, None)
    }

    fn scope(target: &str, path: &[&str]) -> Scope {
        let resource = path.get(1..).filter(|rest| !rest.is_empty()).map(|rest| rest.join("/"));
        Scope { target: target.into(), subtarget: path.first().map(|name| (*name).to_owned()), resource }
    }

    fn told(change: Change, wanted: &Scope) -> Option<Value> {
        match readable(&access(), wanted, &LogEntry::Change(change))? {
            Told::Data(data) => Some(data),
            Told::Resync => panic!("a change is told as one"),
        }
    }

    #[test]
    fn of_many_properties_those_are_told_that_may_be_read() {
        let all = Scope::target(PROPERTIES);
        let data =
            json!({ "secret": 1, "public": { "a": 1 }, "profile": { "name": "Ann", "private": 2 }, "other": {} });
        assert_eq!(
            told(Change::of(all.clone(), data), &all),
            Some(json!({ "public": { "a": 1 }, "profile": { "name": "Ann" } }))
        );
        assert_eq!(told(Change::property("secret", json!(1)), &all), None);
        assert_eq!(told(Change::of(all.clone(), deleted()), &all), Some(deleted()));
    }

    #[test]
    fn the_end_of_a_property_is_told_to_whoever_could_read_a_part() {
        let wanted = scope(PROPERTIES, &["public"]);
        assert_eq!(told(Change::property("public", deleted()), &wanted), Some(deleted()));
        assert_eq!(told(Change::property("public", json!(1)), &wanted), None, "the plain value is not granted");
        assert_eq!(told(Change::property("secret", deleted()), &scope(PROPERTIES, &["secret"])), None);
        let hidden = scope(PROPERTIES, &["profile", "private"]);
        assert_eq!(told(Change::property("profile", deleted()), &hidden), None);
    }

    #[test]
    fn operations_on_lists_are_told_to_readers_of_the_list() {
        let append = |name: &str| Change::list(name, json!({ "list": name, "operation": "append", "length": 1 }));
        let all = Scope::target(PROPERTIES);
        assert!(told(append("notes"), &all).is_some());
        assert!(told(append("diary"), &all).is_none());
        // A value that looks like an operation on a list is a value.
        let disguised = json!({ "list": "x", "operation": "append", "private": 1, "name": 2 });
        assert_eq!(
            told(Change::property("profile", disguised), &scope(PROPERTIES, &["profile"])),
            Some(json!({ "list": "x", "operation": "append", "name": 2 }))
        );
    }

    #[test]
    fn other_targets_follow_the_rights_to_their_paths() {
        let resource = Change::of(scope("resources", &["report", "1"]), json!("new"));
        assert_eq!(told(resource.clone(), &Scope::target("resources")), Some(json!({ "report": { "1": "new" } })));
        assert_eq!(told(resource, &scope("resources", &["report", "1"])), Some(json!("new")));
        let hidden = Change::of(scope("resources", &["payroll", "1"]), json!("new"));
        assert_eq!(told(hidden, &Scope::target("resources")), None);
        let calendar = Change::of(scope("calendar", &["monday"]), json!("dentist"));
        assert_eq!(told(calendar, &Scope::target("calendar")), Some(json!({ "monday": "dentist" })));
        assert_eq!(told(Change::of(Scope::target("diary"), json!(1)), &Scope::target("diary")), None);
    }

    #[test]
    fn a_resync_is_told_to_whoever_may_read_something() {
        let resync = LogEntry::Resync(Scope::target(PROPERTIES));
        assert_eq!(readable(&access(), &Scope::target(PROPERTIES), &resync), Some(Told::Resync));
        assert_eq!(readable(&access(), &scope(PROPERTIES, &["public"]), &resync), Some(Told::Resync));
        assert_eq!(readable(&access(), &scope(PROPERTIES, &["secret"]), &resync), None);
    }
}
