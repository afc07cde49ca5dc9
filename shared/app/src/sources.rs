//! A file and a slow store, read at the same time; and a state made at start.

use std::io::Write as _;

use actingweb_hooks::prelude::*;
use tempfile::TempPath;

use crate::bounded_text::BoundedText;
use crate::services::{Entry, Outside};

/// The notes this application ships: part of the binary, so there is no file to deploy along with it.
const NOTES: &str = include_str!("../notes.txt");

/// A file of notes in the system's folder for temporary files (on Lambda, `/tmp` is the only one that may be written).
/// Made once per process; removed when the process ends in good order.
#[derive(Debug)]
pub(crate) struct NotesFile(TempPath);

impl NotesFile {
    /// Writes the file. For `App::state_from`.
    pub(crate) async fn unpack(_: Init) -> std::io::Result<Self> {
        let write = || {
            let mut file = tempfile::Builder::new().prefix("actingweb-notes-").suffix(".txt").tempfile()?;
            file.write_all(NOTES.as_bytes())?;
            Ok(Self(file.into_temp_path()))
        };
        tokio::task::spawn_blocking(write).await?
    }
}

/// What to gather.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// The key of an entry of the store.
    key: BoundedText<200>,
}

/// What the sources hold.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gathered {
    /// The lines of the notes.
    notes: Vec<String>,
    /// The store's entry.
    entry: Entry,
}

/// Method `gather_sources`. Without either there is nothing to say, so the first failure ends both: `try_join!`.
pub(crate) async fn gather_sources(
    Input(Wanted { key }): Input<Wanted>,
    State(file): State<NotesFile>,
    outside: Outside,
) -> Result<Gathered, HookError> {
    // Reading a file blocks: `tokio::fs` does it on the blocking pool and lets this hook wait without a thread.
    let notes = async { Ok::<_, HookError>(tokio::fs::read_to_string(&file.0).await?) };
    let (notes, entry) = tokio::try_join!(notes, outside.entry(&key))?;
    Ok(Gathered { notes: notes.lines().map(str::to_owned).collect(), entry })
}
