//! The local stack as its users run it: the real program, its flags, its signals, its files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails, panics"
)]

mod crashes;
mod deliveries;
mod engine_only;
mod program;
mod refusals;
mod restarts;
mod schedules;
mod secrets;
mod tasks;
