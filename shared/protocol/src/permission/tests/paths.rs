use super::*;

fn policy() -> Policy {
    Policy::builder().build().unwrap()
}

/// Which of GET, POST, PUT and DELETE are allowed, as letters.
fn verbs(access: &Access, path: &str) -> String {
    let letters = Verb::ALL.into_iter().zip(["G", "P", "U", "D"]);
    letters.filter(|(verb, _)| access.authorize(path, *verb).is_ok()).map(|(_, letter)| letter).collect()
}

#[test]
fn the_default_matrix() {
    let policy = policy();
    let callers = [
        Caller::Anonymous,
        Caller::Unapproved { id: "p1".to_owned() },
        peer("lover"),
        peer("viewer"),
        peer("friend"),
        peer("partner"),
        peer("admin"),
        Caller::Trustee,
    ];
    let rows = [
        // path                                     anon  unappr lover  viewer friend partner admin  trustee
        ("/", ["", "", "", "", "", "", "GPUD", "GPUD"]),
        ("meta", ["G", "G", "G", "G", "G", "G", "G", "G"]),
        ("meta/id", ["G", "G", "G", "G", "G", "G", "G", "G"]),
        ("metadata", ["", "", "", "", "", "", "", ""]),
        ("www", ["", "", "", "", "", "", "", ""]),
        ("devtest/attributes", ["", "", "", "", "", "", "", ""]),
        ("services/x", ["", "", "", "", "", "", "GPUD", "GPUD"]),
        ("trust", ["", "", "", "", "", "", "GPUD", "GPUD"]),
        ("trust/friend", ["P", "P", "P", "P", "P", "P", "GPUD", "GPUD"]),
        ("trust/friend/p1", ["", "GPD", "GPD", "GPD", "GPD", "GPD", "GPUD", "GPUD"]),
        ("trust/friend/p2", ["", "", "", "", "", "", "GPUD", "GPUD"]),
        ("trust/friend/p1/permissions", ["", "", "", "", "", "", "GPUD", "GPUD"]),
        ("trust/friend/p1/shared_properties", ["", "", "G", "G", "G", "G", "GPUD", "GPUD"]),
        ("permissions/p1", ["", "", "G", "G", "G", "G", "G", ""]),
        ("permissions/p2", ["", "", "", "", "", "", "", ""]),
        ("subscriptions", ["", "", "", "", "", "", "", "GPUD"]),
        ("subscriptions/p1", ["", "", "GUD", "GUD", "GPUD", "GUD", "GUD", "GPUD"]),
        ("subscriptions/p1/s/1", ["", "", "GUD", "GUD", "GPUD", "GUD", "GUD", "GPUD"]),
        ("subscriptions/p2/s", ["", "", "", "", "", "", "", "GPUD"]),
        ("callbacks/subscriptions/p1/s", ["", "", "GPUD", "GPUD", "GPUD", "GPUD", "GPUD", ""]),
        ("callbacks/subscriptions/p2/s", ["", "", "", "", "", "", "", ""]),
        ("callbacks/permissions/p1", ["", "", "P", "P", "P", "P", "P", ""]),
        ("callbacks/hook", ["", "", "", "", "", "", "", ""]),
        ("properties", ["", "", "", "G", "GPU", "GPU", "GPUD", ""]),
        ("properties/x", ["", "", "", "", "GPU", "GPU", "GPUD", ""]),
        ("properties/public", ["", "", "", "G", "GPU", "GPU", "GPUD", ""]),
        ("properties/private/x", ["", "", "", "", "", "GPU", "GPUD", ""]),
        ("methods", ["", "", "", "GPUD", "GPUD", "GPUD", "GPUD", ""]),
        ("methods/get_x", ["", "", "", "GPUD", "GPUD", "GPUD", "GPUD", ""]),
        ("methods/delete_x", ["", "", "", "", "", "GPUD", "GPUD", ""]),
        ("actions/x", ["", "", "", "", "GPUD", "GPUD", "GPUD", ""]),
        ("resources/x", ["", "", "", "", "GPU", "GPU", "GPUD", ""]),
    ];
    for (path, expected) in rows {
        for (caller, expected) in callers.iter().zip(expected) {
            let access = policy.access(caller.clone(), None);
            assert_eq!(verbs(&access, path), expected, "{caller} at {path}");
        }
    }
}

#[test]
fn the_first_rule_that_applies_decides() {
    let policy = Policy::builder()
        .path_rule("friend", "callbacks/hook/closed", "POST", "r")
        .path_rule("", "callbacks/hook", "GET,POST", "a")
        .path_rule("", "properties/public", "GET", "a")
        .path_rule("any", "wallet/<name>/open", "", "a")
        .build()
        .unwrap();
    let (anyone, friend) = (policy.access(Caller::Anonymous, None), policy.access(peer("friend"), None));
    assert_eq!(verbs(&anyone, "callbacks/hook"), "GP");
    assert_eq!(verbs(&anyone, "callbacks/hooks"), "");
    assert_eq!(verbs(&friend, "callbacks/hook/closed"), "G");
    assert_eq!(verbs(&anyone, "callbacks/hook/closed"), "GP");
    assert_eq!((verbs(&friend, "wallet/x/open/y").as_str(), verbs(&anyone, "wallet/x/open").as_str()), ("GPUD", ""));
    let refused = friend.authorize("callbacks/hook/closed", Verb::Post).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a peer (friend) may not POST callbacks/hook/closed: rejected by the path rule \
         (\"friend\", \"callbacks/hook/closed\", \"POST\", \"r\")"
    );
    // Opening a part of the properties to the public goes by leaves as well.
    assert_eq!((verbs(&anyone, "properties").as_str(), verbs(&anyone, "properties/public/x").as_str()), ("G", "G"));
    assert_eq!(verbs(&anyone, "properties/x"), "");
    let value = serde_json::json!({ "x": 1 });
    assert_eq!(anyone.filter_readable("public", value.clone()), Some(value.clone()));
    assert_eq!(anyone.filter_readable("publicly", value), None);
    assert!(anyone.check_list("public", Operation::Read).is_ok());
    assert!(anyone.check(Category::Properties, "public/x", Operation::Write).is_err());
}

