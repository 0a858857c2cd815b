//! The embedded log: one directory on a local disk, made durable by one writer thread.
//!
//! In: a directory, settings, a clock. Out: sessions for the loop, a landing for the sources, readers for commands.
//! Never here: a second process on the same directory, or an answer before the bytes are on disk.

mod directory;
mod group;
pub(in crate::log) mod layout;
pub(in crate::log) mod queue;
mod readers;
mod session;
mod settings;
mod tail;
mod writer;

pub use session::Session;
pub use settings::Settings;

use crate::log::{Clock, Done, Entry, Full, Landing, LogError, Place, Topic};
use fjall::Database;
use group::Ends;
use layout::{Spaces, offset_at, place_key, record_key};
use queue::{Job, Queue, Reply};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use writer::Writer;

/// A handle on the log; clones are of the same log. It closes, with all that was taken made durable, when the last
/// clone and the last session are gone.
#[derive(Clone)]
pub struct Embedded(Arc<Handle>);

pub struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer, the sessions and the readers share.
pub struct Shared {
    directory: PathBuf,
    settings: Settings,
    clock: Clock,
    queue: Queue,
    outputs: readers::News,
    spaces: Spaces,
    database: Database,
    /// Last: other processes wait until the store is closed.
    _lock: directory::Lock,
}

impl Shared {
    /// Appends are refused while there is still room to work off what was taken.
    fn room(&self) -> Result<(), LogError> {
        let at = self.directory.display();
        let space = rustix::fs::statvfs(&*self.directory).map_err(|e| LogError::io(&at, &e.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        match free < self.settings.reserve_bytes {
            true => {
                Err(LogError::io(&at, &std::io::ErrorKind::StorageFull.into()).retriable("free space; nothing was taken, send it again"))
            }
            false => Ok(()),
        }
    }
}

impl Embedded {
    /// Opens the log in `directory`, or makes it there.
    pub fn open(directory: &Path, settings: Settings, clock: Clock) -> Result<Embedded, LogError> {
        let (lock, store) = directory::enter(directory, &settings)?;
        let failed = |e| error(directory, &e);
        let journals = (4 * settings.memtable_bytes).max(128 << 20);
        let database = Database::builder(&store).cache_size(settings.cache_bytes).max_journaling_size(journals);
        // One: of several the store keeps the first free to flush, and while another compacts it spins on a whole core.
        let database = database.worker_threads(1).manual_journal_persist(true).open().map_err(failed)?;
        let spaces = Spaces::open(&database, settings.memtable_bytes).map_err(failed)?;
        let ends = ends(directory, &spaces, settings.partitions)?;
        let queue = Queue::new(settings.queue_bytes_max, settings.answer_within);
        let (directory, outputs) = (directory.to_path_buf(), readers::News::default());
        let shared = Arc::new(Shared { directory, settings, clock, queue, outputs, spaces, database, _lock: lock });
        let handle = Arc::new(Handle { shared: Arc::clone(&shared), writer: Mutex::new(None) });
        let writer = Writer::new(shared, Arc::downgrade(&handle), ends);
        let thread = std::thread::Builder::new().name("log writer".into()).spawn(|| writer.run());
        let thread = thread.map_err(|e| LogError::io("the log's writer thread", &e))?;
        *handle.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Embedded(handle))
    }

    /// Splits all places over `count` sessions. Sessions made before are lost: their commits are refused.
    pub fn sessions(&self, count: usize) -> Result<Vec<Session>, LogError> {
        if count == 0 {
            return Err(LogError::refused(self.shared().directory.display(), "no session would hold the places"));
        }
        self.ask(|reply| Job::Sessions { count, reply })
    }

    /// Whether appends are taken now; else why not.
    pub fn takes(&self) -> Result<(), LogError> {
        self.shared().room()
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LogError> {
        let shared = self.shared();
        shared.queue.ask(&shared.directory.display().to_string(), job)
    }
}

impl Landing for Embedded {
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        self.shared().queue.append(entries, done)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close(LogError::stopped(self.shared.directory.display()));
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // An answer may have held the last handle: the writer cannot wait for itself.
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != std::thread::current().id()) {
            // A panic there was printed there, and everyone who waited has an error.
            drop(writer.join());
        }
    }
}

/// Where each place and stream goes on. Compaction reaches up to the committed position only, so that or the last record
/// tells the end of a place.
fn ends(directory: &Path, spaces: &Spaces, partitions: u16) -> Result<Ends, LogError> {
    let failed = |e| error(directory, &e);
    let mut ends = Ends::default();
    for partition in 0..partitions {
        for topic in [Topic::Landing, Topic::Owners] {
            let place = Place { topic, partition };
            let range = record_key(partition, 0)..=record_key(partition, u64::MAX);
            let last = match spaces.records(topic).range(range).next_back() {
                Some(guard) => offset_at(&guard.key().map_err(failed)?, 2, "landing")? + 1,
                None => 0,
            };
            let committed = spaces.positions.get(place_key(place)).map_err(failed)?;
            let committed = committed.map(|bytes| offset_at(&bytes, 0, "positions")).transpose()?.unwrap_or(0);
            ends.places.insert(place, last.max(committed));
        }
    }
    for guard in spaces.meta.iter() {
        let (stream, end) = guard.into_inner().map_err(failed)?;
        ends.streams.insert(stream.to_vec(), offset_at(&end, 0, "meta")?);
    }
    Ok(ends)
}

/// A failure of the store in our words. Its own text may name files, never what is in them; it is left out all the same.
fn error(directory: &Path, error: &fjall::Error) -> LogError {
    let at = directory.display();
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => LogError::io(at, io),
        fjall::Error::Poisoned => {
            let mut stopped = LogError::stopped(at);
            stopped.what = "an earlier write failed".into();
            stopped.hint = "see to the disk and its free space, then start the instance again";
            stopped
        }
        fjall::Error::InvalidVersion(_) => {
            directory::format_error(directory, "the store has another format", "use the version of the program that wrote it")
        }
        _ => LogError::damaged(at, "the store cannot be read"),
    }
}
