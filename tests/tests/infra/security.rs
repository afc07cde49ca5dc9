//! What `docs/security.md` promises: each test that it names is there. And what only the text of the program can show.

use std::path::{Path, PathBuf};

use crate::template::{root, template, text};

/// The tests that the page names, as `file::test`: what stands between backticks, has one `::`, and ends in a test's name.
fn named(page: &str) -> Vec<(String, String)> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let spans = page.split('`').skip(1).step_by(2);
    let pairs = spans.filter_map(|span| span.rsplit_once("::"));
    // How tests are named, on the page.
    let pairs = pairs.filter(|pair| *pair != ("file", "test"));
    pairs.filter(|(_, test)| is_name(test)).map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

/// Where a file may be that the page names: from the root, or from the folders of tests over HTTP.
fn places(file: &str) -> [PathBuf; 3] {
    ["", "tests/tests/", "tests/tests/stack/"].map(|folder| root().join(format!("{folder}{file}.rs")))
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let named = named(&text("docs/security.md"));
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let mut missing = Vec::new();
    for (file, test) in named {
        let found = places(&file).into_iter().find_map(|path| std::fs::read_to_string(path).ok());
        let is_test = found.is_some_and(|source| {
            let at = source.find(&format!("fn {test}("));
            // Its attribute stands before it, and behind whatever comes before.
            at.is_some_and(|at| {
                let before = source.get(..at).unwrap_or_default();
                let since = before.rfind("\n}\n").map_or(before, |end| before.get(end..).unwrap_or_default());
                since.contains("#[tokio::test") || since.contains("#[test]")
            })
        });
        if !is_test {
            missing.push(format!("{file}::{test}"));
        }
    }
    assert!(missing.is_empty(), "docs/security.md names tests that are not there: {missing:#?}");
}

/// Sources of the program, without those of its tests.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "benches", "target", "testkit"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            let source = std::fs::read_to_string(&path).expect("a file");
            let program = source.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            found.push((path, program));
        }
    }
}

/// How long a comparison takes must not tell how much of a secret was right: secrets are compared by what takes as long for
/// any, or looked up by their hash.
#[test]
fn secrets_are_never_compared_with_a_plain_comparison() {
    let mut all = Vec::new();
    for folder in ["shared", "functions", "infra"] {
        sources(&root().join(folder), &mut all);
    }
    assert!(all.len() > 200, "{}", all.len());
    // Parts of patterns; and two sealed texts, both of storage.
    let harmless = ["if token == Some(&Token::Run) {", "if before.secret != trust.secret {"];
    let words = ["secret", "passphrase", "password", "verifier", "token", "cookie"];
    for (path, source) in &all {
        for (number, line) in source
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//") && !harmless.contains(&line.trim()))
        {
            for word in words {
                for odd in [
                    format!(".{word} == "),
                    format!(" {word} == "),
                    format!("== {word} "),
                    format!("== {word})"),
                    format!("{word} != "),
                ] {
                    assert!(!line.contains(&odd), "{}:{}: {line}", path.display(), number + 1);
                }
            }
        }
    }
    // What does compare them.
    let body = |file: &str, function: &str| {
        let source = text(file);
        let from = source.find(&format!("fn {function}")).unwrap_or_else(|| panic!("{file} has no {function}"));
        source.get(from..).and_then(|rest| rest.split("\n    }\n").next()).unwrap_or_default().to_owned()
    };
    for function in ["verify(", "made_token_secret("] {
        assert!(body("shared/protocol/src/keys.rs", function).contains("hmac::verify("), "{function}");
    }
    let same = text("shared/protocol/src/oauth/pkce.rs");
    let same = same.split("pub fn same(").nth(1).and_then(|rest| rest.split("\n}\n").next()).unwrap_or_default();
    assert!(same.contains("hmac::verify("), "{same}");
}

/// What no function sees costs nothing: the gateway holds floods off, whoever they are from and wherever they go.
#[test]
fn the_gateway_takes_so_many_requests_and_no_more() {
    let template = template();
    let stages: Vec<_> = template["Resources"]
        .as_object()
        .expect("resources")
        .values()
        .filter(|resource| resource["Type"] == "AWS::ApiGatewayV2::Stage")
        .collect();
    assert!(!stages.is_empty());
    for stage in stages {
        let settings = &stage["Properties"]["DefaultRouteSettings"];
        for name in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            let parameter = settings[name]["Ref"].as_str().unwrap_or_else(|| panic!("no {name}"));
            let default = &template["Parameters"][parameter]["Default"];
            let default = default.as_u64().or_else(|| default.as_str()?.parse().ok());
            assert!(default.is_some_and(|limit| (1..=10_000).contains(&limit)), "{name}: {default:?}");
        }
    }
}
