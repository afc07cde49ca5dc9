//! What hooks can rely on, shown through the same calls the endpoints make.

mod build;
mod common;
mod errors;
mod extractors;
mod lifecycle;
mod limits;
mod matrix;
mod order;
mod properties;
mod schemas;
mod tasks;
mod watchdog;
