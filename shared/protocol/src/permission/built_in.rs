//! What the built-in trust types grant: code, so no request can change it.

use super::Category::{Actions, Methods, Prompts, Properties, Resources, Tools};
use super::Operation::{Delete, Read, Write};
use super::{Permissions, Rules};

/// The rights of a built-in trust type.
pub(super) fn permissions(name: &str) -> Option<Permissions> {
    let permissions = Permissions::default();
    let public = || Rules::patterns(&["public/*"], &[Read]);
    Some(match name {
        "associate" => permissions
            .with(Properties, public())
            .with(Methods, Rules::allow(&["get_*", "ping"]).deny(&["delete_*", "admin_*", "system_*"]))
            .with(Actions, Rules::nothing())
            .with(Tools, Rules::nothing())
            .with(Resources, public()),
        "viewer" => permissions
            .with(Properties, Rules::patterns(&["public/*", "shared/*"], &[Read]))
            .with(Methods, Rules::allow(&["get_*", "list_*", "export_*"]).deny(&["delete_*", "admin_*"]))
            .with(Actions, Rules::nothing())
            .with(Tools, Rules::nothing())
            .with(Resources, public()),
        "friend" => {
            let calls = || Rules::allow(&["*"]).deny(&["delete_*", "admin_*", "system_*"]);
            let all = || Rules::patterns(&["*"], &[Read, Write]);
            permissions
                .with(Properties, all().except(&["private/*", "security/*", "_internal/*"]))
                .with(Methods, calls())
                .with(Actions, calls())
                .with(Tools, Rules::allow(&["*"]).deny(&["admin_*", "system_*"]))
                .with(Resources, all().except(&["private/*", "security/*"]))
        }
        "partner" => {
            let calls = || Rules::allow(&["*"]).deny(&["admin_*", "system_*"]);
            let all = || Rules::patterns(&["*"], &[Read, Write]);
            permissions
                .with(Properties, all().except(&["_internal/*"]))
                .with(Methods, calls())
                .with(Actions, calls())
                .with(Tools, calls())
                .with(Resources, all().except(&["security/*"]))
        }
        "admin" => {
            let all = || Rules::patterns(&["*"], &[Read, Write, Delete]);
            permissions
                .with(Properties, all())
                .with(Methods, Rules::allow(&["*"]))
                .with(Actions, Rules::allow(&["*"]))
                .with(Tools, Rules::allow(&["*"]))
                .with(Resources, all())
        }
        "mcp_client" => {
            let never = ["delete_*", "admin_*", "system_*", "oauth_*", "auth_*"];
            permissions
                .with(
                    Properties,
                    Rules::patterns(&["public/*", "shared/*", "notes/*", "profile/*"], &[Read]).except(&[
                        "private/*",
                        "security/*",
                        "_internal/*",
                        "oauth_*",
                        "auth_*",
                    ]),
                )
                .with(Methods, Rules::allow(&["get_*", "list_*", "search_*", "export_*"]).deny(&never))
                .with(Actions, Rules::allow(&["search", "fetch", "export"]).deny(&never))
                .with(Tools, Rules::allow(&["search", "fetch", "create_note", "list", "get_*", "list_*"]).deny(&never))
                .with(
                    Resources,
                    Rules::patterns(
                        &["public/*", "shared/*", "notes://*", "usage://*", "actingweb://properties/all"],
                        &[Read],
                    )
                    .except(&["private/*", "security/*", "oauth://*", "auth://*"]),
                )
                .with(Prompts, Rules::allow(&["analyze_*", "create_*", "summarize_*", "generate_*"]))
        }
        _ => return None,
    })
}
