//! The log: what the loop reads in order, and where everything that it decides is kept in one act.
//!
//! In: entries from the sources, commits from the loop. Out: records with a position and a stamp; outputs for the readers.
//! Never here: a look into a record's value, or a decision about a person.

mod commit;
pub mod embedded;
mod error;
pub mod faulty;
pub mod kafka;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use commit::{Batch, Commit, OutTopic, Output, Outputs, StateChange, Stored};
pub use error::{LogError, Retry, Trouble};
pub use record::{Bytes, Entry, Headers, KEY_BYTES_MAX, Kind, Place, Record, Topic, VALUE_BYTES_MAX};
pub use store::Store;

use footbridge_core::time::Instant;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The instance's clock: it stamps an entry once, when the log takes it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// One worker's session. A plain thread owns it and drives it: poll, commit, poll.
///
/// After any error of `poll` or `commit` call `abort`, then start over from what the next batch says is assigned.
pub trait Log: Send {
    /// Fills `batch`, which is cleared first, with a bounded number and size of records; waits at most `wait` for the first.
    /// Records of one place come in the order of their offsets; offsets may have gaps.
    fn poll(&mut self, wait: Duration, batch: &mut Batch) -> Result<(), LogError>;

    /// The committed state under `key`.
    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError>;

    /// The committed state whose keys begin with `prefix`, in the order of the keys.
    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError>;

    /// Reads a landing partition held again, from `from` up to the committed position: appends a bounded number of records to
    /// `records` and returns where to go on, or `None` at the end. Records that were compacted away are not there; of the
    /// owners any may be gone that stand before the position, for all that they said is state.
    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError>;

    /// One atomic, durable act for all places held: those that a batch named as assigned, and none before. Positions only
    /// rise, and never past what this session was given.
    /// An error other than `Trouble::Refused` leaves open whether it was done: the position after `abort` tells.
    fn commit(&mut self, commit: Commit) -> Result<(), LogError>;

    /// Forgets what was read since the last commit: the next batch names every place held and its committed position again,
    /// and the records after them come again.
    fn abort(&mut self) -> Result<(), LogError>;
}

/// What sources hold: they append, from any thread.
pub trait Landing: Send + Sync {
    /// All entries of one call are taken or none; in each place they stand next to each other, in order. `done` is called
    /// once they are durable, or with the error; it must be quick and never wait for the log. An error leaves open whether they were taken: the source
    /// appends them again (equal keys are compacted).
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full>;

    /// Appends, and waits for the answer. Outside: the queue is full. Never for the thread that gives the answers.
    fn append_durably(&self, entries: Vec<Entry>) -> Result<Result<Stamped, LogError>, Full> {
        let (told, answer) = mpsc::sync_channel(1);
        // The receiver waits below, whatever is sent.
        self.append(entries, Box::new(move |done| drop(told.send(done))))?;
        Ok(answer.recv().unwrap_or_else(|_| Err(LogError::stopped("landing"))))
    }
}

/// Called once with the answer to an append.
pub type Done = Box<dyn FnOnce(Result<Stamped, LogError>) + Send>;

/// The entries of one append are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// The one stamp of all of them.
    pub at: Instant,
}

/// The queue is full: the source waits, or answers 429. It gets back what it brought.
pub struct Full {
    pub entries: Vec<Entry>,
    pub done: Done,
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "full, {} entries given back", self.entries.len())
    }
}
