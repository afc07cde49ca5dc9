//! Patterns over names and paths.

use std::fmt;
use std::str::Chars;

/// A pattern: `*` is any run of characters (also of `/`, also none), `?` exactly one, everything else itself. The whole
/// target must match, case-sensitively. A pattern ending in `://` matches everything that starts with it.
///
/// Matching takes no memory and at most pattern x target steps: no pattern makes it explode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Run,
    One,
    Char(char),
}

impl Glob {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let mut tokens = Vec::with_capacity(text.len());
        let run = text.ends_with("://").then_some('*');
        for c in text.chars().chain(run) {
            match c {
                '*' if tokens.last() == Some(&Token::Run) => {}
                '*' => tokens.push(Token::Run),
                '?' => tokens.push(Token::One),
                c => tokens.push(Token::Char(c)),
            }
        }
        Self { text, tokens }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole target matches.
    #[must_use]
    pub fn matches(&self, target: &str) -> bool {
        matches(&self.tokens, target)
    }

    pub(super) fn matches_everything(&self) -> bool {
        self.tokens == [Token::Run]
    }

    /// Whether the target or something above it matches: what a grant of a property path covers.
    pub(super) fn grants(&self, target: &str) -> bool {
        above(target).any(|path| self.matches(path))
    }

    /// Whether the target is protected by this pattern: when it or something above it matches, or when everything below
    /// one of them does (`private/*` protects `private` itself, which may be a text, an array or a list).
    pub(super) fn denies(&self, target: &str) -> bool {
        above(target)
            .any(|path| self.matches(path) || self.container().is_some_and(|container| matches(container, path)))
    }

    /// The pattern without the `/*` at its end.
    fn container(&self) -> Option<&[Token]> {
        self.tokens.strip_suffix(&[Token::Char('/'), Token::Run])
    }

    /// Whether it matches every path below `path`. May miss some patterns that do.
    pub(super) fn covers_below(&self, path: &str) -> bool {
        self.tokens.last() == Some(&Token::Run) && self.matches(&format!("{path}/"))
    }

    /// Whether there can be a path below `path` that it matches.
    pub(super) fn may_match_below(&self, path: &str) -> bool {
        self.after(&format!("{path}/")).contains(&true)
    }

    /// Whether it [denies](Self::denies) `path/` and some decimal number: an item of a list, addressed by its index.
    pub(super) fn may_deny_index(&self, path: &str) -> bool {
        let container = self.container().map(|tokens| Self { text: String::new(), tokens: tokens.to_vec() });
        self.denies(path) || self.may_match_index(path) || container.is_some_and(|glob| glob.may_match_index(path))
    }

    fn may_match_index(&self, path: &str) -> bool {
        let mut states = self.after(&format!("{path}/"));
        // Every round consumes a digit; after as many rounds as there are states no new ones turn up.
        for _ in 0..=self.tokens.len() {
            states = self.step(&states, |c| c.is_ascii_digit());
            if states.last() == Some(&true) {
                return true;
            }
        }
        false
    }

    /// The places in the pattern at which a match can stand behind this prefix.
    fn after(&self, prefix: &str) -> Vec<bool> {
        let mut start = vec![false; self.tokens.len() + 1];
        if let Some(first) = start.first_mut() {
            *first = true;
        }
        self.skip_runs(&mut start);
        prefix.chars().fold(start, |states, c| self.step(&states, |literal| literal == c))
    }

    /// Consumes one character, any that `is` accepts as the literal it stands for.
    fn step(&self, states: &[bool], is: impl Fn(char) -> bool) -> Vec<bool> {
        let mut next = vec![false; states.len()];
        for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| states.get(*at) == Some(&true)) {
            let to = match token {
                Token::Run => at,
                Token::One => at + 1,
                Token::Char(literal) if is(*literal) => at + 1,
                Token::Char(_) => continue,
            };
            if let Some(state) = next.get_mut(to) {
                *state = true;
            }
        }
        self.skip_runs(&mut next);
        next
    }

    /// A run may be empty.
    fn skip_runs(&self, states: &mut [bool]) {
        for (at, _) in self.tokens.iter().enumerate().filter(|(_, token)| **token == Token::Run) {
            if states.get(at) == Some(&true)
                && let Some(next) = states.get_mut(at + 1)
            {
                *next = true;
            }
        }
    }
}

/// Goes along both at once and, where they part, returns to the last `*` and lets it take one character more. Going back
/// to earlier ones is never needed: whatever they could take, the last one can.
fn matches(tokens: &[Token], target: &str) -> bool {
    let mut rest = target.chars();
    let mut at = 0;
    let mut last_run: Option<(usize, Chars<'_>)> = None;
    loop {
        let token = tokens.get(at);
        if token == Some(&Token::Run) {
            at += 1;
            last_run = Some((at, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        let agrees = match (token, ahead.next()) {
            (None, None) => return true,
            (Some(_), None) => return false,
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Char(literal)), Some(c)) => *literal == c,
            (Some(Token::Run) | None, Some(_)) => false,
        };
        if agrees {
            at += 1;
            rest = ahead;
            continue;
        }
        let Some((behind, taken)) = last_run.as_mut() else { return false };
        taken.next();
        at = *behind;
        rest = taken.clone();
    }
}

/// A path and everything above it: `a`, `a/b` and `a/b/c` for `a/b/c`.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at)).chain(std::iter::once(path))
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
