//! A bridge over the log in memory, with the keys of a rehearsal.
//!
//! In: the shipped mappings, an instant. Out: what comes out of the log, beside what the rehearsal tells.
//! Never here: a fault; `sim` asks for those.

use footbridge::cli::feed::{self, Arrive, Feed};
use footbridge::cli::rehearsal::Engine;
use footbridge::config::files::Files;
use footbridge::config::mappings::{self, Mappings};
use footbridge::demo::shipped;
use footbridge::log::faulty::FaultySession;
use footbridge::log::faulty::{Faulty, VirtualClock};
use footbridge::log::{Landing, OutTopic};
use footbridge::pipeline::{self, Board, Bridge, Content, Library, Worker};
use footbridge::source::Keep;
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge_core::fhir::Versions;
use footbridge_core::key::Keys;
use footbridge_core::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

const ROUTING: &[u8] = b"footbridge rehearsal routing secret";
pub const MEMBER: &[u8] = b"footbridge rehearsal member secret";
const PARTITIONS: u16 = 4;

pub fn shipped_mappings() -> Mappings {
    mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("the shipped mappings are right")
}

/// Stands for a tombstone among events.
pub const REMOVED: &str = "removed";

pub fn at(text: &str) -> Instant {
    Instant::parse(text).expect("an instant")
}

/// What each member of each audience was told, in order: the event's data as JSON.
pub type Told = BTreeMap<(String, String), Vec<String>>;

pub fn rehearsed(text: &str, from: Instant, until: Instant) -> Told {
    let engine = Engine::rehearsing(shipped_mappings());
    let feed = Feed { from, until, arrive: Arrive::LastUpdated, threads: 1 };
    let (fed, _) = feed::read_text(&engine, &feed, "population.ndjson", text);
    let mut told = Told::new();
    for happening in engine.rehearse(fed.first, fed.later, from, until).happenings {
        let event = happening.told.event;
        let json = sonic_rs::to_string(&event).expect("plain data");
        told.entry((event.audience().to_owned(), event.member().to_owned())).or_default().push(json);
    }
    told
}

pub struct Bench {
    pub clock: VirtualClock,
    pub log: Faulty,
    pub intake: Intake,
    pub bridge: Arc<Bridge>,
}

impl Bench {
    pub fn new(from: Instant, seed: u64) -> Bench {
        Bench::of(shipped_mappings(), from, seed, false)
    }

    /// `proves`: whether the one source proves its completeness.
    pub fn of(mappings: Mappings, from: Instant, seed: u64, proves: bool) -> Bench {
        let (keys, partitions) = (Keys::new(ROUTING), Partitions(PARTITIONS));
        let source = Source { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated };
        let feed = pipeline::Feed { source: source.clone(), marked: true, proves };
        let clock = VirtualClock::at(from);
        let log = Faulty::new(PARTITIONS, clock.clock(), seed);
        let library = Arc::new(Library::new(0, Content::new(mappings, MEMBER), Keep::Read));
        let intake = Intake { read_by: library.read_by.clone(), keys: keys.clone(), partitions, sources: vec![source] };
        let settings = pipeline::Settings { members_max: 16 * usize::from(PARTITIONS), slice: 2, ..pipeline::Settings::default() };
        let bridge = Bridge { library, keys, board: Board::default(), name: "urn:test".into(), partitions, feeds: vec![feed], settings };
        Bench { clock, log, intake, bridge: Arc::new(bridge) }
    }

    pub fn worker(&self) -> Worker<FaultySession> {
        self.workers(1).remove(0)
    }

    /// So many, between which the partitions are shared; those before have lost them.
    pub fn workers(&self, count: usize) -> Vec<Worker<FaultySession>> {
        let sessions = self.log.sessions(count).into_iter();
        sessions.map(|session| Worker::new(session, Arc::clone(&self.bridge), self.clock.clock())).collect()
    }

    pub fn append(&self, entries: Vec<footbridge::log::Entry>) {
        // As a source does: what was not answered is appended again.
        while !entries.is_empty() {
            if self.log.append_durably(entries.clone()).expect("not full").is_ok() {
                return;
            }
        }
    }

    pub fn told(&self) -> Told {
        let content = self.bridge.library.in_force();
        let names: Vec<&str> = content.definitions.catalogue.audiences.iter().map(|audience| audience.name.as_str()).collect();
        self.told_of(&names)
    }

    pub fn told_of(&self, audiences: &[&str]) -> Told {
        let mut told = Told::new();
        for audience in audiences {
            let outputs = self.log.outputs(&OutTopic::Audience((*audience).into()), 0, usize::MAX);
            for stored in outputs.list {
                let member = String::from_utf8(stored.key).expect("a member id is text");
                let json = String::from_utf8(stored.value.unwrap_or_else(|| REMOVED.into())).expect("JSON is text");
                told.entry(((*audience).to_owned(), member)).or_default().push(json);
            }
        }
        told
    }
}
