//! A worker: the loop of one thread, over all partitions that its log session holds.
//!
//! In: a log session. Out: one commit after another. Never here: a record that is skipped; what fails is read again.

use super::outputs::Facts;
use super::owners::Owners;
use super::shard::Shard;
use super::{Bridge, Stage};
use crate::log::{Batch, Clock, Log, LogError, Place, Record, Retry, Topic, Trouble};
use crate::observe::{Committed, HoldChanged, Standing};
use footbridge_core::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Stopwatch};

pub struct Worker<L: Log> {
    log: L,
    bridge: Arc<Bridge>,
    clock: Clock,
    shards: BTreeMap<Place, Shard>,
    owners: BTreeMap<Place, Owners>,
    /// What was read last; between two turns those records of it that wait for slices. Nothing more is read until they are applied.
    batch: Batch,
    /// The shard that the next slice begins with.
    first: usize,
    waits: bool,
    /// The last turn left something to be done without a record. Others see it before its commit is seen.
    busy: Arc<AtomicBool>,
    told: Told,
}

/// What was told of the worker as it stood after its last commit.
#[derive(Default)]
struct Told {
    standing: Standing,
    held: BTreeSet<Place>,
}

/// Why a worker stands still.
#[derive(Debug)]
pub enum Halt {
    /// A record was stamped too far ahead of this instance's clock.
    Clock {
        place: Place,
        stamp: Instant,
        clock: Instant,
    },
    Log(LogError),
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Halt::Clock { place, stamp, clock } => {
                write!(f, "{place}: a record is stamped {stamp}, and the clock says {clock}; set the clock, or wait until it gets there")
            }
            Halt::Log(error) => write!(f, "{error}"),
        }
    }
}

impl Halt {
    /// Whether the same may go well later in this process.
    pub fn passes(&self) -> bool {
        match self {
            Halt::Clock { .. } => true,
            Halt::Log(error) => error.retry == Retry::Later,
        }
    }
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Halt {
        Halt::Log(error)
    }
}

/// The longest wait for a record: a stop is heard within it.
const WAIT: Duration = Duration::from_millis(50);
/// The wait after a failure that may pass.
const PAUSE: Duration = Duration::from_secs(1);

impl<L: Log> Worker<L> {
    pub fn new(log: L, bridge: Arc<Bridge>, clock: Clock) -> Worker<L> {
        Worker {
            log,
            bridge,
            clock,
            shards: BTreeMap::new(),
            owners: BTreeMap::new(),
            batch: Batch::default(),
            first: 0,
            waits: false,
            busy: Arc::new(AtomicBool::new(true)),
            told: Told::default(),
        }
    }

    /// Works until `stop` is set, or until something fails that does not pass. `halted` hears why it stands still, and `None`
    /// once it goes on.
    pub fn run(&mut self, stop: &AtomicBool, halted: &mut dyn FnMut(Option<&Halt>)) -> Result<(), Halt> {
        let mut standing = false;
        while !stop.load(Ordering::Acquire) {
            match self.turn() {
                Ok(()) => {
                    if std::mem::take(&mut standing) {
                        halted(None);
                    }
                }
                Err(halt) if halt.passes() => {
                    standing = true;
                    halted(Some(&halt));
                    self.recover()?;
                    std::thread::sleep(PAUSE);
                }
                Err(halt) => {
                    halted(Some(&halt));
                    return Err(halt);
                }
            }
        }
        Ok(())
    }

