//! What goes wrong in a log: where, what, what to do, and whether the same call may succeed later.
//!
//! In: errors of the system and of the store. Out: `LogError`.
//! Never here: a byte of a key or a value.

use std::fmt;

/// Whether the same call may succeed later in this process. The log that saw the failure decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Later,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    DiskFull,
    ReadOnly,
    /// Another process holds the directory.
    Locked,
    /// Written by another version, with other settings, or not a log at all.
    Format,
    Damaged,
    /// This session no longer holds its places.
    Lost,
    /// The log was closed, or an earlier failure ended it.
    Stopped,
    /// The caller asked for what the log does not do; nothing was done.
    Refused,
    /// Any other failure of the system below.
    System,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    pub trouble: Trouble,
    /// Directory, keyspace or place.
    pub at: String,
    pub what: String,
    pub hint: &'static str,
    pub retry: Retry,
}

impl LogError {
    pub fn refused(at: impl fmt::Display, what: impl Into<String>) -> LogError {
        let hint = "this is a bug in the caller: please report it";
        LogError { trouble: Trouble::Refused, at: at.to_string(), what: what.into(), hint, retry: Retry::Never }
    }

    pub fn lost(at: impl fmt::Display) -> LogError {
        let hint = "abort and end this session: another one holds its places";
        LogError { trouble: Trouble::Lost, at: at.to_string(), what: "the session was lost".into(), hint, retry: Retry::Never }
    }

    pub fn stopped(at: impl fmt::Display) -> LogError {
        let hint = "start the instance again";
        LogError { trouble: Trouble::Stopped, at: at.to_string(), what: "the log is closed".into(), hint, retry: Retry::Never }
    }

    pub fn damaged(at: impl fmt::Display, what: impl Into<String>) -> LogError {
        let hint = "stop the instance and restore the directory from a backup";
        LogError { trouble: Trouble::Damaged, at: at.to_string(), what: what.into(), hint, retry: Retry::Never }
    }

    /// A failure of the system, sorted by what an operator can do about it.
    pub fn io(at: impl fmt::Display, error: &std::io::Error) -> LogError {
        use std::io::ErrorKind;
        let (trouble, hint) = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (Trouble::DiskFull, "free space, then start the instance again"),
            ErrorKind::ReadOnlyFilesystem => (Trouble::ReadOnly, "mount the file system writable, then start the instance again"),
            ErrorKind::PermissionDenied => (Trouble::ReadOnly, "let the instance's user write there, then start it again"),
            _ => (Trouble::System, "see to the disk, then start the instance again"),
        };
        LogError { trouble, at: at.to_string(), what: error.kind().to_string(), hint, retry: Retry::Never }
    }

    pub fn retriable(mut self, hint: &'static str) -> LogError {
        self.retry = Retry::Later;
        self.hint = hint;
        self
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.hint)
    }
}

impl std::error::Error for LogError {}
