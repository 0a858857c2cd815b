//! The recorded landing log, played again to one worker in other batches: the same bytes must come out (I5).
//!
//! In: records as they were stamped, holds as they were recorded. Out: what each member was told.
//! Never here: an append; what partitions sent each other is on the tape already.

use super::bench::{Bench, REMOVED, Told};
use anyhow::bail;
use footbridge::log::faulty::{Chance, VirtualClock};
use footbridge::log::{Batch, Bytes, Commit, Kind, Log, LogError, OutTopic, Place, Record};
use footbridge::pipeline::{Board, Bridge, Content, Generation, Holding, Holds, Library, Settings, Worker};
use footbridge::source::Keep;
use footbridge_core::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// All that landing ever took.
pub type Records = BTreeMap<(Place, u64), Record>;

struct Tape {
    parts: Vec<Part>,
    state: BTreeMap<(Place, Vec<u8>), Bytes>,
    told: Told,
    clock: VirtualClock,
    chance: Chance,
    started: bool,
    /// The worker has something to do before the next order; then `play` clears it.
    waits: Arc<AtomicBool>,
    ordered: bool,
}

struct Part {
    place: Place,
    records: Vec<Record>,
    next: usize,
    committed: u64,
}

impl Log for Tape {
    fn poll(&mut self, _wait: Duration, batch: &mut Batch) -> Result<(), LogError> {
        batch.clear();
        if !std::mem::replace(&mut self.started, true) {
            batch.assigned.extend(self.parts.iter().map(|part| (part.place, 0)));
        }
        if self.waits.load(Ordering::SeqCst) {
            return Ok(());
        }
        let Some(part) = self.parts.iter_mut().find(|part| part.next < part.records.len()) else { return Ok(()) };
        // An order is given to partitions that have nothing left to do of the one before.
        if is_order(&part.records[part.next]) && !std::mem::replace(&mut self.ordered, true) {
            self.waits.store(true, Ordering::SeqCst);
            return Ok(());
        }
        self.ordered = false;
        let most = 1 + self.chance.below(8);
        let rest = part.records[part.next..].iter().take(most).enumerate();
        let chunk: Vec<Record> = rest.take_while(|(at, record)| *at == 0 || !is_order(record)).map(|(_, record)| record.clone()).collect();
        // What begins a hold is on record: the clock does not.
        let newest = chunk.iter().map(|record| record.stamp).max().unwrap_or(Instant::BEGIN);
        self.clock.set(newest);
        part.next += chunk.len();
        batch.records.extend(chunk);
        Ok(())
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Bytes>, LogError> {
        Ok(self.state.get(&(place, key.to_vec())).cloned())
    }

    fn scan(&self, place: Place, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let from = self.state.range((place, prefix.to_vec())..);
        for ((_, key), value) in from.take_while(|((at, key), _)| *at == place && key.starts_with(prefix)) {
            each(key, value);
        }
        Ok(())
    }

    fn replay(&self, place: Place, from: u64, records: &mut Vec<Record>) -> Result<Option<u64>, LogError> {
        let part = self.parts.iter().find(|part| part.place == place).ok_or_else(|| LogError::lost(place))?;
        records.extend(part.records.iter().filter(|record| record.offset >= from && record.offset < part.committed).cloned());
        Ok(None)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        for (place, key, value) in commit.state {
            match value {
                Some(value) => drop(self.state.insert((place, key), value.into())),
                None => drop(self.state.remove(&(place, key))),
            }
        }
        for (place, position) in commit.positions {
            self.parts.iter_mut().filter(|part| part.place == place).for_each(|part| part.committed = position);
        }
        for output in commit.outputs {
            if let OutTopic::Audience(name) = output.topic {
                let value = output.value.unwrap_or_else(|| REMOVED.into());
                let key = (name.into_string(), String::from_utf8(output.key).expect("a member id is text"));
                self.told.entry(key).or_default().push(String::from_utf8(value).expect("JSON is text"));
            }
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

fn is_order(record: &Record) -> bool {
    matches!(record.kind, Kind::Prepare | Kind::Adopt)
}

/// `shelf`: all definitions there were, by their generation.
pub fn play(bench: &Bench, shelf: Vec<(Generation, Content)>, records: &Records, holds: &Holds, chance: Chance) -> anyhow::Result<Told> {
    let part = |place: Place| Part {
        place,
        records: records.range((place, 0)..=(place, u64::MAX)).map(|(_, record)| record.clone()).collect(),
        next: 0,
        committed: 0,
    };
    let clock = VirtualClock::at(Instant::BEGIN);
    let waits = Arc::new(AtomicBool::new(false));
    let tape = Tape {
        parts: bench.bridge.partitions.all().map(part).collect(),
        state: BTreeMap::new(),
        told: Told::new(),
        clock: clock.clone(),
        chance,
        started: false,
        waits: Arc::clone(&waits),
        ordered: false,
    };
    let mut shelf = shelf.into_iter();
    let Some((first, content)) = shelf.next() else { bail!("no definitions") };
    let library = Library::new(first, content, Keep::Read);
    shelf.for_each(|(generation, content)| library.add(generation, content));
    let Bridge { keys, name, partitions, feeds, settings, .. } = &*bench.bridge;
    let (keys, name, feeds) = (keys.clone(), name.clone(), feeds.clone());
    let settings = Settings { holding: Holding::Recorded(holds.clone()), ..settings.clone() };
    let bridge = Bridge { library: Arc::new(library), keys, board: Board::default(), name, partitions: *partitions, feeds, settings };
    let mut worker = Worker::new(tape, Arc::new(bridge), clock.clock());
    for _ in 0..100_000 {
        if let Err(halt) = worker.turn() {
            bail!("I5: the recorded log cannot be played again: {halt}");
        }
        let played = worker.log().parts.iter().all(|part| part.next == part.records.len());
        if worker.is_idle() {
            waits.store(false, Ordering::SeqCst);
        }
        if played && worker.is_idle() {
            return Ok(worker.log().told.clone());
        }
    }
    bail!("I5: the recorded log, played again, never comes to rest")
}
