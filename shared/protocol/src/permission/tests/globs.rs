use super::*;

/// What the words say, tried out in every way.
fn naive(pattern: &[char], target: &[char]) -> bool {
    match (pattern.split_first(), target.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), Some((_, after))) => naive(rest, target) || naive(pattern, after),
        (Some(('*', rest)), None) => naive(rest, target),
        (Some((p, rest)), Some((c, after))) => (*p == '?' || p == c) && naive(rest, after),
        _ => false,
    }
}

fn matches(pattern: &str, target: &str) -> bool {
    Glob::new(pattern).matches(target)
}

fn denies_naively(pattern: &str, target: &str) -> bool {
    let paths = (1..=target.split('/').count()).map(|n| target.split('/').take(n).collect::<Vec<_>>().join("/"));
    let says = |pattern: &str, path: &str| naive(&chars(pattern), &chars(path));
    let stem = pattern.trim_end_matches('*').strip_suffix('/').filter(|_| pattern.ends_with('*'));
    paths.into_iter().any(|path| says(pattern, &path) || stem.is_some_and(|stem| says(stem, &path)))
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[test]
fn patterns_match_whole_targets() {
    assert!(matches("get_*", "get_") && matches("get_*", "get_a/b"));
    assert!(!matches("get_*", "xget_a") && !matches("get_*", "Get_a"));
    assert!(matches("get_?", "get_ä") && !matches("get_?", "get_") && !matches("get_?", "get_ab"));
    assert!(
        matches("notes://", "notes://work/1") && matches("notes://", "notes://") && !matches("notes://", "notes:/")
    );
    assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c"));
    assert!(matches("", "") && !matches("", "a") && matches("**", ""));
    assert!(matches("[ab]", "[ab]") && !matches("[ab]", "a"));
}

#[test]
fn no_pattern_explodes() {
    let pattern = "*a".repeat(120) + "b";
    assert!(!matches(&pattern, &"a".repeat(20_000)));
    assert!(matches(&pattern, &("a".repeat(20_000) + "b")));
}

#[test]
fn what_lies_below_is_foreseen() {
    let below = |pattern: &str, path: &str| Glob::new(pattern).may_match_below(path);
    assert!(below("*", "a") && below("a/*", "a") && below("a/b", "a") && below("*secret*", "a") && below("a?b", "a"));
    assert!(!below("a", "a") && !below("b/*", "a") && !below("ab*", "a") && !below("??", "ab"));
    let index = |pattern: &str| Glob::new(pattern).may_deny_index("notes");
    assert!(
        index("*")
            && index("notes/*")
            && index("notes/3")
            && index("notes/1?")
            && index("notes/1/*")
            && index("n*1*")
            && index("*7")
    );
    assert!(!index("notes/") && !index("*secret*") && !index("notes/x") && !index("notes/1x*"));
}

proptest! {
    #[test]
    fn matching_is_what_the_naive_matcher_says(pattern in "[ab/*?]{0,7}", target in "[ab/]{0,8}") {
        prop_assert_eq!(matches(&pattern, &target), naive(&chars(&pattern), &chars(&target)));
    }

    #[test]
    fn denying_protects_what_is_named_and_all_below(pattern in any_pattern(), target in any_target(), key in "[ab]") {
        let glob = Glob::new(pattern.as_str());
        prop_assert_eq!(glob.denies(&target), denies_naively(&pattern, &target));
        if glob.denies(&target) {
            let below = format!("{target}/{key}");
            prop_assert!(glob.denies(&below));
        }
    }

    #[test]
    fn foresight_misses_nothing(pattern in any_pattern(), path in any_target(), below in any_target(), index in 0..40_u32) {
        let glob = Glob::new(pattern);
        let below = format!("{path}/{below}");
        prop_assert!(!glob.matches(&below) || glob.may_match_below(&path));
        prop_assert!(!glob.covers_below(&path) || glob.matches(&below));
        let item = format!("{path}/{index}");
        prop_assert!(!glob.denies(&item) || glob.may_deny_index(&path));
    }
}
