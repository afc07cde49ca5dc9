//! Which revision of the protocol a request speaks, and what that means.

use rmcp::RoleServer;
use rmcp::model::ProtocolVersion;
use rmcp::service::RequestContext;

/// A revision. They are dates, so that their texts compare as they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision(String);

impl Revision {
    /// Requests that say nothing speak the first revision with this transport.
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        let version = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_03_26);
        Self(version.as_str().to_owned())
    }

    #[cfg(test)]
    pub(crate) fn newest() -> Self {
        Self(ProtocolVersion::V_2026_07_28.as_str().to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Schemas and values of results, and titles.
    pub(crate) fn has_structured_content(&self) -> bool {
        self.0.as_str() >= ProtocolVersion::V_2025_06_18.as_str()
    }

    /// Arguments that do not fit are a result of the tool, which models read, not an error of the protocol.
    pub(crate) fn shows_bad_arguments_to_models(&self) -> bool {
        self.0.as_str() >= ProtocolVersion::V_2025_11_25.as_str()
    }

    /// Requests stand for themselves: they say who asks and what the client can, and hooks can ask back.
    pub(crate) fn is_stateless(&self) -> bool {
        self.0.as_str() >= ProtocolVersion::V_2026_07_28.as_str()
    }
}
