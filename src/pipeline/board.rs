//! How far each partition has come with its definitions, for those who ask.
//!
//! In: what a partition committed. Out: the same of all partitions. Never here: what was not committed.

use super::change::{BUCKETS, Change, Phase};
use super::{Generation, Moves};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By partition.
#[derive(Default)]
pub struct Board(Mutex<BTreeMap<u16, Progress>>);

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
    fn all(&self) -> MutexGuard<'_, BTreeMap<u16, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, partition: u16, progress: Progress) {
        self.all().insert(partition, progress);
    }

    /// Audiences that an order has stopped anywhere.
    pub fn stopped(&self) -> BTreeSet<String> {
        self.all().values().flat_map(|one| one.stopped.iter().cloned()).collect()
    }

    pub fn read(&self) -> BTreeMap<u16, Progress> {
        self.all().clone()
    }
}

impl Progress {
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
