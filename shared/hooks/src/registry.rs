//! Which hooks there are, and which of them a name calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::as_task::TaskRules;
use crate::call::Call;
use crate::extract::Signature;
use crate::hook::{Hook, Step};
use crate::info::Annotations;
use crate::kind::Kind;
use crate::mcp::McpAbout;
use crate::watchdog::LastBark;

/// The name of hooks that serve every name.
pub(crate) const WILDCARD: &str = "*";

type Start<K> = Box<dyn Fn(&Call<K>) -> Step<<K as Kind>::Answer> + Send + Sync>;

/// A hook as it was registered.
pub(crate) struct Registered<K: Kind> {
    pub(crate) name: Arc<str>,
    /// Kind and name, as logs have it: `method:add_numbers`.
    pub(crate) label: String,
    pub(crate) last_bark: LastBark,
    pub(crate) signature: Signature,
    pub(crate) about: About,
    start: Start<K>,
}

/// What an author said of a hook.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) description: Option<String>,
    pub(crate) annotations: Option<Annotations>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) tool: Option<String>,
    pub(crate) mcp: McpAbout,
    /// How it runs as a task, if it does.
    pub(crate) task: Option<TaskRules>,
}

impl<K: Kind> Registered<K> {
    pub(crate) fn new<M, H: Hook<K, M>>(name: String, hook: H) -> Self {
        let hook = Arc::new(hook);
        let start = Box::new(move |call: &Call<K>| hook.start(call));
        let label = format!("{}:{name}", K::NAME);
        let last_bark = LastBark::default();
        Self { name: name.into(), label, last_bark, signature: H::signature(), about: About::default(), start }
    }

    pub(crate) fn start(&self, call: &Call<K>) -> Step<K::Answer> {
        (self.start)(call)
    }
}

impl<K: Kind> fmt::Debug for Registered<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hook `{}` ({})", K::NAME, self.name, self.signature.function)
    }
}

/// All hooks of one kind, found by name.
#[derive(Debug)]
pub(crate) struct Table<K: Kind> {
    exact: HashMap<Arc<str>, Vec<Registered<K>>>,
    wildcard: Vec<Registered<K>>,
    /// Names in the order of their first registration, without the wildcard.
    names: Vec<Arc<str>>,
}

impl<K: Kind> Table<K> {
    pub(crate) fn new(hooks: Vec<Registered<K>>) -> Self {
        let mut table = Self { exact: HashMap::new(), wildcard: Vec::new(), names: Vec::new() };
        for hook in hooks {
            if &*hook.name == WILDCARD {
                table.wildcard.push(hook);
                continue;
            }
            let name = Arc::clone(&hook.name);
            let same = table.exact.entry(Arc::clone(&name)).or_default();
            if same.is_empty() {
                table.names.push(name);
            }
            same.push(hook);
        }
        table
    }

    /// The hooks to ask for `name` one after another: its own, else the wildcard's.
    pub(crate) fn answering(&self, name: &str) -> &[Registered<K>] {
        self.exact.get(name).map_or(self.wildcard.as_slice(), Vec::as_slice)
    }

    /// The hooks that all have a say in `name`: its own, then the wildcard's.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Registered<K>> {
        self.exact.get(name).into_iter().flatten().chain(&self.wildcard)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.wildcard.is_empty() || self.exact.contains_key(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wildcard.is_empty() && self.exact.is_empty()
    }

    /// The first hook of each name, in the order of registration.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &Registered<K>> {
        self.names.iter().filter_map(|name| self.exact.get(name)?.first())
    }
}
