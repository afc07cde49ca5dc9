//! What this group answers.

use actingweb_actor::trusts::{MAX_BASE_URI_BYTES, MAX_PENDING, MAX_TRUST_TEXT_BYTES};
use actingweb_web::openapi::{Content, Document, Operation, schema_ref};
use serde_json::{Value, json};

const ID: &str = "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55";
const PEER: &str = "9d2e8b1c4f5a5e0b8c7d6e5f4a3b2c1d";

/// Describes `/{actor}/trust` and `/{actor}/permissions`.
pub fn describe(document: &mut Document) {
    let mut group = document.group("trust", "Relationships between actors, and what they permit.");
    let trust = group.schema("Trust", trust_schema());
    group.schema("Permissions", permissions_schema());
    group
        .path("/{actor}/trust", [list("get_trusts", "All relationships", &trust).filtered(), ask(&trust)])
        .path("/{actor}/trust/trustee", [put_trustee(), delete_trustee()])
        .path(
            "/{actor}/trust/{relationship}",
            [list("get_trusts_of_kind", "The relationships of one kind", &trust).filtered(), receive(&trust)],
        )
        .path("/{actor}/trust/{relationship}/desc", [describe_type()])
        .path("/{actor}/trust/{relationship}/{peer}", [get(&trust), decide(), hear(), end()])
        .path(
            "/{actor}/trust/{relationship}/{peer}/permissions",
            [get_permissions(), put_permissions(), delete_permissions()],
        )
        .path("/{actor}/trust/{relationship}/{peer}/shared_properties", [shared_properties()])
        .path("/{actor}/trust/{relationship}/{peer}/secret", [rotate(&trust)])
        .path("/{actor}/permissions/{peer}", [granted()]);
}

trait Filtered {
    fn filtered(self) -> Self;
}

impl Filtered for Operation {
    fn filtered(self) -> Self {
        let text = || json!({ "type": "string" });
        self.query("relationship", "Only those of this kind.", text())
            .query("type", "Only those whose peer is of this type.", text())
            .query("peerid", "Only the one with this peer.", text())
    }
}

fn list(id: &str, summary: &str, trust: &Value) -> Operation {
    let schema = json!({ "type": "array", "items": trust });
    Operation::get(id, summary)
        .authorized()
        .reply(200, "Relationships, `[]` when there are none.", [Content::json(schema)])
        .with_headers(&["Cache-Control"])
}

fn ask(trust: &Value) -> Operation {
    let fields = json!({
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": { "type": "string", "format": "uri", "maxLength": MAX_BASE_URI_BYTES, "description": "The peer's URL root." },
            "relationship": { "type": "string", "description": "The application's default one when left out." },
            "desc": { "type": "string", "maxLength": MAX_TRUST_TEXT_BYTES },
        },
    });
    Operation::post("ask_for_trust", "Asks a peer for a relationship")
        .about(
            "Asking a peer again makes a new secret, and its approval begins anew. If the peer does not take the \
             request, all is as it was.",
        )
        .authorized()
        .body(
            true,
            "Whom, and for what.",
            [
                Content::json(fields.clone())
                    .example(json!({ "url": format!("https://peer.example/{PEER}"), "relationship": "friend" })),
                Content::form(fields),
            ],
        )
        .reply(
            201,
            "The peer has the request; `peer_approved` says whether it approved.",
            [Content::json(trust.clone())],
        )
        .with_headers(&["Cache-Control"])
        .with_location(201)
        .once()
        .problems(&[408])
}