    /// Reads, applies, and commits what follows: one act.
    pub fn turn(&mut self) -> Result<(), Halt> {
        let wait = if self.is_busy() { Duration::ZERO } else { self.until_due() };
        let mut batch = std::mem::take(&mut self.batch);
        let polled = if std::mem::take(&mut self.waits) { Ok(()) } else { self.log.poll(wait, &mut batch) };
        let done = polled.map_err(Halt::from).and_then(|()| self.work(&mut batch));
        self.batch = batch;
        done
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Set while there is work that no record waits for: timers, and members to be compared again.
    pub fn busy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.busy)
    }

    /// Whether the last turn left nothing to be done before a record comes or a timer is due.
    pub fn is_idle(&self) -> bool {
        !self.is_busy() && self.batch.is_empty()
    }

    /// The next instant at which time alone may change something.
    pub fn due(&self) -> Instant {
        self.shards.values().map(Shard::due).min().unwrap_or(Instant::END)
    }

    fn until_due(&self) -> Duration {
        let (now, due) = ((self.clock)(), self.due());
        if due <= now { Duration::from_millis(1) } else { WAIT.min(Duration::from_micros(due.since(now).0.unsigned_abs())) }
    }

    fn work(&mut self, batch: &mut Batch) -> Result<(), Halt> {
        for place in &batch.lost {
            if let Some(shard) = self.shards.remove(place) {
                shard.give_up(&self.bridge);
            }
            self.owners.remove(place);
        }
        for (place, next) in &batch.assigned {
            match place.topic {
                Topic::Landing => _ = self.shards.insert(*place, Shard::restore(&self.bridge, &self.log, *place, *next)?),
                Topic::Owners => _ = self.owners.insert(*place, Owners::new(*place, *next)),
            }
        }
        let mut stage = Stage::default();
        let clock = (self.clock)();
        // One partition a turn, so that what comes in is never long behind it; and before what came, so that it catches up.
        let mut preparing = false;
        for shard in self.shards.values_mut() {
            preparing = preparing || shard.go_on(&self.bridge, &self.log, &mut stage)?;
        }
        let mut waits = Batch::default();
        for record in &batch.records {
            if record.stamp.since(clock) > self.bridge.settings.clock_skew_max {
                return Err(Halt::Clock { place: record.place, stamp: record.stamp, clock });
            }
            let unheld = || Halt::from(LogError::lost(record.place));
            match record.place.topic {
                Topic::Landing => {
                    let shard = self.shards.get_mut(&record.place).ok_or_else(unheld)?;
                    // Behind one that waits all of that place wait.
                    let is_behind = waits.records.iter().any(|other: &Record| other.place == record.place);
                    if is_behind || !shard.makes_way(&self.bridge, &self.log, record, &mut stage)? {
                        waits.records.push(record.clone());
                        continue;
                    }
                    shard.apply(&self.bridge, &self.log, record, clock, &mut stage)?;
                }
                Topic::Owners => {
                    let owners = self.owners.get_mut(&record.place).ok_or_else(unheld)?;
                    owners.apply(&self.bridge, &self.log, record, &mut stage)?;
                }
            }
        }
        for place in &batch.drained {
            if waits.records.iter().any(|record| record.place == *place) {
                waits.drained.push(*place);
            } else if let Some(shard) = self.shards.get_mut(place) {
                shard.drained();
            }
        }
        let mut busy = preparing || !waits.records.is_empty();
        busy |= self.slice(&mut stage)?;
        for shard in self.shards.values_mut() {
            shard.tick(clock, &mut stage);
            busy |= shard.is_changing();
        }
        self.busy.store(busy, Ordering::Release);
        self.commit(stage, batch.records.len() - waits.records.len())?;
        if !batch.assigned.is_empty() {
            // What was restored stands before anything is committed.
            self.tell();
        }
        self.waits = !waits.records.is_empty();
        if self.waits {
            *batch = waits;
        }
        Ok(())
    }

    /// One slice of what time asks for, whichever partitions have it: a record that comes meanwhile waits for no more than that. Each
    /// partition has one piece at least, so that a backlog ends in the turn in which its end was seen. Whether there may be more.
    fn slice(&mut self, stage: &mut Stage) -> Result<bool, Halt> {
        let (mut left, mut more) = (self.bridge.settings.slice, false);
        let count = self.shards.len();
        let places: Vec<Place> = self.shards.keys().copied().collect();
        for step in 0..count {
            let index = (self.first + step) % count;
            let Some(shard) = self.shards.get_mut(&places[index]) else { continue };
            let most = left.max(1);
            let mut mine = most;
            more |= shard.work(&self.bridge, &self.log, &mut mine, stage)?;
            let before = left;
            left = left.saturating_sub(most - mine);
            if before > 0 && left == 0 {
                // The others come first the next time.
                self.first = (index + 1) % count;
            }
        }
        Ok(more)
    }

    fn commit(&mut self, mut stage: Stage, records: usize) -> Result<(), Halt> {
        let mut positions: Vec<(Place, u64)> = self.shards.values_mut().filter_map(|shard| shard.stage(&mut stage)).collect();
        positions.extend(self.owners.values_mut().filter_map(|owners| owners.stage(&mut stage)));
        let commit = stage.commit(positions);
        if commit.is_empty() {
            return Ok(());
        }
        let (facts, began) = (Facts::of(&commit.outputs), Stopwatch::now());
        self.log.commit(commit)?;
        Committed { records: records as u64, took: began.elapsed() }.emit();
        facts.emit();
        self.tell();
        self.shards.values_mut().for_each(|shard| shard.committed(&self.bridge));
        Ok(())
    }

    /// How the worker stands, where it is another than before.
    fn tell(&mut self) {
        let held: BTreeSet<Place> = self.shards.iter().filter(|(_, shard)| shard.holds()).map(|(place, _)| *place).collect();
        for place in held.symmetric_difference(&self.told.held) {
            HoldChanged { place, began: held.contains(place) }.emit();
        }
        self.told.held = held;
        let standing = self.shards.values().map(Shard::standing).fold(Standing::default(), Standing::plus);
        if standing != self.told.standing {
            standing.emit(std::mem::replace(&mut self.told.standing, standing));
        }
    }

    pub fn log(&self) -> &L {
        &self.log
    }

    /// After a failure: everything since the last commit is read again.
    pub fn recover(&mut self) -> Result<(), Halt> {
        std::mem::take(&mut self.shards).into_values().for_each(|shard| shard.give_up(&self.bridge));
        self.owners.clear();
        self.waits = false;
        // What is held comes with the next batch.
        self.busy.store(true, Ordering::Release);
        match self.log.abort() {
            Ok(()) => Ok(()),
            Err(error) if error.retry == Retry::Later && error.trouble != Trouble::Lost => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether some partition is behind and holds entries back.
    pub fn holds(&self) -> bool {
        self.shards.values().any(Shard::holds)
    }
}
