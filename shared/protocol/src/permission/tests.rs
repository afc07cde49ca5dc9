//! The rules of this module, each as a test; `any_*` are the generators they share.

mod globs;
mod overrides;
mod paths;
mod types;
mod values;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Short patterns over a small alphabet, so that they often meet the targets.
fn any_pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ab*?]{1,3}",
        3 => "[ab]{1,2}(/[ab*?]{1,2}){1,2}",
        1 => Just("*".to_owned()),
        1 => "[ab]{1,2}/\\*",
    ]
}

fn any_target() -> impl Strategy<Value = String> {
    "[ab]{1,2}(/[ab]{1,2}){0,3}"
}

fn any_operation() -> impl Strategy<Value = Operation> {
    proptest::sample::select(Operation::ALL.to_vec())
}

fn any_globs() -> impl Strategy<Value = Option<Vec<Glob>>> {
    proptest::option::of(proptest::collection::vec(any_pattern().prop_map(Glob::new), 0..3))
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let operations = proptest::option::weighted(0.8, proptest::collection::vec(any_operation(), 0..6));
    (any_globs(), operations, any_globs(), any_globs(), any_globs()).prop_map(
        |(patterns, mut operations, excluded, allowed, denied)| {
            if let Some(operations) = &mut operations {
                operations.sort();
                operations.dedup();
            }
            Rules { patterns, operations, excluded, allowed, denied }
        },
    )
}

/// Rules under which something is allowed often enough to be worth testing.
fn generous_rules() -> impl Strategy<Value = Rules> {
    (any_rules(), any::<bool>()).prop_map(|(mut rules, all)| {
        rules.operations = Some(vec![Operation::Read, Operation::Write, Operation::Delete]);
        if all {
            rules.patterns.get_or_insert_default().push(Glob::new("*"));
        }
        rules
    })
}

/// A property's value: objects down to three levels, arrays, scalars and empty objects.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u8>().prop_map(Value::from),
        Just(Value::Null),
        Just(serde_json::json!({})),
        Just(serde_json::json!([{ "a": 1 }, 2])),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        proptest::collection::hash_map("[ab]{1,2}", inner, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

/// The rights of a peer under these rules for properties.
fn peer_with(rules: Rules) -> Access {
    let definition = TrustDefinition::new("tested", "Tested", "").grants(Category::Properties, rules);
    let policy = Policy::builder().trust_type(definition).build().unwrap();
    policy.access(peer("tested"), None)
}

fn peer(relationship: &str) -> Caller {
    Caller::Peer { id: "p1".to_owned(), relationship: relationship.to_owned() }
}

fn built_in(relationship: &str) -> Access {
    Policy::builder().build().unwrap().access(peer(relationship), None)
}
