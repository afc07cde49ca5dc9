//! The OpenAPI document: as the code describes it, whole in itself, and at one with the routes of the deployment.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::routes::{by_gateway, by_watch, routes, watch};
use crate::template::{http_groups, template, text};

const FILE: &str = "docs/openapi.json";

fn document() -> Value {
    serde_json::from_str(&text(FILE)).unwrap_or_else(|error| panic!("{FILE}: {error}"))
}

fn members(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}"))
}

/// Path, verb in upper case, and operation, of everything that is described.
fn operations(document: &Value) -> Vec<(&str, String, &Value)> {
    let of_path = |(path, item)| {
        let described = members(item).iter().filter(|(verb, _)| *verb != "parameters");
        described.map(move |(verb, operation)| (path, verb.to_uppercase(), operation))
    };
    members(&document["paths"]).iter().map(|(path, item)| (path.as_str(), item)).flat_map(of_path).collect()
}

#[test]
fn the_document_is_what_the_code_describes() {
    let (committed, described) = (text(FILE), format!("{:#}\n", actingweb_local::openapi(&actingweb_app::app())));
    let difference = committed.lines().zip(described.lines()).position(|(one, other)| one != other);
    assert!(
        committed == described,
        "{FILE} is not what the code describes, from line {} on; write it anew with: \
         cargo run -p actingweb-local --example openapi",
        difference.unwrap_or_else(|| committed.lines().count().min(described.lines().count())) + 1
    );
}

#[test]
fn template_and_watch_send_each_operation_to_the_group_that_describes_it() {
    let (document, routes, watch) = (document(), routes(&template()), watch());
    for (path, verb, operation) in operations(&document) {
        let group = operation["tags"][0].as_str().unwrap_or_else(|| panic!("{verb} {path} has no tag"));
        let tried: Vec<&str> =
            path.split('/').map(|segment| if segment.starts_with('{') { "a1" } else { segment }).collect();
        let tried = tried.join("/");
        assert_eq!(by_gateway(&routes, &verb, &tried), Some(group), "{verb} {path} by the template");
        assert_eq!(by_watch(&watch, &verb, &tried), Some(group), "{verb} {path} by the watch router");
    }
}

#[test]
fn every_group_describes_itself() {
    let document = document();
    let describing: BTreeSet<&str> =
        operations(&document).iter().filter_map(|(.., operation)| operation["tags"][0].as_str()).collect();
    let groups = http_groups();
    assert_eq!(describing, groups.iter().map(String::as_str).collect());
    let tags = document["tags"].as_array().expect("tags").iter();
    assert_eq!(tags.map(|tag| tag["name"].as_str().expect("a name").to_owned()).collect::<BTreeSet<_>>(), groups);
}

#[test]
fn every_operation_has_a_name_of_its_own_a_success_and_its_problems() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, verb, operation) in operations(&document) {
        // Those who come to these prove themselves to be clients, in ways of their own.
        let is_for_clients = path.starts_with("/oauth/") || path == "/mcp";
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{verb} {path} has no operationId"));
        assert!(ids.insert(id), "{id} names two operations");
        let replies = members(&operation["responses"]);
        let succeeds = |status: &String| status.starts_with('2') || status == "303";
        assert!(replies.keys().any(succeeds), "{id} never succeeds");
        assert!(["400", "500", "503"].iter().all(|status| replies.contains_key(*status)), "{id} lacks a problem");
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert!(
            is_for_clients || is_open != replies.contains_key("401"),
            "{id}: 401 is for those that need credentials"
        );
    }
}

/// A reference to nothing is noticed by whoever generates a client, and by nobody before.
#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (kind, components) in members(&document["components"]).iter().filter(|(kind, _)| *kind != "securitySchemes") {
        for name in members(components).keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(reference.as_str()), "{reference} is used by nobody");
        }
    }
}
