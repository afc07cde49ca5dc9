//! Changes that an application tells of itself, and times in which nothing is told.

use actingweb_protocol::subscription::{Change, PROPERTIES, Scope};
use serde_json::Value;

use crate::actor::parse;
use crate::{Actor, ActorError, limits};

/// The longest name of a target, in bytes.
const MAX_TARGET_BYTES: usize = 128;

/// The longest path of a subtarget and a resource, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// Checks what a change is announced in, or what somebody subscribes to: a target's name, a subtarget's, and a
/// resource's path.
///
/// # Errors
/// [`ActorError::Invalid`] naming what is wrong.
pub fn scope(target: &str, subtarget: Option<&str>, resource: Option<&str>) -> Result<Scope, ActorError> {
    let invalid = |what: &str| Err(ActorError::Invalid(what.to_owned()));
    let (subtarget, resource) = (some(subtarget), some(resource));
    let is_segment = |text: &str| !text.contains('/') && !text.chars().any(char::is_control);
    if target.is_empty() || target.len() > MAX_TARGET_BYTES || !is_segment(target) {
        return invalid("`target` must be a name of 1 to 128 bytes without `/`, such as `properties`");
    }
    let path = [subtarget, resource].into_iter().flatten();
    if path.map(str::len).sum::<usize>() > MAX_PATH_BYTES {
        return invalid("`subtarget` and `resource` together must not be longer than 1024 bytes");
    }
    if subtarget.is_some_and(|subtarget| !is_segment(subtarget)) {
        return invalid("`subtarget` must be a name without `/`");
    }
    match (subtarget, resource) {
        (None, Some(_)) => return invalid("a `resource` needs the `subtarget` that it is in"),
        (_, Some(resource)) if resource.split('/').any(|segment| segment.is_empty() || !is_segment(segment)) => {
            return invalid("`resource` must be a name, or names separated by `/`");
        }
        _ => {}
    }
    if let (PROPERTIES, Some(name)) = (target, subtarget) {
        parse(name)?;
    }
    Ok(Scope {
        target: target.to_owned(),
        subtarget: subtarget.map(str::to_owned),
        resource: resource.map(str::to_owned),
    })
}

fn some(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

impl Actor {
    /// Tells subscribers that something changed which is no property: a resource, or whatever else the application lets
    /// peers subscribe to. `data` is what it is now (`""` says that it is gone), in `subtarget` and `resource` of the
    /// target as far as they are given. A peer is told what it may GET at `/{target}/{subtarget}/{resource}`; for targets
    /// that have no endpoint a path rule says so: `.path_rule("friend", "calendar", "GET", "a")`.
    ///
    /// One call, or two where it is not known that there are subscribers; none while there never was a relationship.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no scope, and for `properties`, which tell of themselves;
    /// [`ActorError::TooLarge`] above [`limits::MAX_VALUE_BYTES`]; storage errors.
    pub async fn announce(
        &self,
        target: &str,
        subtarget: Option<&str>,
        resource: Option<&str>,
        data: impl Into<Value>,
    ) -> Result<(), ActorError> {
        let (scope, data) = (scope(target, subtarget, resource)?, data.into());
        if target == PROPERTIES {
            let reason = "changes of properties are told by themselves: write the property".to_owned();
            return Err(ActorError::Invalid(reason));
        }
        limits::check_value(&scope.to_string(), &data)?;
        let (actor, log) = self.place();
        Ok(self.store().announce(actor, log, vec![Change::of(scope, data)]).await?)
    }

    /// Stops telling subscribers of changes in a target, or in one subtarget of it, such as before many writes. False
    /// when nothing was told of it already.
    ///
    /// # Errors
    /// [`ActorError::Invalid`] for what is no scope; storage errors.
    pub async fn suspend(&self, target: &str, subtarget: Option<&str>) -> Result<bool, ActorError> {
        let scope = scope(target, subtarget, None)?;
        let is_new = self.store().suspend(self.id(), &scope).await?;
        self.look_again();
        Ok(is_new)
    }

    /// Tells subscribers of changes there again, and before anything else, to read all of it again. False when nothing
    /// was suspended under just this name.
    ///
    /// # Errors
    /// As [`Actor::suspend`].
    pub async fn resume(&self, target: &str, subtarget: Option<&str>) -> Result<bool, ActorError> {
        let scope = scope(target, subtarget, None)?;
        let resumed = self.store().resume(self.id(), &scope).await?.is_some();
        self.look_again();
        Ok(resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_path_without_gaps() {
        let is_valid =
            |target: &str, subtarget: Option<&str>, resource: Option<&str>| scope(target, subtarget, resource).is_ok();
        assert!(is_valid("properties", None, None));
        assert!(is_valid("resources", Some("folders"), Some("12345")));
        assert!(is_valid("properties", Some("address"), Some("city/street")));
        assert_eq!(scope("calendar", Some(""), Some("")).unwrap(), Scope::target("calendar"));
        assert!(!is_valid("", None, None));
        assert!(!is_valid("a/b", None, None));
        assert!(!is_valid("resources", None, Some("12345")));
        assert!(!is_valid("resources", Some("a/b"), None));
        assert!(!is_valid("resources", Some("a"), Some("b//c")));
        assert!(!is_valid("resources", Some("a\n"), None));
        assert!(!is_valid(&"a".repeat(129), None, None));
        assert!(!is_valid("resources", Some("a"), Some(&"b".repeat(1024))));
    }
}
