//! Path rules: (role, path, methods, access), the list an application configures for the paths of an actor.

use std::fmt;

use super::{Caller, Operation, Verb};

/// One rule for the paths of an actor. In a list of them, the first that applies decides.
///
/// * **role**: `""` everybody; `any` whoever is authenticated; `creator`; `trustee`; `owner` an approved peer, at its
///   own place; `handshake` the same, approved or not (below `trust/<type>/<id>` only); anything else names a
///   relationship.
/// * **path**: segments below the actor, without its id. The rule covers the path and everything below; `/` is the
///   actor itself and nothing else. `<id>` stands for a peer's id: **a rule that allows lets a peer use its own id
///   there only**. Any other `<word>` stands for any one segment. Case-sensitive.
/// * **methods**: any of `GET POST PUT DELETE`, separated by commas or blanks; `""` for all.
/// * **access**: `a` allows, `r` rejects.
///
/// Other than in the Python library `r` does reject, a prefix ends at a segment (`meta` is not `metadata`), and
/// templates are matched against the real path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    role: Role,
    path: Vec<Segment>,
    verbs: Vec<Verb>,
    allows: bool,
    /// As it was written, for logs.
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    Everybody,
    Authenticated,
    Creator,
    Trustee,
    Owner,
    Handshake,
    Relationship(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Word(String),
    PeerId,
    Any,
}

/// Why four texts are no path rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path rule {rule}: {reason}")]
pub struct PathRuleError {
    /// The rule as it was written.
    pub rule: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a list of rules says.
pub(super) enum PathVerdict<'r> {
    Allowed,
    Rejected(&'r PathRule),
    Unmentioned,
}

/// Words that name a role and therefore no relationship.
pub(super) const RESERVED_ROLES: [&str; 6] = ["", "any", "creator", "trustee", "owner", "handshake"];

/// What holds where the application says nothing else: (role, path, methods, access), in order.
///
/// As in the Python library, except that peers are held to their own id everywhere, that callbacks need the peer they
/// come from, and that a peer may always read, acknowledge and end the subscriptions it has. Only a friend may make new
/// ones; other types need a rule for `subscriptions/<id>`.
pub(super) const DEFAULT_RULES: &[(&str, &str, &str, &str)] = &[
    ("", "meta", "GET", "a"),
    ("trustee", "/", "", "a"),
    ("trustee", "services", "", "a"),
    ("trustee", "trust", "", "a"),
    ("trustee", "subscriptions", "", "a"),
    ("admin", "/", "", "a"),
    ("admin", "services", "", "a"),
    // The two that manage others' trusts stand before the rules for one's own, which end in rejections.
    ("admin", "trust", "", "a"),
    ("owner", "trust/<type>/<id>/shared_properties", "GET", "a"),
    ("", "trust/<type>/<id>/<part>", "", "r"),
    ("handshake", "trust/<type>/<id>", "GET POST DELETE", "a"),
    ("", "trust/<type>/<id>", "", "r"),
    ("", "trust/<type>", "POST", "a"),
    ("owner", "permissions/<id>", "GET", "a"),
    ("owner", "subscriptions/<id>", "GET PUT DELETE", "a"),
    ("friend", "subscriptions/<id>", "", "a"),
    ("owner", "callbacks/subscriptions/<id>", "", "a"),
    ("owner", "callbacks/permissions/<id>", "POST", "a"),
];

impl PathRule {
    /// Reads a rule; see [`PathRule`] for the four texts.
    ///
    /// # Errors
    /// [`PathRuleError`] when one of the texts is none of those listed, or the rule could not do what it says.
    pub fn parse(role: &str, path: &str, methods: &str, access: &str) -> Result<Self, PathRuleError> {
        let text = format!("({role:?}, {path:?}, {methods:?}, {access:?})");
        let wrong = |reason| PathRuleError { rule: text.clone(), reason };
        let allows = match access {
            "a" => true,
            "r" => false,
            _ => return Err(wrong("the access is `a` or `r`")),
        };
        let role = match role {
            "" => Role::Everybody,
            "any" => Role::Authenticated,
            "creator" => Role::Creator,
            "trustee" => Role::Trustee,
            "owner" => Role::Owner,
            "handshake" => Role::Handshake,
            relationship => Role::Relationship(relationship.to_owned()),
        };
        let verbs = methods
            .split([',', ' ', '|'])
            .filter(|word| !word.is_empty())
            .map(|word| Verb::ALL.into_iter().find(|verb| verb.as_str() == word))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| wrong("the methods are some of GET, POST, PUT and DELETE, or nothing for all"))?;
        let trimmed = path.trim_matches('/');
        let path = if trimmed.is_empty() { Vec::new() } else { trimmed.split('/').map(Segment::parse).collect() };
        if path.contains(&Segment::Word(String::new())) {
            return Err(wrong("the path has an empty segment"));
        }
        if role == Role::Creator && !allows {
            return Err(wrong("the creator may do everything, so it cannot be rejected"));
        }
        if matches!(role, Role::Owner | Role::Handshake) && !path.contains(&Segment::PeerId) {
            return Err(wrong("the path must say where the peer's id stands, such as subscriptions/<id>"));
        }
        let handshake = [Segment::Word("trust".to_owned()), Segment::Any, Segment::PeerId];
        if role == Role::Handshake && allows && !path.starts_with(&handshake) {
            return Err(wrong("what is not approved may use its own trust/<type>/<id> only"));
        }
        Ok(Self { role, path, verbs, allows, text })
    }

