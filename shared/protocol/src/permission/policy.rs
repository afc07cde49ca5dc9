//! What an application allows: trust types and path rules, built once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::paths::{DEFAULT_RULES, RESERVED_ROLES};
use super::{Access, Caller, Category, PathRule, PathRuleError, PermissionOverride, Permissions, Rules, built_in};
use crate::trust_types::{BUILT_IN, TrustType};

/// A kind of relationship an application defines, and what it grants.
///
/// Use one when several peers share rights that no built-in type has; for one peer alone use an override.
///
/// ```
/// use actingweb_protocol::permission::{Category, Operation, Rules, TrustDefinition};
/// TrustDefinition::new("subscriber", "Subscriber", "Follows the memory lists")
///     .grants(Category::Properties, Rules::patterns(&["memory_*", "public/*"], &[Operation::Read]))
///     .grants(Category::Methods, Rules::allow(&["get_*"]).deny(&["get_secret_*"]))
///     .path_rule("subscriptions/<id>", "POST", "a");
/// ```
#[derive(Clone, Debug)]
pub struct TrustDefinition {
    info: TrustType,
    permissions: Permissions,
    path_rules: Vec<[String; 4]>,
}

impl TrustDefinition {
    /// A type of this name that grants nothing yet. The name is what peers put into `/trust/{name}`.
    #[must_use]
    pub fn new(name: &'static str, display_name: &'static str, description: &'static str) -> Self {
        let info = TrustType { name, display_name, description, created_by: "app" };
        Self { info, permissions: Permissions::default(), path_rules: Vec::new() }
    }

    /// Sets what it grants in one category.
    #[must_use]
    pub fn grants(mut self, category: Category, rules: Rules) -> Self {
        self.permissions.set(category, rules);
        self
    }

    /// Adds a [`PathRule`] whose role is this type; it comes before the application's own and the default ones.
    #[must_use]
    pub fn path_rule(mut self, path: &str, methods: &str, access: &str) -> Self {
        self.path_rules.push([self.info.name, path, methods, access].map(str::to_owned));
        self
    }
}

/// Collects what an application defines; [`PolicyBuilder::build`] checks it.
#[derive(Clone, Debug, Default)]
pub struct PolicyBuilder {
    types: Vec<TrustDefinition>,
    path_rules: Vec<[String; 4]>,
}

/// Why an application's definitions are no policy. A fault of its code: refuse to start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The name is a role of path rules, or cannot stand in a URL.
    #[error("a trust type cannot be called {0:?}: use letters, digits, `_` and `-`, and no word that names a role")]
    Name(&'static str),
    /// The application defines two types of this name.
    #[error("the trust type {0:?} is defined twice")]
    Twice(&'static str),
    /// A path rule is malformed.
    #[error(transparent)]
    PathRule(#[from] PathRuleError),
}

impl PolicyBuilder {
    /// Adds a trust type. One that is called as a built-in one takes its place, and the default path rules of that name
    /// go with the old one.
    #[must_use]
    pub fn trust_type(mut self, definition: TrustDefinition) -> Self {
        self.types.push(definition);
        self
    }

    /// Adds a [`PathRule`] (role, path, methods, access), before the default ones and behind those added earlier.
    #[must_use]
    pub fn path_rule(mut self, role: &str, path: &str, methods: &str, access: &str) -> Self {
        self.path_rules.push([role, path, methods, access].map(str::to_owned));
        self
    }

    /// Checks and freezes it.
    ///
    /// # Errors
    /// [`PolicyError`] names the definition that is wrong.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut types: Vec<TrustType> = BUILT_IN.to_vec();
        let mut permissions: BTreeMap<&'static str, Arc<Permissions>> =
            BUILT_IN.iter().filter_map(|info| Some((info.name, Arc::new(built_in::permissions(info.name)?)))).collect();
        let mut rules = Vec::new();
        let mut seen = Vec::new();
        for definition in self.types {
            let info = definition.info;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if RESERVED_ROLES.contains(&info.name) || !info.name.chars().all(plain) {
                return Err(PolicyError::Name(info.name));
            }
            if seen.contains(&info.name) {
                return Err(PolicyError::Twice(info.name));
            }
            seen.push(info.name);
            match types.iter_mut().find(|known| known.name == info.name) {
                Some(known) => *known = info,
                None => types.push(info),
            }
            permissions.insert(info.name, Arc::new(definition.permissions));
            rules.extend(definition.path_rules);
        }
        rules.extend(self.path_rules);
        let defaults = DEFAULT_RULES
            .iter()
            .filter(|(role, ..)| !seen.contains(role))
            .map(|(role, path, methods, access)| [role, path, methods, access].map(|text| (*text).to_owned()));
        let paths = rules
            .into_iter()
            .chain(defaults)
            .map(|[role, path, methods, access]| PathRule::parse(&role, &path, &methods, &access))
            .collect::<Result<Arc<[_]>, _>>()?;
        Ok(Policy { types, permissions, paths })
    }
}

/// The trust types and path rules of an application. Share it by reference; it never changes.
#[derive(Clone, Debug)]
pub struct Policy {
    types: Vec<TrustType>,
    permissions: BTreeMap<&'static str, Arc<Permissions>>,
    paths: Arc<[PathRule]>,
}

impl Policy {
    /// Starts from the built-in trust types and the default path rules.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// The trust types, built-in ones first: what `/meta/trusttypes` shows.
    #[must_use]
    pub fn trust_types(&self) -> &[TrustType] {
        &self.types
    }

    /// What a trust type grants without an override; `None` for a relationship that is no registered type.
    #[must_use]
    pub fn permissions(&self, relationship: &str) -> Option<&Permissions> {
        self.permissions.get(relationship).map(Arc::as_ref)
    }

    /// What a relationship grants with an override: the set a peer is told. An unregistered relationship grants what
    /// the override says, and nothing without one.
    #[must_use]
    pub fn effective(&self, relationship: &str, changed_by: Option<&PermissionOverride>) -> Permissions {
        let base = self.permissions(relationship).cloned().unwrap_or_default();
        match changed_by {
            Some(changed_by) => changed_by.applied_to(base),
            None => base,
        }
    }

    /// One caller's rights; make it once per request. The override counts for approved peers alone.
    #[must_use]
    pub fn access(&self, caller: Caller, changed_by: Option<&PermissionOverride>) -> Access {
        let permissions = match (&caller, changed_by) {
            (Caller::Peer { relationship, .. }, None) => self.permissions.get(relationship.as_str()).cloned(),
            (Caller::Peer { relationship, .. }, Some(_)) => Some(Arc::new(self.effective(relationship, changed_by))),
            _ => None,
        };
        Access::new(caller, permissions, Arc::clone(&self.paths))
    }
}
