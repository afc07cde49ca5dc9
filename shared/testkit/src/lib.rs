//! What tests build on, those of this project and those of applications written with it.
//!
//! * [`engine`]: the embedded DynamoDB engine, also used by the local stack
//! * [`stream`]: what is inserted into its tables, as it happens
//! * [`meter`]: a proxy in front of DynamoDB that counts calls and injects throttling, conflicts and lost replies
//! * [`bedrock_standin`]: Bedrock Runtime on loopback, as the real SDK speaks it
//! * [`service_standin`]: small web services on loopback for hooks to call
//! * [`provider_standin`]: an identity provider, with all that one may do wrong
//! * [`fakes`]: time and randomness that a test decides
//! * [`log`]: what is logged, to be looked at
//!
//! Tests of an application start with `actingweb_local::testing`, which puts all of this together.

pub mod account_standin;
mod background;
pub mod bedrock_standin;
pub mod engine;
pub mod fakes;
mod load;
pub mod log;
pub mod meter;
pub mod provider_standin;
mod rng;
pub mod service_standin;
pub mod stream;
