//! What this group answers.

mod schedules;
mod tasks;

use actingweb_hooks::HookInfo;
use actingweb_web::openapi::{Content, Document, Operation};

/// Describes `/{actor}/actions`, and the actions of an application.
pub fn describe(document: &mut Document, actions: &[HookInfo]) {
    let mut group = document.group("actions", "What an actor does in the world.");
    let listing = group.hook_listing("action");
    group
        .path(
            "/{actor}/actions",
            [Operation::get("get_actions", "The actions that the caller may trigger").authorized().reply(
                200,
                "The actions.",
                [Content::json(listing)],
            )],
        )
        .callable("action")
        .hooks("action", actions);
    tasks::describe(&mut group);
    schedules::describe(&mut group);
}
