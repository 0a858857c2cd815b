//! From files to arrivals: read on several threads, put in order of time.
//!
//! In: files, when their resources arrive. Out: the baseline and what comes later, and each record that was refused.
//! Never here: what an arrival brings about.

use super::rehearsal::{Engine, Patients};
use crate::source::{Blocks, Limits, Record, Why};
use clap::ValueEnum;
use footbridge_core::fhir::bundle::{self, Bundle, Change};
use footbridge_core::fhir::{BundleLinks, Unreadable, Version, peek};
use footbridge_core::shard::{Arrival, Reading, What};
use footbridge_core::time::Instant;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrive {
    /// All files arrive at the start, as one group that is its own baseline
    Start,
    /// Each resource arrives at its meta.lastUpdated; those without, or earlier, at the start as the baseline
    LastUpdated,
}

pub struct Feed {
    pub from: Instant,
    pub until: Instant,
    pub arrive: Arrive,
    pub threads: usize,
}

/// What the files held.
#[derive(Default)]
pub struct Fed {
    pub first: Vec<Arrival>,
    /// In order of time; what has one instant in the order of files and lines.
    pub later: Vec<Arrival>,
    pub patients: Patients,
    pub counts: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub resources: u64,
    /// Of types that nothing reads, or about no patient.
    pub unread: u64,
    /// Changes that say nothing of a resource.
    pub skipped: u64,
    /// At or after the end.
    pub too_late: u64,
    /// Records, and entries of Bundles, that could not be read.
    pub refused: u64,
}

/// A record, or an entry of one, that could not be read.
pub struct Refusal {
    /// Index of the path in the list that is read.
    file: usize,
    /// From 1; 0 where the file as a whole is meant.
    line: u64,
    /// From 1, where the line is a Bundle.
    entry: Option<usize>,
    reason: Reason,
}

enum Reason {
    Source(Why),
    Record(Unreadable),
}

/// A refusal in words, with the name of its file.
pub struct Told<'a> {
    file: &'a Path,
    refusal: &'a Refusal,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.refusal.line > 0 {
            write!(f, ":{}", self.refusal.line)?;
        }
        if let Some(entry) = self.refusal.entry {
            write!(f, " entry {entry}")?;
        }
        match &self.refusal.reason {
            Reason::Source(why) => write!(f, "  {why}"),
            Reason::Record(why) => write!(f, "  {why}"),
        }
    }
}

/// Who hears of refusals while the files are read, block by block, in the order of files and lines.
pub type Listener<'a> = dyn Fn(&mut dyn Iterator<Item = Told<'_>>) + Sync + 'a;

/// Puts the refusals of blocks, which threads finish in any order, back in order. Holds those of a few blocks only:
/// a file of nothing but broken lines must not fill the memory.
struct Teller<'a> {
    files: &'a [PathBuf],
    listener: &'a Listener<'a>,
    waiting: Mutex<(usize, BTreeMap<usize, Vec<Refusal>>)>,
}

impl Teller<'_> {
    fn hear(&self, block: usize, refusals: Vec<Refusal>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, blocks) = &mut *waiting;
        blocks.insert(block, refusals);
        while let Some(refusals) = blocks.remove(next) {
            *next += 1;
            if !refusals.is_empty() {
                (self.listener)(&mut refusals.iter().map(|refusal| Told { file: &self.files[refusal.file], refusal }));
            }
        }
    }
}

pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What one block gave, with its place in the order.
#[derive(Default)]
struct Part {
    number: usize,
    items: Vec<Item>,
    refusals: Vec<Refusal>,
    patients: Patients,
    counts: Counts,
}

struct Item {
    /// `None`: at the start.
    at: Option<Instant>,
    group: u64,
    what: What,
}

/// Reads all files. `progress` hears how many of their bytes were read, `listener` what was refused.
pub fn read(engine: &Engine, feed: &Feed, files: &[PathBuf], progress: &(dyn Fn(u64, u64) + Sync), listener: &Listener) -> Fed {
    let teller = Teller { files, listener, waiting: Mutex::default() };
    let blocks = Blocks::open(files.to_vec(), Limits::default());
    let how_far = blocks.progress();
    let blocks = Mutex::new(blocks.enumerate());
    let work = || {
        let mut parts = Vec::new();
        loop {
            // Whoever is free reads the next block; decoding, the longer work, goes on beside it.
            let next = blocks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, block)) = next else { return parts };
            let mut part = Part { number, ..Part::default() };
            for (place, record) in block.records().enumerate() {
                let group = (number as u64) << 32 | place as u64;
                match record {
                    Ok(record) => decode(engine, feed, &record, group, &mut part),
                    Err(refused) => {
                        let reason = Reason::Source(refused.why);
                        part.refusals.push(Refusal { file: refused.file, line: refused.line, entry: None, reason });
                    }
                }
            }
            part.counts.refused = part.refusals.len() as u64;
            teller.hear(number, std::mem::take(&mut part.refusals));
            parts.push(part);
            progress(how_far.read(), how_far.total);
        }
    };
    let mut parts = match feed.threads {
        0 | 1 => work(),
        threads => std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
        }),
    };
    parts.sort_by_key(|part| part.number);
    gather(feed, parts)
}

