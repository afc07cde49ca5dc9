//! What the owner of an actor changes for one peer, and its JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Category, Glob, Operation, Permissions, Rules};

/// The most patterns an override may have in all its lists together.
pub const MAX_OVERRIDE_PATTERNS: usize = 200;

/// The longest pattern of an override, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// The longest note, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// Keys of the record as it is shown that say whose it is: accepted, so that what was read can be sent back, and ignored.
/// The path names the peer, and the trust its type.
const IGNORED: [&str; 6] = ["actor_id", "peer_id", "trust_type", "updated_at", "is_custom", "source"];

/// What one trust has other than its type, as PUT on `/trust/{relationship}/{peer}/permissions`.
///
/// JSON: `{"properties": {"patterns": [..], "operations": [..], "excluded_patterns": [..], "allowed": [..],
/// "denied": [..]}, "methods": .., "actions": .., "tools": .., "resources": .., "prompts": .., "notes": "..",
/// "created_by": ".."}`. A category that is absent or null is inherited. A list in place of a category means
/// `patterns` to read (properties, resources) or `allowed` (the others).
///
/// # How it changes the type's rules
///
/// `patterns`, `excluded_patterns` and `denied` are **united** with the type's; `allowed` and `operations` **replace**
/// them; a key that is absent leaves the type's. So an override may grant more names and more operations, and may
/// take away, but **never lifts what the type excludes or denies**. (The Python library replaces `denied`, where
/// denying one method more would allow all that the type denied. To lift a denial, give the peer another type.)
///
/// The relationship of the trust decides on the base, so a change of relationship takes effect at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub struct PermissionOverride {
    categories: BTreeMap<Category, Rules>,
    created_by: Option<String>,
    notes: Option<String>,
}

/// What is wrong with an override's JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct OverrideError {
    /// Where, such as `properties.patterns[2]`.
    pub at: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

fn wrong<T>(at: impl Into<String>, reason: impl Into<String>) -> Result<T, OverrideError> {
    Err(OverrideError { at: at.into(), reason: reason.into() })
}

impl PermissionOverride {
    /// Reads a whole override.
    ///
    /// # Errors
    /// [`OverrideError`] for anything that is not in the shape above: unknown keys and operations too, since a
    /// misspelt restriction would otherwise be no restriction.
    pub fn parse(body: &Value) -> Result<Self, OverrideError> {
        Self::default().updated(body)
    }

    /// This override changed by the body of a PUT: a category that is named replaces the one there, null takes it out,
    /// one that is absent stays.
    ///
    /// # Errors
    /// As [`PermissionOverride::parse`].
    pub fn updated(&self, body: &Value) -> Result<Self, OverrideError> {
        let Value::Object(keys) = body else { return wrong("permissions", "must be a JSON object") };
        let mut changed = self.clone();
        for (key, value) in keys {
            if let Some(category) = Category::ALL.into_iter().find(|category| category.as_str() == key) {
                match parse_rules(category, value)? {
                    Some(rules) => changed.categories.insert(category, rules),
                    None => changed.categories.remove(&category),
                };
                continue;
            }
            match key.as_str() {
                "created_by" => changed.created_by = parse_text(key, value)?,
                "notes" => changed.notes = parse_text(key, value)?,
                "permissions" => {
                    return wrong(key, "the categories stand at the top level, not below `permissions`");
                }
                known if IGNORED.contains(&known) => {}
                _ => {
                    let reason = "unknown; known are properties, methods, actions, tools, resources, prompts, notes \
                                  and created_by";
                    return wrong(shown(key), reason);
                }
            }
        }
        let patterns: usize = changed.categories.values().map(count).sum();
        if patterns > MAX_OVERRIDE_PATTERNS {
            let reason = format!("at most {MAX_OVERRIDE_PATTERNS} patterns in all, these are {patterns}");
            return wrong("permissions", reason);
        }
        Ok(changed)
    }

    /// The rules this sets for a category; `None` when the type's are inherited.
    #[must_use]
    pub fn get(&self, category: Category) -> Option<&Rules> {
        self.categories.get(&category)
    }

    /// Whether nothing is overridden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// The rights of a trust type with this override.
    #[must_use]
    pub fn applied_to(&self, mut base: Permissions) -> Permissions {
        for (category, rules) in &self.categories {
            let merged = match base.get(*category) {
                Some(base) => base.overridden(rules),
                None => rules.clone(),
            };
            base.set(*category, merged);
        }
        base
    }

