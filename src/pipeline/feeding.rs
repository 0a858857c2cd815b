//! The sources that read files or topics: a thread each, beside the workers.
//!
//! In: their configuration. Out: entries in landing; baselines of complete passes; files on their shelves.
//! Never here: more than one block of a file or topic in memory, or a file that leaves its folder before landing has it.

use super::Instance;
use crate::config::bridge::{Baseline, Kind, SourceConfig};
use crate::log::kafka::Kafka;
use crate::log::{Entry, LogError, Retry, Store, Trouble};
use crate::observe::{EntriesLanded, FileTaken};
use crate::source::folder::{self, Folder, Listing, Mark, Shelf};
use crate::source::gather::{Cut, Gathered, Noted, gather};
use crate::source::intake::Source;
use crate::source::{Blocks, Limits, topics};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Stopwatch, SystemTime};

pub struct Feeding {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Feeding {
    /// Begins to read for every source that is no push.
    pub fn start(instance: &Arc<Instance>, sources: &[SourceConfig], limits: Limits) -> std::io::Result<Feeding> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for config in sources.iter().filter(|config| config.kind != Kind::Push) {
            let (instance, stop) = (Arc::clone(instance), Arc::clone(&stop));
            let (config, name) = (config.clone(), format!("source {}", config.source.name));
            let feeder = Feeder { instance, source: config.source, complete_pass: config.baseline == Baseline::CompletePass, limits, stop };
            let thread = std::thread::Builder::new().name(name).spawn(move || match config.kind {
                Kind::Push => {}
                Kind::Files(files) => feeder.files(&files),
                Kind::Watch { folder, any_ending, every } => feeder.watch(&folder, any_ending, every),
                Kind::Kafka(topics) => feeder.topics(&topics),
            });
            threads.push(thread?);
        }
        Ok(Feeding { stop, threads })
    }

    /// What is being read is left where it is, and read again at the next start.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            // A panic there was printed there.
            drop(thread.join());
        }
    }
}

struct Feeder {
    instance: Arc<Instance>,
    source: Source,
    complete_pass: bool,
    limits: Limits,
    stop: Arc<AtomicBool>,
}

/// Lines that a reason file lists; more are counted.
const LISTED_MAX: usize = 100;
/// The wait after a failure that may pass.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait for records of a topic: so soon it hears that it shall stop.
const POLL: Duration = Duration::from_millis(200);

