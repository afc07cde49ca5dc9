//! What this group answers.

use actingweb_protocol::options::{FLAT_VERSION, FORMATS, PROTOCOL_VERSION, SUPPORTED};
use actingweb_protocol::trust_types;
use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

/// The values that are plain texts: path, summary, example.
const TEXTS: [(&str, &str, &str); 7] = [
    ("id", "The actor's id", "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55"),
    ("type", "The URN of the application's type of actors", "urn:actingweb:example.com:demo"),
    ("version", "The application's version", "0.1.0"),
    ("desc", "What the application is, and the actor's id", "A demo 0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55"),
    ("info", "Where people read more", "http://actingweb.org/"),
    ("trustee_root", "The service that manages the actor; may be empty", ""),
    ("specification", "Where the application's specification is; may be empty", ""),
];

/// Describes `/{actor}/meta` and what is below it.
pub fn describe(document: &mut Document) {
    let mut group = document.group("meta", "What an actor says of itself, to anybody.");
    let meta = group.schema("Meta", meta());
    let trust_type = group.schema("TrustType", trust_type());
    let all = Operation::get("get_meta", "All of it").reply(200, "What the actor says.", [Content::json(meta)]);
    group.path("/{actor}/meta", [all]);
    for (name, summary, example) in TEXTS {
        group.path(&format!("/{{actor}}/meta/{name}"), [text(&format!("get_meta_{name}"), summary, example)]);
    }
    let (supported, formats) = (SUPPORTED.join(","), FORMATS.join(","));
    let trust_types = Operation::get("get_meta_trust_types", "The relationships it can have").reply(
        200,
        "The types.",
        [Content::json(json!({ "type": "array", "items": trust_type })).example(json!(trust_types::BUILT_IN))],
    );
    group
        .path(
            "/{actor}/meta/actingweb/version",
            [text("get_meta_protocol", "The protocol's version", PROTOCOL_VERSION)],
        )
        .path(
            "/{actor}/meta/actingweb/supported",
            [text("get_meta_supported", "The optional parts it has", &supported)],
        )
        .path("/{actor}/meta/actingweb/formats", [text("get_meta_formats", "The representations it has", &formats)])
        .path("/{actor}/meta/actingweb/trust_types", [trust_types])
        .path(
            "/{actor}/meta/trusttypes",
            [Operation::get("get_meta_trusttypes", "The relationships by name, and the default one").reply(
                200,
                "The types.",
                [Content::json(types_by_name())],
            )],
        );
}

fn text(id: &str, summary: &str, example: &str) -> Operation {
    Operation::get(id, summary).reply(200, "The value.", [Content::text().example(example)])
}

fn meta() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "type": "object",
        "required": ["id", "type", "version", "desc", "info", "trustee_root", "specification", "actingweb",
                     "aw_version", "aw_supported", "aw_formats", "aw_trust_types"],
        "properties": {
            "id": text("The actor's id."),
            "type": text("The URN of the application's type of actors."),
            "version": text("The application's version."),
            "desc": text("What the application is."),
            "info": text("Where people read more."),
            "trustee_root": text("The service that manages the actor; may be empty."),
            "specification": text("Where the application's specification is; may be empty."),
            "actingweb": {
                "type": "object",
                "required": ["version", "supported", "formats"],
                "properties": {
                    "version": { "const": PROTOCOL_VERSION },
                    "supported": text("The tags of the optional parts it has, with commas between."),
                    "formats": text("The representations it has, with commas between."),
                },
            },
            "aw_version": { "const": FLAT_VERSION, "description": "What old readers compare." },
            "aw_supported": text("As `actingweb.supported`."),
            "aw_formats": text("As `actingweb.formats`."),
            "aw_trust_types": { "type": "array", "items": { "type": "string" } },
        },
    })
}

fn trust_type() -> Value {
    json!({
        "type": "object",
        "required": ["name", "display_name", "description", "created_by"],
        "properties": {
            "name": { "type": "string", "description": "Its name in URLs." },
            "display_name": { "type": "string" },
            "description": { "type": "string" },
            "created_by": { "type": "string" },
        },
    })
}

fn types_by_name() -> Value {
    json!({
        "type": "object",
        "required": ["trust_types", "default_trust_type"],
        "properties": {
            "trust_types": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["display_name", "description"],
                    "properties": { "display_name": { "type": "string" }, "description": { "type": "string" } },
                },
            },
            "default_trust_type": { "type": "string", "examples": [trust_types::DEFAULT] },
        },
    })
}
