//! What tests build on, those of this project and those of applications written with it.
//!
//! * [`engine`]: the embedded DynamoDB engine, also used by the local stack
//! * [`meter`]: a proxy in front of DynamoDB that counts calls and injects throttling, conflicts and lost replies
//! * [`fakes`]: time and randomness that a test decides

mod background;
pub mod engine;
pub mod fakes;
pub mod meter;
mod rng;
