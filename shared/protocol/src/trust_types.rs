//! The relationships an actor can offer (spec, "Trust types"). What each of them grants is in [`crate::permission`], which
//! also knows those an application adds.

use serde::Serialize;

/// A kind of relationship, as `/meta/actingweb/trust_types` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrustType {
    /// Its name in URLs, such as `friend`.
    pub name: &'static str,
    /// Its name for people.
    pub display_name: &'static str,
    /// What it allows, for people.
    pub description: &'static str,
    /// Who defined it.
    pub created_by: &'static str,
}

/// The relationship offered to strangers: the one that allows least.
pub const DEFAULT: &str = "associate";

/// The relationship offered to AI assistants and other clients of OAuth.
pub const CLIENT: &str = "mcp_client";

const fn built_in(name: &'static str, display_name: &'static str, description: &'static str) -> TrustType {
    TrustType { name, display_name, description, created_by: "system" }
}

/// The relationships every deployment knows. They are code, so no request can change them.
pub const BUILT_IN: [TrustType; 6] = [
    built_in("associate", "Associate", "Sees what is public and calls harmless methods"),
    built_in("viewer", "Viewer", "Sees what is public or shared"),
    built_in("friend", "Friend", "Reads and writes all but private data"),
    built_in("partner", "Partner", "Reads and writes all but internal data"),
    built_in("admin", "Administrator", "Reads, changes and deletes everything, and manages trust"),
    built_in(CLIENT, "MCP client", "An AI assistant: reads public and shared data, searches and fetches"),
];
