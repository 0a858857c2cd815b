//! The directory of a log: one process at a time, one format, one count of partitions.
//!
//! In: a path. Out: a lock that lives as long as the log, or an error that says what stands in the way.
//! Never here: what the keyspaces hold.

use super::Settings;
use crate::log::{LogError, Retry, Trouble};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 2;

/// Held while the log is open.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Makes the directory where there is none, locks it, and checks that it holds a log of this format. Returns the lock and
/// where the store lives.
pub fn enter(directory: &Path, settings: &Settings) -> Result<(Lock, PathBuf), LogError> {
    let at = directory.display();
    fs::create_dir_all(directory).map_err(|error| LogError::io(&at, &error))?;
    let lock = lock(directory)?;
    let format = directory.join("format");
    if format.try_exists().map_err(|error| LogError::io(format.display(), &error))? {
        check(&format, settings)?;
    } else {
        let mut entries = fs::read_dir(directory).map_err(|error| LogError::io(&at, &error))?;
        // A start that was cut short leaves these two and nothing of value.
        let ours = |entry: &fs::DirEntry| ["lock", "format.new"].iter().any(|name| entry.file_name() == *name);
        if entries.any(|entry| entry.map_or(true, |entry| !ours(&entry))) {
            return Err(format_error(directory, "the directory is not empty and holds no log", "name an empty directory"));
        }
        write(directory, &format, settings).map_err(|error| LogError::io(&at, &error))?;
    }
    Ok((lock, directory.join("store")))
}

fn lock(directory: &Path) -> Result<Lock, LogError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
    let file = file.map_err(|error| LogError::io(path.display(), &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(LogError {
            trouble: Trouble::Locked,
            at: directory.display().to_string(),
            what: "another process has this log open".into(),
            hint: "stop it first, or name another directory",
            retry: Retry::Later,
        }),
        Err(TryLockError::Error(error)) => Err(LogError::io(path.display(), &error)),
    }
}

fn write(directory: &Path, format: &Path, settings: &Settings) -> std::io::Result<()> {
    let new = directory.join("format.new");
    let mut file = File::create(&new)?;
    write!(file, "footbridge log {FORMAT}\npartitions {}\n", settings.partitions)?;
    file.sync_all()?;
    fs::rename(&new, format)?;
    File::open(directory)?.sync_all()
}

fn check(format: &Path, settings: &Settings) -> Result<(), LogError> {
    let text = fs::read_to_string(format).map_err(|error| LogError::io(format.display(), &error))?;
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("footbridge log ")).and_then(|text| text.parse::<u32>().ok());
    let partitions = lines.next().and_then(|line| line.strip_prefix("partitions ")).and_then(|text| text.parse::<u16>().ok());
    match (version, partitions) {
        (Some(FORMAT), Some(count)) if count == settings.partitions => Ok(()),
        (Some(FORMAT), Some(count)) => Err(format_error(
            format,
            &format!("the log has {count} partitions, the configuration says {}", settings.partitions),
            "set the count back; it can never change",
        )),
        (Some(version), _) if version != FORMAT => Err(format_error(
            format,
            &format!("the log has format {version}, this program knows {FORMAT}"),
            "use the version of the program that wrote it",
        )),
        _ => Err(format_error(format, "this is not the format file of a log", "name the directory of a log, or an empty one")),
    }
}

pub fn format_error(at: &Path, what: &str, hint: &'static str) -> LogError {
    LogError { trouble: Trouble::Format, at: at.display().to_string(), what: what.into(), hint, retry: Retry::Never }
}
