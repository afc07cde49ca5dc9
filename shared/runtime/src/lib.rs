//! From an environment to a running function.
//!
//! * [`run`], [`run_streaming`], [`run_worker`] and [`run_deliver`]: all that a function's `main` does
//! * [`Environment`] and [`Config`]: what a deployment decides, read here and nowhere else
//! * [`build`]: clients built once, the application, the state that handlers get
//! * [`handle_event`]: one event of API Gateway answered, for tests
//! * [`SystemClock`] and [`SystemEntropy`]: the real time and randomness

mod clients;
mod config;
mod environment;
mod event;
mod lambda;
mod path;
mod state;
mod stream;
mod system;
mod telemetry;
mod wake;

pub use clients::is_aws;
pub use config::{AwsSettings, Config, ConfigError};
pub use environment::Environment;
pub use event::EventError;
pub use lambda::{Error, handle_event, run, run_deliver, run_streaming, run_worker};
pub use state::{StartError, build, build_with, create_table, prime};
pub use system::{SystemClock, SystemEntropy};
pub use telemetry::{InvalidFilter, LogFilter, log_to_stdout};
pub use wake::{InsertedJob, Wake};
