//! The environment variables of this process, as a value.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables by name. A variable that is empty counts as not set.
///
/// The process's own are read once, at start; tests and the local stack add or replace some.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. The only place that reads them.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn of_process() -> Self {
        // A value that is not UTF-8 is kept in part, so that it is refused by name rather than taken for absent.
        let readable = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self(std::env::vars_os().map(|(name, value)| (readable(name), readable(value))).collect())
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Replaces a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Sets a variable that is not set yet.
    #[must_use]
    pub fn with_default(self, name: &str, value: impl Into<String>) -> Self {
        if self.get(name).is_some() { self } else { self.with(name, value) }
    }

    /// The variables whose names begin with `prefix`: what follows it, and the value.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.keys().filter_map(move |name| Some((name.strip_prefix(prefix)?, self.get(name)?)))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Names alone: values are secrets until known otherwise.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
