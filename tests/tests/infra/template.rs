//! Reads CloudFormation templates and the other files the tests compare.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// The text of a file, named from the workspace's root.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file with CloudFormation's short forms spelled out: `!Ref A` as `{"Ref": "A"}`, any
/// other `!Name x` as `{"Fn::Name": x}`, so that equal meanings compare equal.
pub(crate) fn yaml(path: &str) -> Value {
    spelled_out(serde_yaml_ng::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// The deployment's template.
pub(crate) fn template() -> Value {
    yaml("infra/template.yaml")
}

fn spelled_out(value: Yaml) -> Value {
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::Number(number) => serde_json::to_value(number).expect("YAML numbers here are finite"),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items.into_iter().map(spelled_out).collect(),
        Yaml::Mapping(members) => members
            .into_iter()
            .map(|(key, value)| (key.as_str().expect("keys are strings").to_owned(), spelled_out(value)))
            .collect::<Map<_, _>>()
            .into(),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            Value::Object(Map::from_iter([(name, spelled_out(tagged.value))]))
        }
    }
}

/// The names of the groups: the folders of `functions/`.
pub(crate) fn groups() -> BTreeSet<String> {
    std::fs::read_dir(root().join("functions"))
        .expect("functions/ is there")
        .map(|entry| entry.expect("functions/ is readable"))
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().expect("folders have UTF-8 names"))
        .collect()
}

/// The groups behind the API: all but those fed by events, and the one with a URL of its own.
pub(crate) fn http_groups() -> BTreeSet<String> {
    let mut groups = groups();
    groups.retain(|group| !["worker", "deliver", STREAM].contains(&group.as_str()));
    groups
}

/// The function that streams answers of `methods`: the same router at a URL of its own.
pub(crate) const STREAM: &str = "methods-stream";

/// The part of a logical id that stands for a group: `meta` gives `Meta`, `methods-stream` `MethodsStream`.
pub(crate) fn logical(group: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    group.split('-').map(capital).collect()
}

/// The resources of a type, by logical id.
pub(crate) fn of_type<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().expect("a template has resources");
    resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), resource))
        .collect()
}