    /// The record as it is stored and shown: the six categories, null where inherited, `created_by` and `notes`.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let shown = |category: Category| self.get(category).map_or(Value::Null, Rules::to_json);
        let mut record: Map<_, _> =
            Category::ALL.iter().map(|category| (category.to_string(), shown(*category))).collect();
        record.insert("created_by".to_owned(), json!(self.created_by));
        record.insert("notes".to_owned(), json!(self.notes));
        record
    }
}

fn count(rules: &Rules) -> usize {
    [&rules.patterns, &rules.excluded, &rules.allowed, &rules.denied].into_iter().flatten().map(Vec::len).sum()
}

fn parse_rules(category: Category, value: &Value) -> Result<Option<Rules>, OverrideError> {
    let mut rules = Rules::default();
    match value {
        Value::Null => return Ok(None),
        Value::Array(_) => {
            let patterns = parse_patterns(category.as_str(), value)?;
            if matches!(category, Category::Properties | Category::Resources) {
                rules.patterns = Some(patterns);
                rules.operations = Some(vec![Operation::Read]);
            } else {
                rules.allowed = Some(patterns);
            }
        }
        Value::Object(keys) => {
            for (key, value) in keys {
                let at = format!("{category}.{}", shown(key));
                match key.as_str() {
                    "patterns" => rules.patterns = Some(parse_patterns(&at, value)?),
                    "excluded_patterns" => rules.excluded = Some(parse_patterns(&at, value)?),
                    "allowed" => rules.allowed = Some(parse_patterns(&at, value)?),
                    "denied" => rules.denied = Some(parse_patterns(&at, value)?),
                    "operations" => rules.operations = Some(parse_operations(&at, value)?),
                    _ => {
                        return wrong(
                            at,
                            "unknown; known are patterns, operations, excluded_patterns, allowed and denied",
                        );
                    }
                }
            }
        }
        _ => return wrong(category.as_str(), "must be an object, a list of patterns, or null to inherit"),
    }
    Ok(Some(rules))
}

fn parse_patterns(at: &str, value: &Value) -> Result<Vec<Glob>, OverrideError> {
    let Value::Array(items) = value else { return wrong(at, "must be a list of patterns") };
    if items.len() > MAX_OVERRIDE_PATTERNS {
        return wrong(at, format!("at most {MAX_OVERRIDE_PATTERNS} patterns"));
    }
    let mut globs: Vec<Glob> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Value::String(text) = item else { return wrong(at, "a pattern is a string") };
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES || text.chars().any(char::is_control) {
            let reason = format!("a pattern has 1 to {MAX_PATTERN_BYTES} bytes and no control characters");
            return wrong(at, reason);
        }
        let glob = Glob::new(text.as_str());
        if !globs.contains(&glob) {
            globs.push(glob);
        }
    }
    Ok(globs)
}

fn parse_operations(at: &str, value: &Value) -> Result<Vec<Operation>, OverrideError> {
    let Value::Array(items) = value else { return wrong(at, "must be a list of operations") };
    let mut operations = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let known = Operation::ALL.into_iter().find(|operation| item.as_str() == Some(operation.as_str()));
        let Some(operation) = known else {
            let words = Operation::ALL.map(Operation::as_str).join(", ");
            return wrong(format!("{at}[{index}]"), format!("an operation is one of {words}"));
        };
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    Ok(operations)
}

fn parse_text(at: &str, value: &Value) -> Result<Option<String>, OverrideError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text.clone())),
        Value::String(_) => wrong(at, format!("at most {MAX_TEXT_BYTES} bytes")),
        _ => wrong(at, "must be a string"),
    }
}

/// A key that came from outside, fit for a message.
fn shown(key: &str) -> String {
    key.chars().take(40).flat_map(char::escape_debug).collect()
}

impl From<PermissionOverride> for Value {
    fn from(record: PermissionOverride) -> Self {
        Self::Object(record.to_json())
    }
}

impl TryFrom<Value> for PermissionOverride {
    type Error = OverrideError;
    fn try_from(body: Value) -> Result<Self, OverrideError> {
        Self::parse(&body)
    }
}
