//! Why the local stack does not start, each in one line that says what to do.

use std::io;
use std::path::PathBuf;

use actingweb_protocol::KeysError;
use actingweb_store::StoreError;
use actingweb_testkit::engine::EngineError;

/// Why the local stack does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something listens there already.
    #[error("port {port} on 127.0.0.1 is already in use: stop what listens there or choose another one with --port")]
    PortInUse {
        /// The port asked for.
        port: u16,
    },
    /// The system refused the port for another reason.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder, or a file in it, cannot be read or written.
    #[error("cannot use {}: {source}; choose a data folder that this user may write to with --data", path.display())]
    Data {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of keys holds none.
    #[error("cannot use the keys in {}: {source}; restore the file, or start a new data folder with --data", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeysError,
    },
    /// The embedded engine did not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stand-in did not start.
    #[error("cannot start the stand-in for {what}: {source}")]
    Standin {
        /// What it stands in for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A setting is missing or wrong, or the application has mistakes.
    #[error(transparent)]
    Runtime(#[from] actingweb_runtime::StartError),
    /// Nothing answers there.
    #[error("cannot reach DynamoDB at {endpoint} ({reason}): is it running, and the address right?")]
    Unreachable {
        /// Its address.
        endpoint: String,
        /// What the last attempt met.
        reason: String,
    },
    /// DynamoDB refuses.
    #[error("cannot use DynamoDB at {endpoint}: {source}")]
    Table {
        /// Its address.
        endpoint: String,
        /// What it said.
        source: StoreError,
    },
    /// No delivery that was given up has this id.
    #[error("no delivery that was given up has the id {id}: --dead-letters lists those there are")]
    NoDeadLetter {
        /// The id asked for.
        id: String,
    },
    /// The file for `cargo lambda watch` holds something else, or cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    EnvFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl From<actingweb_runtime::ConfigError> for StartError {
    fn from(error: actingweb_runtime::ConfigError) -> Self {
        Self::Runtime(error.into())
    }
}
