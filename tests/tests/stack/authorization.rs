//! Who may do what: every route, tried by every kind of caller. A route of the OpenAPI document without a row here fails.

mod guessing;

use std::collections::BTreeSet;

use actingweb_hooks::{App, HookError};
use actingweb_protocol::{ActorId, Keys, PeerId, Timestamp, sha256_hex};
use actingweb_runtime::SystemEntropy;
use actingweb_store::{Breaker, TrustCredential, TrustOutcome, TrustRecord};
use actingweb_tests::grants::{ended_session_of, session_of};
use actingweb_tests::{Answer, Owner, Site};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The columns of the table.
const CALLERS: [&str; 15] = [
    "anonymous",
    "wrong password",
    "creator",
    "session",
    "trustee",
    "unapproved",
    "associate",
    "viewer",
    "friend",
    "partner",
    "admin",
    "mcp_client",
    "unregistered",
    "foreign peer",
    "expired",
];

/// A method and a path template of the OpenAPI document, the path and body that are tried, and the status for each
/// caller. 401 goes to nobody in particular, and to who should get another token; whoever else presents something gets 403.
type Row = (&'static str, &'static str, &'static str, Option<Value>, [u16; CALLERS.len()]);

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let everybody = |status| [status; CALLERS.len()];
    let one = || Some(json!({ "n": 1 }));
    let approved = || Some(json!({ "approved": true }));
    vec![
        //                                                                                anon wron crea sess trus unap asso view frie part admi mcp  unre fore expi
        ("GET", "/", "", None, everybody(200)),
        ("POST", "/", "", one(), everybody(201)),
        ("GET", "/login", "", None, everybody(303)),
        ("POST", "/bot", "", one(), everybody(404)),
        ("GET", "/openapi.json", "", None, everybody(200)),
        ("GET", "/{actor}", "", None,                                                    [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("DELETE", "/{actor}", "", None,                                                 [401, 403, 204, 204, 204, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/meta", "/meta", None, everybody(200)),
        ("GET", "/{actor}/meta/{path}", "/meta/actingweb/version", None, everybody(200)),
        ("GET", "/{actor}/properties", "/properties", None,                              [401, 403, 200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/properties", "/properties", one(),                            [401, 403, 201, 201, 403, 403, 403, 403, 201, 201, 201, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/properties", "/properties", None,                           [401, 403, 204, 204, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/properties/{name}", "/properties/color", None,                 [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 403, 403, 403, 401]),
        ("GET", "/{actor}/properties/{name}/{path}", "/properties/public/motto", None,   [401, 403, 200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 403, 403, 401]),
        ("GET", "/{actor}/properties/{name}/{path}", "/properties/private/key", None,    [401, 403, 200, 200, 403, 403, 403, 403, 403, 200, 200, 403, 403, 403, 401]),
        ("PUT", "/{actor}/properties/{name}", "/properties/color", one(),                [401, 403, 204, 204, 403, 403, 403, 403, 204, 204, 204, 403, 403, 403, 401]),
        ("PUT", "/{actor}/properties/{name}/{path}", "/properties/private/x", one(),     [401, 403, 204, 204, 403, 403, 403, 403, 403, 204, 204, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/properties/{name}", "/properties/color", None,              [401, 403, 204, 204, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/properties/{name}/{path}", "/properties/public/motto", None,[401, 403, 204, 204, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("POST", "/{actor}/properties/{name}", "/properties/notes", one(),               [401, 403, 201, 201, 403, 403, 403, 403, 201, 201, 201, 403, 403, 403, 401]),
        ("GET", "/{actor}/properties/{name}/metadata", "/properties/notes/metadata", None,[401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("PUT", "/{actor}/properties/{name}/metadata", "/properties/notes/metadata", Some(json!({ "description": "x" })), [401, 403, 204, 204, 403, 403, 403, 403, 204, 204, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/properties/{name}/items", "/properties/notes/items", None,     [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/properties/{name}/items", "/properties/notes/items", Some(json!({ "action": "add", "item_value": 1 })), [401, 403, 201, 201, 403, 403, 403, 403, 201, 201, 201, 403, 403, 403, 401]),
        ("GET", "/{actor}/methods", "/methods", None,                                    [401, 403, 200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/methods", "/methods", Some(json!({ "jsonrpc": "2.0", "method": "get_time", "id": 1 })), [401, 403, 200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 403, 403, 401]),
        ("GET", "/{actor}/methods/{name}", "/methods/get_time", None,                    [401, 403, 200, 200, 403, 403, 200, 200, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/methods/{name}", "/methods/delete_all", one(),                [401, 403, 200, 200, 403, 403, 403, 403, 403, 200, 200, 403, 403, 403, 401]),
        ("PUT", "/{actor}/methods/{name}", "/methods/work", one(),                       [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/methods/{name}", "/methods/work", None,                     [401, 403, 204, 204, 403, 403, 403, 403, 204, 204, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/actions", "/actions", None,                                    [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("GET", "/{actor}/actions/{name}", "/actions/search", None,                      [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/actions/{name}", "/actions/search", one(),                    [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("PUT", "/{actor}/actions/{name}", "/actions/search", one(),                     [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("DELETE", "/{actor}/actions/{name}", "/actions/search", None,                   [401, 403, 204, 204, 403, 403, 403, 403, 204, 204, 204, 204, 403, 403, 401]),
        ("POST", "/{actor}/actions/{name}", "/actions/search_later", one(),              [401, 403, 202, 202, 403, 403, 403, 403, 202, 202, 202, 403, 403, 403, 401]),
        ("GET", "/{actor}/actions/{name}/tasks", "/actions/search_later/tasks", None,    [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 403, 403, 403, 401]),
        ("GET", "/{actor}/actions/{name}/tasks/{task}", "/actions/search_later/tasks/none", None, [401, 403, 404, 404, 403, 403, 403, 403, 404, 404, 404, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/actions/{name}/tasks/{task}", "/actions/search_later/tasks/none", None, [401, 403, 404, 404, 403, 403, 403, 403, 404, 404, 404, 403, 403, 403, 401]),
        ("GET", "/{actor}/actions/{name}/schedules", "/actions/search/schedules", None,  [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 401]),
        ("POST", "/{actor}/actions/{name}/schedules", "/actions/search/schedules", Some(json!({ "every": "PT1H" })), [401, 403, 201, 201, 403, 403, 403, 403, 201, 201, 201, 201, 403, 403, 401]),
        ("GET", "/{actor}/actions/{name}/schedules/{schedule}", "/actions/search/schedules/none", None, [401, 403, 404, 404, 403, 403, 403, 403, 404, 404, 404, 404, 403, 403, 401]),
        ("DELETE", "/{actor}/actions/{name}/schedules/{schedule}", "/actions/search/schedules/none", None, [401, 403, 404, 404, 403, 403, 403, 403, 404, 404, 404, 404, 403, 403, 401]),
        ("GET", "/{actor}/resources/{name}", "/resources/report", None,                  [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 403, 403, 403, 401]),
        ("POST", "/{actor}/resources/{name}", "/resources/report", one(),                [401, 403, 201, 201, 403, 403, 403, 403, 201, 201, 201, 403, 403, 403, 401]),
        ("PUT", "/{actor}/resources/{name}", "/resources/report", one(),                 [401, 403, 200, 200, 403, 403, 403, 403, 200, 200, 200, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/resources/{name}", "/resources/report", None,               [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust", "/trust", None,                                        [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("POST", "/{actor}/trust", "/trust", one(),                                      [401, 403, 400, 400, 400, 403, 403, 403, 403, 403, 400, 403, 403, 403, 401]),
        ("PUT", "/{actor}/trust/trustee", "/trust/trustee", one(),                       [401, 403, 204, 204, 204, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/trust/trustee", "/trust/trustee", None,                     [401, 403, 204, 204, 204, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}", "/trust/friend", None,                  [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("POST", "/{actor}/trust/{relationship}", "/trust/friend", Some(json!({ "baseuri": "http://127.0.0.1:9/new", "id": "new" })), everybody(202)),
        ("GET", "/{actor}/trust/{relationship}/desc", "/trust/friend/desc", None,        [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}/{peer}", "/trust/friend/peer-friend", None, [401, 403, 200, 200, 200, 403, 403, 403, 200, 403, 200, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}/{peer}", "/trust/admin/peer-unapproved", None, [401, 403, 202, 202, 202, 202, 403, 403, 403, 403, 202, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}/{peer}", "/trust/friend/peer-nobody", None, [401, 403, 404, 404, 404, 403, 403, 403, 403, 403, 404, 403, 403, 403, 401]),
        ("PUT", "/{actor}/trust/{relationship}/{peer}", "/trust/friend/peer-friend", approved(), [401, 403, 204, 204, 204, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("POST", "/{actor}/trust/{relationship}/{peer}", "/trust/friend/peer-friend", approved(), [401, 403, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/trust/{relationship}/{peer}", "/trust/admin/peer-unapproved", approved(), [401, 403, 403, 403, 403, 204, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/trust/{relationship}/{peer}", "/trust/friend/peer-friend", None, [401, 403, 204, 204, 204, 403, 403, 403, 204, 403, 204, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/trust/{relationship}/{peer}", "/trust/admin/peer-unapproved", None, [401, 403, 204, 204, 204, 204, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}/{peer}/permissions", "/trust/friend/peer-friend/permissions", None, [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 200, 403, 403, 403, 401]),
        ("PUT", "/{actor}/trust/{relationship}/{peer}/permissions", "/trust/friend/peer-friend/permissions", Some(json!({ "methods": null })), [401, 403, 201, 201, 201, 403, 403, 403, 403, 403, 201, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/trust/{relationship}/{peer}/permissions", "/trust/friend/peer-friend/permissions", None, [401, 403, 204, 204, 204, 403, 403, 403, 403, 403, 204, 403, 403, 403, 401]),
        ("GET", "/{actor}/trust/{relationship}/{peer}/shared_properties", "/trust/friend/peer-friend/shared_properties", None, [401, 403, 403, 403, 403, 403, 403, 403, 200, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/trust/{relationship}/{peer}/secret", "/trust/friend/peer-friend/secret", None, [401, 403, 409, 409, 409, 403, 403, 403, 403, 403, 409, 403, 403, 403, 401]),
        ("GET", "/{actor}/permissions/{peer}", "/permissions/peer-friend", None,         [401, 403, 200, 200, 403, 403, 403, 403, 200, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/subscriptions", "/subscriptions", None,                        [401, 403, 200, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/subscriptions", "/subscriptions", one(),                      [401, 403, 400, 400, 400, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/subscriptions/{peer}", "/subscriptions/peer-friend", None,     [401, 403, 200, 200, 200, 403, 403, 403, 200, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/subscriptions/{peer}", "/subscriptions/peer-viewer", None,     [401, 403, 200, 200, 200, 403, 403, 200, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/subscriptions/{peer}", "/subscriptions/peer-friend", Some(json!({ "target": "properties" })), [401, 403, 403, 403, 403, 403, 403, 403, 201, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/subscriptions/{peer}", "/subscriptions/peer-viewer", Some(json!({ "target": "properties" })), [401, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/subscriptions/{peer}", "/subscriptions/peer-unapproved", Some(json!({ "target": "properties" })), [401, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/subscriptions/{peer}/{subscription}", "/subscriptions/peer-friend/none", None, [401, 403, 404, 404, 404, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401]),
        ("PUT", "/{actor}/subscriptions/{peer}/{subscription}", "/subscriptions/peer-friend/none", Some(json!({ "sequence": 1 })), [401, 403, 404, 404, 404, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/subscriptions/{peer}/{subscription}", "/subscriptions/peer-friend/none", None, [401, 403, 204, 204, 204, 403, 403, 403, 204, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/subscriptions/{peer}/{subscription}/{sequence}", "/subscriptions/peer-friend/none/1", None, [401, 403, 404, 404, 404, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/callbacks/subscriptions/{peer}/{subscription}", "/callbacks/subscriptions/peer-friend/none", one(), [401, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401]),
        ("PUT", "/{actor}/callbacks/subscriptions/{peer}/{subscription}", "/callbacks/subscriptions/peer-friend/none", one(), [401, 403, 403, 403, 403, 403, 403, 403, 404, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/callbacks/subscriptions/{peer}/{subscription}", "/callbacks/subscriptions/peer-friend/none", None, [401, 403, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/callbacks/permissions/{grantor}", "/callbacks/permissions/peer-friend", Some(json!({ "data": {} })), [401, 403, 403, 403, 403, 403, 403, 403, 204, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/callbacks/{name}", "/callbacks/hook", None,                    [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/callbacks/{name}", "/callbacks/hook", one(),                  [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("PUT", "/{actor}/callbacks/{name}", "/callbacks/hook", one(),                   [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/callbacks/{name}", "/callbacks/hook", None,                 [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        // Tokens for `/mcp` are a caller of their own: see mcp_access.rs.
        ("POST", "/mcp", "", one(), everybody(401)),
        ("GET", "/.well-known/oauth-authorization-server", "", None, everybody(200)),
        ("GET", "/.well-known/openid-configuration", "", None, everybody(200)),
        ("GET", "/.well-known/oauth-protected-resource", "", None, everybody(200)),
        ("GET", "/.well-known/oauth-protected-resource/mcp", "", None, everybody(200)),
        ("POST", "/oauth/register", "", Some(json!({ "redirect_uris": ["https://client.example/cb"] })), everybody(201)),
        ("GET", "/oauth/authorize", "", None, everybody(400)),
        ("POST", "/oauth/authorize", "", one(), everybody(403)),
        ("GET", "/oauth/login", "", None, everybody(200)),
        ("POST", "/oauth/login", "", one(), everybody(403)),
        ("GET", "/oauth/logout", "", None, everybody(200)),
        ("POST", "/oauth/logout", "", one(), everybody(403)),
        ("GET", "/oauth/login/{provider}", "", None, everybody(404)),
        ("POST", "/oauth/login/{provider}", "", one(), everybody(404)),
        ("GET", "/oauth/callback", "", None, everybody(400)),
        ("POST", "/oauth/callback/apple", "", one(), everybody(400)),
        ("GET", "/oauth/email", "", None, everybody(400)),
        ("POST", "/oauth/email", "", one(), everybody(400)),
        ("GET", "/oauth/config", "", None, everybody(200)),
        ("GET", "/oauth/session", "", None, everybody(200)),
        ("POST", "/oauth/spa/authorize", "", one(), everybody(400)),
        ("POST", "/oauth/spa/token", "", one(), everybody(400)),
        ("POST", "/oauth/spa/session/{word}", "", one(), everybody(404)),
        ("POST", "/oauth/spa/revoke", "", Some(json!({ "token": "none" })), everybody(200)),
        ("POST", "/oauth/spa/logout", "", one(), everybody(200)),
        ("POST", "/oauth/token", "", one(), everybody(400)),
        ("POST", "/oauth/revoke", "", one(), everybody(400)),
        ("POST", "/oauth/introspect", "", one(), everybody(400)),
        ("GET", "/{actor}/clients", "/clients", None,                                    [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/clients", "/clients", Some(json!({ "client_name": "a", "trust_type": "viewer" })), [401, 403, 201, 201, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/clients/{client}", "/clients/mcp_0", None,                     [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/clients/{client}", "/clients/mcp_0", None,                  [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/clients/{client}/secret", "/clients/mcp_0/secret", None,      [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/oauth/services/callback", "", None, everybody(400)),
        ("GET", "/{actor}/services", "/services", None,                                  [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/services/{service}", "/services/none", None,                   [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("POST", "/{actor}/services/{service}", "/services/none", one(),                 [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/services/{service}", "/services/none", None,                [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/services/{service}/callback", "/services/none/callback", None, everybody(400)),
        ("GET", "/{actor}/grants", "/grants", None,                                      [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("GET", "/{actor}/identities", "/identities", None,                              [401, 403, 200, 200, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/identities/{identity}", "/identities/none", None,           [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
        ("DELETE", "/{actor}/grants/{grant}", "/grants/mcp_0.0123456789abcdef", None,    [401, 403, 404, 404, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 401]),
    ]
}

fn app() -> App {
    let answer = || Ok::<_, HookError>(json!({ "ok": true }));
    App::new("urn:actingweb:example.com:authorization")
        .method("get_time", answer)
        .method("work", answer)
        .method("delete_all", answer)
        .action("search", answer)
        .tool("Searches")
        .action("search_later", answer)
        .as_task()
        .resource("report", answer)
        .callback("hook", answer)
}

const TRUST_TYPES: [&str; 7] = ["associate", "viewer", "friend", "partner", "admin", "mcp_client", "unregistered"];

/// A relationship that stands, with the peer `peer-{name}`, whose secret is `secret-{name}`.
async fn trust(site: &Site, actor: &ActorId, name: &str, relationship: &str, approved: bool) {
    let (peer, secret) = (PeerId::parse(&format!("peer-{name}")).unwrap(), format!("secret-{name}"));
    let keys = Keys::parse(r#"{"k1":"0123456789abcdef0123456789abcdef"}"#).unwrap();
    let sealed = keys.seal(&format!("trust/{actor}/{peer}"), &secret, &SystemEntropy::new()).unwrap();
    let record = TrustRecord {
        base_uri: format!("http://127.0.0.1:9/{peer}"),
        kind: "urn:actingweb:example.com:peer".to_owned(),
        relationship: relationship.to_owned(),
        agreed: relationship.to_owned(),
        desc: String::new(),
        approved,
        peer_approved: false,
        verified: true,
        verification_token: "token".to_owned(),
        secret: sealed,
        secret_hash: sha256_hex(&secret),
        next: None,
        established_via: "trust".to_owned(),
        created_at: Timestamp::from_millis(0),
        permissions: None,
        initiated: false,
        expires: None,
        breaker: Breaker::default(),
        client: None,
        version: String::new(),
        peer,
    };
    let outcome = site.state().actors.store().put_trust(actor, None, record, &[]).await.unwrap();
    assert!(matches!(outcome, TrustOutcome::Written(_)), "{outcome:?}");
}

/// An actor, and what its creator's sessions are known by.
struct Visited {
    owner: Owner,
    session: String,
    ended: String,
}

/// An actor with everything the table speaks of, and everybody who may come along.
async fn actor(site: &Site) -> Visited {
    let mut owner = site.actor("ann").await;
    let body =
        json!({ "creator": "trustee", "passphrase": "a-long-passphrase", "trustee_root": "https://trustee.example/" });
    let created = Answer::of(site.http.post(site.url("/")).json(&body)).await.expect(201).json();
    owner.id = created["id"].as_str().unwrap().to_owned();
    owner.url = site.url(&format!("/{}", owner.id));
    owner.creator = "trustee".to_owned();
    owner.passphrase = "a-long-passphrase".to_owned();
    let properties = json!({
        "color": "blue", "public": { "motto": "hello" }, "private": { "key": "secret" }, "notes": { "_type": "list" },
    });
    owner.post("/properties", &properties).await.expect(201);
    owner.post("/properties/notes", &json!(1)).await.expect(201);

    let id = ActorId::parse(&owner.id).unwrap();
    for kind in TRUST_TYPES {
        trust(site, &id, kind, kind, true).await;
    }
    trust(site, &id, "unapproved", "admin", false).await;
    let other = ActorId::parse(&site.actor("bob").await.id).unwrap();
    trust(site, &other, "foreign", "admin", true).await;
    Visited { session: session_of(site, &owner).await, ended: ended_session_of(site, &owner).await, owner }
}

fn present(request: RequestBuilder, Visited { owner, session, ended }: &Visited, caller: &str) -> RequestBuilder {
    match caller {
        "anonymous" => request,
        "wrong password" => request.basic_auth(&owner.creator, Some("wrong")),
        "creator" => request.basic_auth(&owner.creator, Some(&owner.passphrase)),
        "trustee" => request.bearer_auth(&owner.passphrase),
        "session" => request.bearer_auth(session),
        "expired" => request.bearer_auth(ended),
        "foreign peer" => request.bearer_auth("secret-foreign"),
        kind => request.bearer_auth(format!("secret-{kind}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_every_kind_of_caller_as_the_table_says() {
    let site = Site::of(app()).await;
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (method, template, path, body, expected) in table() {
        let changes = method != "GET";
        let mut visited = actor(&site).await;
        for (index, (caller, expected)) in CALLERS.into_iter().zip(expected).enumerate() {
            if changes && index > 0 {
                visited = actor(&site).await;
            }
            let url = if template.starts_with("/{actor}") {
                format!("{}{path}", visited.owner.url)
            } else {
                site.url(template)
            };
            // Each from an address of its own, so that wrong passwords do not add up.
            let address = format!("10.0.{}.{index}", expected % 250);
            let request = site.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
            let request = present(request, &visited, caller).header("x-test-address", address);
            site.meter().reset();
            let answer = Answer::of(match &body {
                Some(body) => request.json(body),
                None => request,
            })
            .await;
            for call in site.meter().calls().operations() {
                used.insert((group(template), call.to_owned()));
            }
            if answer.status != expected {
                wrong.push(format!(
                    "{method} {template} ({path}) by {caller}: {} not {expected}: {}",
                    answer.status, answer.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (group, call) in used {
        assert!(granted(group).contains(call.as_str()), "on AWS the function {group} may not call {call}");
    }
}

/// The group that owns a path.
fn group(template: &str) -> &str {
    match template.split('/').nth(2) {
        _ if template.starts_with("/oauth") || template.starts_with("/.well-known") => "oauth",
        Some("clients" | "grants" | "identities" | "services") => "oauth",
        None | Some("") => "factory",
        Some("permissions") => "trust",
        Some(group) => group,
    }
}

/// The calls that a group's function may make, by `infra/permissions.yaml`.
fn granted(group: &str) -> BTreeSet<String> {
    let matrix: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(include_str!("../../../infra/permissions.yaml")).unwrap();
    let may = matrix["groups"][group]["may"].as_sequence().expect("a group of the matrix");
    let actions = may.iter().filter_map(|permission| matrix["permissions"][permission]["actions"].as_sequence());
    let mut calls: BTreeSet<String> =
        actions.flatten().filter_map(|action| Some(action.as_str()?.strip_prefix("dynamodb:")?.to_owned())).collect();
    // A transaction is authorised as its parts.
    if calls.contains("PutItem") && calls.contains("UpdateItem") && calls.contains("DeleteItem") {
        calls.insert("TransactWriteItems".to_owned());
    }
    calls
}

#[test]
fn every_documented_route_has_a_row() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let verbs = ["get", "put", "post", "delete", "patch", "head", "options"];
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let used = verbs.into_iter().filter(move |verb| item.get(verb).is_some());
            used.map(|verb| (verb.to_uppercase(), path.clone()))
        })
        .collect();
    let missing: Vec<_> = documented
        .into_iter()
        .filter(|(method, path)| !table().iter().any(|(verb, template, ..)| verb == method && covers(template, path)))
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}

/// Whether a documented path is this template, or one case of it: `{name}` stands for a segment, `{path}` for the rest.
fn covers(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (Some("{path}"), Some(_)) | (None, None) => return true,
            (Some(expected), Some(given)) if expected == given || expected == "{name}" => {}
            _ => return false,
        }
    }
}

/// The secrets of an actor's private data, and every way to them.
#[tokio::test]
async fn what_is_excluded_is_hidden_and_protected_by_every_path() {
    let site = Site::of(app()).await;
    let owner = actor(&site).await.owner;
    owner.put("/properties/private/deep/er", &json!({ "x": 1 })).await.expect(204);
    let friend = |method: Method, path: &str| {
        site.http.request(method, format!("{}{path}", owner.url)).bearer_auth("secret-friend")
    };
    let send = |request: RequestBuilder, body: Value| Answer::of(request.json(&body));

    for path in [
        "/properties/private",
        "/properties/private/key",
        "/properties/private/deep/er/x",
        "/properties/private/nothing",
    ] {
        let answer = Answer::of(friend(Method::GET, path)).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
        assert!(!answer.body.contains("secret"));
    }
    for query in ["", "?format=full", "?metadata=true", "?limit=10"] {
        let listing = Answer::of(friend(Method::GET, &format!("/properties{query}"))).await.expect(200);
        assert!(!listing.body.contains("private") && !listing.body.contains("secret"), "{}", listing.body);
    }
    let mut part = "/properties?limit=1".to_owned();
    loop {
        let listing = Answer::of(friend(Method::GET, &part)).await.expect(200);
        let said = format!("{:?} {}", listing.headers, listing.body);
        assert!(!said.contains("private"), "{said}");
        match listing.header("link").split_once(">;") {
            Some((link, _)) => part = link.trim_start_matches('<').trim_start_matches(&owner.url).to_owned(),
            None => break,
        }
    }
    for (method, path, body) in [
        (Method::PUT, "/properties/private", json!("mine")),
        (Method::PUT, "/properties/private", json!({})),
        (Method::PUT, "/properties/private/new", json!(1)),
        (Method::PUT, "/properties/private/key", json!("secret")),
        (Method::POST, "/properties", json!({ "private": { "new": 1 }, "harmless": 1 })),
        (Method::POST, "/properties", json!({ "harmless": 1, "private": { "_type": "list" } })),
        (Method::POST, "/properties/private?_method=PUT", json!("mine")),
        (Method::POST, "/properties/private?_method=DELETE", json!({})),
        (Method::DELETE, "/properties/private", json!({})),
        (Method::DELETE, "/properties/private/key", json!({})),
        (Method::DELETE, "/properties", json!({})),
    ] {
        let answer = send(friend(method.clone(), path), body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    Answer::of(friend(Method::GET, "/properties/harmless")).await.expect(404);
    let kept = owner.get("/properties/private").await.expect(200).json();
    assert_eq!(kept, json!({ "key": "secret", "deep": { "er": { "x": 1 } } }));
}

#[tokio::test]
async fn a_trust_may_have_permissions_of_its_own() {
    let site = Site::of(app()).await;
    let owner = actor(&site).await.owner;
    let id = ActorId::parse(&owner.id).unwrap();
    let permissions = json!({ "properties": { "excluded_patterns": ["color"] }, "methods": { "denied": ["work"] } });
    let trust = TrustCredential {
        peer: "p".into(),
        relationship: "friend".into(),
        approved: true,
        permissions: Some(permissions.to_string()),
    };
    site.state().actors.store().put_credential(&id, "less", &trust).await.unwrap();
    let less = |path: &str| site.http.get(format!("{}{path}", owner.url)).bearer_auth("less");
    Answer::of(less("/properties/color")).await.expect(403);
    Answer::of(less("/properties/public")).await.expect(200);
    Answer::of(less("/methods/work")).await.expect(403);
    let listed = Answer::of(less("/methods")).await.expect(200);
    assert!(listed.body.contains("get_time") && !listed.body.contains("\"work\""), "{}", listed.body);

    let broken = TrustCredential { permissions: Some("{\"oops\": 1}".into()), ..trust };
    site.state().actors.store().put_credential(&id, "less", &broken).await.unwrap();
    Answer::of(less("/properties/public")).await.problem(500);
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing_with_the_creators_credentials() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let put = |name: &'static str, value: String| {
        Answer::of(ann.request(Method::PUT, "/properties/x").header(name, value).json(&json!(1)))
    };
    put("sec-fetch-site", "cross-site".into()).await.problem(403);
    put("sec-fetch-site", "same-site".into()).await.problem(403);
    put("origin", "https://elsewhere.example".into()).await.problem(403);
    put("origin", "null".into()).await.problem(403);
    put("sec-fetch-site", "same-origin".into()).await.expect(204);
    put("sec-fetch-site", "none".into()).await.expect(204);
    put("origin", site.url("")).await.expect(204);
    let read = ann.request(Method::GET, "/properties/x").header("sec-fetch-site", "cross-site");
    Answer::of(read).await.expect(200);
}
