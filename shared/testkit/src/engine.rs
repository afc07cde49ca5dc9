//! The embedded DynamoDB engine: the real wire protocol on a loopback port, over SQLite in this process.
//!
//! The local stack and tests talk to it through the same SDK calls as to AWS. What it never does by itself: transaction
//! conflicts, throttling, eventual consistency. Tests put a [`Meter`](crate::meter::Meter) in front to get those.
//!
//! # Durability
//!
//! A file engine keeps a write-ahead log and forces it to disk on every commit (SQLite `journal_mode=WAL`,
//! `synchronous=FULL`), so whatever was acknowledged survives `kill -9` and loss of power. Two files, `-wal` and
//! `-shm`, lie beside the database while it is open and belong to it after a crash: never delete them alone.
//!
//! # Streams
//!
//! [`Engine::tap`] reads what is inserted, from the beginning of a table's stream. By itself the engine would look through
//! all records of the stream with each write, and keep them for ever: see the module `stream` for what is done about it.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actingweb_protocol::{Clock, Timestamp};
use dynoxide::Database;

use crate::background::Background;
use crate::stream::{self, Tap};

/// Worker threads of an engine. The database serves one call at a time; the second thread reads and writes sockets
/// meanwhile.
const WORKERS: usize = 2;

/// Where an engine keeps its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory; gone when the engine stops.
    Memory,
    /// In this file; it and its folder are created when absent.
    File(PathBuf),
}

/// Why an engine did not start, or could not sweep.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another process, or another engine in this one, listens on the port.
    #[error("port {port} on 127.0.0.1 is already in use: stop what listens there or choose another port")]
    PortInUse {
        /// The port asked for.
        port: u16,
    },
    /// The system refused the port for another reason, such as a privileged port.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for; 0 stands for any free one.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The folder or the file cannot be created or written.
    #[error("cannot write {}: {source}; choose a data folder that this user may write to", path.display())]
    NotWritable {
        /// The folder, or the database file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path holds something that is not this engine's database, or a damaged one.
    #[error("cannot open {} as a database: {reason}; move it away to start with an empty one", path.display())]
    NotADatabase {
        /// The database file.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The engine failed while it ran.
    #[error("the embedded DynamoDB engine failed: {0}")]
    Internal(String),
    /// The system has no thread for the server.
    #[error("cannot start the thread of the embedded DynamoDB engine: {0}")]
    Thread(#[source] io::Error),
}

/// A running engine. Dropping it stops it at once and closes its file; [`Engine::stop`] lets calls finish first.
///
/// It runs on threads of its own, so calls to it neither block the caller's runtime nor need one to go on.
#[derive(Debug)]
pub struct Engine {
    url: String,
    port: u16,
    // Declared, and so dropped, before the server: the file closes with the server's last clone.
    database: Tables,
    /// The file, if there is one.
    path: Option<PathBuf>,
    server: Background,
}

/// The engine's database, with a `Debug` that tells nothing of its content.
struct Tables(Database);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Engine {
    /// An empty engine in memory on any free port. What a test wants.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the system has no port or thread to give.
    pub fn memory() -> Result<Self, EngineError> {
        Self::start(&Storage::Memory, 0)
    }

    /// An engine in memory whose TTL sweep and stream records take their time from `clock`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] when the system has no port or thread to give.
    pub fn memory_at(clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        let database = Database::memory_with_clock(Arc::new(EngineClock(clock))).map_err(internal)?;
        Self::serve(database, listen(0)?, None)
    }

    /// An engine over the file at `path` on any free port.
    ///
    /// # Errors
    ///
    /// As [`Engine::start`].
    pub fn file(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        Self::start(&Storage::File(path.as_ref().to_owned()), 0)
    }

    /// An engine over `storage` on 127.0.0.1:`port`; port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// [`EngineError::PortInUse`], [`EngineError::NotWritable`] and [`EngineError::NotADatabase`] are a user's to
    /// mend and say how; the others are the system's.
    pub fn start(storage: &Storage, port: u16) -> Result<Self, EngineError> {
        // The port first: a second process started by mistake stops here, before it touches the file.
        let listener = listen(port)?;
        match storage {
            Storage::Memory => {
                let failed = |source| EngineError::Listen { port, source };
                Self::serve(open_memory(listener.local_addr().map_err(failed)?.port())?, listener, None)
            }
            Storage::File(path) => Self::serve(open(path)?, listener, Some(path.clone())),
        }
    }

    fn serve(database: Database, listener: TcpListener, path: Option<PathBuf>) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Listen { port: 0, source };
        let port = listener.local_addr().map_err(failed)?.port();
        listener.set_nonblocking(true).map_err(failed)?;

        let served = database.clone();
        let server = Background::spawn("dynamodb-engine", WORKERS, move |finish| async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            let finish = async {
                let _ = finish.await;
            };
            // The accept loop retries by itself and has no error to report.
            let _ = dynoxide::server::serve_with_shutdown(listener, served, finish).await;
        })
        .map_err(EngineError::Thread)?;

        Ok(Self { url: format!("http://127.0.0.1:{port}"), port, database: Tables(database), path, server })
    }

    /// The endpoint URL to give to the SDK, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port the engine listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Deletes the items whose TTL attribute has passed, in every table with TTL enabled; returns how many.
    ///
    /// AWS does this by itself, some time after the fact. Here whoever owns the loop calls it, once a minute or so.
    /// Other calls are served between pages of the sweep.
    ///
    /// # Errors
    ///
    /// [`EngineError::Internal`] when the database fails.
    pub async fn sweep_ttl(&self) -> Result<usize, EngineError> {
        let database = self.database.0.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        match swept {
            Ok(swept) => swept.map_err(internal),
            Err(panicked) => Err(EngineError::Internal(panicked.to_string())),
        }
    }

    /// What is inserted into a table, from the beginning of its stream on.
    #[must_use]
    pub fn tap(&self, table: &str) -> Tap {
        Tap::new(self.database.0.clone(), table)
    }

    /// Forgets the records of streams that were made before `moment`; returns how many. AWS does this by itself after 24
    /// hours. Nothing is forgotten of an engine in memory, which does not live that long.
    ///
    /// # Errors
    ///
    /// [`EngineError::Internal`] when the database fails.
    pub async fn trim_streams(&self, moment: Timestamp) -> Result<usize, EngineError> {
        let Some(path) = self.path.clone() else { return Ok(0) };
        let trimmed = tokio::task::spawn_blocking(move || stream::trim(&path, moment)).await;
        match trimmed {
            Ok(trimmed) => trimmed.map_err(|error| EngineError::Internal(error.to_string())),
            Err(panicked) => Err(EngineError::Internal(panicked.to_string())),
        }
    }

    /// Stops the engine: calls under way may finish for two seconds, then the port is free and the file closed.
    pub async fn stop(self) {
        let Self { database, server, .. } = self;
        drop(database);
        server.stop().await;
    }
}

