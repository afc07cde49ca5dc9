//! What this group answers.

use actingweb_actor::limits::MAX_PROPERTIES_AT_ONCE;
use actingweb_web::openapi::{Content, Document, Group, Operation};
use serde_json::{Value, json};

/// Describes `/{actor}/properties` and what is below it.
pub fn describe(document: &mut Document) {
    let mut group = document.group("properties", "What an actor stores: values of any JSON type, and lists of them.");
    all(&mut group);
    one(&mut group);
    below(&mut group);
    items(&mut group);
    metadata(&mut group);
}

fn all(group: &mut Group<'_>) {
    let listing = group.schema("Properties", listing());
    let fields = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": MAX_PROPERTIES_AT_ONCE,
        "propertyNames": { "$ref": "#/components/schemas/Name" },
        "additionalProperties": value(),
    });
    let form = json!({ "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } });
    let stored = json!({ "type": "object", "additionalProperties": true });
    let example = json!({ "color": "red", "profile": { "name": "Ann" }, "notes": { "_type": "list" } });
    group.path(
        "/{actor}/properties",
        [
            Operation::get("get_properties", "All properties that the caller may see")
                .query(
                    "format",
                    "`short`: lists as `{\"_list\":true,\"count\":n}`; `full`: lists with their items.",
                    json!({ "enum": ["short", "full"], "default": "short" }),
                )
                .query("metadata", "`true`: names and sizes instead of values.", json!({ "enum": ["true", "false"] }))
                .reply(
                    200,
                    "The properties by name; `{}` when there are none.",
                    [Content::json(listing).example(json!({ "color": "red", "notes": { "_list": true, "count": 2 } }))],
                )
                .paged()
                .authorized()
                .runs_hooks()
                .problems(&[413]),
            Operation::post("post_properties", "Sets several properties, all or none")
                .about(
                    "A value `{\"_type\":\"list\"}` makes a list, with `description` and `explanation` if they are \
                     there. For a list, `{\"items\":[{\"index\":0,…}]}` sets items, and deletes those that have \
                     nothing but their index. A form sets a property for each field; one with a field `property` \
                     sets that one to the field `value`, or makes it a list with `property_type=list`.",
                )
                .body(true, "The values by name.", [Content::json(fields).example(example), Content::form(form)])
                .reply(201, "What was stored; a sentence for a list.", [Content::json(stored)])
                .authorized()
                .runs_hooks()
                .problems(&[409, 412]),
            Operation::delete("delete_properties", "Deletes all properties, lists too")
                .reply(204, "They are gone.", [])
                .authorized()
                .runs_hooks(),
        ],
    );
}

fn one(group: &mut Group<'_>) {
    let added = group.schema("Added", added());
    group.path(
        "/{actor}/properties/{name}",
        [
            Operation::get("get_property", "A property")
                .about(
                    "A text comes bare, unless JSON is asked for. A list comes as an array; with `format=short` or \
                     `metadata=true` as what is said of it.",
                )
                .query("index", "Of a list: this item alone; negative from its end.", json!({ "type": "integer" }))
                .query(
                    "format",
                    "Of a list: `short` for its length and description.",
                    json!({ "enum": ["short", "full"] }),
                )
                .query("metadata", "Of a list: as `format=short`.", json!({ "enum": ["true", "false"] }))
                .reply(200, "The value.", read())
                .paged()
                .tagged()
                .authorized()
                .runs_hooks(),
            written(Operation::put("put_property", "Sets a property, or an item of a list"))
                .about("An empty body deletes the property.")
                .query("index", "Of a list: sets this item.", index())
                .body(false, "The value.", write()),
            written(Operation::post("append_item", "Appends an item to a list"))
                .reply(
                    201,
                    "It is there; `Location` is its URL.",
                    [Content::json(added).example(json!({ "success": true, "index": 2 }))],
                )
                .with_location(201)
                .body(true, "The item.", write())
                .problems(&[405]),
            written(Operation::delete("delete_property", "Deletes a property, a list or an item of a list"))
                .about("A property that is not there is 204 too.")
                .query("index", "Of a list: deletes this item; those after it move up.", index()),
        ],
    );
}

fn below(group: &mut Group<'_>) {
    group.path(
        "/{actor}/properties/{name}/{path}",
        [
            Operation::get("get_property_part", "A part of a property, or an item of a list")
                .reply(200, "The value.", read())
                .tagged()
                .authorized()
                .runs_hooks(),
            written(Operation::put("put_property_part", "Merges into a part of a property, or sets an item"))
                .about("Objects are merged member by member. An empty body deletes.")
                .body(false, "The value.", write())
                .problems(&[405]),
            written(Operation::delete("delete_property_part", "Deletes a part of a property, or an item"))
                .problems(&[405]),
        ],
    );
}

fn items(group: &mut Group<'_>) {
    let items = group.schema("ListItems", list_items());
    let edit = group.schema("ListEdit", list_edit());
    let plain = "Of a property that is no list this is its member `items`.";
    group.path(
        "/{actor}/properties/{name}/items",
        [
            Operation::get("get_items", "The items of a list, with their handles")
                .about(plain)
                .reply(
                    200,
                    "The items; positions are left out in a part that began with a cursor.",
                    // Of a property that is no list anything.
                    [
                        Content::json(json!({ "anyOf": [items, true] })).example(json!({
                            "items": [{ "index": 0, "item": "milk", "handle": "a0" }], "count": 1,
                        })),
                        Content::text(),
                    ],
                )
                .paged()
                .tagged()
                .authorized()
                .runs_hooks(),
            written(Operation::post("edit_items", "Edits a list by position, handle or value"))
                .reply(
                    201,
                    "An item was added, there.",
                    [Content::json(json!({ "$ref": "#/components/schemas/Added" }))],
                )
                .body(
                    true,
                    "What to do.",
                    [Content::json(edit).example(json!({ "action": "insert", "item_index": 0, "item_value": "milk" }))],
                )
                .problems(&[405]),
            written(Operation::put("put_member_items", "Sets the member `items` of a property that is no list"))
                .body(false, "The value.", write())
                .problems(&[405]),
            written(Operation::delete(
                "delete_member_items",
                "Deletes the member `items` of a property that is no list",
            ))
            .problems(&[405]),
        ],
    );
}

fn metadata(group: &mut Group<'_>) {
    let about = json!({
        "type": "object",
        "required": ["name", "_list", "count", "description", "explanation"],
        "properties": {
            "name": { "$ref": "#/components/schemas/Name" },
            "_list": { "const": true },
            "count": { "type": "integer", "minimum": 0 },
            "description": { "type": "string" },
            "explanation": { "type": "string" },
        },
    });
    let about = group.schema("ListMetadata", about);
    let texts = json!({
        "type": "object",
        "properties": {
            "description": { "type": "string", "description": "What the list is, for people." },
            "explanation": { "type": "string", "description": "How to use it, for people and models." },
        },
    });
    group.path(
        "/{actor}/properties/{name}/metadata",
        [
            Operation::get("get_list_metadata", "What is said of a list")
                .about("Of a property that is no list this is its member `metadata`.")
                .reply(200, "What is said.", [Content::json(json!({ "anyOf": [about, true] })), Content::text()])
                .tagged()
                .authorized()
                .runs_hooks(),
            written(Operation::put("put_list_metadata", "Says something of a list")).body(
                false,
                "One text or both.",
                [Content::json(texts).example(json!({ "description": "What to buy" }))],
            ),
            written(Operation::delete("delete_member_metadata", "Deletes the member `metadata` of a property"))
                .problems(&[405]),
        ],
    );
}

/// What all writes have in common.
fn written(operation: Operation) -> Operation {
    operation.reply(204, "It is done.", []).conditional().authorized().runs_hooks().problems(&[409])
}

/// What a client may store.
fn value() -> Value {
    json!({ "type": ["string", "number", "boolean", "object", "array"] })
}

fn index() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn read() -> [Content; 2] {
    [Content::any_json(), Content::text()]
}

fn write() -> [Content; 2] {
    [Content::json(value()).example(json!({ "name": "Ann" })), Content::text()]
}

fn added() -> Value {
    json!({
        "type": "object",
        "required": ["success", "index"],
        "properties": { "success": { "const": true }, "index": index() },
    })
}

/// Properties by name, or names and sizes: both are objects.
fn listing() -> Value {
    json!({ "type": "object", "additionalProperties": true })
}

fn list_items() -> Value {
    let item = json!({
        "type": "object",
        "required": ["item", "handle"],
        "properties": {
            "index": index(),
            "item": true,
            "handle": { "type": "string", "description": "Names the item wherever others push it, until it is moved itself." },
        },
    });
    json!({
        "type": "object",
        "required": ["items", "count"],
        "properties": {
            "items": { "type": "array", "items": item },
            "count": { "type": "integer", "minimum": 0, "description": "How many the list has." },
        },
    })
}

fn list_edit() -> Value {
    let action = |name: &str, also: &[&str]| {
        let required: Vec<&str> = ["action"].into_iter().chain(also.iter().copied()).collect();
        json!({ "properties": { "action": { "const": name } }, "required": required })
    };
    json!({
        "type": "object",
        "properties": {
            "action": { "enum": ["add", "insert", "update", "delete", "move", "clear"] },
            "item_index": index(),
            "to_index": index(),
            "handle": { "type": "string", "description": "Which item, by its handle." },
            "old_value": { "description": "Which item, by its value." },
            "item_value": value(),
        },
        "oneOf": [
            action("add", &["item_value"]),
            action("insert", &["item_index", "item_value"]),
            action("update", &["item_value"]),
            action("delete", &[]),
            action("move", &["item_index", "to_index"]),
            action("clear", &[]),
        ],
    })
}
