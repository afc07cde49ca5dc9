use super::*;
use crate::trust_types::BUILT_IN;

/// Which of read, write and delete are allowed on a property, as letters.
fn rwd(access: &Access, category: Category, target: &str) -> String {
    [(Operation::Read, "r"), (Operation::Write, "w"), (Operation::Delete, "d"), (Operation::Subscribe, "s")]
        .into_iter()
        .filter(|(operation, _)| access.check(category, target, *operation).is_ok())
        .map(|(_, letter)| letter)
        .collect()
}

/// Which types may call it, by their first letters: Associate, Viewer, Friend, Partner, aDmin, Mcp_client.
fn who(category: Category, target: &str, operation: Operation) -> String {
    [("associate", 'A'), ("viewer", 'V'), ("friend", 'F'), ("partner", 'P'), ("admin", 'D'), ("mcp_client", 'M')]
        .into_iter()
        .filter(|(name, _)| built_in(name).check(category, target, operation).is_ok())
        .map(|(_, letter)| letter)
        .collect()
}

#[test]
fn every_type_that_is_offered_has_rules() {
    let policy = Policy::builder().build().unwrap();
    assert_eq!(policy.trust_types(), BUILT_IN);
    for info in BUILT_IN {
        assert!(policy.permissions(info.name).is_some_and(|all| all.get(Category::Properties).is_some()));
    }
    assert!(policy.permissions("lover").is_none());
}

#[test]
fn what_the_types_may_do_with_properties() {
    let rows = [
        //                 associate viewer friend partner admin mcp_client
        ("name", ["", "", "rw", "rw", "rwd", ""]),
        ("public/x", ["r", "r", "rw", "rw", "rwd", "r"]),
        ("shared/x", ["", "r", "rw", "rw", "rwd", "r"]),
        ("notes/x", ["", "", "rw", "rw", "rwd", "r"]),
        ("private/x", ["", "", "", "rw", "rwd", ""]),
        ("security/x", ["", "", "", "rw", "rwd", ""]),
        ("_internal/x", ["", "", "", "", "rwd", ""]),
        ("private", ["", "", "", "rw", "rwd", ""]),
        ("oauth_x", ["", "", "rw", "rw", "rwd", ""]),
    ];
    for (target, expected) in rows {
        for (kind, expected) in BUILT_IN.iter().zip(expected) {
            assert_eq!(rwd(&built_in(kind.name), Category::Properties, target), expected, "{} {target}", kind.name);
        }
    }
}

#[test]
fn what_the_types_may_call() {
    let method = |name| who(Category::Methods, name, Operation::Call);
    assert_eq!(method("get_x"), "AVFPDM");
    assert_eq!(method("ping"), "AFPD");
    assert_eq!(method("list_x"), "VFPDM");
    assert_eq!(method("search_x"), "FPDM");
    assert_eq!(method("x"), "FPD");
    assert_eq!(method("delete_x"), "PD");
    assert_eq!(method("admin_x"), "D");
    let action = |name| who(Category::Actions, name, Operation::Execute);
    assert_eq!((action("x"), action("search"), action("delete_x")), ("FPD".into(), "FPDM".into(), "PD".into()));
    assert_eq!(action("system_x"), "D");
    let tool = |name| who(Category::Tools, name, Operation::Use);
    assert_eq!((tool("create_note"), tool("delete_x"), tool("admin_x")), ("FPDM".into(), "FPD".into(), "D".into()));
    let prompt = |name| who(Category::Prompts, name, Operation::Invoke);
    assert_eq!((prompt("analyze_x"), prompt("x")), ("M".into(), String::new()));
    let resource = |uri| who(Category::Resources, uri, Operation::Read);
    assert_eq!(
        (resource("public/x"), resource("notes://1"), resource("oauth://x")),
        ("AVFPDM".into(), "FPDM".into(), "FPD".into(),)
    );
    assert_eq!((resource("private/x"), resource("security/x")), ("PD".into(), "D".into()));
}

#[test]
fn an_operation_that_is_not_listed_is_denied_whatever_is_allowed() {
    let mut rules = Rules::patterns(&["a"], &[Operation::Read]);
    rules.allowed = Some(vec![Glob::new("b")]);
    assert_eq!(rules.judge(Category::Properties, "b", Operation::Read), Ok(()));
    assert_eq!(rules.judge(Category::Properties, "b", Operation::Write), Err(Reason::Operation));
    // Patterns without operations grant nothing.
    let rules = Rules { patterns: Some(vec![Glob::new("*")]), ..Rules::default() };
    assert_eq!(rules.judge(Category::Properties, "b", Operation::Read), Err(Reason::NoMatch));
}

#[test]
fn an_application_defines_types_of_its_own() {
    let subscriber = TrustDefinition::new("subscriber", "Subscriber", "")
        .grants(Category::Properties, Rules::patterns(&["memory_*"], &[Operation::Read, Operation::Subscribe]))
        .path_rule("subscriptions/<id>", "POST", "a");
    let admin = TrustDefinition::new("admin", "Administrator", "Less than usual");
    let policy = Policy::builder().trust_type(subscriber).trust_type(admin).build().unwrap();
    assert_eq!(policy.trust_types().len(), 7);
    let access = policy.access(peer("subscriber"), None);
    assert_eq!(rwd(&access, Category::Properties, "memory_x"), "rs");
    assert_eq!(access.authorize("subscriptions/p1", Verb::Post), Ok(()));
    assert!(access.authorize("subscriptions/p2", Verb::Post).is_err());
    // Whoever redefines a type has the default path rules of that name gone as well.
    assert!(policy.access(peer("admin"), None).authorize("trust", Verb::Get).is_err());
    assert!(policy.access(peer("admin"), None).authorize("properties/x", Verb::Get).is_err());
}

#[test]
fn definitions_that_could_not_work_are_refused() {
    for name in ["creator", "trustee", "owner", "any", "", "handshake", "a/b", "<id>"] {
        let built = Policy::builder().trust_type(TrustDefinition::new(name, "", "")).build();
        assert_eq!(built.unwrap_err(), PolicyError::Name(name));
    }
    let twice = || TrustDefinition::new("twice", "", "");
    assert_eq!(
        Policy::builder().trust_type(twice()).trust_type(twice()).build().unwrap_err(),
        PolicyError::Twice("twice")
    );
}

#[test]
fn who_may_run_an_action_may_see_to_its_tasks_and_schedules() {
    let definition = TrustDefinition::new("runner", "Runner", "")
        .grants(Category::Actions, Rules::patterns(&["report", "sub/*"], &[Operation::Execute]));
    let access = Policy::builder().trust_type(definition).build().unwrap().access(peer("runner"), None);
    for verb in Verb::ALL {
        assert!(access.authorize("actions/report/schedules/1", verb).is_ok());
        // Nothing below an action is granted or denied by itself.
        for path in ["actions/other/schedules", "actions/sub/report", "actions/sub"] {
            assert!(access.authorize(path, verb).is_err(), "{path}");
        }
    }
}
