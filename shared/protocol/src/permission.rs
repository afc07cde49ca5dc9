//! Who may do what: one engine for everything that is asked of an actor.
//!
//! ```text
//! Policy                what an application allows: trust types and path rules, built once at start
//!   └ access(caller, override) -> Access      one caller's rights, made once per request
//!        ├ authorize(path, verb)                 may this request go on at all? Once per request, before anything else
//!        ├ check(category, target, operation)    a method, an action, a tool, a resource, a prompt, one property path
//!        ├ check_list(name, operation)           a list property and its items
//!        ├ filter_readable / check_writable / check_deletable     values: every leaf is checked
//!        └ subtree(path, operation)              can the value be skipped? all, none or some of the leaves
//! ```
//!
//! # How it decides
//!
//! 1. The **creator** may do everything; no rule takes that away.
//! 2. A peer's rights are its trust type's [`Rules`] per [`Category`], merged with the override its trust may have
//!    ([`PermissionOverride`]). Within a category: a `denied` or `excluded_patterns` match denies; an operation that
//!    `operations` does not list is denied; an `allowed` match, or a `patterns` match where `operations` are given,
//!    allows; anything else is denied.
//! 3. Where there are no rules for the category (callers that are no peers, unregistered relationships, categories a
//!    type leaves out) and for all other paths of an actor, the [`PathRule`]s decide: the first that applies allows or
//!    rejects; none denies.
//!
//! A peer whose trust is not approved is [`Caller::Unapproved`]: anonymous everywhere but in its own handshake.
//!
//! # Patterns
//!
//! `*` stands for any run of characters, `/` too, `?` for one; a pattern that ends in `://` is a prefix; everything else
//! is literal, case-sensitive, and the whole target must match. Beyond that, **a denial protects what it names and
//! everything below**: excluding `private` or `private/*` alike hides the property `private`, be it a text, a list or
//! an object, and every leaf in it. A grant of a property path includes what is below it, so that granting `address`
//! grants `address/city`; a grant of `public/*` does not include a plain value named `public`.
//!
//! # Leaves
//!
//! Rights to a property's value are decided at its leaves: whatever is no object, and empty objects. Arrays are leaves,
//! as paths do not enter them. A leaf's path joins the keys with `/`, so a key that contains a `/` counts as nested.
//! Reading a parent gives its readable leaves, and nothing when there are none; writing or deleting one needs the right
//! to every leaf that is written, replaced or removed.
//!
//! # When not to use it
//!
//! It knows neither credentials nor approval: find the [`Caller`] first. What [`Denied`] says is for logs; a caller
//! learns its status only, since the text names patterns and paths that may be hidden from it.

mod access;
mod built_in;
mod glob;
mod leaves;
mod overrides;
mod paths;
mod policy;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use access::Access;
pub use glob::Glob;
pub use leaves::WriteMode;
pub use overrides::{MAX_OVERRIDE_PATTERNS, MAX_PATTERN_BYTES, OverrideError, PermissionOverride};
pub use paths::{PathRule, PathRuleError};
pub use policy::{Policy, PolicyBuilder, PolicyError, TrustDefinition};
pub use rules::{Permissions, Rules};

/// What kind of thing is asked for: a key of a permission set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Properties and lists; targets are paths such as `address/city`.
    Properties,
    /// Methods; targets are names.
    Methods,
    /// Actions; targets are names.
    Actions,
    /// MCP tools; targets are names.
    Tools,
    /// Resources: names over REST, URIs over MCP.
    Resources,
    /// MCP prompts; targets are names.
    Prompts,
}

impl Category {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 6] =
        [Self::Properties, Self::Methods, Self::Actions, Self::Tools, Self::Resources, Self::Prompts];

    /// Its key in JSON and its first path segment.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Properties => "properties",
            Self::Methods => "methods",
            Self::Actions => "actions",
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Prompts => "prompts",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be done with it: an element of `operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Read a property or a resource.
    Read,
    /// Create or change a property or a resource.
    Write,
    /// Delete a property or a resource.
    Delete,
    /// Be told of changes of a property.
    Subscribe,
    /// Call a method.
    Call,
    /// Execute an action.
    Execute,
    /// Use a tool.
    Use,
    /// Invoke a prompt.
    Invoke,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Read, Self::Write, Self::Delete, Self::Subscribe, Self::Call, Self::Execute, Self::Use, Self::Invoke];

    /// Its word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Subscribe => "subscribe",
            Self::Call => "call",
            Self::Execute => "execute",
            Self::Use => "use",
            Self::Invoke => "invoke",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An HTTP method as path rules know it. HEAD is GET; a POST that carries `_method` is the verb it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// GET and HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Get, Self::Post, Self::Put, Self::Delete];

    /// Its word in HTTP and in path rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is calling, as far as rights go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The actor's creator.
    Creator,
    /// The holder of the creator's passphrase on behalf of `trustee_root`.
    Trustee,
    /// Another actor in an approved relationship.
    Peer {
        /// The peer's id.
        id: String,
        /// The relationship, which is the trust type's name.
        relationship: String,
    },
    /// Another actor that proved who it is, but whose trust is not (or no longer) approved.
    Unapproved {
        /// The peer's id.
        id: String,
    },
    /// Nobody in particular.
    Anonymous,
}

impl Caller {
    /// Whether this is the actor's creator.
    #[must_use]
    pub const fn is_creator(&self) -> bool {
        matches!(self, Self::Creator)
    }

    /// Whether this is another actor, in an approved relationship.
    #[must_use]
    pub const fn is_peer(&self) -> bool {
        matches!(self, Self::Peer { .. })
    }

    /// One word for logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Creator => "creator",
            Self::Trustee => "trustee",
            Self::Peer { .. } => "peer",
            Self::Unapproved { .. } => "unapproved",
            Self::Anonymous => "anonymous",
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Creator => f.write_str("the creator"),
            Self::Trustee => f.write_str("the trustee"),
            // Strangers choose relationship names.
            Self::Peer { relationship, .. } => write!(f, "a peer ({})", relationship.escape_debug()),
            Self::Unapproved { .. } => f.write_str("an unapproved peer"),
            Self::Anonymous => f.write_str("an anonymous caller"),
        }
    }
}

/// May it be done? `Ok` is yes; the error says why not, for logs.
pub type Decision = Result<(), Denied>;

/// A request that was refused. For logs, not for the caller: it names what may be hidden from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{caller} may not {action} {}: {reason}", target.escape_debug())]
pub struct Denied {
    /// Who asked, in words without an id.
    pub caller: String,
    /// The operation or the verb.
    pub action: &'static str,
    /// What was asked for, as a path below the actor: `properties/private/key`, or `/` for the actor itself.
    pub target: String,
    /// Why it was refused.
    pub reason: Reason,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An element of `denied`.
    #[error("denied by `{0}`")]
    DeniedBy(String),
    /// An element of `excluded_patterns`.
    #[error("excluded by `{0}`")]
    ExcludedBy(String),
    /// `operations` does not list it.
    #[error("its rules do not list the operation")]
    Operation,
    /// The category has rules, and none of them allows it.
    #[error("none of its rules allows it")]
    NoMatch,
    /// A path rule that rejects.
    #[error("rejected by the path rule {0}")]
    RejectedBy(String),
    /// Nothing speaks of it.
    #[error("no rule allows it")]
    NoRule,
}

/// How much of what is at and below a property path an operation is allowed on, whatever is stored there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// The path and everything that may ever be below it: the value need not be looked at.
    All,
    /// It depends on the value's leaves.
    Some,
    /// Nothing: refuse without reading.
    None,
}
