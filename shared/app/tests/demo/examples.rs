//! The examples of `docs/migrating-from-python.md` that the demo has no hook for, at work.

mod database;
mod files;
mod models;
mod objects;
mod peers;
mod tips;
mod urls;

const PAGE: &str = include_str!("../../../../docs/migrating-from-python.md");

/// Hooks that the page shows, by the file that tests them.
const SHOWN: &[(&str, &[&str])] = &[
    (include_str!("examples/database.rs"), &["user_profile", "database_failed", "reserve_profile"]),
    (include_str!("examples/files.rs"), &["make_scratch", "jot"]),
    (include_str!("examples/models.rs"), &["search_data", "summarize_notes"]),
    (include_str!("examples/objects.rs"), &["measure", "read"]),
    (include_str!("examples/peers.rs"), &["notify_peers", "on_notification"]),
    (include_str!("examples/tips.rs"), &["process_batch", "process_item", "good", "also_good", "cleanup"]),
    (include_str!("examples/urls.rs"), &["fetch_data"]),
];

#[test]
fn what_is_tested_here_is_what_the_page_shows() {
    let page = squeezed(PAGE);
    for (source, names) in SHOWN {
        for name in *names {
            let begin = source.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("no `{name}` here"));
            let length = source[begin..].find("\n}\n").unwrap_or_else(|| panic!("`{name}` has no end"));
            let hook = squeezed(&source[begin..begin + length]);
            assert!(page.contains(&hook), "`{name}` is another on the page");
        }
    }
}

/// Without what a formatter decides.
fn squeezed(code: &str) -> String {
    code.split_whitespace().collect::<String>().replace(",)", ")")
}
