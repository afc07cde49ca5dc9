//! The OpenAPI 3.1 description of a service, put together by the groups next to the code that serves it.
//!
//! Every group says in its `openapi` module which paths it has, what they take and what they answer. What holds for all
//! of them, such as problem documents and the request's id, is added here, so that no group can forget it.
//!
//! ```
//! use actingweb_web::openapi::{Content, Document, Operation};
//! use serde_json::json;
//!
//! let mut document = Document::new();
//! document.group("meta", "What an actor says of itself.").path(
//!     "/{actor}/meta/version",
//!     [Operation::get("get_meta_version", "The application's version")
//!         .reply(200, "The version.", [Content::text().example("0.1.0")])],
//! );
//! let document = document.finish();
//! assert_eq!(document["paths"]["/{actor}/meta/version"]["get"]["tags"], json!(["meta"]));
//! ```

mod calls;
mod components;
mod operation;

use actingweb_protocol::options::PROTOCOL_VERSION;
use serde_json::{Map, Value, json};

pub use operation::{Content, Operation};

const DESCRIPTION: &str = "Every user has an actor: a URL with properties, methods, actions and more below it.\n\n\
Every GET answers HEAD too, without the body. A POST with `_method=PUT` or `_method=DELETE`, in the query or as a \
field of a form, is treated as the verb it names. One slash at the end of a collection is ignored. Every other verb \
is 405, with those that a path has in `Allow`. Every reply carries `X-Request-ID`, and every error is a problem \
document (RFC 9457).";

/// The description of a service.
#[derive(Clone, Debug, Default)]
pub struct Document {
    tags: Vec<Value>,
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// A part of the description: the paths that one group owns.
#[derive(Debug)]
pub struct Group<'a> {
    document: &'a mut Document,
    name: &'static str,
}

impl Document {
    /// One without any path.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the part of a group; its name becomes the tag of all its operations.
    pub fn group(&mut self, name: &'static str, about: &str) -> Group<'_> {
        self.tags.push(json!({ "name": name, "description": about }));
        Group { document: self, name }
    }

    /// The whole, as JSON.
    #[must_use]
    pub fn finish(self) -> Value {
        let mut schemas = components::schemas();
        schemas.extend(self.schemas);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "ActingWeb",
                "version": PROTOCOL_VERSION,
                "summary": "The actors of an ActingWeb application",
                "description": DESCRIPTION,
            },
            "externalDocs": { "description": "The ActingWeb specification", "url": "https://actingweb.org/" },
            "servers": [{ "url": "/" }],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "securitySchemes": components::security_schemes(),
                "parameters": components::parameters(),
                "headers": components::headers(),
                "responses": components::responses(),
                "schemas": schemas,
            },
        })
    }
}

impl Group<'_> {
    /// Describes what a path answers. Its parameters, `{actor}`, `{name}` and `{path}`, describe themselves.
    pub fn path(&mut self, path: &str, operations: impl IntoIterator<Item = Operation>) -> &mut Self {
        let mut item = Map::new();
        let parameters = components::path_parameters(path);
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), Value::Array(parameters));
        }
        for operation in operations {
            let (verb, described) = operation.describe(self.name, path);
            item.insert(verb.to_owned(), described);
        }
        self.document.paths.insert(path.to_owned(), Value::Object(item));
        self
    }

    /// Keeps a JSON Schema under a name, and gives a reference to it. Definitions inside it are kept beside it, since a
    /// reference in an OpenAPI document starts at the document.
    pub fn schema(&mut self, name: &str, mut schema: Value) -> Value {
        let definitions = schema.as_object_mut().and_then(|members| {
            members.shift_remove("$schema");
            members.shift_remove("$defs")
        });
        let prefix = format!("{name}.");
        rebase(&mut schema, &prefix);
        self.document.schemas.insert(name.to_owned(), schema);
        if let Some(Value::Object(definitions)) = definitions {
            for (inner, mut definition) in definitions {
                rebase(&mut definition, &prefix);
                self.document.schemas.insert(format!("{prefix}{inner}"), definition);
            }
        }
        schema_ref(name)
    }
}

/// A reference to a schema that has a name in the document.
#[must_use]
pub fn schema_ref(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Points references to a schema's own definitions to where the document keeps them.
fn rebase(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                match value.as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
                    Some(inner) if key == "$ref" => {
                        *value = Value::String(format!("#/components/schemas/{prefix}{inner}"));
                    }
                    _ => rebase(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rebase(item, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_of_a_schema_are_found_from_the_document() {
        let mut document = Document::new();
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": { "one": { "$ref": "#/$defs/Inner" } },
            "$defs": { "Inner": { "items": { "$ref": "#/$defs/Inner" } } },
        });
        let reference = document.group("methods", "").schema("echo.input", schema);
        assert_eq!(reference, json!({ "$ref": "#/components/schemas/echo.input" }));
        let schemas = &document.finish()["components"]["schemas"];
        let inner = json!({ "$ref": "#/components/schemas/echo.input.Inner" });
        assert_eq!(schemas["echo.input"], json!({ "properties": { "one": inner } }));
        assert_eq!(schemas["echo.input.Inner"], json!({ "items": inner }));
    }

    #[test]
    fn an_operation_that_needs_credentials_says_what_becomes_of_others() {
        let mut document = Document::new();
        let operation = Operation::delete("delete_x", "Deletes it").authorized().reply(204, "Done.", []);
        document.group("properties", "").path("/{actor}/properties/{name}", [operation]);
        let document = document.finish();
        let described = &document["paths"]["/{actor}/properties/{name}"]["delete"];
        let statuses: Vec<&String> = described["responses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["204", "400", "401", "403", "404", "413", "429", "500", "503"]);
        assert_eq!(described["security"], json!([{ "basic": [] }, { "bearer": [] }]));
        let parameters = &document["paths"]["/{actor}/properties/{name}"]["parameters"];
        assert_eq!(parameters[1]["$ref"], "#/components/parameters/name");
    }
}
