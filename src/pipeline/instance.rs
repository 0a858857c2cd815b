//! An instance: one process with its log, its workers and what its sources need.
//!
//! In: a data folder, mappings, a clock. Out: a running bridge. Never here: a socket, a flag, a signal.

use super::{Board, Bridge, Changing, Feed, Halt, Settings, Worker};
use crate::config::data::DataFolder;
use crate::config::mappings::Mappings;
use crate::log::embedded::{self, Embedded};
use crate::log::kafka::{self, Kafka};
use crate::log::{Clock, Entry, Full, Landing, Log, LogError, Stamped, Store};
use crate::source::Keep;
use crate::source::intake::{Intake, Source};
use crate::source::landing::{self, Partitions};
use anyhow::{Context, bail};
use footbridge_core::fhir::Versions;
use footbridge_core::key::Keys;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Instance {
    pub log: Store,
    pub intake: Arc<Intake>,
    pub bridge: Arc<Bridge>,
    pub changing: Arc<Changing>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Result<(), Halt>>>,
    steward: JoinHandle<()>,
    standing: Arc<Mutex<Vec<Option<String>>>>,
    /// Why a source that reads files or topics does not go on, by its name.
    sources: Mutex<BTreeMap<String, String>>,
    busy: Vec<Arc<AtomicBool>>,
}

/// What an operator decides about an instance.
pub struct Options {
    /// The CloudEvents `source`.
    pub name: String,
    /// Every source, in the order of the configuration; never empty.
    pub feeds: Vec<Feed>,
    pub partitions: u16,
    pub workers: usize,
    pub settings: Settings,
    /// What becomes of types that nothing reads.
    pub keep: Keep,
    pub log: embedded::Settings,
    /// The log is Kafka's; the data folder has the secrets, and a copy of the state.
    pub kafka: Option<kafka::Settings>,
}

/// The source that there is without a configuration.
pub const PUSH: &str = "push";

impl Default for Options {
    /// As without a configuration.
    fn default() -> Options {
        let source = Source { name: PUSH.into(), namespace: String::new(), versions: Versions::LastUpdated };
        Options {
            name: "urn:footbridge".to_owned(),
            feeds: vec![Feed { source, marked: true, proves: false }],
            partitions: 48,
            workers: 1,
            settings: Settings::default(),
            keep: Keep::Read,
            log: embedded::Settings::default(),
            kafka: None,
        }
    }
}

/// Between two looks at definitions that are on their way, and at whether there are any.
const TURN: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(200);

/// Under which a marked baseline stands among the definitions, for a start to say so.
fn marked(source: &str) -> Vec<u8> {
    format!("baseline {source}").into_bytes()
}

/// A source means the same patients as long as the folder lives, and orders their versions the same way: both are kept from the
/// first start that knows it.
fn recorded(log: &Store, source: &Source, folder: &DataFolder) -> anyhow::Result<()> {
    let key = format!("source {}", source.name).into_bytes();
    let order = match source.versions {
        Versions::LastUpdated => "last-updated",
        Versions::Id => "id",
    };
    let said = format!("{order} {}", source.namespace);
    if !is_as_first(log, &key, said.as_bytes())? {
        bail!(
            "{}: the source `{}` had another `namespace` or `versions` before; go back to them, or give the source another name",
            folder.path().display(),
            source.name
        )
    }
    Ok(())
}

/// Whether it is what the first start kept under this key. Of several that start at once one is the first.
fn is_as_first(log: &Store, key: &[u8], said: &[u8]) -> Result<bool, LogError> {
    if log.definition(key)?.is_none() {
        log.take_lead()?;
        if log.definition(key)?.is_none() {
            log.keep(key, Some(said.to_vec()))?;
        }
    }
    Ok(log.definition(key)?.is_some_and(|first| &first[..] == said))
}

/// What every worker of an instance has in common.
struct Crew<'a> {
    bridge: &'a Arc<Bridge>,
    clock: &'a Clock,
    stop: &'a Arc<AtomicBool>,
    /// Why each stands still.
    standing: &'a Arc<Mutex<Vec<Option<String>>>>,
}

type Working = (JoinHandle<Result<(), Halt>>, Arc<AtomicBool>);

impl Crew<'_> {
    /// A thread for each session.
    fn start<L: Log + 'static>(&self, sessions: Vec<L>) -> anyhow::Result<Vec<Working>> {
        let one = |(number, session)| {
            let mut worker = Worker::new(session, Arc::clone(self.bridge), Arc::clone(self.clock));
            let (busy, stop, standing) = (worker.busy(), Arc::clone(self.stop), Arc::clone(self.standing));
            let thread = std::thread::Builder::new().name(format!("worker {number}")).spawn(move || {
                worker.run(&stop, &mut |halt| {
                    standing.lock().unwrap_or_else(PoisonError::into_inner)[number] = halt.map(ToString::to_string);
                })
            });
            Ok((thread.context("a worker's thread")?, busy))
        };
        sessions.into_iter().enumerate().map(one).collect()
    }
}

/// Every key of the state hangs on the secrets: a folder with others would see nobody again.
fn same_secrets(log: &Store, folder: &DataFolder) -> anyhow::Result<()> {
    use sha2::{Digest, Sha256};
    let said = Sha256::new().chain_update(&folder.routing).chain_update(&folder.members).finalize().to_vec();
    if !is_as_first(log, b"secrets", &said)? {
        bail!(
            "{}: the state was made with other secrets than those in `secrets`; bring them here from the instance that made it",
            folder.path().display()
        )
    }
    Ok(())
}

