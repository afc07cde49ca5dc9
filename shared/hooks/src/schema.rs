//! JSON Schemas (draft 2020-12) of what hooks take and give.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// A JSON Schema, as JSON.
pub type Schema = Value;

/// The schema of what `T` is read from; `None` when `T` takes anything.
pub(crate) fn of_input<T: JsonSchema>() -> Option<Schema> {
    telling(SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>())
}

/// The schema of what `T` is written as; `None` when that may be anything, or is nothing.
pub(crate) fn of_output<T: JsonSchema>() -> Option<Schema> {
    telling(SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>())
        .filter(|schema| schema.get("type").is_none_or(|kind| kind != "null"))
}

/// Drops schemas that say nothing: `serde_json::Value` has `true`, or an object with no more than a title in it.
fn telling(schema: schemars::Schema) -> Option<Schema> {
    let schema = schema.to_value();
    let members = schema.as_object()?;
    members.keys().any(|key| !matches!(key.as_str(), "$schema" | "title")).then_some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
    struct Pair {
        /// The left one.
        left: i64,
        #[serde(default)]
        right: i64,
    }

    #[test]
    fn input_and_output_differ_where_a_default_fills_in() {
        let input = of_input::<Pair>().unwrap();
        assert_eq!(input["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(input["required"], serde_json::json!(["left"]));
        assert_eq!(input["properties"]["left"]["description"], "The left one.");
        assert_eq!(of_output::<Pair>().unwrap()["required"], serde_json::json!(["left", "right"]));
    }

    #[test]
    fn a_schema_that_says_nothing_is_none() {
        assert_eq!(of_input::<Value>(), None);
        assert_eq!(of_output::<Value>(), None);
        assert_eq!(of_output::<()>(), None);
    }
}