impl Feeder {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Acquire)
    }

    fn wait(&self, time: Duration) {
        let began = Stopwatch::now();
        while self.goes_on() && began.elapsed() < time {
            std::thread::sleep(Duration::from_millis(50).min(time));
        }
    }

    fn trouble(&self, what: Option<String>) {
        self.instance.source_stands(&self.source.name, what);
    }

    /// Until landing has it; a disk that is full is waited for.
    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        loop {
            match self.instance.append(entries.to_vec()) {
                Ok(_) => return Ok(()),
                Err(error) if error.retry == Retry::Later && self.goes_on() => {
                    self.trouble(Some(error.to_string()));
                    self.wait(PAUSE);
                    self.trouble(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One file, and what its reason file says.
    fn read(&self, path: PathBuf) -> Result<(Gathered, String), Cut> {
        let (mut reasons, mut listed) = (String::new(), 0);
        let mut noted = |noted: Noted| {
            listed += 1;
            if listed <= LISTED_MAX {
                let whither = if noted.quarantined { "in quarantine" } else { "not taken" };
                writeln!(reasons, "line {}: {}; {whither}", noted.line, noted.why).expect("a string takes any text");
            }
        };
        let blocks = Blocks::open(vec![path], self.limits);
        let append = &mut |entries: Vec<Entry>| self.append(&entries);
        let gathered = gather(&self.instance.intake, &self.source, blocks, &mut || self.goes_on(), append, &mut noted)?;
        if listed > LISTED_MAX {
            writeln!(reasons, "and {} more", listed - LISTED_MAX).expect("a string takes any text");
        }
        Ok((gathered, reasons))
    }

    /// Each file once; one that changed since is read again.
    fn files(&self, files: &[PathBuf]) {
        let mut failed = 0;
        for path in files {
            match self.file(path) {
                Ok(whole) => failed += usize::from(!whole),
                Err(Cut::Stopped) => return,
                Err(Cut::Log(error)) => return self.trouble(Some(error.to_string())),
            }
        }
        if failed > 0 {
            let count = files.len();
            self.trouble(Some(format!("{failed} of {count} files could not be taken whole; mend them and start again")));
        } else if self.complete_pass {
            self.mark();
        }
    }

    /// Whether all of it is in landing.
    fn file(&self, path: &Path) -> Result<bool, Cut> {
        let key = format!("file {} {}", self.source.name, path.display()).into_bytes();
        // Without its time nobody can tell that it is the same; then it is read again.
        let mark = std::fs::metadata(path).and_then(|about| Ok((about.len(), about.modified()?))).ok();
        let said = mark.map(|(bytes, modified)| {
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
            format!("{bytes} {since}").into_bytes()
        });
        if said.is_some() && self.instance.log.definition(&key)?.as_deref() == said.as_deref() {
            return Ok(true);
        }
        let (gathered, _) = self.read(path.to_owned())?;
        let whole = gathered.lost == 0;
        self.taken(if whole { Shelf::Done } else { Shelf::Failed }, gathered);
        if let Some(said) = said.filter(|_| whole) {
            self.instance.log.define(&key, Some(said))?;
        }
        Ok(whole)
    }

    fn taken(&self, shelf: Shelf, gathered: Gathered) {
        let Gathered { resources, quarantined, lost } = gathered;
        FileTaken { source: &self.source.name, outcome: shelf.name(), resources, quarantined, lost }.emit();
    }

    fn mark(&self) {
        let done = match self.instance.is_marked(&self.source) {
            Ok(true) => Ok(()),
            Ok(false) => self.instance.mark_baseline(&self.source),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.trouble(Some(format!("its baseline could not be marked: {error}")));
        }
    }

    fn watch(&self, path: &Path, any_ending: bool, every: Duration) {
        let mut before = Listing::new();
        // Those that are in landing and could not be moved.
        let mut stuck: BTreeMap<OsString, Mark> = BTreeMap::new();
        while self.goes_on() {
            match self.look(path, any_ending, &before, &mut stuck) {
                Ok(now) => before = now,
                Err(Cut::Stopped) => return,
                Err(Cut::Log(error)) if error.retry == Retry::Never => return self.trouble(Some(error.to_string())),
                Err(Cut::Log(error)) => self.trouble(Some(error.to_string())),
            }
            self.wait(every);
        }
    }

    /// Reads what is whole; the listing that it decided by.
    fn look(&self, path: &Path, any_ending: bool, before: &Listing, stuck: &mut BTreeMap<OsString, Mark>) -> Result<Listing, Cut> {
        let cannot = |error: std::io::Error| {
            Cut::Log(LogError::io(path.display(), &error).retriable("see to the folder and its owner: it is looked at again"))
        };
        let folder = Folder::open(path).map_err(cannot)?;
        let now = folder.look().map_err(cannot)?;
        let mut unmoved = None;
        for (name, mark) in folder::ready(before, &now, any_ending) {
            if stuck.get(&name) == Some(&mark) {
                unmoved.get_or_insert_with(|| "files that were read could not be moved".to_owned());
            } else if let Err(error) = self.shelve(&folder, &name, mark)? {
                unmoved = Some(format!("a file that was read could not be moved: {}; see to the owner of the folder", error.kind()));
                stuck.insert(name, mark);
            }
        }
        stuck.retain(|name, mark| now.get(name) == Some(mark));
        self.trouble(unmoved);
        if self.complete_pass && stuck.is_empty() {
            let (done, failed) = (folder.count(Shelf::Done).map_err(cannot)?, folder.count(Shelf::Failed).map_err(cannot)?);
            if folder::is_complete(&folder.look().map_err(cannot)?, any_ending, done, failed) {
                self.mark();
            }
        }
        Ok(now)
    }

    /// Until it is told to stop; what fails is waited for.
    fn topics(&self, topics: &[String]) {
        let Store::Kafka(log) = &self.instance.log else { return self.trouble(Some("there is no Kafka to read from".to_owned())) };
        while self.goes_on() {
            let Err(error) = self.draw(log, topics) else { return };
            self.trouble(Some(error.to_string()));
            // Who slept for too long is fenced like one who was replaced. The workers know of the second, and end the process.
            if error.retry == Retry::Never && error.trouble != Trouble::Lost {
                return;
            }
            self.wait(PAUSE);
        }
    }

    fn draw(&self, log: &Kafka, topics: &[String]) -> Result<(), LogError> {
        let mut inlet = log.inlet(&self.source.name, topics)?;
        while self.goes_on() {
            let (had_joined, mut records) = (inlet.has_joined(), Vec::new());
            inlet.poll(POLL, &mut records)?;
            if had_joined {
                self.trouble(None);
            }
            if records.is_empty() {
                continue;
            }
            let entries = topics::entries(&self.instance.intake, &self.source, &records);
            inlet.commit(&entries)?;
            EntriesLanded { source: &self.source.name, entries: entries.len() as u64 }.emit();
        }
        Ok(())
    }

    fn shelve(&self, folder: &Folder, name: &OsStr, mark: Mark) -> Result<std::io::Result<bool>, Cut> {
        let (shelf, gathered, reasons) = match self.read(folder.file(name)) {
            Ok((gathered, reasons)) => (if gathered.lost == 0 { Shelf::Done } else { Shelf::Failed }, gathered, reasons),
            // One record that landing does not take: the others of its part are not there either.
            Err(Cut::Log(error)) if error.trouble == Trouble::Refused => {
                (Shelf::Failed, Gathered { lost: 1, ..Gathered::default() }, format!("{}\n", error.what))
            }
            Err(cut) => return Err(cut),
        };
        let moved = folder.shelve(name, mark, shelf, &reasons);
        if matches!(moved, Ok(true)) {
            self.taken(shelf, gathered);
        }
        Ok(moved)
    }
}