fn receive(trust: &Value) -> Operation {
    let text = |about: &str| json!({ "type": "string", "maxLength": MAX_TRUST_TEXT_BYTES, "description": about });
    let fields = json!({
        "type": "object",
        "required": ["baseuri", "id"],
        "properties": {
            "baseuri": { "type": "string", "format": "uri", "maxLength": MAX_BASE_URI_BYTES, "description": "The peer's URL root." },
            "id": { "type": "string", "maxLength": 128, "description": "The peer's id." },
            "type": text("The peer's type."),
            "secret": {
                "type": "string", "minLength": 16, "maxLength": 256,
                "description": "What both sides will present as a bearer; one is made when it is left out.",
            },
            "desc": text("What the relationship is for."),
            "verify": text(
                "What the peer's own row, read with the secret at `{baseuri}/trust/{relationship}/{actor}`, has as \
                 `verification_token`."
            ),
        },
    });
    let example = json!({
        "baseuri": format!("https://peer.example/{PEER}"), "id": PEER, "type": "urn:actingweb:example.com:demo",
        "secret": "0123456789abcdef0123456789abcdef01234567", "desc": "", "verify": "fedcba9876543210",
    });
    Operation::post("receive_trust_request", "A peer asks for a relationship; anybody may")
        .about(format!(
            "A relationship that exists is begun anew, unapproved, only by a request from its own URL root that the \
             root confirms; any other is 403. At most {MAX_PENDING} requests wait for an answer, each for seven days; \
             beyond that the answer is 429."
        ))
        .body(true, "Who asks.", [Content::json(fields.clone()).example(example), Content::form(fields)])
        .reply(201, "Approved at once.", [Content::json(trust.clone())])
        .reply(202, "Waits for the actor's owner.", [Content::json(trust.clone())])
        .with_headers(&["Cache-Control"])
        .with_location(201)
        .with_location(202)
        .once()
        .problems(&[403, 429])
}

fn describe_type() -> Operation {
    Operation::get("describe_relationship", "What a relationship is, if it is a registered type").authorized().reply(
        200,
        "Its texts and what it permits.",
        [Content::json(json!({
            "type": "object",
            "required": ["name", "display_name", "description", "permissions"],
            "properties": {
                "name": { "type": "string" },
                "display_name": { "type": "string" },
                "description": { "type": "string" },
                "permissions": schema_ref("Permissions"),
            },
        }))],
    )
}

fn get(trust: &Value) -> Operation {
    Operation::get("get_trust", "A relationship")
        .authorized()
        .query("permissions", "`true` adds the override as it is.", json!({ "type": "string", "enum": ["true"] }))
        .reply(200, "It is approved by this side.", [Content::json(trust.clone())])
        .reply(202, "It is not, or no longer, approved by this side.", [Content::json(trust.clone())])
        .with_headers(&["Cache-Control"])
}

fn decide() -> Operation {
    let fields = json!({
        "type": "object",
        "properties": {
            "approved": { "type": "boolean", "description": "Approve, or refuse. The peer is told." },
            "desc": { "type": "string", "maxLength": MAX_TRUST_TEXT_BYTES },
            "baseuri": { "type": "string", "maxLength": MAX_BASE_URI_BYTES, "description": "Where the peer is now; not for administrators that are peers." },
            "relationship": { "type": "string", "description": "Another one; the rights change at once, and the peer is told." },
            "permissions": { "type": "object", "description": "As the body of a PUT to `…/permissions`." },
        },
    });
    Operation::put("decide_on_trust", "Approves, refuses or changes a relationship")
        .about("What is left out or empty stays.")
        .authorized()
        .body(true, "What changes.", [Content::json(fields).example(json!({ "approved": true }))])
        .reply(204, "Done.", [])
        .problems(&[409])
}

fn hear() -> Operation {
    let fields = json!({
        "type": "object",
        "properties": {
            "approved": { "type": "boolean", "description": "What the peer decided." },
            "secret": {
                "type": "string", "minLength": 16, "maxLength": 256,
                "description": "A secret to take the place of the present one, once both sides approve.",
            },
        },
    });
    Operation::post("tell_of_trust", "The peer says what it decided, or proposes another secret")
        .about("For the peer itself alone.")
        .authorized()
        .body(true, "One of the two.", [Content::json(fields).example(json!({ "approved": true }))])
        .reply(204, "Noted.", [])
        .reply(
            200,
            "The new secret is good, and the old one is not.",
            [Content::json(json!({
                "type": "object",
                "required": ["rotated"],
                "properties": { "rotated": { "const": true } },
            }))],
        )
        .problems(&[409])
}

