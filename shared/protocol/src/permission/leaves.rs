//! Rights to values: every leaf is checked.

use serde_json::{Map, Value};

use super::{Access, Category, Decision, Operation, Subtree};
use crate::PropertyPath;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It takes the place of what was there.
    Replace,
    /// An object is merged into an object, key by key, as [`crate::nested::put`] does below a property.
    Merge,
}

impl Access {
    /// What the caller may see of a value: every leaf it may not read is taken out, and with its last leaf an object.
    /// `None` when nothing is left: then there is, for this caller, no such value. An empty object that may itself be
    /// read stays.
    ///
    /// `path` is where the value stands: the property's name, or a path below it (`address/city`).
    #[must_use]
    pub fn filter_readable(&self, path: &str, value: Value) -> Option<Value> {
        match self.subtree(path, Operation::Read) {
            Subtree::All => Some(value),
            Subtree::None => None,
            Subtree::Some => self.prune(&mut path.to_owned(), value),
        }
    }

    fn prune(&self, path: &mut String, value: Value) -> Option<Value> {
        let members = match value {
            Value::Object(members) if !members.is_empty() => members,
            leaf => return self.judge(Category::Properties, path, Operation::Read).ok().map(|()| leaf),
        };
        let mut kept = Map::new();
        for (key, member) in members {
            if let Some(member) = descend(path, &key, |path| self.prune(path, member)) {
                kept.insert(key, member);
            }
        }
        (!kept.is_empty()).then_some(Value::Object(kept))
    }

    /// May `new` be written at `path`, where the whole property is `old` now (`None`: there is none)? Checks every leaf
    /// of `new`, and every leaf of `old` that goes: those a replaced parent had, and a plain value on the way to `path`
    /// that an object takes the place of. A leaf that is written with the value it has counts as written, so that
    /// nobody can find out hidden values by guessing.
    ///
    /// Check in the same breath as the conditional write, with the `old` that write is conditional on. With
    /// [`Access::subtree`] = `All` for the property's name, `old` does not matter.
    ///
    /// # Errors
    /// [`super::Denied`] names the first leaf that may not be written.
    pub fn check_writable(&self, path: &PropertyPath, old: Option<&Value>, new: &Value, how: WriteMode) -> Decision {
        let mut at = path.name.as_str().to_owned();
        let mut here = old;
        if self.subtree(&at, Operation::Write) == Subtree::All {
            return Ok(());
        }
        for key in &path.below {
            here = match here {
                Some(Value::Object(members)) => members.get(key),
                Some(_) => {
                    self.check(Category::Properties, &at, Operation::Write)?;
                    None
                }
                None => None,
            };
            at.push('/');
            at.push_str(key);
        }
        self.written(&mut at, here, new, how)
    }

    fn written(&self, path: &mut String, old: Option<&Value>, new: &Value, how: WriteMode) -> Decision {
        if let (WriteMode::Merge, Some(Value::Object(old)), Value::Object(new)) = (how, old, new)
            && !new.is_empty()
        {
            return new
                .iter()
                .try_for_each(|(key, new)| descend(path, key, |path| self.written(path, old.get(key), new, how)));
        }
        self.each_leaf(path, new, Operation::Write)?;
        match old {
            // An empty object holds nothing that could be lost.
            Some(Value::Object(members)) if members.is_empty() => Ok(()),
            Some(old) => self.each_leaf(path, old, Operation::Write),
            None => Ok(()),
        }
    }

    /// May what is at `path` be deleted, where the whole property is `old` now (`None`: there is none)? Checks every
    /// leaf that goes. Where nothing is stored, the answer is no only if nothing there could ever be deleted.
    ///
    /// # Errors
    /// [`super::Denied`] names the first leaf that may not be deleted.
    pub fn check_deletable(&self, path: &PropertyPath, old: Option<&Value>) -> Decision {
        let mut at = path.to_string();
        match self.subtree(&at, Operation::Delete) {
            Subtree::All => return Ok(()),
            Subtree::None => return self.check(Category::Properties, &at, Operation::Delete),
            Subtree::Some => {}
        }
        match old.and_then(|old| crate::nested::get(old, &path.below)) {
            Some(value) => self.each_leaf(&mut at, value, Operation::Delete),
            None => Ok(()),
        }
    }

    fn each_leaf(&self, path: &mut String, value: &Value, operation: Operation) -> Decision {
        match value {
            Value::Object(members) if !members.is_empty() => members
                .iter()
                .try_for_each(|(key, member)| descend(path, key, |path| self.each_leaf(path, member, operation))),
            _ => self.check(Category::Properties, path, operation),
        }
    }
}

/// Runs with the path of a member.
fn descend<T>(path: &mut String, key: &str, run: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(key);
    let result = run(path);
    path.truncate(length);
    result
}
