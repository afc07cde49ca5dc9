//! A file and a slow store, read at the same time; and a state made at start.

use std::path::{Path, PathBuf};

use actingweb_hooks::prelude::*;
use tokio::io::AsyncWriteExt;

use crate::bounded_text::BoundedText;
use crate::services::{Entry, Outside};

/// The notes this application ships: part of the binary, so there is no file to deploy along with it.
const NOTES: &str = include_str!("../notes.txt");

/// A file of notes in the system's folder for temporary files (on Lambda, `/tmp` is the only one that may be written).
/// Made once per process, removed when the process ends in good order.
#[derive(Debug)]
pub(crate) struct NotesFile(PathBuf);

impl NotesFile {
    /// Writes the file. For `App::state_from`.
    pub(crate) async fn unpack(init: Init) -> std::io::Result<Self> {
        // A name nobody can guess, and `create_new`: another user of the machine cannot put a file or a link in its place.
        let path = std::env::temp_dir().join(format!("actingweb-notes-{}.txt", init.random.hex(8)));
        let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        let notes = Self(path);
        file.write_all(NOTES.as_bytes()).await?;
        file.flush().await?;
        Ok(notes)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for NotesFile {
    fn drop(&mut self) {
        // Whatever is left over goes with the system's own cleaning of that folder.
        let _ = std::fs::remove_file(&self.0);
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
    let notes = async { Ok::<_, HookError>(tokio::fs::read_to_string(file.path()).await?) };
    let (notes, entry) = tokio::try_join!(notes, outside.entry(&key))?;
    Ok(Gathered { notes: notes.lines().map(str::to_owned).collect(), entry })
}
