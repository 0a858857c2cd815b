//! The Kafka log: topics that others can read, and exactly-once commits over all places that a session holds.
//!
//! In: settings, a clock, a folder for a local copy of the state. Out: sessions for the loop, a landing for the sources,
//! readers for commands. Never here: what only this machine knows, but for that copy.

mod append;
mod cache;
mod error;
mod follower;
mod held;
mod inlet;
mod lead;
mod members;
mod progress;
mod readers;
mod restore;
mod session;
mod settings;
mod topics;
mod writer;

pub use inlet::{Inlet, Taken};
pub use session::Session;
pub use settings::{OURS, Settings};

use crate::log::embedded::queue::Queue;
use crate::log::{Bytes, Clock, Done, Entry, Full, Landing, LogError, OutTopic, Output, Place, Topic};
use append::Appender;
use cache::Cache;
use follower::Follower;
use footbridge_core::time::Instant;
use held::Held;
use progress::Progress;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::OwnedHeaders;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use topics::Topics;
use writer::{Sent, Slot, Writer, header};

/// A handle on the log; clones are of the same log. Appends end, with all that was taken made durable, when the last is gone.
#[derive(Clone)]
pub struct Kafka(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    appender: Mutex<Option<JoinHandle<()>>>,
    follower: Mutex<Option<JoinHandle<()>>>,
    ends: Arc<AtomicBool>,
}

/// What sessions, the appender and readers share.
pub struct Shared {
    settings: Settings,
    clock: Clock,
    topics: Names,
    admin: Topics,
    cache: Cache,
    queue: Queue,
    definitions: Mutex<BTreeMap<Vec<u8>, Defined>>,
    held: Mutex<Held>,
    /// How many members there were in this process.
    memberships: AtomicU64,
    /// Keeps what only one instance may decide.
    lead: Mutex<Option<Writer>>,
    progress: Mutex<Progress>,
    /// Why the last append failed.
    appends: Mutex<Option<LogError>>,
    /// Why a session reads nothing just now.
    reads: Mutex<Option<LogError>>,
    /// Why it does not hear of what other instances do.
    follows: Mutex<Option<LogError>>,
    /// Consumers that read for commands and pages, idle now.
    onlookers: Mutex<Vec<BaseConsumer>>,
}

/// As it stands before an offset of the definitions' topic. `None`: it was forgotten.
struct Defined {
    next: u64,
    content: Option<Bytes>,
}

/// Topics with their prefix.
struct Names {
    landing: String,
    owners: String,
    state: String,
    definitions: String,
    disclosures: String,
    quarantine: String,
    audience: String,
}

impl Names {
    fn of(&self, topic: Topic) -> &str {
        match topic {
            Topic::Landing => &self.landing,
            Topic::Owners => &self.owners,
        }
    }

    fn output(&self, topic: &OutTopic) -> String {
        match topic {
            OutTopic::Audience(name) => format!("{}{name}", self.audience),
            OutTopic::Disclosures => self.disclosures.clone(),
            OutTopic::Quarantine => self.quarantine.clone(),
        }
    }
}

/// The header of landing and owners with all that a record says before its key.
const HEAD: &str = "footbridge";
/// The key under which a place's next offset stands in its changelog. No state has a key that begins so.
const POSITION: &[u8] = b"\0position";

