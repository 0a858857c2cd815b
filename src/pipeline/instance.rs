//! An instance: one process with its log, its workers and what its sources need.
//!
//! In: a data folder, mappings, a clock. Out: a running bridge. Never here: a socket, a flag, a signal.

use super::{Board, Bridge, Changing, Feed, Halt, Settings, Worker};
use crate::config::data::DataFolder;
use crate::config::mappings::Mappings;
use crate::log::embedded::{self, Embedded};
use crate::log::{Clock, Entry, Full, Landing, LogError, Stamped};
use crate::source::intake::{Intake, Source};
use crate::source::landing::{self, Partitions};
use anyhow::Context;
use footbridge_core::fhir::Versions;
use footbridge_core::key::Keys;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Instance {
    pub log: Embedded,
    pub intake: Arc<Intake>,
    pub bridge: Arc<Bridge>,
    pub changing: Arc<Changing>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Result<(), Halt>>>,
    steward: JoinHandle<()>,
    standing: Arc<Mutex<Vec<Option<String>>>>,
    busy: Vec<Arc<AtomicBool>>,
}

/// What an operator decides about an instance.
pub struct Options {
    pub partitions: u16,
    pub workers: usize,
    pub settings: Settings,
    pub log: embedded::Settings,
}

/// The source that there is without a configuration.
pub const PUSH: &str = "push";

/// Between two looks at definitions that are on their way, and at whether there are any.
const TURN: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(200);

/// Under which a marked baseline stands among the definitions, for a start to say so.
fn marked(source: &str) -> Vec<u8> {
    format!("baseline {source}").into_bytes()
}

impl Instance {
    pub fn start(folder: &DataFolder, mappings: Mappings, options: Options, clock: Clock) -> anyhow::Result<Instance> {
        let Options { partitions, workers, settings, log } = options;
        let log = Embedded::open(&folder.log(), embedded::Settings { partitions, ..log }, Arc::clone(&clock))?;
        let at = folder.path().display().to_string();
        let changing = Arc::new(Changing::open(&log, mappings, &folder.members, Partitions(partitions), &at)?);
        let library = changing.library();
        let (keys, partitions) = (Keys::new(&folder.routing), Partitions(partitions));
        let source = Source { name: PUSH.into(), namespace: String::new(), versions: Versions::LastUpdated };
        let feed = Feed { source: source.clone(), marked: true, proves: false };
        let intake = Intake { read_by: library.read_by.clone(), keys: keys.clone(), partitions, sources: vec![source] };
        let name = "urn:footbridge".to_owned();
        let bridge = Arc::new(Bridge { library, keys, board: Board::default(), name, partitions, feeds: vec![feed], settings });
        let stop = Arc::new(AtomicBool::new(false));
        let sessions = log.sessions(workers.max(1))?;
        let standing = Arc::new(Mutex::new(vec![None; sessions.len()]));
        let (mut threads, mut busy) = (Vec::new(), Vec::new());
        for (number, session) in sessions.into_iter().enumerate() {
            let mut worker = Worker::new(session, Arc::clone(&bridge), Arc::clone(&clock));
            busy.push(worker.busy());
            let (stop, standing) = (Arc::clone(&stop), Arc::clone(&standing));
            let thread = std::thread::Builder::new().name(format!("worker {number}")).spawn(move || {
                worker.run(&stop, &mut |halt| {
                    standing.lock().unwrap_or_else(PoisonError::into_inner)[number] = halt.map(ToString::to_string);
                })
            });
            threads.push(thread.context("a worker's thread")?);
        }
        let (steward, at_work, its_stop) = (Arc::clone(&changing), Arc::clone(&bridge), Arc::clone(&stop));
        let steward = std::thread::Builder::new().name("steward".to_owned()).spawn(move || {
            while !its_stop.load(Ordering::Acquire) {
                std::thread::sleep(if steward.turn(&at_work.board) { TURN } else { REST });
            }
        });
        let steward = steward.context("the steward's thread")?;
        Ok(Instance { log, intake: Arc::new(intake), bridge, changing, stop, workers: threads, steward, standing, busy })
    }

    /// Appends and waits until it is durable. A full queue is waited for.
    pub fn append(&self, mut entries: Vec<Entry>) -> Result<Option<Stamped>, LogError> {
        if entries.is_empty() {
            return Ok(None);
        }
        loop {
            let (told, answer) = mpsc::sync_channel(1);
            // The receiver waits below, whatever is sent.
            match self.log.append(entries, Box::new(move |done| drop(told.send(done)))) {
                Ok(()) => return answer.recv().map_err(|_| LogError::stopped("landing"))?.map(Some),
                Err(Full { entries: back, .. }) => {
                    entries = back;
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }

    /// Stops an audience, or lifts that: durable when it returns.
    pub fn stop_audience(&self, audience: &str, stopped: bool) -> Result<(), LogError> {
        self.append(self.bridge.partitions.all().map(|place| landing::stop(place, audience, stopped)).collect()).map(drop)
    }

    /// Marks that a source has made its first complete pass: durable when it returns.
    pub fn mark_baseline(&self, source: &Source) -> Result<(), LogError> {
        self.append(self.intake.baseline(source))?;
        self.baseline_landed(source)
    }

    /// Keeps for the next start that the baseline is in landing.
    pub fn baseline_landed(&self, source: &Source) -> Result<(), LogError> {
        self.log.define(&marked(&source.name), Some(Vec::new()))
    }

    /// The sources whose baseline is waited for: until it is marked nothing enters an audience.
    pub fn unmarked(&self) -> Result<Vec<&str>, LogError> {
        let mut names = Vec::new();
        for feed in self.bridge.feeds.iter().filter(|feed| feed.marked) {
            if self.log.definition(&marked(&feed.source.name))?.is_none() {
                names.push(feed.source.name.as_str());
            }
        }
        Ok(names)
    }

    /// Whether everything that was appended has had its effect.
    pub fn is_worked_off(&self) -> Result<bool, LogError> {
        // In this order: a worker says that it has more to do before its commit is seen.
        Ok(self.log.is_worked_off()? && !self.busy.iter().any(|busy| busy.load(Ordering::Acquire)))
    }

    /// Why workers stand still, if any does.
    pub fn troubles(&self) -> Vec<String> {
        let workers = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().flatten().cloned().chain(self.changing.trouble()).collect()
    }

    /// Whether a worker has ended by itself: the instance is of no use any more.
    pub fn is_broken(&self) -> bool {
        self.workers.iter().any(JoinHandle::is_finished)
    }

    /// Lets the workers finish what they have in hand.
    pub fn stop(self) -> Result<(), Halt> {
        self.stop.store(true, Ordering::Release);
        for worker in self.workers {
            match worker.join() {
                Ok(done) => done?,
                // It has said on its own why.
                Err(_) => return Err(Halt::Log(LogError::stopped("a worker"))),
            }
        }
        self.steward.join().map_err(|_| Halt::Log(LogError::stopped("the steward")))
    }
}