/// Reads lines that are in memory already; `name` stands for their file in the refusals, which come back in words.
pub fn read_text(engine: &Engine, feed: &Feed, name: &str, text: &str) -> (Fed, Vec<String>) {
    let mut part = Part::default();
    for (number, line) in text.lines().enumerate() {
        let record = Record { file: 0, line: number as u64 + 1, bytes: line.as_bytes() };
        decode(engine, feed, &record, number as u64, &mut part);
    }
    let refusals: Vec<_> = part.refusals.iter().map(|refusal| Told { file: Path::new(name), refusal }.to_string()).collect();
    part.counts.refused = refusals.len() as u64;
    (gather(feed, vec![part]), refusals)
}

fn gather(feed: &Feed, parts: Vec<Part>) -> Fed {
    let mut fed = Fed::default();
    for part in parts {
        fed.patients.join(part.patients);
        fed.counts.resources += part.counts.resources;
        fed.counts.unread += part.counts.unread;
        fed.counts.skipped += part.counts.skipped;
        fed.counts.refused += part.counts.refused;
        for Item { at, group, what } in part.items {
            match at.filter(|at| feed.arrive == Arrive::LastUpdated && *at >= feed.from) {
                None => fed.first.push(Arrival { at: feed.from, group, what }),
                Some(at) if at >= feed.until => fed.counts.too_late += 1,
                Some(at) => fed.later.push(Arrival { at, group, what }),
            }
        }
    }
    // Stable: equal instants keep the order of arguments and lines.
    fed.later.sort_by_key(|arrival| arrival.at);
    fed
}

fn decode(engine: &Engine, feed: &Feed, record: &Record, group: u64, part: &mut Part) {
    let refuse = |entry: Option<usize>, reason: Unreadable| Refusal {
        file: record.file,
        line: record.line,
        entry: entry.map(|entry| entry + 1),
        reason: Reason::Record(reason),
    };
    let is_bundle = match peek::kind(record.bytes) {
        Ok(kind) => kind == "Bundle",
        // Of a broken Consent the reader may still find out whose it is.
        Err(_) => false,
    };
    if !is_bundle {
        part.counts.resources += 1;
        if let Some(reason) = put(engine, feed, record.bytes, None, None, group, part) {
            part.refusals.push(refuse(None, reason));
        }
        return;
    }
    let bundle = match bundle::read(record.bytes) {
        Ok(bundle) => bundle,
        Err(reason) => {
            part.refusals.push(refuse(None, reason));
            return;
        }
    };
    let links = BundleLinks::new(&bundle, record.bytes);
    for entry in &bundle.entries {
        let refused = match &entry.change {
            Change::Put { id, bytes, .. } => {
                part.counts.resources += 1;
                put(engine, feed, bytes, id.as_deref(), Some(&links), group, part)
            }
            Change::Delete { kind, id } => {
                let at = entry.last_modified.or_else(|| next_instant(&bundle, entry.index)).unwrap_or(feed.until);
                let version = Version(entry.last_modified.unwrap_or(if feed.arrive == Arrive::Start { feed.from } else { at }).micros());
                let key = engine.resource(kind, id);
                part.items.push(Item { at: Some(at), group, what: What::Delete { key, version: Some(version) } });
                None
            }
            Change::Skip(_) => {
                part.counts.skipped += 1;
                None
            }
            Change::Unreadable(reason) => Some(reason.clone()),
        };
        part.refusals.extend(refused.map(|reason| refuse(Some(entry.index), reason)));
    }
}

/// The instant of the next entry after `index` that has one.
fn next_instant(bundle: &Bundle, index: usize) -> Option<Instant> {
    bundle.entries.iter().skip(index + 1).find_map(|entry| match &entry.change {
        Change::Put { bytes, .. } => peek(bytes).ok().and_then(|peek| peek.last_updated),
        Change::Delete { .. } | Change::Skip(_) | Change::Unreadable(_) => entry.last_modified,
    })
}

/// Reads one resource into the part. Gives back why it has to be quarantined, if it has.
fn put(
    engine: &Engine,
    feed: &Feed,
    bytes: &[u8],
    id: Option<&str>,
    links: Option<&BundleLinks>,
    group: u64,
    part: &mut Part,
) -> Option<Unreadable> {
    match engine.origin().read(bytes, id, links, feed.from) {
        Err(reason) => Some(reason),
        Ok(Reading::Unread) => {
            part.counts.unread += 1;
            None
        }
        Ok(Reading::Nobody { key, version, last_updated }) => {
            part.counts.unread += 1;
            part.items.push(Item { at: last_updated, group, what: What::Nobody { key, version } });
            None
        }
        Ok(Reading::Unclear { unclear, last_updated, unreadable }) => {
            part.items.push(Item { at: last_updated, group, what: What::Unclear(unclear) });
            Some(unreadable)
        }
        Ok(Reading::Shared { key, last_updated, shared, unreadable }) => {
            part.items.push(Item { at: last_updated, group, what: What::Shared { key, shared } });
            unreadable
        }
        Ok(Reading::About { persons, last_updated, put, unreadable }) => {
            let keys = persons.iter().map(|(person, _)| *person).collect();
            persons.into_iter().for_each(|(person, id)| part.patients.learn(person, id));
            part.items.push(Item { at: last_updated, group, what: What::Put { persons: keys, put } });
            unreadable
        }
    }
}