fn end() -> Operation {
    Operation::delete("end_trust", "Ends a relationship")
        .about("It is gone with the reply; the peer is told soon after, and what belongs to it is removed.")
        .authorized()
        .query("peer", "`true`: the peer knows already.", json!({ "type": "string", "enum": ["true"] }))
        .reply(204, "It is gone.", [])
        .problems(&[409])
}

fn rotate(trust: &Value) -> Operation {
    Operation::post("rotate_trust_secret", "Agrees with the peer on a new secret")
        .about(
            "409 when the peer does not take new secrets: ask for the relationship again instead. 502 when it could \
             not be asked: both secrets are good until it is asked again.",
        )
        .authorized()
        .reply(200, "Both sides have the new secret.", [Content::json(trust.clone())])
        .with_headers(&["Cache-Control"])
        .problems(&[409, 502])
}

fn get_permissions() -> Operation {
    Operation::get("get_trust_permissions", "How a peer's rights differ from its type's").authorized().reply(
        200,
        "The override as it is, `null` where it inherits, or the type's rights; what is in effect is under \
             `permissions`.",
        [Content::json(json!({
            "type": "object",
            "required": ["actor_id", "peer_id", "trust_type", "is_custom", "source", "permissions"],
            "properties": {
                "actor_id": { "type": "string" },
                "peer_id": { "type": "string" },
                "trust_type": { "type": "string" },
                "is_custom": { "type": "boolean" },
                "source": { "type": "string", "enum": ["custom_override", "trust_type_default"] },
                "permissions": schema_ref("Permissions"),
            },
        }))],
    )
}

fn put_permissions() -> Operation {
    let example = json!({ "properties": { "excluded_patterns": ["diary/*"] }, "notes": "no diaries" });
    Operation::put("put_trust_permissions", "Changes a peer's rights")
        .about(
            "A category that is named replaces the override's, `null` inherits again. In effect at once; the peer is \
             told what it may do now.",
        )
        .authorized()
        .body(true, "Categories, `notes`, `created_by`.", [Content::json(json!({ "type": "object" })).example(example)])
        .reply(201, "There was no override before.", [])
        .reply(200, "The override is changed.", [])
        .problems(&[409])
}

fn delete_permissions() -> Operation {
    Operation::delete("delete_trust_permissions", "Gives a peer the rights of its type again")
        .authorized()
        .reply(204, "There is no override. The peer is told if there was one.", [])
        .problems(&[409])
}

fn shared_properties() -> Operation {
    Operation::get("get_shared_properties", "The properties a peer may read and subscribe to")
        .about("For the peer itself alone.")
        .authorized()
        .reply(
            200,
            "Those of which it may read something.",
            [Content::json(json!({
                "type": "object",
                "required": ["actor_id", "peer_id", "relationship", "shared_properties", "excluded_properties"],
                "properties": {
                    "actor_id": { "type": "string" },
                    "peer_id": { "type": "string" },
                    "relationship": { "type": "string" },
                    "shared_properties": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name", "display_name", "operations"],
                            "properties": {
                                "name": { "type": "string" },
                                "display_name": { "type": "string" },
                                "item_count": { "type": "integer", "description": "Of a list." },
                                "operations": { "type": "array", "items": { "type": "string" } },
                            },
                        },
                    },
                    "excluded_properties": { "type": "array", "maxItems": 0, "items": { "type": "string" } },
                },
            }))],
        )
        .runs_hooks()
        .problems(&[413])
}

