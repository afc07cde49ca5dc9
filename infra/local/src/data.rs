//! The data folder: readable by this user alone, as it holds actors' data and the keys.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use actingweb_protocol::{Entropy, Keys};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::StartError;

/// Makes the folder if it is not there.
pub(crate) fn prepare(folder: &Path) -> Result<(), StartError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| StartError::Data { path: folder.to_owned(), source })
}

/// The file of the embedded engine.
pub(crate) fn engine_file(folder: &Path) -> PathBuf {
    folder.join("engine.db")
}

/// The keys of this folder, made once.
pub(crate) fn keys(folder: &Path, entropy: &dyn Entropy) -> Result<String, StartError> {
    let path = folder.join("keys.json");
    let text =
        read_or_make(folder, &path, entropy).map_err(|source| StartError::Data { path: path.clone(), source })?;
    match Keys::parse(&text) {
        Ok(_) => Ok(text),
        Err(source) => Err(StartError::Keys { path, source }),
    }
}

fn read_or_make(folder: &Path, path: &Path, entropy: &dyn Entropy) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    // Complete before it gets its name, and never over another: two stacks that start at once must share one.
    let draft = folder.join(format!("keys.json.{}", std::process::id()));
    write_private(&draft, &new_keys(entropy))?;
    let named = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match named {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    }
}

/// One new key of 256 bits.
pub(crate) fn new_keys(entropy: &dyn Entropy) -> String {
    let mut material = [0; 32];
    entropy.fill(&mut material);
    json!({ "k1": URL_SAFE_NO_PAD.encode(material) }).to_string()
}

/// Writes a file that only this user can read.
pub(crate) fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use actingweb_runtime::SystemEntropy;

    use super::*;

    #[test]
    fn keys_are_made_once_and_private() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("deep/data");
        prepare(&folder).unwrap();
        let first = keys(&folder, &SystemEntropy::new()).unwrap();
        Keys::parse(&first).unwrap();
        assert_eq!(keys(&folder, &SystemEntropy::new()).unwrap(), first);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&folder.join("keys.json"))), (0o700, 0o600));
        }
    }

    #[test]
    fn broken_keys_are_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("keys.json"), "{").unwrap();
        let error = keys(place.path(), &SystemEntropy::new()).unwrap_err().to_string();
        assert!(error.contains("keys.json"), "{error}");
        assert_eq!(fs::read_to_string(place.path().join("keys.json")).unwrap(), "{");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data");
        fs::write(&folder, "").unwrap();
        let error = prepare(&folder).unwrap_err().to_string();
        assert!(error.contains("data") && error.contains("--data"), "{error}");
    }
}
