use serde_json::json;

use super::*;

fn any_override() -> impl Strategy<Value = PermissionOverride> {
    proptest::collection::btree_map(proptest::sample::select(Category::ALL.to_vec()), any_rules(), 0..4).prop_map(
        |categories| {
            let body: serde_json::Map<String, Value> =
                categories.iter().map(|(category, rules)| (category.to_string(), rules.to_json())).collect();
            PermissionOverride::parse(&Value::Object(body)).unwrap()
        },
    )
}

fn parse(body: Value) -> Result<PermissionOverride, OverrideError> {
    PermissionOverride::parse(&body)
}

#[test]
fn lists_are_united_and_the_rest_is_replaced() {
    let base = Permissions::default()
        .with(Category::Properties, Rules::patterns(&["public/*"], &[Operation::Read]).except(&["private/*"]));
    let changed = parse(json!({ "properties": {
        "patterns": ["memory_*", "public/*"], "excluded_patterns": ["memory_own"], "operations": ["read", "subscribe"],
    }}));
    assert_eq!(
        changed.unwrap().applied_to(base).to_json()["properties"],
        json!({
            "patterns": ["public/*", "memory_*"],
            "operations": ["read", "subscribe"],
            "excluded_patterns": ["private/*", "memory_own"],
        })
    );
    let base = Permissions::default().with(Category::Methods, Rules::allow(&["*"]).deny(&["delete_*"]));
    let changed = parse(json!({ "methods": { "allowed": ["x"], "denied": ["y"] } })).unwrap();
    assert_eq!(changed.applied_to(base).to_json()["methods"], json!({ "allowed": ["x"], "denied": ["delete_*", "y"] }));
}

#[test]
fn an_override_grants_what_no_type_does() {
    let policy = Policy::builder().build().unwrap();
    let changed = parse(json!({ "properties": ["memory"], "prompts": ["hello"] })).unwrap();
    let lover = policy.access(peer("lover"), Some(&changed));
    assert_eq!(lover.check(Category::Properties, "memory", Operation::Read), Ok(()));
    assert_eq!(lover.check(Category::Prompts, "hello", Operation::Invoke), Ok(()));
    assert!(lover.check(Category::Properties, "memory", Operation::Write).is_err());
    assert!(lover.check(Category::Methods, "get_x", Operation::Call).is_err());
    let stranger = policy.access(Caller::Unapproved { id: "p1".to_owned() }, Some(&changed));
    assert!(stranger.check(Category::Properties, "memory", Operation::Read).is_err());
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    for (body, at) in [
        (json!([]), "permissions"),
        (json!({ "property": {} }), "property"),
        (json!({ "permissions": { "properties": {} } }), "permissions"),
        (json!({ "properties": "x" }), "properties"),
        (json!({ "properties": { "exclude": [] } }), "properties.exclude"),
        (json!({ "properties": { "patterns": "x" } }), "properties.patterns"),
        (json!({ "properties": { "denied": null } }), "properties.denied"),
        (json!({ "properties": { "patterns": ["a", 1] } }), "properties.patterns[1]"),
        (json!({ "properties": { "patterns": [""] } }), "properties.patterns[0]"),
        (json!({ "properties": { "patterns": ["a\nb"] } }), "properties.patterns[0]"),
        (json!({ "properties": { "operations": ["read", "Write"] } }), "properties.operations[1]"),
        (json!({ "tools": ["x".repeat(257)] }), "tools[0]"),
        (json!({ "tools": vec!["x"; 201] }), "tools"),
        (json!({ "notes": 1 }), "notes"),
        (json!({ "notes": "x".repeat(2000) }), "notes"),
        (json!({ "a\nb": 1 }), "a\\nb"),
    ] {
        assert_eq!(parse(body.clone()).unwrap_err().at, at, "{body}");
    }
    let many = |n: usize, start: usize| (start..start + n).map(|n| n.to_string()).collect::<Vec<_>>();
    let body = json!({ "tools": many(150, 0), "methods": { "denied": many(51, 0) } });
    assert_eq!(parse(body).unwrap_err().at, "permissions");
}

#[test]
fn an_update_replaces_what_it_names() {
    let record = parse(json!({ "tools": ["a"], "methods": ["b"], "notes": "n" })).unwrap();
    let body = json!({ "tools": ["c"], "methods": null, "actor_id": "x", "trust_type": "admin", "updated_at": null });
    let updated = record.updated(&body).unwrap();
    let expected = json!({
        "properties": null, "methods": null, "actions": null, "tools": { "allowed": ["c"] }, "resources": null,
        "prompts": null, "created_by": null, "notes": "n",
    });
    assert_eq!(Value::Object(updated.to_json()), expected);
    assert!(!updated.is_empty() && updated.get(Category::Methods).is_none());
}

proptest! {
    #[test]
    fn an_override_survives_storage(record in any_override()) {
        let stored = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<PermissionOverride>(&stored).unwrap(), record);
    }

    #[test]
    fn an_override_never_lifts_a_denial(
        base in any_rules(), by in any_rules(), target in any_target(), operation in any_operation(),
    ) {
        let merged = base.overridden(&by);
        let denied = |rules: &Rules| matches!(
            rules.judge(Category::Properties, &target, operation),
            Err(Reason::DeniedBy(_) | Reason::ExcludedBy(_))
        );
        prop_assert!(!denied(&base) || denied(&merged));
        prop_assert!(!denied(&by) || denied(&merged));
    }

    #[test]
    fn an_override_that_only_denies_never_widens(
        base in any_rules(), excluded in any_globs(), denied in any_globs(), target in any_target(), operation in any_operation(),
    ) {
        let merged = base.overridden(&Rules { excluded, denied, ..Rules::default() });
        let ok = |rules: &Rules| rules.judge(Category::Properties, &target, operation).is_ok();
        prop_assert!(!ok(&merged) || ok(&base));
    }

    #[test]
    fn patterns_alone_never_narrow(base in any_rules(), patterns in any_globs(), target in any_target(), operation in any_operation()) {
        let merged = base.overridden(&Rules { patterns, ..Rules::default() });
        let ok = |rules: &Rules| rules.judge(Category::Properties, &target, operation).is_ok();
        prop_assert!(ok(&merged) || !ok(&base));
    }

    #[test]
    fn nothing_changes_nothing_and_twice_is_once(base in any_rules(), by in any_override()) {
        let base = Permissions::default().with(Category::Properties, base);
        let json = base.to_json();
        prop_assert_eq!(PermissionOverride::default().applied_to(base.clone()).to_json(), json);
        let once = by.applied_to(base);
        prop_assert_eq!(by.applied_to(once.clone()), once);
    }
}