impl Kafka {
    /// Makes or checks the topics, and reads what was defined. `folder`: for the copy of the state.
    pub fn open(folder: &Path, settings: Settings, clock: Clock) -> Result<Kafka, LogError> {
        let admin = Topics::open(&settings)?;
        admin.ensure()?;
        let name = |name: &str| settings.topic(name);
        let topics = Names {
            landing: name(topics::LANDING),
            owners: name(topics::OWNERS),
            state: name(topics::STATE),
            definitions: name(topics::DEFINITIONS),
            disclosures: name(topics::DISCLOSURES),
            quarantine: name(topics::QUARANTINE),
            audience: name(topics::AUDIENCE),
        };
        let cache = Cache::open(folder, &admin.changelog_is()?, clock())?;
        let queue = Queue::new(settings.queue_bytes_max, 2 * settings.answer_within);
        let (definitions, held, memberships, lead, progress, appends, reads, follows, onlookers) = Default::default();
        let shared = Arc::new(Shared {
            settings,
            clock,
            topics,
            admin,
            cache,
            queue,
            definitions,
            held,
            memberships,
            lead,
            progress,
            appends,
            reads,
            follows,
            onlookers,
        });
        let follower = Follower::new(Arc::clone(&shared), shared.read_definitions()?);
        let appender = Appender { shared: Arc::clone(&shared), writer: Some(Writer::open(&shared.settings, "landing")?), fenced: None };
        let thread = std::thread::Builder::new().name("kafka landing".into()).spawn(|| appender.run());
        let thread = thread.map_err(|e| LogError::io("the landing's thread", &e))?;
        let ends = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ends);
        let following = std::thread::Builder::new().name("kafka follower".into()).spawn(move || follower.run(&stop));
        let following = following.map_err(|e| LogError::io("the follower's thread", &e))?;
        Ok(Kafka(Arc::new(Handle { shared, appender: Mutex::new(Some(thread)), follower: Mutex::new(Some(following)), ends })))
    }

    /// Sessions share what the brokers give to this instance.
    pub fn sessions(&self, count: usize) -> Result<Vec<Session>, LogError> {
        (0..count).map(|number| Session::open(Arc::clone(&self.0.shared), number)).collect()
    }

    /// Whether appends are taken; else why the last one was not, or why nothing can be read.
    pub fn takes(&self) -> Result<(), LogError> {
        let last = self.shared().appends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.or_else(|| self.shared().reads().clone()).map_or(Ok(()), Err)
    }

    /// Why it does not hear of what other instances do; what is held here goes on.
    pub fn follows(&self) -> Result<(), LogError> {
        self.shared().follows.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Landing for Kafka {
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        self.shared().queue.append(entries, done)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close(LogError::stopped(&self.shared.settings.bootstrap));
        self.ends.store(true, Ordering::Release);
        for thread in [&mut self.appender, &mut self.follower] {
            let thread = thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            // An answer may have held the last handle: the appender cannot wait for itself.
            if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
                // A panic there was printed there, and everyone who waited has an error.
                drop(thread.join());
            }
        }
    }
}

impl Shared {
    /// Only plain moves happen under the lock: what a thread left behind is whole.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reads(&self) -> MutexGuard<'_, Option<LogError>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, entry: &Entry) -> Result<(), LogError> {
        match entry.place.partition < self.settings.partitions {
            true => entry.check(),
            false => Err(LogError::refused(entry.place, "there is no such partition")),
        }
    }

    /// The partition of the changelog that holds a place's state.
    fn changelog_of(&self, place: Place) -> u16 {
        match place.topic {
            Topic::Landing => place.partition,
            Topic::Owners => self.settings.partitions + place.partition,
        }
    }

    fn slot(&self, place: Place) -> Slot {
        1 + usize::from(self.changelog_of(place))
    }

    fn slot_of_changelog(&self, place: Place) -> Slot {
        2 * usize::from(self.settings.partitions) + self.slot(place)
    }

    fn slot_of_definitions(&self) -> Slot {
        4 * usize::from(self.settings.partitions) + 1
    }

    fn place_of_slot(&self, slot: Slot) -> Option<Place> {
        let count = usize::from(self.settings.partitions);
        let partition = |number: usize| u16::try_from(number).ok();
        match slot.checked_sub(1)? {
            number if number < count => partition(number).map(Place::landing),
            number if number < 2 * count => partition(number - count).map(Place::owners),
            _ => None,
        }
    }

    fn send_entry(&self, writer: &Writer, entry: &Entry, at: Instant) -> Result<(), LogError> {
        let mut head = Vec::with_capacity(64);
        entry.head(at, &mut head);
        let (topic, partition) = (self.topics.of(entry.place.topic), Some(entry.place.partition));
        let headers = Some(header(OwnedHeaders::new_with_capacity(1), HEAD, &head));
        let (key, value, slot) = (entry.key.as_slice(), Some(entry.value.as_slice()), self.slot(entry.place));
        writer.send(Sent { topic, partition, key, value, headers, at: Some(millis(at)), slot })
    }

    fn send_change(&self, writer: &Writer, place: Place, key: &[u8], value: Option<&[u8]>) -> Result<(), LogError> {
        let (topic, partition, slot) = (self.topics.state.as_str(), Some(self.changelog_of(place)), self.slot_of_changelog(place));
        writer.send(Sent { topic, partition, key, value, headers: None, at: None, slot })
    }

    fn send_output(&self, writer: &Writer, output: &Output, at: Instant) -> Result<(), LogError> {
        let headers = OwnedHeaders::new_with_capacity(output.headers.len());
        let headers = output.headers.iter().fold(headers, |headers, (name, text)| header(headers, name, text.as_bytes()));
        let (topic, value) = (self.topics.output(&output.topic), output.value.as_deref());
        writer.send(Sent {
            topic: &topic,
            partition: Some(0),
            key: &output.key,
            value,
            headers: Some(headers),
            at: Some(millis(at)),
            slot: 0,
        })
    }
}

fn offset(next: u64) -> Offset {
    Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX))
}

/// For a reader that goes on at an offset, and before any at whatever is there first.
fn offset_or_beginning(next: u64) -> Offset {
    if next == 0 { Offset::Beginning } else { offset(next) }
}

fn millis(at: Instant) -> i64 {
    at.micros() / 1000
}
