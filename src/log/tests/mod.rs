//! One suite for every log: what `Log` and `Landing` promise, as short stories, and a walk at random beside a naive model.
//!
//! In: a maker of logs. Out: a failed test with the story's name.
//! Never here: what only one log does; that stands beside it.

mod embedded;
mod faulty;
#[cfg(feature = "servers")]
mod kafka;
mod stories;
mod walk;

use super::embedded::{Embedded, Settings};
use super::faulty::{Faulty, VirtualClock};
use super::{Batch, Entry, Headers, Kind, Landing, Log, LogError, OutTopic, Place, Record, Stamped, Stored};
use footbridge_core::time::Instant;
use std::cell::Cell;
use std::sync::mpsc::channel;
use std::time::Duration;

pub const PARTITIONS: u16 = 4;

/// A log under test.
pub trait Subject {
    fn landing(&self) -> Box<dyn Landing>;
    fn sessions(&self, count: usize) -> Vec<Box<dyn Log>>;
    fn outputs(&self, topic: &OutTopic) -> Vec<Stored>;
    /// Lets compaction do all that it may.
    fn compact(&self);
    /// Ends the process and starts it again. No session may be alive.
    fn reopen(&mut self);
    fn clock(&self) -> &VirtualClock;
}

pub fn start() -> Instant {
    Instant::parse("2026-03-01T06:00:00Z").expect("an instant")
}

pub struct InMemory {
    log: Faulty,
    clock: VirtualClock,
}

impl InMemory {
    pub fn new() -> InMemory {
        let clock = VirtualClock::at(start());
        InMemory { log: Faulty::new(PARTITIONS, clock.clock(), 7), clock }
    }
}

impl Subject for InMemory {
    fn landing(&self) -> Box<dyn Landing> {
        Box::new(self.log.clone())
    }

    fn sessions(&self, count: usize) -> Vec<Box<dyn Log>> {
        self.log.sessions(count).into_iter().map(|session| Box::new(session) as Box<dyn Log>).collect()
    }

    fn outputs(&self, topic: &OutTopic) -> Vec<Stored> {
        self.log.outputs(topic, 0, usize::MAX).list
    }

    fn compact(&self) {
        self.log.compact();
    }

    fn reopen(&mut self) {}

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
}

pub struct OnDisk {
    pub log: Option<Embedded>,
    pub clock: VirtualClock,
    pub settings: Settings,
    pub directory: tempfile::TempDir,
}

/// Small, so that tests meet the bounds.
pub fn small() -> Settings {
    Settings {
        partitions: PARTITIONS,
        cache_bytes: 1 << 20,
        memtable_bytes: 3 << 20,
        queue_bytes_max: 1 << 16,
        tail_bytes_max: 2000,
        group_bytes_max: 4000,
        group_entries_max: 50,
        poll_records_max: 7,
        poll_bytes_max: 1000,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

impl OnDisk {
    pub fn new(settings: Settings) -> OnDisk {
        let clock = VirtualClock::at(start());
        let directory = tempfile::tempdir().expect("a directory");
        let mut made = OnDisk { log: None, clock, settings, directory };
        made.reopen();
        made
    }

    pub fn log(&self) -> &Embedded {
        self.log.as_ref().expect("the log is open")
    }

    pub fn open(&self) -> Result<Embedded, LogError> {
        Embedded::open(self.directory.path(), self.settings.clone(), self.clock.clock())
    }
}

impl Subject for OnDisk {
    fn landing(&self) -> Box<dyn Landing> {
        Box::new(self.log().clone())
    }

    fn sessions(&self, count: usize) -> Vec<Box<dyn Log>> {
        let sessions = self.log().sessions(count).expect("sessions");
        sessions.into_iter().map(|session| Box::new(session) as Box<dyn Log>).collect()
    }

    fn outputs(&self, topic: &OutTopic) -> Vec<Stored> {
        self.log().outputs(topic, 0, usize::MAX).expect("outputs").list
    }

    fn compact(&self) {}

    fn reopen(&mut self) {
        self.log = None;
        self.log = Some(self.open().expect("the log opens"));
    }

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
}

pub fn entry(place: Place, key: &str, value: &str) -> Entry {
    let headers = Headers { kind: Kind::Put, resource_type: "Observation".into(), version: 1, more: false, source: "test".into() };
    Entry { place, key: key.into(), headers, value: value.into() }
}

/// Appends and waits for the answer.
pub fn append(landing: &dyn Landing, entries: Vec<Entry>) -> Result<Stamped, LogError> {
    let (answer, wait) = channel();
    let done = Box::new(move |done| answer.send(done).expect("the test waits"));
    landing.append(entries, done).expect("there is room in the queue");
    wait.recv().expect("an answer")
}

thread_local! {
    /// How long a record may be on its way in the log under test.
    static PATIENCE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Polls until nothing more comes; all batches in one.
pub fn drain(session: &mut dyn Log) -> Batch {
    let (mut all, mut batch) = (Batch::default(), Batch::default());
    loop {
        session.poll(PATIENCE.get(), &mut batch).expect("a poll");
        if batch.is_empty() {
            return all;
        }
        all.assigned.append(&mut batch.assigned);
        all.lost.append(&mut batch.lost);
        all.records.append(&mut batch.records);
        all.drained.append(&mut batch.drained);
    }
}

/// `landing/0@3 key=value`, place by place: between places nothing promises an order.
pub fn told(records: &[Record]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by_key(|record| record.place);
    records.into_iter().map(|r| format!("{}@{} {}={}", r.place, r.offset, text(r.key()), text(r.value()))).collect()
}

/// All that a replay of a place brings.
pub fn replayed(session: &dyn Log, place: Place) -> Vec<Record> {
    let (mut records, mut from) = (Vec::new(), Some(0));
    while let Some(offset) = from {
        from = session.replay(place, offset, &mut records).expect("a replay");
    }
    records
}