fn granted() -> Operation {
    Operation::get("get_granted_permissions", "The rights a peer has")
        .about("For the peer itself and the creator.")
        .authorized()
        .reply(
            200,
            "What is in effect.",
            [Content::json(json!({
                "type": "object",
                "required": ["actor_id", "peer_id", "permissions", "source", "trust_type"],
                "properties": {
                    "actor_id": { "type": "string" },
                    "peer_id": { "type": "string" },
                    "permissions": schema_ref("Permissions"),
                    "source": { "type": "string", "enum": ["custom_override", "trust_type_default"] },
                    "trust_type": { "type": "string" },
                },
            }))],
        )
}

fn put_trustee() -> Operation {
    let fields = json!({
        "type": "object",
        "properties": {
            "trustee_root": { "type": "string", "format": "uri" },
            "creator": { "type": "string", "description": "Who the creator is; not for administrators that are peers." },
        },
    });
    Operation::put("put_trustee", "Says who manages the actor for its creator")
        .about("What is left out or empty stays.")
        .authorized()
        .body(true, "Who.", [Content::json(fields).example(json!({ "trustee_root": "https://trustee.example/" }))])
        .reply(204, "Done.", [])
        .problems(&[409])
}

fn delete_trustee() -> Operation {
    Operation::delete("delete_trustee", "Nobody manages the actor for its creator any more")
        .authorized()
        .reply(204, "Done.", [])
        .problems(&[409])
}

fn trust_schema() -> Value {
    let text = || json!({ "type": "string" });
    let flag = |about: &str| json!({ "type": "boolean", "description": about });
    let secret = || json!({ "type": "string", "description": "For the creator, its trustee and the peer itself." });
    json!({
        "type": "object",
        "required": [
            "id", "peerid", "baseuri", "type", "relationship", "desc", "approved", "peer_approved", "verified",
            "established_via", "created_at",
        ],
        "properties": {
            "id": { "type": "string", "description": "This actor." },
            "peerid": text(),
            "baseuri": { "type": "string", "description": "The peer's URL root; empty for a client of OAuth." },
            "type": { "type": "string", "description": "The peer's type." },
            "relationship": text(),
            "desc": text(),
            "approved": flag("Whether this side approves."),
            "peer_approved": flag("Whether the peer approves, as it last said."),
            "verified": flag("Whether the peer proved that it answers at its URL root."),
            "established_via": text(),
            "created_at": { "type": "string", "format": "date-time" },
            "last_connected_at": { "type": "string", "format": "date-time" },
            "last_connected_via": text(),
            "last_accessed": {
                "type": "string", "format": "date-time",
                "description": "Of a client of OAuth: when it was let in, or last came for tokens, to the day.",
            },
            "secret": secret(),
            "verification_token": secret(),
            "verificationToken": secret(),
            "permissions": { "type": ["object", "null"], "description": "The override, when asked for." },
            "oauth_client_id": { "type": "string", "description": "Of a client of OAuth: what it calls itself by." },
            "client_name": text(),
            "client_version": { "type": ["string", "null"] },
            "client_platform": { "type": ["string", "null"] },
        },
        "examples": [{
            "id": ID, "peerid": PEER, "baseuri": format!("https://peer.example/{PEER}"),
            "type": "urn:actingweb:example.com:demo", "relationship": "friend", "desc": "", "approved": true,
            "peer_approved": false, "verified": true, "established_via": "trust",
            "created_at": "2026-11-22T14:50:02.120Z",
        }],
    })
}

fn permissions_schema() -> Value {
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let rules = json!({
        "type": "object",
        "properties": {
            "patterns": texts(), "operations": texts(), "excluded_patterns": texts(), "allowed": texts(),
            "denied": texts(),
        },
    });
    let categories = ["properties", "methods", "actions", "tools", "resources", "prompts"];
    let members: serde_json::Map<_, _> = categories.iter().map(|name| ((*name).to_owned(), rules.clone())).collect();
    json!({ "type": "object", "required": categories, "properties": members })
}