impl Instance {
    pub fn start(folder: &DataFolder, mappings: Mappings, options: Options, clock: Clock) -> anyhow::Result<Instance> {
        let Options { name, feeds, partitions, workers, settings, keep, log, kafka } = options;
        let log = match kafka {
            Some(kafka) => Store::Kafka(Kafka::open(&folder.copy(), kafka::Settings { partitions, ..kafka }, Arc::clone(&clock))?),
            None => Store::Embedded(Embedded::open(&folder.log(), embedded::Settings { partitions, ..log }, Arc::clone(&clock))?),
        };
        let at = folder.path().display().to_string();
        same_secrets(&log, folder)?;
        let changing = Arc::new(Changing::open(&log, mappings, &folder.members, Partitions(partitions), keep, &at)?);
        feeds.iter().try_for_each(|feed| recorded(&log, &feed.source, folder))?;
        let library = changing.library();
        let (keys, partitions) = (Keys::new(&folder.routing), Partitions(partitions));
        let sources = feeds.iter().map(|feed| feed.source.clone()).collect();
        let intake = Intake { read_by: library.read_by.clone(), keys: keys.clone(), partitions, sources };
        let bridge = Arc::new(Bridge { library, keys, board: Board::default(), name, partitions, feeds, settings });
        let stop = Arc::new(AtomicBool::new(false));
        let count = workers.max(1);
        let standing = Arc::new(Mutex::new(vec![None; count]));
        let crew = Crew { bridge: &bridge, clock: &clock, stop: &stop, standing: &standing };
        let crew = match &log {
            Store::Embedded(log) => crew.start(log.sessions(count)?),
            Store::Kafka(log) => crew.start(log.sessions(count)?),
        };
        let (threads, busy) = crew?.into_iter().unzip();
        let (steward, at_work, its_stop) = (Arc::clone(&changing), Arc::clone(&bridge), Arc::clone(&stop));
        let steward = std::thread::Builder::new().name("steward".to_owned()).spawn(move || {
            while !its_stop.load(Ordering::Acquire) {
                std::thread::sleep(if steward.turn(&at_work.board) { TURN } else { REST });
            }
        });
        let steward = steward.context("the steward's thread")?;
        let (intake, sources) = (Arc::new(intake), Mutex::default());
        Ok(Instance { log, intake, bridge, changing, stop, workers: threads, steward, standing, sources, busy })
    }

    /// Appends and waits until it is durable. A full queue is waited for.
    pub fn append(&self, mut entries: Vec<Entry>) -> Result<Option<Stamped>, LogError> {
        if entries.is_empty() {
            return Ok(None);
        }
        loop {
            match self.log.append_durably(entries) {
                Ok(done) => return done.map(Some),
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

    pub fn is_marked(&self, source: &Source) -> Result<bool, LogError> {
        Ok(self.log.definition(&marked(&source.name))?.is_some())
    }

    /// The sources whose baseline is waited for: until it is marked nothing enters an audience.
    pub fn unmarked(&self) -> Result<Vec<&str>, LogError> {
        let mut names = Vec::new();
        for feed in self.bridge.feeds.iter().filter(|feed| feed.marked) {
            if !self.is_marked(&feed.source)? {
                names.push(feed.source.name.as_str());
            }
        }
        Ok(names)
    }

    /// What is taken for granted, and nobody proves: said at start, by `status` and on `/readyz`.
    pub fn assumed(&self) -> Vec<String> {
        let names = |is: fn(&Feed) -> bool| {
            let names: Vec<String> =
                self.bridge.feeds.iter().filter(|feed| is(feed)).map(|feed| format!("`{}`", feed.source.name)).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let fresh = names(|feed| !feed.proves).map(|names| format!("consents of {names} are assumed to be fresh: no watermarks prove it"));
        let whole = names(|feed| !feed.marked).map(|names| format!("{names} began complete: no baseline is waited for"));
        let approvals = "every audience counts as approved: no key ring is configured".to_owned();
        fresh.into_iter().chain(whole).chain([approvals]).collect()
    }

    /// Whether everything that was appended has had its effect.
    pub fn is_worked_off(&self) -> Result<bool, LogError> {
        // In this order: a worker says that it has more to do before its commit is seen.
        Ok(self.log.is_worked_off()? && !self.busy.iter().any(|busy| busy.load(Ordering::Acquire)))
    }

    /// Why landing, workers or sources stand still, if any does.
    pub fn troubles(&self) -> Vec<String> {
        let workers: Vec<String> = self.standing.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect();
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let landing = self.log.takes().err().map(|error| format!("landing takes nothing: {error}"));
        let changing = self.changing.trouble();
        landing
            .into_iter()
            .chain(workers)
            .chain(changing)
            .chain(self.lacking())
            .chain(self.log.follows().err().map(|error| format!("other instances are not heard: {error}")))
            .chain(sources.iter().map(|(name, what)| format!("source `{name}`: {what}")))
            .collect()
    }

    /// What partitions are to prepare or to decide by, and this process does not have.
    fn lacking(&self) -> Option<String> {
        let progress = self.bridge.board.read();
        let (lack, closed) =
            (progress.values().filter(|one| one.lacks_content).count(), progress.values().filter(|one| one.tells_exits_only).count());
        match (lack, closed) {
            (0, 0) => None,
            (lack, 0) => Some(format!(
                "definitions that {lack} partitions are to prepare cannot be loaded: those before decide; start the version of the program that wrote them"
            )),
            (_, closed) => Some(format!(
                "{closed} partitions are to decide by definitions that they do not have ready: only exits leave; start the version of the program that wrote them"
            )),
        }
    }

    /// A source that reads files or topics says why it does not go on; `None`: it does.
    pub fn source_stands(&self, source: &str, what: Option<String>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => _ = sources.insert(source.to_owned(), what),
            None => _ = sources.remove(source),
        }
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
