//! What this implementation says of itself under `/meta/actingweb` (spec, "Options").

/// The protocol version spoken: ActingWeb 1.4.
pub const PROTOCOL_VERSION: &str = "1.4";

/// What the flat key `aw_version` says. Peers of the Python library compare it with exactly this text, whatever they
/// implement themselves; readers of the specification look at the nested `actingweb.version` instead.
pub const FLAT_VERSION: &str = "1.0";

/// The option tags of what is really served, in alphabetical order.
pub const SUPPORTED: &[&str] = &[
    "actions",
    "callbackcompression",
    "callbacks",
    "listproperties",
    "methods",
    "nestedproperties",
    "onewaytrust",
    "permissioncallback",
    "permissionquery",
    "resources",
    "subscriptionresync",
    "subscriptions",
    "trust",
    "trustpermissions",
];

/// The representation formats understood.
pub const FORMATS: &[&str] = &["json"];
