//! The demo's hooks, called the way the framework's endpoints call them: an actor on the embedded engine, services and
//! Bedrock as stand-ins on loopback.

mod at_once;
mod log;
mod plain;
mod properties;
mod world;