/// Lets the engine read the project's clock, so that a test's fake one decides what has expired.
struct EngineClock(Arc<dyn Clock>);

impl EngineClock {
    /// Zero for moments before 1970, which the engine cannot express.
    fn since_epoch(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().as_millis()).unwrap_or(0))
    }
}

impl dynoxide::storage_backend::Clock for EngineClock {
    fn now_unix_secs(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.since_epoch().as_secs_f64()
    }
}

pub(crate) fn internal(error: dynoxide::DynoxideError) -> EngineError {
    EngineError::Internal(error.to_string())
}

fn listen(port: u16) -> Result<TcpListener, EngineError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => EngineError::PortInUse { port },
        _ => EngineError::Listen { port, source },
    })
}

/// Opens or creates the database file, readable by this user alone because actors' data is private.
fn open(path: &Path) -> Result<Database, EngineError> {
    let not_writable = |path: &Path| {
        let path = path.to_owned();
        |source| EngineError::NotWritable { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(not_writable(folder))?;
    }
    // SQLite would only say "unable to open database file"; the system says why. An empty file is a new database.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path).map_err(not_writable(path))?;

    let not_a_database = |reason: String| EngineError::NotADatabase { path: path.to_owned(), reason };
    let Some(name) = path.to_str() else {
        return Err(not_a_database("its path is not valid UTF-8".to_owned()));
    };
    let database = Database::new(name).map_err(|error| not_a_database(error.to_string()))?;
    stream::index(name).map_err(|error| not_a_database(error.to_string()))?;
    Ok(database)
}

/// A database in memory that a second connection can reach: by the engine's port, which nobody else has.
fn open_memory(port: u16) -> Result<Database, EngineError> {
    let name = format!("file:actingweb-{port}?mode=memory&cache=shared");
    let database = Database::new(&name).map_err(internal)?;
    stream::index(&name).map_err(|error| EngineError::Internal(error.to_string()))?;
    Ok(database)
}
