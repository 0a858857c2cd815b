//! The data folder of a bridge: its log, and the secrets that its keys hang on.
//!
//! In: a folder. Out: secrets, made on the first start and never again. Never here: a secret that prints, or one made anew
//! where state exists already: every key would be another.

use anyhow::{Context, bail, ensure};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct DataFolder {
    path: PathBuf,
    /// Persons, partitions and resource keys hang on it. It never rotates.
    pub routing: Vec<u8>,
    /// What members are called hangs on it.
    pub members: Vec<u8>,
}

const SECRET_BYTES: usize = 32;

impl DataFolder {
    /// Opens the folder, or makes it there.
    pub fn open(path: &Path) -> anyhow::Result<DataFolder> {
        let secrets = path.join("secrets");
        let fresh = !path.join("log").exists() && !path.join("kafka-state").exists();
        fs::create_dir_all(&secrets).with_context(|| format!("{}: cannot be made", secrets.display()))?;
        // Landing holds what the EHR sent.
        close_to_others(path)?;
        close_to_others(&secrets)?;
        let routing = secret(&secrets.join("routing.key"), fresh)?;
        let members = secret(&secrets.join("members.key"), fresh)?;
        Ok(DataFolder { path: path.to_owned(), routing, members })
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where a copy of the state lies that Kafka has.
    pub fn copy(&self) -> PathBuf {
        self.path.join("kafka-state")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a secret; makes one where the folder is new.
fn secret(file: &Path, fresh: bool) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    match fs::read(file) {
        Ok(bytes) => {
            ensure!(bytes.len() >= SECRET_BYTES, "{name}: a secret of {} bytes; at least {SECRET_BYTES} are needed", bytes.len());
            Ok(bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && fresh => {
            let mut bytes = vec![0; SECRET_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness from the system: {error}"))?;
            // Whole or not at all: half a secret would be taken for one.
            let half = file.with_extension("new");
            let mut out = options().open(&half).with_context(|| format!("{}: cannot be written", half.display()))?;
            out.write_all(&bytes).and_then(|()| out.sync_all()).with_context(|| format!("{}: cannot be written", half.display()))?;
            fs::rename(&half, file).with_context(|| format!("{name}: cannot be written"))?;
            Ok(bytes)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name}: is missing, and there is state that hangs on it; bring it back from the backup")
        }
        Err(error) => Err(error).with_context(|| format!("{name}: cannot be read")),
    }
}

#[cfg(unix)]
fn options() -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options
}

#[cfg(unix)]
fn close_to_others(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let at = folder.display();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|error| match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => {
            anyhow::anyhow!("{at}: the file system is read-only; mount it writable, or name another folder")
        }
        _ => anyhow::Error::new(error).context(format!("{at}: cannot be closed to others")),
    })
}

#[cfg(not(unix))]
fn close_to_others(_: &Path) -> anyhow::Result<()> {
    Ok(())
}
