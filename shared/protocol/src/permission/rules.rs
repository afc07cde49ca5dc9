//! The rules of one category, and the six categories together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Category, Glob, Operation, Reason, Subtree};

/// What one category allows. Made by [`Rules::patterns`] or [`Rules::allow`]; a key that is absent says nothing, an
/// empty list allows nothing.
///
/// JSON, as the trust endpoints show and take it: `{"patterns": [..], "operations": ["read", ..],
/// "excluded_patterns": [..], "allowed": [..], "denied": [..]}`, each key optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(super) patterns: Option<Vec<Glob>>,
    pub(super) operations: Option<Vec<Operation>>,
    pub(super) excluded: Option<Vec<Glob>>,
    pub(super) allowed: Option<Vec<Glob>>,
    pub(super) denied: Option<Vec<Glob>>,
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().map(|pattern| Glob::new(*pattern)).collect()
}

impl Rules {
    /// Allows these operations on what matches: for properties and resources.
    #[must_use]
    pub fn patterns(patterns: &[&str], operations: &[Operation]) -> Self {
        Self { patterns: Some(globs(patterns)), operations: Some(operations.to_vec()), ..Self::default() }
    }

    /// Allows what matches, whatever the operation: for methods, actions, tools and prompts.
    #[must_use]
    pub fn allow(patterns: &[&str]) -> Self {
        Self { allowed: Some(globs(patterns)), ..Self::default() }
    }

    /// Allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default().deny(&["*"])
    }

    /// Excludes what matches: the companion of [`Rules::patterns`].
    #[must_use]
    pub fn except(mut self, patterns: &[&str]) -> Self {
        self.excluded.get_or_insert_default().extend(globs(patterns));
        self
    }

    /// Denies what matches: the companion of [`Rules::allow`].
    #[must_use]
    pub fn deny(mut self, patterns: &[&str]) -> Self {
        self.denied.get_or_insert_default().extend(globs(patterns));
        self
    }

    /// Whether anything is said at all; if not, the path rules decide.
    pub(super) fn is_defined(&self) -> bool {
        *self != Self::default()
    }

    fn grants(&self) -> impl Iterator<Item = &Glob> {
        // Patterns without operations grant nothing.
        let patterns = self.operations.as_ref().and(self.patterns.as_ref());
        self.allowed.iter().chain(patterns).flatten()
    }

    fn denials(&self) -> impl Iterator<Item = &Glob> {
        self.denied.iter().chain(&self.excluded).flatten()
    }

    fn lists(&self, operation: Operation) -> bool {
        self.operations.as_ref().is_none_or(|operations| operations.contains(&operation))
    }

    /// Decides on one target. Grants go down a path for properties only: elsewhere a name is a name.
    pub(super) fn judge(&self, category: Category, target: &str, operation: Operation) -> Result<(), Reason> {
        self.judge_denials(target, operation)?;
        let nested = category == Category::Properties;
        let granted = self.grants().any(|glob| if nested { glob.grants(target) } else { glob.matches(target) });
        if granted { Ok(()) } else { Err(Reason::NoMatch) }
    }

    fn judge_denials(&self, target: &str, operation: Operation) -> Result<(), Reason> {
        if let Some(glob) = self.denied.iter().flatten().find(|glob| glob.denies(target)) {
            return Err(Reason::DeniedBy(glob.to_string()));
        }
        if let Some(glob) = self.excluded.iter().flatten().find(|glob| glob.denies(target)) {
            return Err(Reason::ExcludedBy(glob.to_string()));
        }
        if self.lists(operation) { Ok(()) } else { Err(Reason::Operation) }
    }

    /// Decides on a list as a whole: its name must be granted, or everything below it, and neither it nor any of its
    /// items be denied.
    pub(super) fn judge_list(&self, name: &str, operation: Operation) -> Result<(), Reason> {
        self.judge_denials(name, operation)?;
        if let Some(glob) = self.denials().find(|glob| glob.may_deny_index(name)) {
            return Err(Reason::DeniedBy(glob.to_string()));
        }
        let granted = self.grants().any(|glob| glob.grants(name) || glob.covers_below(name));
        if granted { Ok(()) } else { Err(Reason::NoMatch) }
    }

    /// Whether there may be a target that is allowed.
    pub(super) fn judge_any(&self, operation: Operation) -> Result<(), Reason> {
        if let Some(glob) = self.denials().find(|glob| glob.matches_everything()) {
            return Err(Reason::DeniedBy(glob.to_string()));
        }
        if !self.lists(operation) {
            return Err(Reason::Operation);
        }
        if self.grants().next().is_some() { Ok(()) } else { Err(Reason::NoMatch) }
    }

    /// What [`Rules::judge`] says of a property path and all paths below.
    pub(super) fn subtree(&self, path: &str, operation: Operation) -> Subtree {
        if self.judge_denials(path, operation).is_err() {
            return Subtree::None;
        }
        let whole = self.grants().any(|glob| glob.grants(path));
        if whole && !self.denials().any(|glob| glob.may_match_below(path)) {
            return Subtree::All;
        }
        if whole || self.grants().any(|glob| glob.may_match_below(path)) { Subtree::Some } else { Subtree::None }
    }

    /// These rules, changed by those of an override: see [`super::PermissionOverride`] for the rule of each key.
    pub(super) fn overridden(&self, by: &Self) -> Self {
        let union = |base: &Option<Vec<Glob>>, more: &Option<Vec<Glob>>| {
            let mut all = base.clone();
            for glob in more.iter().flatten() {
                let all = all.get_or_insert_default();
                if !all.contains(glob) {
                    all.push(glob.clone());
                }
            }
            if more.is_some() { all.or_else(|| Some(Vec::new())) } else { all }
        };
        Self {
            patterns: union(&self.patterns, &by.patterns),
            excluded: union(&self.excluded, &by.excluded),
            denied: union(&self.denied, &by.denied),
            operations: by.operations.clone().or_else(|| self.operations.clone()),
            allowed: by.allowed.clone().or_else(|| self.allowed.clone()),
        }
    }

    /// As JSON, with the keys that are set.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let texts = |globs: &Vec<Glob>| globs.iter().map(Glob::as_str).collect::<Value>();
        let keys = [
            ("patterns", self.patterns.as_ref().map(texts)),
            ("operations", self.operations.as_ref().map(|operations| json!(operations))),
            ("excluded_patterns", self.excluded.as_ref().map(texts)),
            ("allowed", self.allowed.as_ref().map(texts)),
            ("denied", self.denied.as_ref().map(texts)),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect::<Map<_, _>>().into()
    }
}

/// The rules of all categories: what a trust type grants, or a peer has in effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    rules: BTreeMap<Category, Rules>,
}

impl Permissions {
    /// Sets the rules of one category.
    #[must_use]
    pub fn with(mut self, category: Category, rules: Rules) -> Self {
        self.set(category, rules);
        self
    }

    pub(super) fn set(&mut self, category: Category, rules: Rules) {
        self.rules.insert(category, rules);
    }

    /// The rules of one category; `None` when there are none, and then the path rules decide.
    #[must_use]
    pub fn get(&self, category: Category) -> Option<&Rules> {
        self.rules.get(&category).filter(|rules| rules.is_defined())
    }

    /// As JSON: all six categories, `{}` for one without rules.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let shown = |category: Category| self.get(category).map_or_else(|| json!({}), Rules::to_json);
        Category::ALL.iter().map(|category| (category.to_string(), shown(*category))).collect()
    }
}
