//! How far each partition has come with its definitions, for those who ask.
//!
//! In: what a partition committed. Out: the same of all partitions. Never here: what was not committed.

use super::change::{self, BUCKETS, Change, Phase};
use super::position::{self, Position};
use super::{Generation, Moves};
use crate::log::{LogError, Place, Store};
use crate::source::landing::Partitions;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By partition, with the holder that told it: what an earlier one tells late is not heard.
#[derive(Default)]
pub struct Board(Mutex<BTreeMap<u16, Told>>);

#[derive(Default)]
struct Told {
    holder: Holder,
    progress: Option<Progress>,
}

/// Numbers those who held a partition in this process.
pub type Holder = u64;

#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub running: Generation,
    /// The newest that were to be prepared here.
    pub seen: Generation,
    pub standing: Standing,
    /// Audiences that an order has stopped here.
    pub stopped: BTreeSet<String>,
    /// What it is to prepare or adopt is not in this process.
    pub lacks_content: bool,
    /// It is to decide by definitions that it does not have ready: only exits leave.
    pub tells_exits_only: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    Steady,
    /// What was left behind goes, before `next` is prepared.
    Clearing {
        next: Option<Generation>,
    },
    /// `replayed` of `landed` records, by their offsets.
    Preparing {
        generation: Generation,
        replayed: u64,
        landed: u64,
        sent: u64,
        received: u64,
        counted: Option<Counted>,
    },
    Adopting {
        buckets: u16,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    pub done: bool,
    pub audiences: BTreeMap<String, Moves>,
}

impl Board {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u16, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on only this holder speaks for the partition.
    pub fn hold(&self, partition: u16) -> Holder {
        let mut all = self.all();
        let told = all.entry(partition).or_default();
        told.holder += 1;
        told.holder
    }

    pub fn tell(&self, partition: u16, holder: Holder, progress: Option<Progress>) {
        let mut all = self.all();
        if let Some(told) = all.get_mut(&partition).filter(|told| told.holder == holder) {
            told.progress = progress;
        }
    }

    /// Audiences that an order has stopped anywhere.
    pub fn stopped(&self) -> BTreeSet<String> {
        self.read().into_values().flat_map(|one| one.stopped).collect()
    }

    /// Of the partitions that are held here.
    pub fn read(&self) -> BTreeMap<u16, Progress> {
        self.all().iter().filter_map(|(partition, told)| Some((*partition, told.progress.clone()?))).collect()
    }

    /// Of all partitions; of those that other instances hold what has come here of their state, a moment behind.
    /// How many are held here comes with it.
    pub fn read_all(&self, log: &Store, partitions: Partitions) -> Result<(BTreeMap<u16, Progress>, usize), LogError> {
        let mut all = self.read();
        let here = all.len();
        for place in partitions.all() {
            if let Entry::Vacant(slot) = all.entry(place.partition)
                && let Some(progress) = Progress::elsewhere(log, place)?
            {
                slot.insert(progress);
            }
        }
        Ok((all, here))
    }
}

impl Progress {
    /// `None`: nothing is known of it.
    fn elsewhere(log: &Store, place: Place) -> Result<Option<Progress>, LogError> {
        let (Some(next), Some(position)) = (log.position_elsewhere(place)?, log.elsewhere(place, position::KEY)?) else { return Ok(None) };
        let stopped = Position::decode(place, &position)?.stopped;
        let change = match log.elsewhere(place, change::KEY)? {
            Some(bytes) => Change::decode(place, &bytes)?,
            // It has never changed.
            None => Change::default(),
        };
        Ok(Some(Progress::of(&change, &stopped, next)))
    }

    /// Of a partition that has what it needs; `position`: the next offset that it reads.
    pub fn of(change: &Change, stopped: &BTreeSet<String>, position: u64) -> Progress {
        let standing = match &change.phase {
            Phase::Steady => Standing::Steady,
            Phase::Clearing { then, .. } => Standing::Clearing { next: *then },
            Phase::Adopting { bucket, .. } => Standing::Adopting { buckets: *bucket },
            Phase::Preparing(preparing) => Standing::Preparing {
                generation: preparing.generation,
                replayed: preparing.cursor,
                landed: position,
                sent: preparing.sent,
                received: preparing.received,
                counted: preparing
                    .count
                    .as_ref()
                    .map(|count| Counted { done: count.bucket == BUCKETS, audiences: count.audiences.clone() }),
            },
        };
        let (running, seen, stopped) = (change.running, change.seen, stopped.clone());
        Progress { running, seen, standing, stopped, lacks_content: false, tells_exits_only: false }
    }
}
