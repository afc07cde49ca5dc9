//! One caller's rights.

use std::sync::Arc;

use super::paths::{self, PathVerdict};
use super::{Caller, Category, Decision, Denied, Operation, PathRule, Permissions, Reason, Rules, Subtree, Verb};

/// What one caller may do on one actor. Made by [`super::Policy::access`]; cheap to clone, valid as long as the trust it
/// was made from: for one request.
#[derive(Clone, Debug)]
pub struct Access {
    caller: Caller,
    /// A peer's; `None` for everybody else, and for peers of an unregistered relationship.
    permissions: Option<Arc<Permissions>>,
    paths: Arc<[PathRule]>,
}

impl Access {
    pub(super) const fn new(caller: Caller, permissions: Option<Arc<Permissions>>, paths: Arc<[PathRule]>) -> Self {
        Self { caller, permissions, paths }
    }

    /// Whose rights these are.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) const fn is_creator(&self) -> bool {
        matches!(self.caller, Caller::Creator)
    }

    /// May a request go on? `path` is below the actor (`""` or `/` is the actor itself), decoded, such as
    /// `trust/friend/abc`. Ask once per request, before anything is read or changed.
    ///
    /// `properties`, `methods`, `actions` and `resources` are decided by the caller's rules for what the path names: GET
    /// reads, PUT and POST write, DELETE deletes, anything on a method calls it, and anything on an action, or below it,
    /// executes it. The bare collection is open to who may do that to any member. **For properties, `Ok` means that some leaf at or below the
    /// path may be allowed**: the value itself then needs [`Access::filter_readable`], [`Access::check_writable`],
    /// [`Access::check_deletable`] or [`Access::check_list`].
    ///
    /// # Errors
    /// [`Denied`]: 401 for an anonymous caller, 403 for others.
    pub fn authorize(&self, path: &str, verb: Verb) -> Decision {
        if self.is_creator() {
            return Ok(());
        }
        let segments = paths::segments(path);
        let category = segments.first().and_then(|first| {
            [Category::Properties, Category::Methods, Category::Actions, Category::Resources]
                .into_iter()
                .find(|category| category.as_str() == *first)
        });
        let Some(category) = category else {
            return self
                .path_verdict(paths::judge(&self.paths, &self.caller, &segments, verb))
                .map_err(|reason| self.refused(verb.as_str(), segments.join("/"), reason));
        };
        let operation = match (category, verb) {
            (Category::Methods, _) => Operation::Call,
            (Category::Actions, _) => Operation::Execute,
            (_, Verb::Get) => Operation::Read,
            (_, Verb::Post | Verb::Put) => Operation::Write,
            (_, Verb::Delete) => Operation::Delete,
        };
        // Below an action are its tasks and schedules: who may run it may see to them.
        let named = if category == Category::Actions { segments.get(1..2) } else { None };
        let target = named.or_else(|| segments.get(1..)).unwrap_or_default().join("/");
        if target.is_empty() {
            return self.check_any(category, operation);
        }
        if category == Category::Properties && self.subtree(&target, operation) != Subtree::None {
            return Ok(());
        }
        self.check(category, &target, operation)
    }

    /// May this be done to this one target: a method, an action, a tool, a prompt, a resource, or a property's path
    /// taken as a leaf (for a value that is at hand, use the functions for values)?
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check(&self, category: Category, target: &str, operation: Operation) -> Decision {
        self.judge(category, target, operation).map_err(|reason| self.refused_in(category, target, operation, reason))
    }

    /// May this be done to any target of the category? For listings, whose members are then filtered one by one.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check_any(&self, category: Category, operation: Operation) -> Decision {
        let path = [category.as_str()];
        let judged = match self.rules(category) {
            _ if self.is_creator() => Ok(()),
            Some(rules) => rules.judge_any(operation),
            None if paths::allows_below(&self.paths, &self.caller, &path, operation) => Ok(()),
            None => self.path_verdict(paths::judge_operation(&self.paths, &self.caller, &path, operation)),
        };
        judged.map_err(|reason| self.refused_in(category, "", operation, reason))
    }

    /// May this be done to a list property, as a whole or to any of its items? Granted by its name (`notes`) or by
    /// everything below (`notes/*`); a denial that could name an item (`notes/3`) denies, because positions shift.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check_list(&self, name: &str, operation: Operation) -> Decision {
        let judged = match self.rules(Category::Properties) {
            Some(rules) if !self.is_creator() => rules.judge_list(name, operation),
            _ if self.subtree(name, operation) == Subtree::All => Ok(()),
            // Allowed as such, with a rejection somewhere below.
            _ => self.judge(Category::Properties, name, operation).and(Err(Reason::NoMatch)),
        };
        judged.map_err(|reason| self.refused_in(Category::Properties, name, operation, reason))
    }

    /// On how much of what is at and below a property path the operation is allowed, whatever is stored there: with
    /// [`Subtree::All`] a value may be written or deleted without reading what is there.
    #[must_use]
    pub fn subtree(&self, path: &str, operation: Operation) -> Subtree {
        if self.is_creator() {
            return Subtree::All;
        }
        if let Some(rules) = self.rules(Category::Properties) {
            return rules.subtree(path, operation);
        }
        let segments = below(Category::Properties, path);
        let here = self.judge(Category::Properties, path, operation).is_ok();
        if here && !paths::rejects_below(&self.paths, &self.caller, &segments, operation) {
            return Subtree::All;
        }
        if here || paths::allows_below(&self.paths, &self.caller, &segments, operation) {
            Subtree::Some
        } else {
            Subtree::None
        }
    }

    fn rules(&self, category: Category) -> Option<&Rules> {
        self.permissions.as_ref()?.get(category)
    }

    pub(super) fn judge(&self, category: Category, target: &str, operation: Operation) -> Result<(), Reason> {
        if self.is_creator() {
            return Ok(());
        }
        match self.rules(category) {
            Some(rules) => rules.judge(category, target, operation),
            None => {
                let segments = below(category, target);
                self.path_verdict(paths::judge_operation(&self.paths, &self.caller, &segments, operation))
            }
        }
    }

    fn path_verdict(&self, verdict: PathVerdict<'_>) -> Result<(), Reason> {
        match verdict {
            PathVerdict::Allowed => Ok(()),
            PathVerdict::Rejected(rule) => Err(Reason::RejectedBy(rule.to_string())),
            PathVerdict::Unmentioned => Err(Reason::NoRule),
        }
    }

    pub(super) fn refused_in(&self, category: Category, target: &str, operation: Operation, reason: Reason) -> Denied {
        let target = if target.is_empty() { category.to_string() } else { format!("{category}/{target}") };
        self.refused(operation.as_str(), target, reason)
    }

    fn refused(&self, action: &'static str, target: String, reason: Reason) -> Denied {
        let target = if target.is_empty() { "/".to_owned() } else { target };
        Denied { caller: self.caller.to_string(), action, target, reason }
    }
}

/// The path of a target: its category and its segments.
fn below(category: Category, target: &str) -> Vec<&str> {
    std::iter::once(category.as_str()).chain(target.split('/')).collect()
}