#[test]
fn a_rejection_below_is_seen_through_the_parent() {
    let policy = Policy::builder()
        .path_rule("lover", "properties/p/secret", "POST", "r")
        .path_rule("lover", "properties", "", "a")
        .build()
        .unwrap();
    let lover = policy.access(peer("lover"), None);
    assert_eq!(lover.subtree("p", Operation::Write), Subtree::Some);
    let path = crate::PropertyPath::parse(["p"]).unwrap();
    let write = |value| lover.check_writable(&path, None, &value, WriteMode::Replace);
    assert_eq!(write(serde_json::json!({ "open": 1 })), Ok(()));
    // A rejected POST is a rejected write, whichever verb brings it about.
    assert!(write(serde_json::json!({ "secret": { "x": 1 } })).is_err());
}

#[test]
fn explicit_rules_are_not_widened_by_path_rules() {
    let policy = Policy::builder().path_rule("friend", "properties", "", "a").build().unwrap();
    let friend = policy.access(peer("friend"), None);
    assert_eq!((verbs(&friend, "properties/private/x"), verbs(&friend, "properties/x")), (String::new(), "GPU".into()));
}

/// Strangers choose relationship names and peer ids.
#[test]
fn names_of_roles_and_templates_are_nobody() {
    let policy = policy();
    for name in ["creator", "trustee", "owner", "any", "", "handshake", "<type>"] {
        let access = policy.access(peer(name), None);
        assert_eq!((verbs(&access, "/"), verbs(&access, "trust")), (String::new(), String::new()), "{name}");
    }
    let odd = Caller::Peer { id: "friend".to_owned(), relationship: "lover".to_owned() };
    assert_eq!(verbs(&policy.access(odd, None), "trust/friend/p2"), "");
}

#[test]
fn rules_that_could_not_work_are_refused() {
    for (role, path, methods, access) in [
        ("friend", "x", "", "w"),
        ("friend", "x", "get", "a"),
        ("friend", "x", "GETPOST", "a"),
        ("friend", "a//b", "", "a"),
        ("creator", "www", "", "r"),
        ("owner", "subscriptions", "", "a"),
        ("handshake", "subscriptions/<id>", "", "a"),
    ] {
        assert!(PathRule::parse(role, path, methods, access).is_err(), "{role} {path} {methods} {access}");
        assert!(Policy::builder().path_rule(role, path, methods, access).build().is_err());
    }
}

proptest! {
    #[test]
    fn the_public_sees_meta_and_may_ask_for_trust(
        segments in proptest::collection::vec(
            proptest::sample::select(vec![
                "meta", "trust", "friend", "p1", "properties", "public", "methods", "actions", "resources", "www",
                "subscriptions", "callbacks", "permissions", "services", "devtest", "shared_properties",
            ]),
            0..5,
        ),
        verb in proptest::sample::select(Verb::ALL.to_vec()), operation in any_operation(), target in any_target(),
    ) {
        let anonymous = policy().access(Caller::Anonymous, None);
        let expected = (segments.first() == Some(&"meta") && verb == Verb::Get)
            || (segments.first() == Some(&"trust") && segments.len() == 2 && verb == Verb::Post);
        prop_assert_eq!(anonymous.authorize(&segments.join("/"), verb).is_ok(), expected);
        for category in Category::ALL {
            prop_assert!(anonymous.check(category, &target, operation).is_err());
            prop_assert!(anonymous.check_any(category, operation).is_err());
        }
        // An unapproved peer is as anonymous, but for its own handshake.
        let unapproved = policy().access(Caller::Unapproved { id: "p1".to_owned() }, None);
        let own = matches!(segments.as_slice(), ["trust", _, "p1"]) && verb != Verb::Put;
        prop_assert_eq!(unapproved.authorize(&segments.join("/"), verb).is_ok(), expected || own);
    }

    #[test]
    fn a_rejection_more_never_widens(
        path in any_target(), role in proptest::sample::select(vec!["", "any", "friend", "lover", "trustee"]),
        methods in proptest::sample::select(vec!["", "GET", "PUT POST"]), target in any_target(),
        verb in proptest::sample::select(Verb::ALL.to_vec()), relationship in proptest::sample::select(vec!["friend", "lover"]),
    ) {
        let open = || Policy::builder().path_rule("", "a", "", "a").path_rule("lover", "properties", "GET", "a");
        let closed = Policy::builder()
            .path_rule(role, &path, methods, "r")
            .path_rule(role, &format!("properties/{path}"), methods, "r")
            .path_rule("", "a", "", "a")
            .path_rule("lover", "properties", "GET", "a");
        let (open, closed) = (open().build().unwrap(), closed.build().unwrap());
        for caller in [peer(relationship), Caller::Anonymous, Caller::Trustee] {
            let (open, closed) = (open.access(caller.clone(), None), closed.access(caller, None));
            for at in [target.clone(), format!("properties/{target}")] {
                prop_assert!(closed.authorize(&at, verb).is_err() || open.authorize(&at, verb).is_ok());
            }
        }
    }
}