    /// Whether the role is this caller's. The creator is not asked: it may do everything.
    fn concerns(&self, caller: &Caller) -> bool {
        match &self.role {
            Role::Everybody => true,
            Role::Authenticated => matches!(caller, Caller::Trustee | Caller::Peer { .. }),
            Role::Creator => matches!(caller, Caller::Creator),
            Role::Trustee => matches!(caller, Caller::Trustee),
            Role::Owner => matches!(caller, Caller::Peer { .. }),
            Role::Handshake => matches!(caller, Caller::Peer { .. } | Caller::Unapproved { .. }),
            Role::Relationship(name) => matches!(caller, Caller::Peer { relationship, .. } if relationship == name),
        }
    }

    fn covers(&self, verb: Verb) -> bool {
        self.verbs.is_empty() || self.verbs.contains(&verb)
    }

    /// Whether the first segments of rule and path agree, as far as both go.
    fn agrees(&self, caller: &Caller, path: &[&str]) -> bool {
        self.path.iter().zip(path).all(|(segment, actual)| match segment {
            Segment::Word(word) => word == actual,
            Segment::Any => !actual.is_empty(),
            Segment::PeerId => match caller {
                Caller::Peer { id, .. } | Caller::Unapproved { id } if self.allows => id == actual,
                _ => !actual.is_empty(),
            },
        })
    }

    fn reaches(&self, caller: &Caller, path: &[&str]) -> bool {
        let root_only = self.path.is_empty() && !path.is_empty();
        !root_only && self.path.len() <= path.len() && self.agrees(caller, path)
    }

    /// Whether it could apply to some path below this one, without applying to the path itself.
    fn reaches_below(&self, caller: &Caller, path: &[&str]) -> bool {
        self.path.len() > path.len() && self.agrees(caller, path)
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text {
            "<id>" => Self::PeerId,
            template if template.starts_with('<') && template.ends_with('>') => Self::Any,
            word => Self::Word(word.to_owned()),
        }
    }
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Segments of a path, without empty ones at its ends.
pub(super) fn segments(path: &str) -> Vec<&str> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() { Vec::new() } else { trimmed.split('/').collect() }
}

/// What the rules say of a request.
pub(super) fn judge<'r>(rules: &'r [PathRule], caller: &Caller, path: &[&str], verb: Verb) -> PathVerdict<'r> {
    first(rules, |rule| rule.concerns(caller) && rule.covers(verb) && rule.reaches(caller, path))
}

/// What the rules say of an operation. A rule that allows must cover the verb that stands for it; one that rejects
/// applies if it covers any verb that might bring it about.
pub(super) fn judge_operation<'r>(
    rules: &'r [PathRule],
    caller: &Caller,
    path: &[&str],
    operation: Operation,
) -> PathVerdict<'r> {
    first(rules, |rule| rule.concerns(caller) && rule.covers_operation(operation) && rule.reaches(caller, path))
}

/// Whether some rule rejects an operation on some path below this one. Some that never get their turn count as well.
pub(super) fn rejects_below(rules: &[PathRule], caller: &Caller, path: &[&str], operation: Operation) -> bool {
    rules
        .iter()
        .filter(|rule| !rule.allows && rule.concerns(caller) && rule.covers_operation(operation))
        .any(|rule| rule.reaches_below(caller, path))
}

/// Whether the rules allow an operation on the path or on some path below it.
pub(super) fn allows_below(rules: &[PathRule], caller: &Caller, path: &[&str], operation: Operation) -> bool {
    rules
        .iter()
        .filter(|rule| rule.concerns(caller) && rule.covers_operation(operation))
        // A rejection below the path says nothing of the rest; one of the path itself ends it.
        .find(|rule| rule.reaches(caller, path) || (rule.allows && rule.reaches_below(caller, path)))
        .is_some_and(|rule| rule.allows)
}

impl PathRule {
    fn covers_operation(&self, operation: Operation) -> bool {
        let (stands_for, others): (Verb, &[Verb]) = match operation {
            Operation::Read | Operation::Subscribe => (Verb::Get, &[]),
            Operation::Write => (Verb::Put, &[Verb::Post]),
            Operation::Delete => (Verb::Delete, &[]),
            Operation::Call | Operation::Execute | Operation::Use | Operation::Invoke => {
                (Verb::Post, &[Verb::Put, Verb::Get, Verb::Delete])
            }
        };
        self.covers(stands_for) || (!self.allows && others.iter().any(|verb| self.covers(*verb)))
    }
}

fn first<'r>(rules: &'r [PathRule], applies: impl Fn(&PathRule) -> bool) -> PathVerdict<'r> {
    match rules.iter().find(|rule| applies(rule)) {
        Some(rule) if rule.allows => PathVerdict::Allowed,
        Some(rule) => PathVerdict::Rejected(rule),
        None => PathVerdict::Unmentioned,
    }
}
